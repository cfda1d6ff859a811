from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mmdream.core.errors import UserError
from mmdream.datasets.card import read_dataset_card as dataset
from mmdream.networks.card import MODELS_FOLDER, AudioInput, ImageInput, ShippedWeights, SnapshotWeights
from mmdream.networks.registry import list_networks, load_card
from mmdream.networks.weights import locate_weights, read_snapshot_manifest
from mmdream.settings.targets import Term

SOUNDS = ["conv5_spec", "melnet", "residual_spec", "vgg19_mel"]
EVERY = sorted(
    [
        "dreamnet",
        "googlenet",
        "inception_v3",
        "mobilenet_v2",
        "resnet50",
        "squeezenet",
        "vgg16",
        "vgg19",
        *SOUNDS,
    ]
)


def test_zoo_is_complete():
    assert list_networks() == EVERY
    assert list_networks("sound") == SOUNDS
    assert list_networks("picture") == [name for name in EVERY if name not in SOUNDS]


@pytest.mark.parametrize("name", EVERY)
def test_card_is_complete(name):
    found = load_card(name)
    assert found.name == name
    for text in (found.about, found.licence, found.source, found.credits):
        assert text.strip()
        assert "\n" not in text
    assert "data_terms" in found.facts
    assert 0 < found.carried <= 1
    assert len(found.rungs) >= 3
    assert len({rung.layer for rung in found.rungs}) == len(found.rungs)
    assert all(0 < rung.step < 0.2 for rung in found.rungs)
    front = found.input
    if isinstance(front, AudioInput):
        assert len(front.mu) in (1, front.bands)
    else:
        assert isinstance(front, ImageInput)
        assert len(front.mean) == 3


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("depth", [0.0, 0.123, 1 / 3, 0.5, 0.99, 1.0])
def test_mix_sums_to_one_over_two_neighbours(name, depth):
    mix = load_card(name).mix(depth)
    assert mix.dtype == np.float32
    assert mix.sum() == pytest.approx(1, abs=1e-6)
    places = np.flatnonzero(mix)
    assert len(places) <= 2
    assert places[-1] - places[0] <= 1
    # The mean place on the ladder is the depth asked for.
    assert mix @ np.arange(len(mix)) == pytest.approx(depth * (len(mix) - 1), abs=1e-5)


def test_step_is_blended_as_the_rungs_are():
    found = load_card("dreamnet")
    steps = [rung.step for rung in found.rungs]
    terms = [Term("layer", rung.layer) for rung in found.rungs]

    def blend_steps(depth: float) -> float:
        return found.step_along(terms, found.mix(depth))

    assert blend_steps(0) == pytest.approx(steps[0])
    assert blend_steps(1) == pytest.approx(steps[-1])
    assert blend_steps(0.5 / (len(steps) - 1)) == pytest.approx((steps[0] + steps[1]) / 2)


def test_shallow_rungs_are_tempered_and_the_usual_depth_is_not():
    found = load_card("dreamnet")
    terms = [Term("layer", rung.layer) for rung in found.rungs]
    assert found.tempering_along(terms, found.mix(0.9)) == (1, 0)
    for rung, place in zip(found.rungs[:2], (0, 1 / 3), strict=True):
        assert found.tempering_along(terms, found.mix(place)) == pytest.approx((rung.color, rung.margin))
        assert rung.color < 1
        assert rung.margin > 0


@pytest.mark.parametrize(
    ("typed", "meant"), [("vgg", "vgg16"), ("GoogleNet", "googlenet"), ("dreamnt", "dreamnet")]
)
def test_unknown_name_tells_the_nearest(typed, meant):
    with pytest.raises(UserError, match=meant) as raised:
        load_card(typed)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["googlenet", "squeezenet"])
def test_manifest_pins_every_file(name):
    where = load_card(name).weights
    assert isinstance(where, SnapshotWeights)
    files = read_snapshot_manifest(MODELS_FOLDER / where.manifest)
    for file in files:
        assert len(file.sha256) == 64
        assert file.bytes == 4 * np.prod(file.shape)
    assert len({file.array for file in files}) == len(files)


@pytest.mark.parametrize("name", ["dreamnet", "melnet"])
def test_shipped_weights_are_pinned_and_small(name):
    found = load_card(name)
    assert isinstance(found.weights, ShippedWeights)
    path = locate_weights(found)
    assert path is not None
    assert path.stat().st_size < 6_000_000
    wrong = dataclasses.replace(found, weights=ShippedWeights(found.weights.file, "0" * 64))
    with pytest.raises(UserError, match="missing or damaged"):
        locate_weights(wrong)


def test_a_class_goes_by_the_names_of_its_data_set_too():
    melnet = load_card("melnet")
    assert [melnet.class_index(each.name) for each in dataset("esc10").classes] == list(range(10))
    assert [melnet.class_index(name) for name in melnet.primary_names()] == list(range(10))
    assert melnet.class_index("Dog_Bark") == melnet.class_index("dog") == 0
    with pytest.raises(UserError, match='melnet has no class "dig"; nearest: dog'):
        melnet.class_index("dig")


def test_a_class_of_a_table_goes_by_its_first_word():
    imagenet = load_card("googlenet")
    assert imagenet.primary_names()[:3] == ("tench", "goldfish", "great white shark")
    assert len(imagenet.primary_names()) == 1000


def test_a_card_knows_its_classes_by_all_their_names():
    melnet = load_card("melnet")
    assert all(melnet.has_class(name) for name in ("dog", "dog bark", "dog_bark", "Sea waves", "rooster"))
    assert not any(melnet.has_class(name) for name in ("goldfish", "", "do"))
    assert load_card("dreamnet").has_class("n01443537")


@pytest.mark.parametrize("classes", ['[["a"]]', "[1]", f"{'[' * 5000}{']' * 5000}"])
def test_classes_that_are_no_names_are_told(classes, tmp_path, monkeypatch):
    monkeypatch.setenv("MMDREAM_MODELS", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/card.toml").write_text(
        'medium = "picture"\nbuilder = "dreamnet"\nabout = "a"\nlicence = "a"\nsource = "a"\ncredits = "a"\n'
        f'carried = 0.1\nrungs = [{{ layer = "a", step = 0.01 }}]\nhead = "told"\nclasses = {classes}\n'
        '[input]\norder = "RGB"\nscale = 1.0\nmean = [0.5, 0.5, 0.5]\n'
        '[weights]\nhow = "trained"\nfile = "weights.npz"\nsha256 = "0"\n'
    )
    with pytest.raises(UserError, match=r"is damaged|cannot be read") as raised:
        load_card("mine").primary_names()
    assert "\n" not in str(raised.value)
