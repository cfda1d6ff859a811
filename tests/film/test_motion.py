"""Flow, carry and shots: what was seen moves on, what was hidden does not, cuts start afresh."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdream.film import flow
from mmdream.film.carry import MOST, Carry, lay, strength
from mmdream.film.frames import Frame, read
from mmdream.film.shots import inside, scan
from mmdream.film.source import probe

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


def frame(number: int, rgb: np.ndarray) -> Frame:
    return Frame(rgb, number * 3, Fraction(1, 75), number, Fraction(number, 25))


def barred(value: float, rows: slice = slice(8, 56)) -> np.ndarray:
    rgb = np.full((64, 96, 3), 0.03, np.float32)  # bars are noisy, not zero
    rgb[rows] = value
    return rgb


def test_cuts_and_flashes_start_shots_and_bars_are_found():
    looks = [0.3] * 10 + [1.0] + [0.3] * 9 + [0.9] * 5
    found = scan(frame(number, barred(value)) for number, value in enumerate(looks))
    assert [(shot.first, shot.stop) for shot in found.shots] == [(0, 10), (10, 11), (11, 20), (20, 25)]
    assert list(found.pts) == [3 * number for number in range(25)]
    assert {shot.box for shot in found.shots} == {(8, 56, 0, 96)}
    mask = inside(found.shots[0].box, 64, 96)
    assert mask is not None
    assert mask.sum() == 48 * 96


def test_bars_that_light_up_once_in_the_shot_are_no_bars():
    looks = [barred(0.3)] * 5 + [barred(0.3, slice(0, 64))] + [barred(0.3)] * 5
    assert scan(frame(k, rgb) for k, rgb in enumerate(looks)).shots[0].box == (0, 64, 0, 96)
    assert inside((0, 64, 0, 96), 64, 96) is None


def test_a_black_shot_has_no_inside():
    found = scan(frame(k, np.zeros((8, 8, 3), np.float32)) for k in range(3))
    assert found.shots[0].box == (0, 0, 0, 0)
    mask = inside(found.shots[0].box, 8, 8)
    assert mask is not None
    assert mask.sum() == 0


def test_chaplin_has_pillars_and_sintel_has_bars(data: Path):
    top, bottom, left, right = scan(read(probe(data / "films/chaplin.mp4"), None, Fraction(1))).shots[0].box
    assert left > 40
    assert right < 600
    top, bottom, *_ = scan(read(probe(data / "films/sintel_854x480.mp4"))).shots[0].box
    assert top > 20
    assert bottom < 460
