"""A silent film gets a sound that is dreamed out of its picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from make import make_times, write_film
from sklearn.datasets import load_sample_image

from mmdream import Recipe, Schedule, dream_video, with_added_sound
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from tests.command import mmdream

CUT, SECONDS, FPS = 2.0, 4, 10
RECIPE = with_added_sound(Recipe(schedule=Schedule(steps=3)))


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs, one after the other."""
    pictures = [
        cv2.resize(load_sample_image(name), (96, 64), interpolation=cv2.INTER_AREA)
        for name in ("china.jpg", "flower.jpg")
    ]
    frames = [pictures[number >= CUT * FPS] for number in range(SECONDS * FPS)]
    path = tmp_path_factory.mktemp("silent") / "silent.mkv"
    times = make_times(SECONDS * FPS, FPS)
    return write_film(path, times, frames=frames, size=(96, 64), options={"threads": "1"})


def read_sound(path: Path, folder: Path) -> np.ndarray:
    film = probe(path)
    extract_audio(film, film.audio_tracks[0], folder / "heard.wav")
    return soundfile.read(folder / "heard.wav", dtype="float32", always_2d=True)[0].T


def test_it_is_as_long_as_the_film_and_as_loud_as_a_programme(silent: Path, tmp_path: Path):
    out = tmp_path / "out.mkv"
    report = dream_video(silent, out, RECIPE, add_sound=True)
    assert report.loudness_dream == pytest.approx(-23, abs=0.5)
    (track,) = probe(out).audio_tracks
    assert (track.rate, track.channels, track.start) == (48_000, 2, 0)
    sound = read_sound(out, tmp_path)
    assert sound.shape == (2, SECONDS * 48_000)
    after, before = (np.square(sound[:, round(at * 48_000) :][:, :4800]).mean() for at in (CUT, CUT - 0.2))
    assert after > 2 * before


def test_a_kept_picture_gets_a_sound_too_and_an_excerpt_its_part(silent: Path, tmp_path: Path):
    out = tmp_path / "out.mkv"
    excerpt = {"start": Fraction(3, 2), "end": Fraction(5, 2)}
    dream_video(silent, out, add_sound=True, keep_picture=True, **excerpt)
    film = probe(out)
    assert len(list(read_frames(film))) == FPS
    sound = read_sound(out, tmp_path)
    assert sound.shape[1] == pytest.approx(48_000, abs=1)
    # The command goes by the same settings as Python.
    again = tmp_path / "again.mkv"
    span = "--start", 1.5, "--end", 2.5
    assert mmdream("video", silent, "-o", again, "--add-sound", "--keep-picture", *span).returncode == 0
    np.testing.assert_array_equal(read_sound(again, tmp_path), sound)


def test_a_films_own_sound_cannot_be_kept_where_there_is_none(silent: Path, tmp_path: Path):
    done = mmdream("video", silent, "-o", tmp_path / "out.mp4", "--add-sound", "--keep-sound")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--keep-sound is about the film's own sound, and --add-sound is for films without" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_film_with_sound_needs_none(tmp_path: Path):
    film = write_film(
        tmp_path / "film.mkv",
        make_times(8, 8),
        size=(64, 48),
        sound=np.zeros((1, 22050), np.float32),
        rate=22050,
    )
    done = mmdream("video", film, "--add-sound")
    assert done.returncode == 2
    assert "has a sound, and --add-sound is for films without" in done.stderr
