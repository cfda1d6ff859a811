"""Turn a measured feature into curves of the schedule: normalized to 0..1, smoothed, applied, thinned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from mmdream.settings.schedule import SCHEDULE_LIMITS, Curve, MotifCurve

STEP_SECONDS = 0.05
"""Between two values of a feature: a frame or two."""
LOW_PERCENTILE = 5
"""Becomes 0."""
HIGH_PERCENTILE = 95
"""Becomes 1, unless it is below the middle between least and the very largest: one clap in a quiet minute is
an event, and one explosion in a loud film does not make the rest quiet."""
THINNING_TOLERANCE = 0.03
"""How far a thinned curve may lie off, as a share of the setting's largest value."""
SMOOTHING_STEPS = 5
"""Values that are averaged: a quarter of a second, in which nobody sees a corner."""
MOTIF_SHARES = 8
"""Shares that two motifs are mixed in."""


@dataclass(frozen=True, slots=True)
class FeatureKind:
    """How a feature is normalized."""

    min_change: float
    """A smaller change is none, in the feature's unit."""
    min_share: float
    """Nor is one under this share of the feature's own height."""
    rise: float
    """Seconds in which the curve goes from 0 to 1 at its fastest."""
    fall: float
    """Seconds from 1 to 0."""
    fades: bool
    """Whether there is none of it before the medium begins and after it ends; else it is held."""


# Loudness and bass are in sones of a kind, where 15 % are 2 dB; see `AudioFeatures`.
FEATURE_KINDS = {
    "loudness": FeatureKind(0.0, 0.15, 0.15, 0.8, True),
    "bass": FeatureKind(0.0, 0.4, 0.1, 0.6, True),
    "onset": FeatureKind(1.5, 0.5, 0.1, 0.6, True),
    "pitch": FeatureKind(1 / 6, 0.0, 0.25, 0.25, False),
    "motion": FeatureKind(0.02, 0.15, 0.3, 1.0, True),
    "cuts": FeatureKind(0.1, 0.0, 0.1, 0.8, True),
    "brightness": FeatureKind(0.02, 0.1, 0.3, 0.3, False),
}


@dataclass(frozen=True)
class FeatureCurve:
    """One normalized feature over time."""

    start: float
    """Seconds at which the first value's step begins; the others follow."""
    values: np.ndarray
    """float64 [value], 0..1; empty: it never changes."""

    @property
    def times(self) -> np.ndarray:
        """Seconds of each value, the middle of its step."""
        return np.asarray(self.start + STEP_SECONDS * (np.arange(len(self.values)) + 0.5))

    def at(self, seconds: np.ndarray) -> np.ndarray:
        """The feature at some times, held at both ends; 0.5 where it never changes."""
        if not len(self.values):
            return np.full(np.shape(seconds), 0.5)
        return np.interp(seconds, self.times, self.values)


def normalize_feature(name: str, start: float, values: np.ndarray) -> FeatureCurve:
    """Bring a measured feature to 0..1 and smooth it.

    `values` are float [value], `STEP_SECONDS` apart, in any unit; the first one's step begins at second
    `start`. The slope of the result is at most ``1 / rise`` upwards and ``1 / fall`` downwards.
    """
    kind = FEATURE_KINDS[name]
    constant = FeatureCurve(start, np.zeros(0))
    if not len(values):
        return constant
    low, high, largest = (
        np.percentile(values, LOW_PERCENTILE),
        np.percentile(values, HIGH_PERCENTILE),
        values.max(),
    )
    high = max(high, (low + largest) / 2)
    if high - low <= max(kind.min_change, kind.min_share * abs(high), 1e-9):
        return constant
    normalized = np.clip((np.asarray(values, np.float64) - low) / (high - low), 0.0, 1.0)
    if kind.fades:
        before, after = (
            round(seconds / STEP_SECONDS) + SMOOTHING_STEPS for seconds in (kind.rise, kind.fall)
        )
        normalized, start = np.pad(normalized, (before, after)), start - before * STEP_SECONDS
    limited = limit_slope(normalized, kind.rise, kind.fall)
    return FeatureCurve(start, np.clip(scipy.ndimage.uniform_filter1d(limited, SMOOTHING_STEPS), 0.0, 1.0))


