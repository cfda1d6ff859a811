"""The guard against overcooking: it leaves alone what is well, and brings back what is not, no further."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from mmdream.audio.transform import (
    MAX_HIGH_RATIO,
    MAX_HIGH_SHARE,
    MAX_THIRD_SHARE,
    guard_balance,
    is_within_bounds,
    measure_balance,
)

RATE = 44_100


def make_pink_noise(seed: int = 0, n: int = 4 * RATE) -> np.ndarray:
    white = np.random.default_rng(seed).standard_normal((2, n))
    return (0.1 * scipy.signal.lfilter([0.05], [1, -0.95], white)).astype(np.float32)


def make_tone(hz: float, amplitude: float, n: int = 4 * RATE) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(n) / RATE)).astype(np.float32)


@pytest.mark.parametrize("hz", [100.0, 1000.0, 6350.0])
def test_a_tone_lies_in_its_third_octave(hz: float) -> None:
    found = measure_balance(make_tone(hz, 0.1)[None], RATE)
    assert found.strongest == pytest.approx(1, abs=0.02)
    assert found.strongest_hz == pytest.approx(hz, rel=0.1)
    assert found.high == pytest.approx(float(hz > 4000), abs=0.01)


def test_what_is_within_the_bounds_is_left_alone() -> None:
    clip = make_pink_noise(1)
    same, drawn = guard_balance(clip, RATE, measure_balance(make_pink_noise(0), RATE))
    assert same is clip
    assert drawn == 0


@pytest.mark.parametrize("hz", [200.0, 1000.0, 8000.0])
def test_a_whistle_is_brought_back_within_the_bounds_and_the_rest_stays(hz: float) -> None:
    first = measure_balance(make_pink_noise(0), RATE)
    clip = make_pink_noise(1)
    whistling = clip + make_tone(hz, 3 * float(clip.std()))
    assert not is_within_bounds(measure_balance(whistling, RATE), first)
    held, drawn = guard_balance(whistling, RATE, first)
    after = measure_balance(held, RATE)
    assert 0 < drawn <= 1
    assert after.strongest <= max(MAX_THIRD_SHARE, first.strongest)
    assert after.high <= max(MAX_HIGH_SHARE, MAX_HIGH_RATIO * first.high)
    assert held.shape == clip.shape
    assert held.dtype == np.float32
    # Two octaves away hardly anything happens, and nothing is delayed.
    sections = scipy.signal.butter(4, (hz / 8, hz / 4), "bandpass", fs=RATE, output="sos")
    was, now = (scipy.signal.sosfiltfilt(sections, x[0]) for x in (clip, held))
    assert np.corrcoef(was, now)[0, 1] > 0.9


def test_what_was_narrow_from_the_beginning_gets_no_narrower() -> None:
    first = measure_balance(make_pink_noise(0) + make_tone(500, 0.2), RATE)
    assert first.strongest > MAX_THIRD_SHARE
    clip = make_pink_noise(1) + make_tone(500, 0.3) * (1 + 0.2 * np.sin(np.arange(4 * RATE) / 700)).astype(
        np.float32
    )
    held, drawn = guard_balance(clip, RATE, first)
    assert drawn > 0
    assert measure_balance(held, RATE).strongest <= first.strongest


def test_a_sine_may_stay_a_sine() -> None:
    clip = make_tone(440, 0.1)[None]
    assert guard_balance(clip, RATE, measure_balance(clip, RATE))[1] == 0


@pytest.mark.parametrize("n", [1, 100, RATE])
def test_silence_is_nothing_to_guard(n: int) -> None:
    still = np.zeros((1, n), np.float32)
    assert measure_balance(still, RATE).strongest == 0
    assert guard_balance(still, RATE, measure_balance(still, RATE))[1] == 0
