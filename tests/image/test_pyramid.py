"""What keeps a picture from fading and burning out when it is dreamed on and on."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.image.motion import balance_pyramid, measure_pyramid_limits
from mmdream.image.spectrum import make_noise_image


def photo(contrast: float) -> np.ndarray:
    soft = make_noise_image(90, 160, 3)
    return np.clip(0.45 + contrast * (soft - soft.mean()) / soft.std(), 0, 1)


WANTED = measure_pyramid_limits([photo(0.1), photo(0.12)])


def test_what_is_within_the_measure_stays() -> None:
    np.testing.assert_allclose(balance_pyramid(photo(0.11), WANTED, 0.3), photo(0.11), atol=2e-3)


@pytest.mark.parametrize("contrast", [0.02, 0.3])
def test_what_is_too_weak_or_too_strong_comes_back_in_time(contrast: float) -> None:
    picture = photo(contrast)
    for _ in range(80):
        picture = balance_pyramid(picture, WANTED, 0.16)
    assert picture.dtype == np.float32
    assert picture.min() >= 0
    assert picture.max() <= 1
    low, high = photo(0.07).std(), photo(0.13).std()
    assert low < picture.std() < high


def test_grain_is_not_made_of_what_has_no_fine_detail() -> None:
    flat = np.full((90, 160, 3), 0.45, np.float32)
    flat += 0.001 * np.random.default_rng(0).standard_normal(flat.shape).astype(np.float32)
    held = flat
    for _ in range(40):
        held = balance_pyramid(held, WANTED, 0.16)
    assert np.diff(held, axis=1).std() < 2 * np.diff(flat, axis=1).std()


def test_colours_that_drift_come_back() -> None:
    red = photo(0.1) + np.array([0.2, -0.1, -0.1], np.float32)
    for _ in range(40):
        red = balance_pyramid(red, WANTED, 0.16)
    np.testing.assert_allclose(red.mean(axis=(0, 1)), photo(0.1).mean(axis=(0, 1)), atol=0.02)
