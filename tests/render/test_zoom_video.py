"""Films of a picture that is dreamed on and on, from the command line."""

from __future__ import annotations

import os
import signal
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from interrupted_runs import start_mmdream

from mmdream.image.motion import affine_after, warp_affine
from mmdream.image.spectrum import make_noise_image
from mmdream.media import image, video_reader
from mmdream.media.probe import probe
from mmdream.render.zoom_video import _crop_to_size
from mmdream.settings.ouroboros import ZoomSettings
from tests.command import run_for_report

QUICK = ("--steps", 1, "--octaves", 1)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    image.write_image(path, cv2.GaussianBlur(make_noise_image(64, 96, 1) * 4 - 1.5, (0, 0), 1.5))
    return path


def decode_frames(path: Path) -> list[np.ndarray]:
    return [frame.rgb for frame in video_reader.read_frames(probe(path))]


@pytest.mark.parametrize("fps", [5, 12])
def test_without_strength_it_is_the_picture_moved_alike_at_any_rate(picture: Path, fps: int) -> None:
    out = picture.with_name("out.mkv")
    moved = ("--zoom", 1.1, "--rotate", 6, "--shift", "4,-2", "--fps", fps)
    status, said, report = run_for_report(
        "image", picture, "--ouroboros", 2, *moved, "--strength", 0, "-o", out
    )
    assert status == 0, said
    shown = decode_frames(out)
    assert (report["frames"], report["seconds"]) == (2 * fps, pytest.approx(2))
    np.testing.assert_allclose(shown[0], image.read_image(picture), atol=0.01)
    way = affine_after(ZoomSettings(2, 1.1, 6, "4,-2"), (len(shown) - 1) / fps, (64, 96))
    expected = np.clip(warp_affine(image.read_image(picture), way), 0, 1)
    assert np.abs(shown[-1] - expected)[8:-8, 8:-8].mean() < 0.01
    assert sorted(path.name for path in picture.parent.iterdir()) == ["in.png", "out.mkv"]


def test_it_dreams_on_and_a_seed_is_one_film(picture: Path) -> None:
    words = ("--ouroboros", 1, "--fps", 6, "--steps", 2, "--octaves", 2, "--size", "96x64")
    films = []
    for name, seed in (("a.mkv", 0), ("b.mkv", 0), ("c.mkv", 1)):
        status, said, report = run_for_report(
            "image", picture, *words, "--seed", seed, "-o", picture.with_name(name)
        )
        assert status == 0, said
        assert report["objective_gain"]["picture"] > 1
        films.append(np.array(decode_frames(picture.with_name(name))))
    np.testing.assert_array_equal(films[0], films[1])
    assert np.abs(films[0] - films[2]).max() > 0.02
    assert np.abs(films[0][-1] - films[0][0]).mean() > 0.01


