"""Fades of synthetic clips: what shows less of its own picture fades, what shows a plainer one does not."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from mmdream.analysis.fades import measure_gain
from mmdream.analysis.shots import Scan, scan_frames
from mmdream.media.video_reader import Frame

Clip = list[np.ndarray]
SIZE = 128, 72
HOLD, FADE = 8, 24
"""Frames."""


def draw_clouds(seed: int, height: int, width: int, sigma: float) -> np.ndarray:
    """Smooth noise of mean 0 and deviation 1."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((height, width)), (0, 0), sigma)
    return (noise - noise.mean()) / noise.std()


@pytest.fixture(scope="module")
def meadow() -> np.ndarray:
    """A busy picture, float32 [h, w, 3], with room for a pan."""
    light = draw_clouds(0, 100, 260, 2) + draw_clouds(1, 100, 260, 6)
    return np.float32(np.clip(0.45 + 0.13 * light, 0, 1))[..., None] * np.float32([0.8, 1, 0.5])


@pytest.fixture(scope="module")
def sky() -> np.ndarray:
    """A bright, plain picture: its luma has a deviation of .03."""
    light = draw_clouds(2, 72, 128, 10)
    return np.float32(0.8 + 0.03 * light)[..., None] * np.float32([0.95, 1, 1.1])


def pan(picture: np.ndarray, number: int) -> np.ndarray:
    """A picture, as the camera moves over it by parts of a pixel."""
    place = np.array([[1, 0, -0.9 * number], [0, 1, -0.15 * number]], np.float32)
    return cv2.warpAffine(picture, place, SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def scan(clip: Clip) -> Scan:
    found = scan_frames(
        Frame(np.clip(np.float32(rgb), 0, 1), k, Fraction(1, 25), k, Fraction(k, 25))
        for k, rgb in enumerate(clip)
    )
    assert len(found.shots) == 1
    return found


def fade(clip: Clip, level: float) -> tuple[Clip, np.ndarray]:
    """A clip that is there for some frames, then fades to a level of grey; and its shares."""
    shares = np.clip((len(clip) - HOLD - np.arange(len(clip))) / (len(clip) - 2 * HOLD), 0, 1)
    return [share * rgb + (1 - share) * level for share, rgb in zip(shares, clip, strict=True)], shares


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0], ids=["black", "grey", "white"])
@pytest.mark.parametrize("frames", [6, FADE, 80])
def test_a_fade_is_followed_through_a_pan_to_its_end(meadow, level: float, frames: int):
    clip, shares = fade([pan(meadow, k) for k in range(frames + 2 * HOLD)], level)
    for turn in (1, -1):
        light = np.array(scan(clip[::turn]).light)[::turn]
        assert np.abs(light - shares).max() < 0.12
        assert np.all(light[:HOLD] > 0.96)
        assert np.all(light[-HOLD:] < 0.05)


def test_a_fade_may_be_cut_short(meadow):
    clip, shares = fade([pan(meadow, k) for k in range(FADE + 2 * HOLD)], 0.0)
    cut = int(np.argmax(shares < 0.25))
    for turn in (1, -1):
        light = np.array(scan(clip[:cut][::turn]).light)[::turn]
        assert np.abs(light - shares[:cut]).max() < 0.12


def test_a_plain_picture_fades_too(sky):
    clip, shares = fade([sky] * (FADE + 2 * HOLD), 0.0)
    assert np.abs(np.array(scan(clip).light) - shares).max() < 0.15


@pytest.mark.parametrize("speed", [0.5, 2, 5])
@pytest.mark.parametrize("first", [0, 30])
def test_a_plain_picture_is_not_faded(sky, meadow, speed: float, first: int):
    """A camera tilts from a plain sky to a meadow, from rest or on the way."""
    tall = np.concatenate([sky, pan(meadow, 0)])
    tops = np.concatenate([[0] * HOLD, np.arange(first, 72, speed), [72] * HOLD])[HOLD if first else 0 :]
    clip = [
        cv2.warpAffine(tall, np.float32([[1, 0, 0], [0, 1, -top]]), SIZE, flags=cv2.INTER_CUBIC)
        for top in tops
    ]
    for turned in (clip, clip[::-1]):
        assert set(scan(turned).light) == {1.0}


def test_a_wall_that_shows_nothing_is_not_faded_if_a_picture_comes_in(meadow):
    wide = np.concatenate([np.full((72, 128, 3), 0.7, np.float32), pan(meadow, 0)], axis=1)
    clip = [wide[:, left : left + 128] for left in range(0, 128, 2)]
    assert set(scan(clip).light) == {1.0}


def test_a_dissolve_is_two_pictures_and_no_fade(sky, meadow):
    other = meadow[::-1, ::-1]
    for one in (sky, pan(other, 0)):
        shares = np.clip((np.arange(FADE + 4 * HOLD) - 2 * HOLD) / FADE, 0, 1)
        clip = [(1 - share) * one + share * pan(meadow, k) for k, share in enumerate(shares)]
        for turned in (clip, clip[::-1]):
            assert set(scan(turned).light) == {1.0}


def test_grain_neither_fades_nor_hides_a_fade(sky, meadow):
    rng = np.random.default_rng(3)

    def add_grain(clip: Clip) -> Clip:
        return [rgb + np.float32(0.008 * rng.standard_normal((*rgb.shape[:2], 1))) for rgb in clip]

    assert set(scan(add_grain([sky] * 40)).light) == {1.0}
    clip, shares = fade([pan(meadow, k) for k in range(FADE + 2 * HOLD)], 1.0)
    assert np.abs(np.array(scan(add_grain(clip)).light) - shares).max() < 0.2


def test_a_small_thing_in_the_dark_is_no_fade():
    clip = []
    for k in range(40):
        rgb = np.zeros((72, 128, 3), np.float32)
        cv2.circle(rgb, (20 + 2 * k, 36), 8, (0.9, 0.8, 0.3), -1)
        clip.append(cv2.GaussianBlur(rgb, (0, 0), 1))
    assert set(scan(clip).light) == {1.0}


def test_black_is_no_picture_and_plain_is_one(meadow):
    black, white = (np.full((72, 128, 3), level, np.float32) for level in (0, 1))
    disc = cv2.circle(np.zeros_like(black), (64, 36), 20, (0.6, 0.6, 0.6), -1)
    assert list(scan([black] * 5).light) == [1.0] * 5
    assert list(scan([white] * 5).light) == [1.0] * 5
    grows = [disc * min(1, k / 4) for k in range(12)]
    assert scan(grows).light[0] == 0


def test_a_gain_is_that_of_the_contrast_whatever_the_motion(meadow):
    one, other = (np.rint(255 * pan(meadow, k)[..., 1]).astype(np.uint8) for k in (0, 2))
    flatter = np.rint(0.8 * other + 40).astype(np.uint8)
    assert measure_gain(one, other) == pytest.approx(0, abs=0.02)
    assert measure_gain(one, flatter) == pytest.approx(np.log(0.8), abs=0.02)
    assert measure_gain(flatter, one) == pytest.approx(-np.log(0.8), abs=0.02)
    assert measure_gain(one, np.full_like(one, 128)) == 0
