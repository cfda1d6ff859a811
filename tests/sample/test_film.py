"""The sample film: what it holds, and that it is always the same one."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pyloudnorm
import pytest
from av.video.reformatter import Interpolation

from mmdream.core.errors import UserError
from mmdream.sample.film import SOUND_RATE, make_sample, render_frames, synthesize_music

SMALL = (192, 108)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "a film.mp4"
    make_sample(path)
    return path


def decode_film(path: Path) -> tuple[list[av.VideoFrame], np.ndarray]:
    """Every frame, and the sound as float32 [2, sample]."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    with av.open(str(path)) as container:
        sound = np.concatenate([block.to_ndarray() for block in container.decode(audio=0)], axis=1)
    return frames, sound


@pytest.fixture(scope="module")
def decoded(film: Path) -> tuple[list[av.VideoFrame], np.ndarray]:
    return decode_film(film)


def test_five_seconds_of_picture_and_sound(decoded: tuple[list[av.VideoFrame], np.ndarray]) -> None:
    frames, sound = decoded
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(k, 24) for k in range(120)]
    assert {(frame.width, frame.height) for frame in frames} == {(640, 360)}
    assert 0 <= sound.shape[1] - 5 * SOUND_RATE <= 1024  # AAC comes in blocks of 1024


def test_its_length_is_that_of_whole_frames(tmp_path: Path) -> None:
    make_sample(tmp_path / "x.mp4", seconds=1.52, rate=25, size=SMALL)
    frames, sound = decode_film(tmp_path / "x.mp4")
    assert len(frames) == 38
    assert 0 <= sound.shape[1] - 38 * SOUND_RATE // 25 <= 1024


def test_sound_is_heard_and_not_clipped(decoded: tuple[list[av.VideoFrame], np.ndarray]) -> None:
    _, sound = decoded
    assert pyloudnorm.Meter(SOUND_RATE).integrated_loudness(sound.T) == pytest.approx(-18, abs=1)
    assert np.abs(sound).max() < 10 ** (-1 / 20)
    assert np.abs(sound[:, 5 * SOUND_RATE - 480 :]).max() < 1e-3
    left, right = sound
    assert 0.1 < np.corrcoef(left, right)[0, 1] < 0.95  # stereo, with a middle


def test_music_has_onsets() -> None:
    # What is new in the spectrum is bunched, not spread: half of it falls into a fifth of the time.
    sound = synthesize_music(5 * SOUND_RATE).mean(axis=1)
    blocks = sound[: len(sound) // 1024 * 1024].reshape(-1, 1024) * np.hanning(1024)
    spectrum = np.log1p(1000 * np.abs(np.fft.rfft(blocks, axis=1)))
    rise = np.sort(np.maximum(np.diff(spectrum, axis=0), 0).sum(axis=1))
    assert rise[-len(rise) // 5 :].sum() > 0.5 * rise.sum()


def test_camera_glides_and_cuts_once() -> None:
    frames = list(render_frames(48, SMALL))
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames]
    change = np.array([np.abs(b - a).mean() for a, b in pairwise(grey)])
    assert change.argmax() == 23
    glide = np.delete(change, 23)
    assert glide.min() > 0
    assert glide.max() < change[23] / 4
    # Sub-pixel smooth: the change from frame to frame does not tick between whole pixels.
    for shot in (change[:23], change[24:]):
        assert np.abs(np.diff(shot)).max() < 0.1 * shot.mean()


@pytest.mark.parametrize(("size", "tag"), [((640, 360), 6), ((1280, 720), 1)])
def test_colours_survive(tmp_path: Path, size: tuple[int, int], tag: int) -> None:
    make_sample(tmp_path / "x.mp4", seconds=1, rate=2, size=size)
    frames, _ = decode_film(tmp_path / "x.mp4")
    assert {
        (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) for frame in frames
    } == {(tag, tag, tag, 1)}
    exact = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    for frame, drawn in zip(frames, render_frames(2, size), strict=True):
        shown = frame.reformat(format="rgb24", interpolation=exact).to_ndarray().astype(float)
        # The wrong matrix shifts the flower's green by 6 levels.
        np.testing.assert_allclose((shown - drawn).mean(axis=(0, 1)), 0, atol=0.7)


def test_same_film_every_time(tmp_path: Path) -> None:
    # 108 is no multiple of x264's blocks of 16: with its macroblock tree, 8 runs gave 8 films.
    for number in range(3):
        make_sample(tmp_path / f"{number}.mp4", seconds=1, size=SMALL)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_credits_travel_in_the_film(film: Path) -> None:
    with av.open(str(film)) as container:
        assert "danielbuechele" in container.metadata["comment"]
        assert "CC BY 2.0" in container.metadata["comment"]


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("x.avi", {}, "ends in .mp4"),
        ("no/x.mp4", {}, "no such folder"),
        ("folder.mp4", {}, "is a folder"),
        ("x.mp4", {"seconds": 0}, "1 to 600 seconds"),
        ("x.mp4", {"size": (641, 360)}, "even"),
    ],
)
def test_mistakes_leave_nothing(tmp_path: Path, name: str, settings: dict[str, object], says: str) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UserError, match=says):
        make_sample(tmp_path / name, **settings)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def render_and_fail(frames: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
        yield next(iter(render_frames(2, size)))
        raise OSError(28, "No space left on device")

    (tmp_path / "x.mp4").write_text("an older film")
    monkeypatch.setattr("mmdream.sample.film.render_frames", render_and_fail)
    with pytest.raises(OSError, match="No space"):
        make_sample(tmp_path / "x.mp4", seconds=1, size=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["x.mp4"]
    assert (tmp_path / "x.mp4").read_text() == "an older film"
