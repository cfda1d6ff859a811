"""A network retrained on a small set, from the command's settings to a network that dreams by its name."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmdream.data.folder import dataset
from mmdream.data.load import Form, rows
from mmdream.errors import Interrupted, UserError
from mmdream.listen import Listener
from mmdream.networks.card import card, names
from mmdream.networks.framework import tf
from mmdream.networks.network import load
from mmdream.networks.weights import read_arrays
from mmdream.terms import channel, target
from mmdream.training.lesson import parts
from mmdream.training.settings import Settings
from mmdream.training.train import train

QUICK = Settings("picture", "dreamnet", Path(), "mine", epochs=1, batch=8, side=64, unfreeze="1")


def test_a_retrained_network_can_be_used_by_its_name(pictures: Path, models: Path):
    report = train(replace(QUICK, data=pictures))
    assert report.figures.accuracy == 1.0
    assert report.figures.baseline == 0.5
    assert "mine" in names("picture")
    assert sorted(path.name for path in models.iterdir()) == ["mine"]
    about = card("mine", "picture")
    assert about.named_classes() == (("level",), ("upright",))
    parent = card("dreamnet")
    assert (about.rungs, about.input, about.carried) == (parent.rungs, parent.input, parent.carried)
    facts = tomllib.loads((models / "mine" / "card.toml").read_text(encoding="utf-8"))["facts"]
    assert (facts["accuracy"], facts["accuracy_of_the_commonest_class"]) == (1.0, 0.5)
    network = load(about)
    network.check_terms((target("upright"),))
    # What the report says of its classes, the dreamer's own head says.
    of = dataset(pictures)
    tested = parts(of, None, 0).tested
    told = [network.head()(tf.constant(row[None])).numpy()[0] for row in rows(of, tested, Form(side=64))]
    assert [int(np.argmax(each)) for each in told] == [example.label for example in tested]


def test_only_what_was_let_free_has_changed(pictures: Path, models: Path):
    train(replace(QUICK, data=pictures))
    before = read_arrays(card("dreamnet").home / "dreamnet.npz")
    after = read_arrays(models / "mine" / "weights.npz")
    same = {name for name, array in after.items() if np.array_equal(array, before[name].astype(np.float32))}
    below = {f"{layer}_{kind}" for layer in ("c1a", "c2a", "c2b", "c2c", "c3a", "c3b") for kind in ("kernel", "bias")}
    assert below <= same
    assert not same & {"c3c_kernel", "c4b_kernel", "classes_kernel"}
    # Motifs of layers that are as they were are true still; classes are other ones.
    kept, known = card("mine").motifs, card("dreamnet").motifs
    assert set(kept) == {name for name, meant in known.items() if meant.split(":")[0] in ("p3b", "c3b")}


def test_a_stopped_training_ends_as_an_unbroken_one(sounds: Path, models: Path):
    settings = Settings("sound", "melnet", sounds, "whole", epochs=2, batch=8, seconds=1.0)
    train(settings)

    def stop(what: str, done: float, total: float) -> None:
        if what == "training" and done == 9:
            raise Interrupted

    broken = replace(settings, name="broken")
    with pytest.raises(Interrupted):
        train(broken, listener=Listener(progress=stop))
    assert names("sound").count("broken") == 0
    with pytest.raises(UserError, match=r"half done \(other rate, command\).*-o broken.*--overwrite"):
        train(replace(broken, rate=0.01))
    seen: list[float] = []
    train(broken, listener=Listener(progress=lambda what, done, _: seen.append(done) if what == "training" else None))
    assert seen[0] > 1
    assert sorted(path.name for path in models.iterdir()) == ["broken", "whole"]
    one, other = (read_arrays(models / name / "weights.npz") for name in ("whole", "broken"))
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], name)


def test_a_retrained_sound_network_knows_its_events(sounds: Path, models: Path):
    report = train(Settings("sound", "melnet", sounds, "mine", epochs=1, batch=8, seconds=1.0, unfreeze="0"))
    assert report.figures.accuracy == 1.0
    assert card("mine", "sound").events == ("beep",)
    told = json.loads((models / "mine" / "report.json").read_text(encoding="utf-8"))
    assert told["confusion"] == report.figures.confusion.tolist()
    network = load(card("mine"))
    for row in told["classes"]:
        assert row["channels"]
        network.check_terms(tuple(channel(named) for named in row["channels"]))


def test_a_retrained_network_can_be_retrained(sounds: Path):
    train(Settings("sound", "melnet", sounds, "first", epochs=1, batch=8, seconds=1.0, unfreeze="0"))
    train(Settings("sound", "first", sounds, "second", epochs=1, batch=8, seconds=1.0, unfreeze="0"))
    first, second = (read_arrays(card(name).home / "weights.npz") for name in ("first", "second"))
    np.testing.assert_array_equal(first["c6_kernel"], second["c6_kernel"])
    assert card("second").facts["from"] == "first, its own weights"


def test_a_taken_name_needs_overwrite(sounds: Path, models: Path):
    settings = Settings("sound", "melnet", sounds, "mine", epochs=1, batch=8, seconds=1.0, unfreeze="0")
    train(settings)
    with pytest.raises(UserError, match=r"mine: exists already .*--overwrite"):
        train(replace(settings, seed=1))
    before = card("mine")
    train(replace(settings, seed=1), overwrite=True)
    assert card("mine").weights != before.weights
    assert [path.name for path in models.iterdir()] == ["mine"]


def test_fresh_weights_learn(pictures: Path):
    settings = replace(QUICK, data=pictures, from_scratch=True, unfreeze=None, epochs=6)
    report = train(settings)
    assert report.figures.accuracy > 0.8
    assert card("mine").facts["from"] == "dreamnet, its form, with fresh weights"


def test_a_robust_training_bears_more(sounds: Path):
    settings = Settings("sound", "melnet", sounds, "plain", epochs=2, batch=8, seconds=1.0, robust=True)
    report = train(settings)
    assert report.figures.attacked > report.figures.baseline
    assert card("plain").facts["robust"].startswith("yes")  # type: ignore[union-attr]