def test_picture_and_sound_are_dreamed_into_one_film(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--size", "64x64", "--ouroboros", 2, "--fps", 8, "--with-sound", "--transform", "pitch=1")
    status, said, report = run_for_report("image", "--from", "noise", *words, *QUICK)
    assert status == 0, said
    assert report["drift_ms"] < 1
    film = probe(tmp_path / "noise.dream.mp4")
    assert film.audio_tracks[0].duration == pytest.approx(2, abs=0.03)
    assert film.audio_tracks[0].start == 0
    assert report["loudness_dream"] == pytest.approx(-23, abs=1)
    assert set(report["schedule"]) == set(report["strength"]) == {"picture", "sound"}
    told = {medium: rows[0].keys() for medium, rows in report["schedule"].items()}
    assert told["picture"] - told["sound"] == {"habituation", "heard_to_seen"}
    assert [path.name for path in tmp_path.iterdir()] == ["noise.dream.mp4"]


def test_a_sound_is_dreamed_out_of_the_picture(picture: Path) -> None:
    out = picture.with_name("out.mp4")
    words = ("--ouroboros", 3, "--fps", 8, "--zoom", 1.2, "--with-sound", "-o", out)
    status, said, report = run_for_report("image", picture, *words, *QUICK)
    assert status == 0, said
    assert report["drift_ms"] < 1
    assert report["loudness_dream"] == pytest.approx(-23, abs=1)
    assert probe(out).audio_tracks[0].duration == pytest.approx(3, abs=0.03)
    assert report["schedule"]["sound"][0]["seen_to_heard"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--zoom", 1.1), "--zoom goes with --ouroboros"),
        (("--rotate", 0), "--rotate goes with --ouroboros"),
        (("--shift", "1,1"), "--shift goes with --ouroboros"),
        (("--fps", 25), "--fps goes with --ouroboros"),
        (("--fps", 0), "--fps goes with --ouroboros"),
        (("--with-sound",), "--with-sound goes with --ouroboros"),
        (("--ouroboros", 1, "--sound", "x.wav"), "--sound goes with --with-sound"),
        (("--ouroboros", 1, "--transform", "pitch=1"), "--transform goes with --with-sound"),
        (("--ouroboros", 1, "--save-steps"), "--save-steps shows"),
        (("--ouroboros", 0), "ouroboros is 0; choose above 0, at most 3600"),
        (("--ouroboros", "nan"), "choose above 0, at most 3600"),
        (("--ouroboros", 9999), "choose above 0, at most 3600"),
        (("--ouroboros", 0.01), "choose one frame"),
        (("--ouroboros", 1, "--fps", 0), "choose between 1 and 120"),
        (("--ouroboros", 1, "--fps", "nan"), "choose between 1 and 120"),
        (("--ouroboros", 1, "--zoom", 0), "zoom is 0; choose between 0.25 and 4"),
        (("--ouroboros", 1, "--shift", "1"), "write X,Y"),
        (("--ouroboros", 1, "-o", "film.png"), "cannot write .png; use .mp4"),
        (("--ouroboros", 1, "--with-sound", "--transform", "up"), "transform is 'up'"),
        (("--ouroboros", 1, "--with-sound", "--sound", "none.wav"), "none.wav"),
        (("--ouroboros", 1, "--with-sound", "--sound", "in.png"), "in.png"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    picture: Path, words: tuple[object, ...], said: str, monkeypatch
) -> None:
    monkeypatch.chdir(picture.parent)
    status, line, _ = run_for_report("image", picture, *words)
    assert status == 2
    assert said in line
    assert [path.name for path in picture.parent.iterdir()] == ["in.png"]


def test_a_picture_is_cut_to_the_films_shape_and_not_squeezed() -> None:
    wide = np.zeros((100, 300, 3), np.float32)
    wide[:, 100:200] = 1
    assert _crop_to_size(wide, "50x50").min() == 1
    assert _crop_to_size(wide, None).shape == wide.shape
    assert _crop_to_size(wide, "50p").shape == (50, 150, 3)


def test_rates_of_television_are_exact() -> None:
    assert ZoomSettings(1, fps=25).rate == 25
    assert ZoomSettings(1, fps=29.97).rate == Fraction(30000, 1001)
    assert ZoomSettings(1, fps=23.976).rate == Fraction(24000, 1001)
    assert ZoomSettings(1, fps=12.5).rate == Fraction(25, 2)


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as on POSIX")
def test_ctrl_c_leaves_nothing_behind(picture: Path) -> None:
    words = ("image", picture, "--ouroboros", 600, "--with-sound", "-o", picture.with_name("f.mp4"), *QUICK)
    with start_mmdream(*words) as run:
        # Under way: the film's intermediate file has been begun.
        until = time.monotonic() + 120
        while not any(picture.parent.glob(".f.mp4.mmdream-*/picture.mp4")) and time.monotonic() < until:
            time.sleep(0.2)
        time.sleep(1)
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 130
    assert [path.name for path in picture.parent.iterdir()] == ["in.png"]


def test_a_film_without_sound_is_no_sound_to_begin_with(picture: Path) -> None:
    silent, words = picture.with_name("silent.mkv"), ("--ouroboros", 0.5, "--fps", 4, *QUICK)
    assert run_for_report("image", picture, *words, "-o", silent)[0] == 0
    status, line, _ = run_for_report("image", picture, *words, "--with-sound", "--sound", silent)
    assert status == 2
    assert "silent.mkv: has no sound" in line
    assert sorted(path.name for path in picture.parent.iterdir()) == ["in.png", "silent.mkv"]
