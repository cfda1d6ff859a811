"""Flow and carry: what was seen moves on, what was hidden does not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest

from mmdream.analysis import optical_flow
from mmdream.render.temporal import (
    TemporalState,
    advance_state,
    measure_room,
    measure_strength,
    pack_states,
    start_state,
    unpack_states,
    warp_fatigue,
    warp_state,
)

SHIFT = (3.0, 1.5)


@pytest.fixture(scope="module")
def shifted_pair() -> tuple[np.ndarray, np.ndarray]:
    """A textured picture and the same moved by `SHIFT` px (right, down)."""
    noise = np.random.default_rng(0).random((240, 320, 3)).astype(np.float32)
    first = cv2.GaussianBlur(noise, (0, 0), 2)
    first = (first - first.min()) / (first.max() - first.min())
    move = np.float32([[1, 0, SHIFT[0]], [0, 1, SHIFT[1]]])
    return first, cv2.warpAffine(
        first, move, (320, 240), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )


def test_flow_finds_the_motion_and_warp_undoes_it(shifted_pair):
    first, second = shifted_pair
    found = optical_flow.estimate_flow(optical_flow.to_gray(first), optical_flow.to_gray(second))
    inner = np.s_[24:-24, 24:-24]
    half = np.s_[12:-12, 12:-12]
    assert np.allclose(2 * np.median(found.backward[half], axis=(0, 1)), [-SHIFT[0], -SHIFT[1]], atol=0.2)
    assert found.trust[half].mean() > 0.9
    (moved,) = optical_flow.warp(first, (), found.backward)
    assert np.abs(moved - second)[inner].mean() < 0.02


def test_a_flow_is_told_on_a_coarser_grid_in_its_own_pixels(shifted_pair):
    grey = [optical_flow.to_gray(image, image.shape[:2]) for image in shifted_pair]
    fine = optical_flow.estimate_flow(*grey)
    coarse = optical_flow.shrink_flow(fine, (80, 160))
    assert coarse.backward.shape == (80, 160, 2)
    expected = [-SHIFT[0] / 2, -SHIFT[1] / 3]
    assert np.allclose(np.median(coarse.backward[8:-8, 8:-8], axis=(0, 1)), expected, atol=0.05)
    assert coarse.trust[8:-8, 8:-8].mean() > 0.9
    assert optical_flow.shrink_flow(fine, fine.trust.shape) is fine


def test_what_comes_from_outside_is_not_trusted(shifted_pair):
    first, second = shifted_pair
    found = optical_flow.estimate_flow(optical_flow.to_gray(first), optical_flow.to_gray(second))
    assert found.trust[:, :2].mean() < 0.2


def test_unrelated_pictures_are_not_trusted(shifted_pair):
    other = cv2.GaussianBlur(np.random.default_rng(1).random((240, 320, 3)).astype(np.float32), (0, 0), 2)
    other = (other - other.min()) / (other.max() - other.min())
    trust = optical_flow.estimate_flow(
        optical_flow.to_gray(shifted_pair[0]), optical_flow.to_gray(other)
    ).trust
    hidden = optical_flow.HIDDEN_TRUST
    assert trust.mean() < hidden + 0.35 * (1 - hidden)
    assert np.percentile(trust, 5) < hidden


def test_what_leaps_is_followed_to_its_rim():
    noise = cv2.GaussianBlur(np.random.default_rng(3).random((260, 360)).astype(np.float32), (0, 0), 2)
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    down, right = np.mgrid[:180, :320]
    camera, leap = np.array([-3, 1]), np.array([5, -6])

    def show(time: int) -> tuple[np.ndarray, np.ndarray]:
        left, top = (20, 40) - camera * time
        x, y = (240, 80) + leap * time
        disc = 1 - np.roll(noise, (leap[1] * time, leap[0] * time), (0, 1))[:180, :320]
        distance = np.hypot(down - y, right - x)
        view = np.where(distance < 28, disc, noise[top : top + 180, left : left + 320])
        return np.rint(255 * view).astype(np.uint8), distance

    (previous, _), (current, distance) = show(0), show(1)
    misses = np.hypot(*np.moveaxis(optical_flow.estimate_flow(previous, current).backward + leap, -1, 0))
    assert misses[(distance > 18) & (distance < 28)].mean() < 2


def test_tiny_pictures_have_no_flow():
    assert optical_flow.estimate_flow(np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8)).trust.max() == 0


@pytest.fixture
def state() -> TemporalState:
    rng = np.random.default_rng(2)
    detail = rng.normal(0, 0.1, (32, 48, 3)).astype(np.float32)
    return start_state(detail, rng.integers(0, 255, (16, 24)).astype(np.uint8), 0.1, 1.0)


def make_zero_flow(trust: float = 1.0) -> optical_flow.OpticalFlow:
    return optical_flow.OpticalFlow(np.zeros((16, 24, 2), np.float32), np.full((16, 24), trust, np.float32))


def test_a_faded_dream_gets_longer_steps_and_an_overgrown_one_shorter(state):
    usual = warp_state(state, make_zero_flow(), 0.95, 1.0, 0.7, 0.1, 1.0)
    assert measure_strength(usual.detail) == pytest.approx(0.95 * measure_strength(state.detail), rel=0.01)
    faded = warp_state(replace(state, detail=state.detail / 2), make_zero_flow(), 0.95, 1.0, 0.7, 0.1, 1.0)
    grown = warp_state(replace(state, detail=state.detail * 1.5), make_zero_flow(), 0.95, 1.0, 0.7, 0.1, 1.0)
    assert grown.step_scale.mean() < usual.step_scale.mean() < faded.step_scale.mean()
    assert grown.step_gain < usual.step_gain < faded.step_gain


def test_a_frame_with_more_room_than_the_shot_began_with_is_to_hold_a_stronger_dream(state):
    white, meadow = (np.full((16, 24), level, np.uint8) for level in (255, 110))
    assert measure_room(white) == pytest.approx(0.5)
    assert measure_room(meadow) == pytest.approx(1.0)
    began = start_state(state.detail, white, 0.1 * measure_room(white), 1.0)
    here, there = (
        warp_state(began, make_zero_flow(), 0.95, 1.0, 0.7, 0.1 * measure_room(frame), 1.0)
        for frame in (white, meadow)
    )
    assert here.step_scale.mean() < there.step_scale.mean()


def test_where_nothing_could_be_carried_steps_are_longest_until_it_is_filled(state):
    bare = warp_state(state, make_zero_flow(0.0), 0.95, 1.0, 0.7, 0.1, 1.0)
    assert measure_strength(bare.detail) == 0
    assert (
        bare.step_scale.min()
        > 2 * warp_state(state, make_zero_flow(), 0.95, 1.0, 0.7, 0.1, 1.0).step_scale.max()
    )
    paces = []
    for _ in range(12):
        laid = warp_state(state, make_zero_flow(0.0 if not paces else 1.0), 0.95, 1.0, 0.7, 0.1, 1.0)
        state = advance_state(state, laid, laid.change, state.grey, lambda detail: detail)
        paces.append(float(laid.step_scale.mean()))
        state = replace(state, detail=np.full_like(state.detail, state.unit_gain * 0.1), step_gain=1.0)
    assert all(later < sooner for sooner, later in pairwise(paces))


def test_things_stay_tired_where_they_move():
    fatigue = {"p4c": np.random.default_rng(0).random((2, 3, 5), np.float32)}
    one_place = replace(make_zero_flow(), backward=np.full((16, 24, 2), (1.0, 0.0), np.float32))
    moved = warp_fatigue(fatigue, one_place, 8)["p4c"]
    np.testing.assert_allclose(moved[:, :2], fatigue["p4c"][:, 1:], atol=1e-6)
    np.testing.assert_array_equal(warp_fatigue(fatigue, make_zero_flow(), 8)["p4c"], fatigue["p4c"])


def test_a_still_picture_that_may_not_breathe_keeps_its_dream(state):
    held = warp_state(state, make_zero_flow(), 0.95, 0.0, 0.7, 0.1, 1.0)
    assert np.allclose(held.detail, state.detail, atol=1e-6)
    assert held.step_scale.max() == 0
    moving = replace(make_zero_flow(), backward=np.full((16, 24, 2), 1.0, np.float32))
    assert warp_state(state, moving, 0.95, 0.0, 0.7, 0.1, 1.0).step_scale.min() > 0


def test_what_was_dreamed_in_the_dusk_gives_way_to_the_light(state):
    dusk = replace(state, light=0.2)
    laid = warp_state(dusk, make_zero_flow(), 0.95, 1.0, 0.7, 0.1, 0.4)
    assert measure_strength(laid.detail) == pytest.approx(0.95 / 2 * measure_strength(state.detail), rel=0.01)
    assert laid.light == pytest.approx(0.4)


def test_carries_come_back_from_their_bytes_as_they_were(state):
    tired = {"p4c": np.array([0.25, 0.5], np.float32), "c3b": np.array([0.125], np.float32)}
    other = replace(
        state, detail=state.detail + 1, age=7, fatigue=tired, habituated_at=Fraction(1001, 24_000)
    )
    nothing, again, second = unpack_states(pack_states((None, state, other)))
    assert nothing is None
    assert np.array_equal(second.detail, other.detail)
    assert (second.age, second.habituated_at) == (7, Fraction(1001, 24_000))
    assert {name: shares.tolist() for name, shares in second.fatigue.items()} == {
        "p4c": [0.25, 0.5],
        "c3b": [0.125],
    }
    assert again.fatigue == {}
    for name in ("detail", "change", "fill", "grey"):
        assert np.array_equal(getattr(again, name), getattr(state, name))
        assert getattr(again, name).dtype == getattr(state, name).dtype
    assert (again.unit_gain, again.step_gain, again.light) == (state.unit_gain, state.step_gain, state.light)
