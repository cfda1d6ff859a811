"""The engine from Python: arrays in, the same kind of arrays out, and clear refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

import mmdream
from mmdream import Pass, Recipe, Schedule, UserError, dream_audio, dream_image
from mmdream.core.events import EventSink
from mmdream.media import image
from mmdream.media.formats import AUDIO_SUFFIXES
from mmdream.render.audio import render_audio_file
from mmdream.settings.schedule import Curve
from tests.command import mmdream as command

QUICK = Recipe(schedule=Schedule(octaves=1, steps=2))


def make_tone(seconds: float, rate: int) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 1.5 * t)
    noise = np.random.default_rng(0).normal(0, 0.02, len(t))
    return (0.2 * swell * np.sin(2 * np.pi * 440 * t) + noise).astype(np.float32)


def test_importing_costs_nothing_and_the_public_names_are_there():
    code = (
        "import sys, mmdream\nassert not {'numpy', 'tensorflow', 'keras'} & set(sys.modules)\n"
        "print(mmdream.__all__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in ("dream_video", "dream_image", "dream_audio", "Schedule"):
        assert name in done.stdout
        assert callable(getattr(mmdream, name))
    assert not hasattr(mmdream, "dream_everything")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_a_picture_comes_back_in_its_own_type(dtype: type):
    values = np.random.default_rng(0).random((70, 90, 3))
    picture = (values * 255).astype(dtype) if dtype is np.uint8 else values.astype(dtype)
    before = picture.copy()
    dream = dream_image(picture, QUICK)
    assert dream.shape == picture.shape
    assert dream.dtype == dtype
    assert not np.array_equal(dream, picture)
    assert np.array_equal(picture, before)  # the caller's array is not touched


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((8, 8), np.float32),
        np.zeros((8, 8, 4), np.float32),
        np.full((8, 8, 3), 2.0, np.float32),
        np.full((8, 8, 3), np.nan, np.float32),
    ],
)
def test_what_is_no_picture_is_refused(picture: np.ndarray):
    with pytest.raises(UserError, match="picture"):
        dream_image(picture)


def test_a_sound_keeps_its_shape_and_changes():
    mono = make_tone(1.5, 22050)
    dream = dream_audio(mono, 22050, QUICK)
    assert dream.shape == mono.shape
    assert dream.dtype == np.float32
    assert np.abs(dream - mono).max() > 1e-3
    stereo = np.stack([mono, -0.5 * mono])
    gain_alone = replace(QUICK, schedule=QUICK.schedule.with_settings(grains=0))
    wide = dream_audio(stereo, 22050, gain_alone)
    assert wide.shape == stereo.shape
    np.testing.assert_allclose(wide[1], -0.5 * wide[0], atol=1e-4)  # one gain for all channels


@pytest.mark.parametrize(
    ("sound", "rate", "says"),
    [
        (np.zeros((2, 2, 2), np.float32), 8000, "channel"),
        (np.zeros(0, np.float32), 8000, "sample"),
        (np.zeros(9, np.int16), 8000, "float"),
        (np.zeros(9, np.float32), 7, "rate"),
        (np.full(9000, np.nan, np.float32), 8000, "number"),
    ],
)
def test_what_is_no_sound_is_refused(sound: np.ndarray, rate: int, says: str):
    with pytest.raises(UserError, match=says):
        dream_audio(sound, rate, QUICK)


@pytest.mark.parametrize("suffix", AUDIO_SUFFIXES)
def test_every_sound_format_is_written_and_as_long_as_the_source(suffix: str, tmp_path: Path):
    source, rate = tmp_path / "in.wav", 44100
    soundfile.write(source, np.stack([make_tone(1.2, rate), make_tone(1.2, rate)], 1), rate)
    out = tmp_path / f"out{suffix}"
    report = render_audio_file(source, out, QUICK, False, EventSink())
    assert report.seconds == pytest.approx(1.2)
    with av.open(str(out)) as container:
        decoded = sum(frame.samples for frame in container.decode(audio=0))
    assert decoded == pytest.approx(1.2 * rate, abs=2400)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.wav", out.name])
    if suffix == ".wav":
        assert soundfile.info(out).subtype == "FLOAT"
        assert soundfile.info(out).frames == round(1.2 * rate)


def test_each_pass_over_a_picture_works_on_what_the_one_before_it_made():
    picture = np.random.default_rng(2).random((64, 80, 3)).astype(np.float32)
    deep = Pass(settings=(("depth", Curve(((0.0, 1.0),))), ("strength", Curve(((0.0, 0.5),)))))
    # What is hinted at is told by the source alone, and not by what a pass has made of it.
    unhinted = replace(QUICK, schedule=replace(QUICK.schedule, motif="none"))
    once = dream_image(picture, unhinted)
    np.testing.assert_array_equal(dream_image(picture, replace(unhinted, passes=(Pass(),))), once)
    twice = dream_image(picture, replace(unhinted, passes=(Pass(), deep)))
    np.testing.assert_array_equal(twice, dream_image(once, replace(unhinted, passes=(deep,))))
    assert np.abs(twice - once).max() > 0.01


def test_a_schedule_file_s_passes_act_on_a_picture_as_at_second_0(tmp_path: Path):
    rng = np.random.default_rng(3)
    for name in ("in.png", "style.png"):
        image.write_image(tmp_path / name, rng.random((48, 48, 3)).astype(np.float32))
    (tmp_path / "plan.toml").write_text(
        '[[pass]]\nstyle = "style.png"\noctaves = 1\nsteps = 2\n[[pass]]\nfrom = 3\ndepth = 1\n'
    )
    words = ("image", tmp_path / "in.png", "--schedule", tmp_path / "plan.toml")
    done = command(*words, "-o", tmp_path / "out.png", "--json")
    assert done.returncode == 0, done.stderr
    assert 0 < json.loads(done.stdout)["style_left"] < 1
    done = command(*words, "-o", tmp_path / "again.png")
    assert "the dream from 3 s begins later, and is left out" in done.stderr
    (tmp_path / "plan.toml").write_text("[[pass]]\nfrom = 3\n")
    done = command(*words, "-o", tmp_path / "none.png")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "begins later" in done.stderr
    done = command(*words, "--ouroboros", 2, "-o", tmp_path / "none.mp4")
    assert done.returncode == 2
    assert "--ouroboros moves it" in done.stderr
    assert not list(tmp_path.glob("none*"))
