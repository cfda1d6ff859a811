"""A guard against collapse: what is dreamed again and again must not end as one tone or as a screech.

It measures how a clip's energy lies over the third-octaves, and turns a clip that has gone too far back
towards the first one with a smooth equaliser, just as far as needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal

MIN_THIRD_HZ = 25.0
"""Centre of the lowest third-octave; what lies under it counts with it."""
HIGH_HZ = 4000.0
"""A screech is narrow and lies above."""
MAX_THIRD_SHARE = 0.5
"""Share of the energy that the strongest third-octave may hold, or what the first clip's holds."""
MAX_HIGH_SHARE = 0.05
"""Share that may lie above `HIGH_HZ`, or MAX_HIGH_RATIO times what does in the first clip."""
MAX_HIGH_RATIO = 2.0
TARGET_SHARE = 0.9
"""A clip that passes a bound is brought to this share of it: later stages move levels a little."""
MAX_CUT_DB, MAX_BOOST_DB = 30.0, 6.0
"""Most that the equaliser takes away and adds: more would lift hiss."""
LOWERING_STEP_DB, LOWERING_ROUNDS = 0.25, 60
"""Steps by which an equaliser is lowered that leads back and still passes a bound."""
SHARE_FLOOR = 1e-8
"""Of the energy; emptier third-octaves are all alike."""
FILTER_SECONDS = 0.09
"""Length of its filter: about 11 Hz fine."""


@dataclass(frozen=True, slots=True)
class TonalBalance:
    """Where the energy of a clip lies."""

    thirds: np.ndarray
    """float64 [third-octave], shares; they add up to 1, or to 0 for silence."""
    high: float
    """Share above `HIGH_HZ`."""

    @property
    def strongest(self) -> float:
        """Share of the strongest third-octave."""
        return float(self.thirds.max())

    @property
    def strongest_hz(self) -> float:
        """Its centre."""
        return float(third_octave_centers(len(self.thirds))[self.thirds.argmax()])


def third_octave_centers(count: int) -> np.ndarray:
    """Centres of the lowest third-octaves, base 2, float64 [count], Hz."""
    return MIN_THIRD_HZ * 2.0 ** (np.arange(count) / 3)


def measure_balance(samples: np.ndarray, rate: int) -> TonalBalance:
    """Measure a clip, float32 [channel, sample], over its whole length."""
    return _compute_balance(*_measure_spectrum(samples, rate))


def compute_bounds(first: TonalBalance, room: float = 1.0) -> tuple[float, float]:
    """What a clip's strongest third-octave, and what lies above `HIGH_HZ`, may hold.

    Every clip may have the first one's balance; `room` is the share of the fixed bounds that may be filled.
    """
    high = max(MAX_HIGH_SHARE, MAX_HIGH_RATIO * first.high)
    return max(room * MAX_THIRD_SHARE, first.strongest), room * high


def is_within_bounds(now: TonalBalance, first: TonalBalance, room: float = 1.0) -> bool:
    """Whether a clip lies within its bounds; arguments as in `compute_bounds`."""
    most, high = compute_bounds(first, room)
    return now.strongest <= most and now.high <= high


def guard_balance(samples: np.ndarray, rate: int, first: TonalBalance) -> tuple[np.ndarray, float]:
    """A clip, float32 [channel, sample], within the bounds, and how far it was drawn to `first`, 0..1.

    `first` is the balance of the first clip, gone through the same transforms.
    """
    power, hz = _measure_spectrum(samples, rate)
    now = _compute_balance(power, hz)
    if is_within_bounds(now, first):
        return samples, 0.0
    back = 10 * np.log10((first.thirds + SHARE_FLOOR) / (now.thirds + SHARE_FLOOR))

    def equalized(knots: np.ndarray) -> TonalBalance:
        return _compute_balance(power * 10 ** (_interpolate_curve(knots, hz) / 10), hz)

    low, far = 0.0, 1.0
    if is_within_bounds(equalized(back), first, TARGET_SHARE):
        for _ in range(12):
            middle = (low + far) / 2
            if is_within_bounds(equalized(middle * back), first, TARGET_SHARE):
                far = middle
            else:
                low = middle
        return _apply_equalizer(samples, rate, hz, _interpolate_curve(far * back, hz)), far
    lowered = _lower_excess(back, equalized, first)
    return _apply_equalizer(samples, rate, hz, _interpolate_curve(lowered, hz)), 1.0


def _lower_excess(
    knots: np.ndarray, equalized: Callable[[np.ndarray], TonalBalance], first: TonalBalance
) -> np.ndarray:
    """An equaliser that leads all the way back and still passes a bound, lowered where it does."""
    most, high = compute_bounds(first, TARGET_SHARE)
    most *= 0.998  # What is measured after the filter differs a little.
    above = third_octave_centers(len(knots)) > HIGH_HZ
    knots = knots.copy()
    for _ in range(LOWERING_ROUNDS):
        now = equalized(knots)
        if now.strongest <= most and now.high <= high:
            break
        if now.strongest > most:
            knots[now.thirds.argmax()] -= LOWERING_STEP_DB
        if now.high > high:
            knots[above] -= LOWERING_STEP_DB
    return knots


def _interpolate_curve(knots: np.ndarray, hz: np.ndarray) -> np.ndarray:
    """A smooth equaliser from its values at the third-octaves' centres, dB at each frequency."""
    octaves, centers = np.log2(np.maximum(hz, 1.0)), np.log2(third_octave_centers(len(knots)))
    return np.interp(octaves, centers, np.clip(knots, -MAX_CUT_DB, MAX_BOOST_DB))


def _measure_spectrum(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Long-term power spectrum of the channels' sum, and its frequencies in Hz, both float64 [bin]."""
    size = min(2 * round(FILTER_SECONDS * rate), samples.shape[1])
    hz, power = scipy.signal.welch(
        samples.astype(np.float64), rate, nperseg=size, detrend=False, scaling="spectrum"
    )
    return power.sum(axis=0), hz


def _compute_balance(power: np.ndarray, hz: np.ndarray) -> TonalBalance:
    count = max(1, 1 + round(3 * np.log2(max(hz[-1], MIN_THIRD_HZ) / MIN_THIRD_HZ)))
    band = np.clip(np.rint(3 * np.log2(np.maximum(hz, 1e-3) / MIN_THIRD_HZ)), 0, count - 1).astype(int)
    total = power.sum()
    if not total > 0:
        return TonalBalance(np.zeros(count), 0.0)
    thirds = np.bincount(band, power, count) / total
    return TonalBalance(thirds, float(power[hz > HIGH_HZ].sum() / total))


def _apply_equalizer(samples: np.ndarray, rate: int, hz: np.ndarray, db: np.ndarray) -> np.ndarray:
    """A clip under a smooth gain, without delay."""
    taps = 2 * round(FILTER_SECONDS * rate / 2) + 1
    n = scipy.fft.next_fast_len(4 * taps)
    gain = np.interp(scipy.fft.rfftfreq(n, 1 / rate), hz, 10 ** (db / 20))
    impulse = np.roll(scipy.fft.irfft(gain, n), taps // 2)[:taps] * np.hanning(taps + 2)[1:-1]
    padded = np.pad(samples, ((0, 0), (taps // 2, taps // 2)))
    return np.asarray(scipy.signal.oaconvolve(padded, impulse[None], mode="valid", axes=1), np.float32)
