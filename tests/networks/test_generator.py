"""Generators: found by name or folder, a function of latent and class, refused if something else."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from mmdream.core.errors import UserError
from mmdream.core.files import hash_file
from mmdream.networks.framework import tf
from mmdream.networks.generator import Generator, draw_latent, load_generator
from mmdream.networks.generator_card import (
    GENERATOR_CARD,
    GENERATOR_WEIGHTS,
    find_generator,
    list_generators,
)
from tests.command import mmdream
from tests.generator import write_generator

LEMON = np.array([[1.0, 0.0]], np.float32)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_generator(folder)
    return folder


@pytest.fixture(autouse=True)
def own_models(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDREAM_MODELS", str(models))


@pytest.fixture(scope="module")
def generator(models: Path) -> Generator:
    return load_generator(find_generator(str(models / "small.generator")))


def test_a_generator_is_found_by_name_and_by_folder(models: Path):
    card = find_generator("small")
    assert card == find_generator(str(models / "small.generator"))
    assert (card.name, card.classes, card.facts) == ("small", ("lemon", "gizmo"), {"rounds": 3})
    assert card in list(list_generators())
    assert card.class_index("Gizmo") == 1
    with pytest.raises(UserError, match='generator small makes no "lemmon"; nearest: lemon'):
        card.class_index("lemmon")


def test_what_ships_makes_something_else_of_each_class():
    own = Path(__file__).parents[2] / "models"
    shipped = [card for card in list_generators() if own in card.home.parents]
    assert [card.name for card in shipped] == ["esc10", "tiny10"]
    for card in shipped:
        latents = np.repeat(draw_latent(0, "shipped")[None], len(card.classes), 0)
        made = load_generator(card).make_pictures(latents, np.eye(len(card.classes), dtype=np.float32))
        assert np.isfinite(made).all()
        assert min(np.abs(a - b).mean() for a, b in combinations(made, 2)) > 0.005


def test_a_picture_is_a_function_of_latent_and_class(generator: Generator):
    latent = draw_latent(3, "picture", 0)[None]
    picture = generator.make_pictures(latent, LEMON)
    assert picture.shape == (1, 32, 32, 3)
    assert picture.dtype == np.float32
    assert 0 <= picture.min() < picture.max() <= 1
    np.testing.assert_array_equal(picture, generator.make_pictures(latent, LEMON))
    others = draw_latent(4, "picture", 0)[None], LEMON[:, ::-1]
    assert np.abs(picture - generator.make_pictures(others[0], LEMON)).max() > 1e-3
    assert np.abs(picture - generator.make_pictures(latent, others[1])).max() > 1e-3


def test_many_pictures_are_those_of_each_alone(generator: Generator):
    latents = np.stack([draw_latent(0, number) for number in range(40)])
    classes = np.repeat(LEMON, 40, 0)
    together = generator.make_pictures(latents, classes)
    np.testing.assert_allclose(
        together[37:38], generator.make_pictures(latents[37:38], classes[:1]), atol=1e-5
    )


def test_latents_and_classes_can_be_climbed(generator: Generator):
    inputs = tf.constant(draw_latent(0)[None]), tf.constant(LEMON)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        brightness = tf.reduce_mean(generator.model(list(inputs)))
    for gradient in tape.gradient(brightness, inputs):
        assert np.abs(gradient.numpy()).max() > 0


def cut_off(folder: Path) -> None:
    weights = folder / GENERATOR_WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])


def set_weights(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Other weights, with their hash in the card."""
    card, weights = folder / GENERATOR_CARD, folder / GENERATOR_WEIGHTS
    before = hash_file(weights)
    np.savez(weights, **arrays)
    card.write_text(card.read_text().replace(before, hash_file(weights)))


def pickled(folder: Path) -> None:
    set_weights(folder, {"first_kernel": np.array([{"a": 1}], dtype=object)})


def of_another(folder: Path) -> None:
    set_weights(folder, {"first_kernel": np.zeros((3, 3), np.float32)})


def endless(folder: Path) -> None:
    with np.load(folder / GENERATOR_WEIGHTS) as archive:
        arrays = {name: np.full_like(archive[name], np.inf) for name in archive.files}
    set_weights(folder, arrays)


def no_archive(folder: Path) -> None:
    card, weights = folder / GENERATOR_CARD, folder / GENERATOR_WEIGHTS
    before = hash_file(weights)
    weights.write_bytes(pickle.dumps({"a": 1}))
    card.write_text(card.read_text().replace(before, hash_file(weights)))


def empty_archive(folder: Path) -> None:
    card, weights = folder / GENERATOR_CARD, folder / GENERATOR_WEIGHTS
    before = hash_file(weights)
    with zipfile.ZipFile(weights, "w"):
        pass
    card.write_text(card.read_text().replace(before, hash_file(weights)))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (cut_off, "missing or damaged; train the generator again, or install it again"),
        (pickled, "is no .npz file of number arrays, or is damaged"),
        (of_another, "weights of another network\\? array"),
        (endless, "holds what is no number"),
        (no_archive, "is no .npz file of number arrays, or is damaged"),
        (empty_archive, "weights of another network\\? array"),
    ],
)
def test_weights_that_are_others_are_refused(tmp_path: Path, spoil: Callable[[Path], None], line: str):
    card = write_generator(tmp_path)
    spoil(card.home)
    with pytest.raises(UserError, match=line):
        load_generator(find_generator(str(card.home)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('role = "generator"', 'role = "classifier"'),
        ("side = 32", "side = 100000"),
        ("width = 4", "width = 100000"),
        ('    "gizmo",\n', ""),
        ("side", "what is this"),
    ],
)
def test_cards_of_something_else_are_refused(tmp_path: Path, old: str, new: str):
    file = write_generator(tmp_path).home / GENERATOR_CARD
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=r"generator.toml: is no generator's card, or is damaged \("):
        find_generator(str(file.parent))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "dreamnet",
            "dreamnet: is a network that dreams and tells classes, and makes nothing; generators: ",
        ),
        ("smal", 'no generator "smal"; generators: .*small'),
        ("biggan.pt", "biggan.pt: a generator is a folder NAME.generator that"),
        ("nowhere.generator", "nowhere.generator: is no generator's folder"),
        ("/nowhere/mine", "/nowhere/mine: is no generator's folder"),
    ],
)
def test_what_is_no_generator_is_refused(name: str, line: str):
    with pytest.raises(UserError, match=line):
        find_generator(name)


def test_generators_are_listed_and_described():
    assert "small          generator: Random." in mmdream("nets").stdout
    assert "classes: lemon, gizmo" in mmdream("nets", "small").stdout
    done = mmdream("image", "--from", "noise", "--size", "64x64", "--net", "small")
    assert done.returncode == 2
    assert "small: is a generator, which makes what is dreamed on; see --from gen" in done.stderr
