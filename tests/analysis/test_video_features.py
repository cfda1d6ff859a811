"""What a schedule follows of a picture: motion that is no flicker, cuts, and the light."""

from __future__ import annotations

from array import array
from fractions import Fraction

import cv2
import numpy as np
import pytest

from mmdream.analysis.features import STEP_SECONDS, measure_video_features
from mmdream.analysis.optical_flow import measure_motion
from mmdream.analysis.shots import Scan, scan_frames
from mmdream.media.video_reader import Frame


def make_texture(seed: int, height: int = 72, width: int = 256) -> np.ndarray:
    """A smooth picture, float32 [height, width], 40..210."""
    rough = np.random.default_rng(seed).standard_normal((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(rough, (0, 0), 4)
    return 125 + 85 * smooth / np.abs(smooth).max()


def crop_columns(wide: np.ndarray, at: float) -> np.ndarray:
    """128 columns from a place between two on, uint8 [height, 128]."""
    moved = cv2.warpAffine(wide, np.array([[1, 0, -at], [0, 1, 0]], np.float32), (128, wide.shape[0]))
    return np.rint(moved).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_motion_grows_with_the_pan_and_is_right_where_it_is_small(seed: int):
    wide = make_texture(seed)
    seen = [
        measure_motion(crop_columns(wide, 20), crop_columns(wide, 20 + px)) for px in (0, 0.5, 1, 2, 4, 8)
    ]
    assert seen == sorted(seen)
    assert seen[0] == 0
    # Half of a picture's slope lies across the pan: along it, it changes nothing.
    assert seen[2] == pytest.approx(0.5 / 128, rel=0.25)


def test_flicker_and_darkness_are_no_motion():
    still = crop_columns(make_texture(1), 20)
    darker = np.rint(still * 0.6 + 10).astype(np.uint8)
    assert measure_motion(still, darker) < 0.2 * measure_motion(still, crop_columns(make_texture(1), 21))
    assert measure_motion(still, np.full_like(still, 30)) == 0


def scan_made_film(rate: int, seconds: float = 6.0) -> Scan:
    """It stands for 2 s, pans for 2 s, and is another, lighter picture after a cut at 4 s."""
    shown = []
    for number in range(round(seconds * rate)):
        at = number / rate
        if at < 4:
            grey = crop_columns(make_texture(1), 10 + 30 * np.clip(at - 2, 0, 2))
        else:
            grey = np.rint(0.4 * crop_columns(make_texture(2), 40) + 140).astype(np.uint8)
        rgb = np.repeat(grey[..., None], 3, axis=2).astype(np.float32) / 255
        shown.append(Frame(rgb, 1000 + number, Fraction(1, rate), number, Fraction(number, rate)))
    return scan_frames(shown)


def test_motion_is_a_speed_at_any_frame_rate_and_a_cut_is_none():
    speeds = {}
    for rate in (12, 30):
        found = scan_made_film(rate)
        assert [shot.first for shot in found.shots] == [0, 4 * rate]
        first, measured = measure_video_features(
            found, Fraction(1000, rate), {"motion", "cuts", "brightness"}
        )
        assert first == 0
        at = STEP_SECONDS * (np.arange(len(measured["motion"])) + 0.5)
        still = (at < 1.8) | ((at > 4.3) & (at < 5.8))
        assert measured["motion"][still].max() < 0.01
        speeds[rate] = np.median(measured["motion"][(at > 2.3) & (at < 3.7)])
        assert at[measured["cuts"] > 0] == pytest.approx([4.0], abs=STEP_SECONDS)
        light = measured["brightness"]
        assert light[at > 4.2].mean() - light[at < 3.8].mean() == pytest.approx(0.27, abs=0.1)
    assert speeds[12] == pytest.approx(speeds[30], rel=0.3)
    assert speeds[30] == pytest.approx(0.5 * 30 / 128, rel=0.3)


def test_the_scan_keeps_them_and_one_frame_is_enough():
    found = scan_made_film(12)
    assert Scan.from_bytes(found.to_bytes()) == found
    one = Scan(found.shots[:1], array("q", [7]), array("f", [1.0]), Fraction(1, 25), 0, array("f", [0.0]),
               array("f", [0.5]))  # fmt: skip
    _, measured = measure_video_features(one, Fraction(0), {"motion", "cuts", "brightness"})
    assert {name: values.tolist() for name, values in measured.items()} == {
        "motion": [0.0], "cuts": [0.0], "brightness": [0.5]
    }  # fmt: skip