def limit_slope(values: np.ndarray, rise: float, fall: float) -> np.ndarray:
    """The least curve nowhere below the values and nowhere steeper than 1 in `rise` or `fall` seconds.

    It looks ahead, so that it is up when an event comes and not after it. Values are float64 [value],
    `STEP_SECONDS` apart.
    """
    times = STEP_SECONDS * np.arange(len(values))
    falling = np.maximum.accumulate(values + times / fall) - times / fall
    rising = np.maximum.accumulate((values - times / rise)[::-1])[::-1] + times / rise
    return np.maximum(falling, rising)


def modulate_curve(
    name: str, base: Curve, drives: Sequence[tuple[tuple[float, float], FeatureCurve]]
) -> Curve:
    """A setting's curve times the factors of its drives, within the setting's limits.

    Each drive is (low, high) and a feature. The keys are as few as keep it within `THINNING_TOLERANCE`.
    """
    key_times = np.array([seconds for seconds, _ in base.keys])
    times = np.unique(np.concatenate([key_times, *(feature.times for _, feature in drives)]))
    values = np.asarray(base.at(times), np.float64)
    for (low, high), feature in drives:
        values = values * (low + (high - low) * feature.at(times))
    values = np.clip(values, *SCHEDULE_LIMITS[name])
    kept = thin_keys(times, values, THINNING_TOLERANCE * float(values.max()))
    return Curve(tuple(zip(times[kept].tolist(), values[kept].tolist(), strict=True)))


def modulate_motifs(names: Sequence[str], feature: FeatureCurve) -> MotifCurve:
    """Two or more motifs over time: the first where a feature is least, the last where it is most.

    In each key a motif is named as often as it has shares of the mixture.
    """
    times = feature.times if len(feature.values) else np.zeros(1)
    positions = feature.at(times) * (len(names) - 1)
    kept = thin_keys(times, positions, THINNING_TOLERANCE * (len(names) - 1))
    keys: list[tuple[float, tuple[str, ...]]] = []
    for seconds, position in _split_at_motifs(times[kept], positions[kept]):
        below = min(int(position), len(names) - 2)
        shares = round((position - below) * MOTIF_SHARES)
        keys.append((seconds, (names[below],) * (MOTIF_SHARES - shares) + (names[below + 1],) * shares))
    return MotifCurve(tuple(keys))


def _split_at_motifs(times: np.ndarray, positions: np.ndarray) -> list[tuple[float, float]]:
    """The keys, and one more wherever a line passes a whole number: there, one motif stands alone."""
    keys = [(float(times[0]), float(positions[0]))]
    for end, position in zip(times[1:].tolist(), positions[1:].tolist(), strict=True):
        start, origin = keys[-1]
        low, high = sorted((origin, position))
        crossed = [float(k) for k in range(int(np.floor(low)) + 1, int(np.ceil(high)))]
        for k in crossed if position > origin else crossed[::-1]:
            keys.append((start + (end - start) * (k - origin) / (position - origin), k))
        keys.append((end, position))
    return keys


def thin_keys(times: np.ndarray, values: np.ndarray, tolerance: float) -> np.ndarray:
    """Rising indices of the keys that are enough, by Douglas and Peucker (1973), measured vertically.

    The straight lines between them miss no value, float64 [value] at rising times, by more than `tolerance`.
    """
    kept = np.zeros(len(times), bool)
    kept[[0, -1]] = True
    spans = [(0, len(times) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        line = np.interp(times[first:last], times[[first, last]], values[[first, last]])
        misses = np.abs(values[first:last] - line)
        worst = first + int(misses.argmax())
        if misses[worst - first] > tolerance:
            kept[worst] = True
            spans += [(first, worst), (worst, last)]
    indices = np.flatnonzero(kept)
    is_constant = len(indices) == 2 and abs(values[0] - values[-1]) <= tolerance
    return indices[:1] if is_constant else indices
