"""What an earlier version of the program has left of a training is read: task, rounds, weights and card."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmdream.networks.framework import keras, tf
from mmdream.networks.registry import load_card, parse_card
from mmdream.settings.training import TrainingSettings
from mmdream.training.fit import FitSchedule, _make_optimizer
from mmdream.training.model import TrainableModel
from mmdream.training.task import ROUNDS_FILE, TASK_FILE, RoundJournal, describe_task, make_task

EARLIER = Path(__file__).parent / "earlier"
"""Written by version 0.1.0 before its modules had their present names."""


def test_the_same_task_has_the_same_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("beep", "hiss"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(4):
            noise = np.random.default_rng(number).normal(0, 0.1, 4000)
            soundfile.write(f"set/{name}/{number}.wav", noise, 8000)
    settings = TrainingSettings(
        "sound", "melnet", Path("set"), "mine", epochs=2, batch=4, seconds=0.5, weights="random", rate=0.001
    )
    held = json.loads((EARLIER / TASK_FILE).read_text())
    description = describe_task(make_task(settings, False))
    assert {**description, "card": held["card"]} == held  # The card may be a newer one.


def test_rounds_and_weights_are_gone_on_with(tmp_path: Path):
    journal = RoundJournal(Path(shutil.copytree(EARLIER, tmp_path / "work")))
    assert [row["val_loss"] for row in journal.rows()] == [0.6]
    assert (tmp_path / "work" / ROUNDS_FILE).read_text() == (EARLIER / ROUNDS_FILE).read_text()
    bands = keras.Input((None, 64, 1))
    a = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3, name="c1")(bands))
    net = keras.Model(bands, keras.layers.Dense(2, name="classes")(a))
    model = TrainableModel(net, load_card("melnet").input)
    schedule = FitSchedule(2, 3, 4, 1e-3, 4, 0, False)
    model.compile(_make_optimizer(schedule), keras.losses.CategoricalCrossentropy(from_logits=True))
    model(tf.zeros((1, 16, 64, 1)))
    model.optimizer.build(model.trainable_variables)
    model.load_weights(journal.weights_path(0))
    assert int(model.optimizer.iterations) == 3
    for variable in net.variables:
        values = variable.numpy()
        np.testing.assert_array_equal(values.ravel(), np.arange(values.size))


def test_a_trained_networks_card_is_read():
    card = parse_card("mine", tomllib.loads((EARLIER / "card.toml").read_text()), EARLIER)
    assert card.class_names() == (("beep",), ("hiss",))
    assert card.events == ("beep",)
    assert card.facts["from"] == "melnet, its own weights"
