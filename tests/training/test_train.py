"""A network retrained on a small set, from the command's settings to a network that dreams by its name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdream.core.errors import UserError
from mmdream.datasets.folder import read_dataset
from mmdream.datasets.load import ExampleFormat, load_examples
from mmdream.networks.framework import tf
from mmdream.networks.network import load_network
from mmdream.networks.registry import list_networks, load_card
from mmdream.networks.weights import read_arrays
from mmdream.settings.targets import parse_channel, parse_target
from mmdream.settings.training import TrainingSettings
from mmdream.training.data import split_dataset
from mmdream.training.train import TrainingReport, move_network_into_place, train_network

# Keras 3.15 calls NumPy in its older way where it saves variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

QUICK = TrainingSettings("picture", "dreamnet", Path(), "mine", epochs=1, batch=8, side=64, unfreeze="1")
HEAD = TrainingSettings("sound", "melnet", Path(), "mine", epochs=1, batch=8, seconds=1.0, unfreeze="0")


@pytest.fixture(scope="module")
def picture_training(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingReport, Path]:
    """A picture network whose head and last rung were taught, and the folder that it lies in."""
    return train_in_folder(tmp_path_factory.mktemp("seeing"), replace(QUICK, data=pictures))


@pytest.fixture(scope="module")
def sound_training(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingReport, Path]:
    """A sound network whose head was taught."""
    return train_in_folder(tmp_path_factory.mktemp("hearing"), replace(HEAD, data=sounds))


def train_in_folder(folder: Path, settings: TrainingSettings) -> tuple[TrainingReport, Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMDREAM_MODELS", str(folder))
        return train_network(settings), folder


@pytest.fixture
def picture_report(
    picture_training: tuple[TrainingReport, Path], monkeypatch: pytest.MonkeyPatch
) -> TrainingReport:
    monkeypatch.setenv("MMDREAM_MODELS", str(picture_training[1]))
    return picture_training[0]


@pytest.fixture
def sound_report(sound_training: tuple[TrainingReport, Path], models: Path) -> TrainingReport:
    """A copy, because tests add to it."""
    shutil.copytree(sound_training[1], models)
    return sound_training[0]


def test_a_retrained_network_can_be_used_by_its_name(picture_report: TrainingReport, pictures: Path):
    assert picture_report.evaluation.accuracy == 1.0
    assert picture_report.evaluation.baseline == 0.5
    assert "mine" in list_networks("picture")
    assert [path.name for path in picture_report.folder.parent.iterdir()] == ["mine"]
    about, parent = load_card("mine", "picture"), load_card("dreamnet")
    assert about.class_names() == (("level",), ("upright",))
    assert [(r.layer, r.step, r.away) for r in about.rungs] == [(r.layer, r.step, ()) for r in parent.rungs]
    assert (about.input, about.carried) == (replace(parent.input, side=64), parent.carried)
    assert about.facts["accuracy"] == 1.0
    assert about.facts["accuracy_of_the_commonest_class"] == 0.5
    network = load_network(about)
    network.check_terms((parse_target("upright"),))
    # What the report says of its classes, the dreamer's own head says.
    of = read_dataset(pictures)
    tested = split_dataset(of, None, 0).test
    outputs = [
        network.class_logits()(tf.constant(row[None])).numpy()[0]
        for row in load_examples(of, tested, ExampleFormat(side=64))
    ]
    assert [int(np.argmax(each)) for each in outputs] == [example.label for example in tested]


def test_only_what_was_let_free_has_changed(picture_report: TrainingReport):
    before = read_arrays(load_card("dreamnet").home / "dreamnet.npz")
    after = read_arrays(picture_report.folder / "weights.npz")
    same = {name for name, array in after.items() if np.array_equal(array, before[name].astype(np.float32))}
    below = ("c1a", "c2a", "c2b", "c2c", "c3a", "c3b")
    assert {f"{layer}_{kind}" for layer in below for kind in ("kernel", "bias")} <= same
    assert not same & {"c3c_kernel", "c4b_kernel", "classes_kernel"}
    # Motifs of layers that are as they were are true still; classes are other ones.
    kept, known = load_card("mine").motifs, load_card("dreamnet").motifs
    assert set(kept) == {name for name, meant in known.items() if meant.split(":")[0] in ("c2b", "c3b")}


def test_the_report_is_whole(picture_report: TrainingReport):
    folder = picture_report.folder
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["confusion"] == picture_report.evaluation.confusion.tolist()
    assert report["majority_class_baseline"] == 0.5
    assert len(report["rounds"]) >= 4
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= report["rounds"][0].keys()
    for name in ("curves.png", "confusion.png"):
        assert cv2.imread(str(folder / name)) is not None, name
    assert list((folder / "tensorboard").glob("events.*"))
    network = load_network(load_card("mine"))
    for row in report["classes"]:
        assert row["channels"]
        network.check_terms(
            tuple(parse_channel(named) for named in row["channels"] if not named.endswith(":"))
        )


def test_a_retrained_sound_network_knows_its_events(sound_report: TrainingReport):
    assert sound_report.evaluation.accuracy == 1.0
    assert load_card("mine", "sound").events == ("beep",)


def test_a_retrained_network_can_be_retrained(sound_report: TrainingReport, sounds: Path):
    train_network(replace(HEAD, data=sounds, net="mine", name="second"))
    first, second = (read_arrays(load_card(name).home / "weights.npz") for name in ("mine", "second"))
    np.testing.assert_array_equal(first["c6_kernel"], second["c6_kernel"])
    assert load_card("second").facts["from"] == "mine, its own weights"


def test_a_taken_name_needs_overwrite(sound_report: TrainingReport, sounds: Path, models: Path):
    other = replace(HEAD, data=sounds, seed=1)
    with pytest.raises(UserError, match=r"mine: exists already .*--overwrite"):
        train_network(other)
    before = load_card("mine")
    train_network(other, overwrite=True)
    assert load_card("mine").weights != before.weights
    assert [path.name for path in models.iterdir()] == ["mine"]


def test_a_name_that_was_taken_meanwhile_is_kept_and_the_network_too(tmp_path: Path):
    for name in ("result", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.toml").write_text(name)
    with pytest.raises(UserError, match=r"mine: has appeared .* the network is called mine-2"):
        move_network_into_place(tmp_path / "result", tmp_path / "mine", overwrite=False)
    assert (tmp_path / "mine/card.toml").read_text() == "mine"
    assert (tmp_path / "mine-2/card.toml").read_text() == "result"
    move_network_into_place(tmp_path / "mine-2", tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine/card.toml").read_text() == "result"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_fresh_weights_learn(pictures: Path):
    settings = replace(QUICK, data=pictures, from_scratch=True, unfreeze=None, epochs=3)
    report = train_network(settings)
    assert report.evaluation.accuracy > 0.8
    assert load_card("mine").facts["from"] == "dreamnet, its form, with fresh weights"


def test_a_robust_training_bears_more(sounds: Path):
    settings = TrainingSettings(
        "sound", "melnet", sounds, "plain", epochs=2, batch=8, seconds=1.0, robust=True
    )
    report = train_network(settings)
    assert report.evaluation.attacked_accuracy > report.evaluation.baseline
    assert load_card("plain").facts["robust"].startswith("yes")  # type: ignore[union-attr]
