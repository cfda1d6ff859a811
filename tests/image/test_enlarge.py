"""A detail that grows: sharp where it was soft, without halos, nothing out of nothing, and else as it was."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmdream.image.enlarge import enlarge_detail
from mmdream.image.octaves import resize

HEIGHT, WIDTH = 240, 360


def high_pass(image: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(image - cv2.GaussianBlur(image, (0, 0), 1.5)))))


@pytest.fixture(scope="module")
def shapes() -> np.ndarray:
    """Discs and bars on nothing, float32 [H, W, 3]."""
    drawn = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    cv2.circle(drawn, (90, 120), 70, (0.3, 0.3, 0.3), -1, cv2.LINE_AA)
    cv2.circle(drawn, (90, 120), 30, (-0.2, -0.2, -0.2), -1, cv2.LINE_AA)
    for x in range(200, 340, 60):
        cv2.line(drawn, (x, 0), (x + 25, HEIGHT), (0.2, 0.2, 0.2), 25, cv2.LINE_AA)
    return drawn


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_edges_become_sharp_and_stay_where_they_are(shapes: np.ndarray, factor: int) -> None:
    small = resize(shapes, (HEIGHT // factor, WIDTH // factor))
    soft, sharp = resize(small, (HEIGHT, WIDTH)), enlarge_detail(small, (HEIGHT, WIDTH))
    assert high_pass(sharp) > 1.3 * high_pass(soft)
    assert np.square(sharp - shapes).mean() < 0.7 * np.square(soft - shapes).mean()
    assert soft.min() < sharp.min() < sharp.max() < soft.max()  # Cubic curves swing as well.


def test_without_a_dream_nothing_is_added_nor_are_colours_changed(shapes: np.ndarray) -> None:
    assert not enlarge_detail(np.zeros((20, 30, 3), np.float32), (60, 90)).any()
    grey = enlarge_detail(resize(shapes, (80, 120)), (HEIGHT, WIDTH))
    assert np.abs(grey - grey.mean(axis=2, keepdims=True)).max() < 1e-6


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2)])
def test_what_does_not_grow_is_only_resized(shapes: np.ndarray, size: tuple[int, int]) -> None:
    assert np.array_equal(enlarge_detail(shapes, size), resize(shapes, size))


def test_one_pixel() -> None:
    assert np.allclose(enlarge_detail(np.ones((1, 1, 3), np.float32), (4, 6)), 1, atol=1e-5)
