"""Flow and carry: what was seen moves on, what was hidden does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmdream.film import flow
from mmdream.film.carry import MOST, Carry, lay, strength

SHIFT = (3.0, 1.5)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A textured picture and the same moved by `SHIFT` px (right, down)."""
    noise = np.random.default_rng(0).random((240, 320, 3)).astype(np.float32)
    first = cv2.GaussianBlur(noise, (0, 0), 2)
    first = (first - first.min()) / (first.max() - first.min())
    move = np.float32([[1, 0, SHIFT[0]], [0, 1, SHIFT[1]]])
    return first, cv2.warpAffine(
        first, move, (320, 240), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )


def test_flow_finds_the_motion_and_warp_undoes_it(pair):
    first, second = pair
    found = flow.between(flow.grey(first), flow.grey(second), (240, 320))
    inner = np.s_[24:-24, 24:-24]
    assert np.allclose(np.median(found.back[inner], axis=(0, 1)), [-SHIFT[0], -SHIFT[1]], atol=0.2)
    assert found.trust[inner].mean() > 0.9
    error = np.abs(flow.warp(first, found.back) - second)[inner][found.trust[inner] > 0.9]
    assert error.mean() < 0.02


def test_what_comes_from_outside_is_not_trusted(pair):
    first, second = pair
    found = flow.between(flow.grey(first), flow.grey(second), (240, 320))
    assert found.trust[:, :2].mean() < 0.2


def test_unrelated_pictures_are_not_trusted():
    rng = np.random.default_rng(1)
    a, b = (
        flow.grey(cv2.GaussianBlur(rng.random((240, 320, 3)).astype(np.float32), (0, 0), 2)) for _ in "ab"
    )
    assert flow.between(a, b, (240, 320)).trust.mean() < 0.35


def test_tiny_pictures_have_no_flow():
    assert flow.between(np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8), (1, 1)).trust.max() == 0


def test_a_faded_dream_is_worked_on_and_an_overgrown_one_is_held():
    still = flow.Flow(np.zeros((32, 48, 2), np.float32), np.ones((32, 48), np.float32))
    detail = np.random.default_rng(2).normal(0, 0.1, (32, 48, 3)).astype(np.float32)
    ascent = 0.1
    full = strength(detail) / ascent
    kept = lay(Carry(detail, full), still, 0.95, ascent)
    assert strength(kept.detail) == pytest.approx(0.95 * strength(detail), rel=0.01)
    assert kept.effort == pytest.approx(1, abs=0.01)
    assert lay(Carry(detail / 3, full), still, 0.95, ascent).effort == MOST
    grown = lay(Carry(detail * 2, full), still, 0.95, ascent)
    assert strength(grown.detail) == pytest.approx(strength(detail), rel=0.01)
    hidden = flow.Flow(still.back, np.zeros((32, 48), np.float32))
    bare = lay(Carry(detail, full), hidden, 0.95, ascent)
    assert strength(bare.detail) == 0
    assert bare.boost.min() > 1
