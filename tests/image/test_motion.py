"""A picture that moves while it is dreamed on: alike at every frame rate, without blur, fading or glare."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.core.errors import UserError
from mmdream.image.motion import (
    affine_after,
    balance_pyramid,
    max_displacement,
    measure_pyramid_limits,
    unwarp_change,
    warp_affine,
)
from mmdream.image.spectrum import make_noise_image
from mmdream.settings.ouroboros import ZoomSettings, parse_shift

SIZE = (90, 160)
MIDDLE = np.array([79.5, 44.5, 1.0])


def make_square(way: np.ndarray) -> np.ndarray:
    return np.vstack([way, [0, 0, 1]])


@pytest.mark.parametrize(
    "motion",
    [
        ZoomSettings(1),
        ZoomSettings(1, 1.04, 1, "2,0"),
        ZoomSettings(1, 0.5, -90, "0,-30"),
        ZoomSettings(1, 1, 0, "7,3"),
    ],
)
@pytest.mark.parametrize("rate", [1, 12, 25, 60])
def test_a_second_of_frames_moves_as_far_at_any_rate(motion: ZoomSettings, rate: int) -> None:
    step = make_square(affine_after(motion, 1 / rate, SIZE))
    moved = np.linalg.matrix_power(step, rate)
    np.testing.assert_allclose(moved, make_square(affine_after(motion, 1.0, SIZE)), atol=1e-9)


def test_each_does_what_it_says() -> None:
    np.testing.assert_allclose(
        affine_after(ZoomSettings(1, shift="2,-3"), 1, SIZE) @ MIDDLE, MIDDLE[:2] + np.array([2, -3])
    )
    right = MIDDLE + np.array([10, 0, 0])
    np.testing.assert_allclose(
        affine_after(ZoomSettings(1, zoom=1.5), 1, SIZE) @ right, MIDDLE[:2] + np.array([15, 0])
    )
    # Against the clock: what lay to the right lies above, and rows run down.
    turned = affine_after(ZoomSettings(1, rotate=90), 1, SIZE) @ right
    np.testing.assert_allclose(turned, MIDDLE[:2] - np.array([0, 10]), atol=1e-9)


def test_reach_is_the_way_of_the_farthest_corner() -> None:
    assert max_displacement(affine_after(ZoomSettings(1), 5, SIZE), SIZE) == 0
    assert max_displacement(affine_after(ZoomSettings(1, shift="3,0"), 2, SIZE), SIZE) == pytest.approx(6)
    assert max_displacement(affine_after(ZoomSettings(1, zoom=2), 1, SIZE), SIZE) == pytest.approx(79.5)


def test_what_is_changed_in_the_view_is_found_there_again() -> None:
    way = affine_after(ZoomSettings(1, 1.1, 8, "5,-2"), 1, SIZE)
    blob = np.zeros((*SIZE, 3), np.float32)
    blob[40:60, 70:100] = 1
    for change in (blob, blob[::2, ::2]):
        back = warp_affine(unwarp_change(change, way, SIZE), way)
        assert np.corrcoef(back.ravel(), blob.ravel())[0, 1] > 0.9
        there, here = (np.argwhere(x[..., 0] > 0.5).mean(0) for x in (blob, back))
        np.testing.assert_allclose(here, there, atol=0.6)


def test_a_change_that_is_not_seen_changes_nothing() -> None:
    ones = np.ones((*SIZE, 3), np.float32)
    back = unwarp_change(ones, affine_after(ZoomSettings(1, shift="50,0"), 1, SIZE), SIZE)
    assert back[:, :100].min() == pytest.approx(1)
    assert not back[:, 115:].any()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"zoom": 0}, "zoom is 0; choose between 0.25 and 4"),
        ({"zoom": float("nan")}, "zoom is nan"),
        ({"rotate": 361}, "rotate is 361"),
        ({"shift": "0,1e9"}, "shift is .0,1e9.; choose"),
    ],
)
def test_what_is_out_of_range_is_refused(values: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        ZoomSettings(1, **values)


def test_a_shift_is_read_as_two_numbers() -> None:
    assert parse_shift("2,-0.5") == (2, -0.5)
    for text in ("", "2", "2,3,4", "a,b", "2;3"):
        with pytest.raises(UserError, match="write X,Y"):
            parse_shift(text)


def make_photo(contrast: float) -> np.ndarray:
    soft = make_noise_image(90, 160, 3)
    return np.clip(0.45 + contrast * (soft - soft.mean()) / soft.std(), 0, 1)


LIMITS = measure_pyramid_limits([make_photo(0.1), make_photo(0.12)])


def test_what_is_within_the_measure_stays() -> None:
    np.testing.assert_allclose(balance_pyramid(make_photo(0.11), LIMITS, 0.3), make_photo(0.11), atol=2e-3)


@pytest.mark.parametrize("contrast", [0.02, 0.3])
def test_what_is_too_weak_or_too_strong_comes_back_in_time(contrast: float) -> None:
    picture = make_photo(contrast)
    for _ in range(80):
        picture = balance_pyramid(picture, LIMITS, 0.16)
    assert picture.dtype == np.float32
    assert picture.min() >= 0
    assert picture.max() <= 1
    low, high = make_photo(0.07).std(), make_photo(0.13).std()
    assert low < picture.std() < high


def test_grain_is_not_made_of_what_has_no_fine_detail() -> None:
    flat = np.full((90, 160, 3), 0.45, np.float32)
    flat += 0.001 * np.random.default_rng(0).standard_normal(flat.shape).astype(np.float32)
    held = flat
    for _ in range(40):
        held = balance_pyramid(held, LIMITS, 0.16)
    assert np.diff(held, axis=1).std() < 2 * np.diff(flat, axis=1).std()


def test_colours_that_drift_come_back() -> None:
    red = make_photo(0.1) + np.array([0.2, -0.1, -0.1], np.float32)
    for _ in range(40):
        red = balance_pyramid(red, LIMITS, 0.16)
    np.testing.assert_allclose(red.mean(axis=(0, 1)), make_photo(0.1).mean(axis=(0, 1)), atol=0.02)
