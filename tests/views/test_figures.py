"""The picture of a sound's dream: it comes, it tells what changed, and odd sounds do not stop it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from mmdream.audio.canvas import N_BANDS, ColumnMeans
from mmdream.audio.source import ArraySource
from mmdream.cli.app import app
from mmdream.media import image
from mmdream.settings.schedule import Schedule
from mmdream.views.figures import draw_audio_dream

RATE = 16_000


def draw_figure(before: np.ndarray, after: np.ndarray, name: str = "a.wav", rate: int = RATE) -> np.ndarray:
    gains = ColumnMeans()
    gains.feed(np.zeros((before.shape[1] * 86 // rate + 1, N_BANDS), np.float32))
    return draw_audio_dream(name, ArraySource(before, rate), ArraySource(after, rate), gains, Schedule(), 1.5)


def measure_colour(picture: np.ndarray) -> float:
    """How much of the drawing of what changed is red or blue: the third of four spectrograms."""
    part = picture[510:730, 150:1050].astype(int)
    return float(np.mean(np.abs(part[..., 0] - part[..., 2]) > 40))


def test_what_did_not_change_is_white_and_what_did_is_coloured() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 2 * RATE)).astype(np.float32)
    louder = noise * np.where(np.arange(2 * RATE) < RATE, 1, 8).astype(np.float32)
    assert measure_colour(draw_figure(noise, noise)) < 0.02
    assert 0.4 < measure_colour(draw_figure(noise, louder)) < 0.6


@pytest.mark.parametrize("samples", [1, 400, RATE // 2])
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_short_and_silent_sounds_are_drawn(samples: int, level: float) -> None:
    sound = np.full((1, samples), level, np.float32)
    assert draw_figure(sound, sound, "$x_{1$.wav", 8000).shape[2] == 3


def test_the_command_draws_what_it_dreamed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.random.default_rng(1).normal(0, 0.1, RATE), RATE)
    words = ["audio", f"{tmp_path / 'in.wav'}", "--plot", f"{tmp_path / 'in.png'}", "--steps", "6", "--json"]
    run = CliRunner().invoke(app, words)
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["objective_gain"]["sound"] > 1
    picture = image.read_image(tmp_path / "in.png")
    assert measure_colour((255 * picture).astype(np.uint8)) > 0.1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.dream.wav", "in.png", "in.wav"]
