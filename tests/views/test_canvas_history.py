"""How a sound's dream grew: what is drawn is what was dreamed, also where nothing was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from mmdream.audio.canvas import MIN_INVENTED, N_BANDS
from mmdream.audio.chunks import AudioDreamSettings, DreamHooks, split_into_chunks
from mmdream.audio.dream import dream_source
from mmdream.audio.source import ArraySource
from mmdream.cli.app import app
from mmdream.media import image
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.settings.schedule import Schedule
from mmdream.views.figures import MAX_FIGURES, CanvasHistory, draw_canvas_steps

RATE = 16_000


def make_noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(2).normal(0, 0.1, (1, round(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def melnet() -> Network:
    return load_network(load_card("melnet"))


@pytest.mark.parametrize(
    "strength",
    [1.0, ((0, 0), (4, 0), (5, 1)), ((0, 1), (1, 0), (7, 0), (8, 1)), ((0, 1), (2, 0)), 0.0],
    ids=["whole", "late", "apart", "early", "none"],
)
def test_the_last_picture_is_of_the_gain_that_was_applied(strength: float, melnet: Network) -> None:
    schedule = Schedule(octaves=1, steps=2, depth=0.3, strength=strength)
    evolution, applied = CanvasHistory(schedule, RATE), []
    dream_source(
        ArraySource(make_noise(9), RATE),
        lambda _: None,
        melnet,
        AudioDreamSettings(schedule),
        start_seconds=3 if strength == 1.0 else 0,
        hooks=DreamHooks(on_gain=applied.append, on_canvas=evolution.feed),
    )
    gains, begin, column = evolution.mean_canvases()
    whole = np.concatenate(applied)
    hop = 186 / RATE  # Of any canvas: 512 / 44100 s.
    assert (gains.shape[1:], column) == ((2, N_BANDS), hop)
    first = round(begin / hop) - ((3 * RATE if strength == 1.0 else 0) // 186 - 1)
    shown = np.zeros_like(whole)
    if strength:
        shown[first : first + len(gains)] = gains[:, -1]
    np.testing.assert_allclose(shown, whole, atol=1e-6)
    assert np.abs(gains[:, 0]).sum() < np.abs(gains[:, 1]).sum() or not strength


def test_many_steps_become_few_pictures_that_end_with_the_last() -> None:
    evolution = CanvasHistory(Schedule(octaves=4, steps=25), RATE)
    (chunk,) = split_into_chunks(0, 100)
    for done in range(101):
        evolution.feed(chunk, done, 100, np.full((chunk.high - chunk.low, N_BANDS), done / 100, np.float32))
    gains, _, _ = evolution.mean_canvases()
    assert evolution.count == MAX_FIGURES
    np.testing.assert_allclose(gains[10, :, 0], np.arange(1, MAX_FIGURES + 1) / MAX_FIGURES, atol=0.006)
    np.testing.assert_array_equal(gains[:, -1], 1)


def test_a_long_sound_takes_no_more_room_than_a_short_one() -> None:
    evolution = CanvasHistory(Schedule(octaves=1, steps=2), RATE)
    grid = split_into_chunks(0, 40_000)
    for chunk in (grid[0], *grid[-13:]):  # What lies between has no strength.
        for done in range(3):
            evolution.feed(chunk, done, 2, np.full((chunk.high - chunk.low, N_BANDS), 0.1, np.float32))
    gains, begin, column = evolution.mean_canvases()
    assert len(gains) < 2000
    assert begin == 0
    assert len(gains) * column == pytest.approx(40_000 * 186 / RATE, rel=1e-3)
    assert not gains[40:800].any()
    assert gains[-100:].all()


@pytest.mark.parametrize("samples", [1, 400, RATE])
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_short_and_silent_sounds_are_drawn(samples: int, level: float) -> None:
    evolution = CanvasHistory(Schedule(octaves=1, steps=1), RATE)
    sound = ArraySource(np.full((2, samples), level, np.float32), RATE)
    (picture,) = draw_canvas_steps("$x_{1$.wav", sound, evolution, 1.0)
    assert picture.shape[2] == 3


def test_the_command_draws_every_step_into_a_folder(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", make_noise(1).T, RATE)
    words = ["audio", f"{tmp_path / 'in.wav'}", "--octaves", "2", "--steps", "2", "--plot-steps"]
    run = CliRunner().invoke(app, words)
    assert run.exit_code == 0, run.output
    steps = tmp_path / "in.dream.steps"
    assert sorted(path.name for path in steps.iterdir()) == [f"000{number}.png" for number in (1, 2, 3, 4)]
    assert np.abs(image.read_image(steps / "0004.png") - image.read_image(steps / "0001.png")).max() > 0.2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.dream.steps", "in.dream.wav", "in.wav"]

    (tmp_path / "in.dream.wav").unlink()
    again = CliRunner().invoke(app, words)
    assert "in.dream.steps: exists already" in str(again.exception)
    (steps / "0009.png").touch()
    over = CliRunner().invoke(app, [*words, "--overwrite"])
    assert over.exit_code == 0, over.output
    assert len(list(steps.iterdir())) == 4


def test_what_is_invented_has_a_part_of_its_own() -> None:
    evolution = CanvasHistory(Schedule(octaves=1, steps=1, strength=((0, 1), (1, 0))), RATE)
    (chunk,) = split_into_chunks(0, 170)
    canvas = np.full((chunk.high - chunk.low, 2 * N_BANDS), 0.5, np.float32)
    evolution.feed(chunk, 1, 1, canvas)
    canvases, _, _ = evolution.mean_canvases()
    assert canvases.shape[1:] == (1, 2 * N_BANDS)
    np.testing.assert_allclose(canvases[[0, -1], 0, 0], [0.5, 0], atol=1e-6)
    np.testing.assert_allclose(canvases[[0, -1], 0, N_BANDS], [0.5, MIN_INVENTED], atol=1e-6)
    sound = ArraySource(np.zeros((1, 2 * RATE), np.float32), RATE)
    (invented,) = draw_canvas_steps("a.wav", sound, evolution, 0.0)
    (plain,) = draw_canvas_steps("a.wav", sound, CanvasHistory(Schedule(octaves=1, steps=1), RATE), 0.0)
    assert invented.shape[0] > plain.shape[0]
