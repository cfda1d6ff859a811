"""From a measured feature to curves of the schedule: brought to 0..1, smoothed, laid on settings, thinned.

All of it is pure arithmetic on one grid of `STEP_SECONDS`; `mmdream.settings.modulation` says what the
features are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

from mmdream.settings.schedule import SCHEDULE_LIMITS, Curve, MotifCurve

STEP_SECONDS = 0.05
"""Seconds between two values of a feature: a frame or two."""
LOW_PERCENTILE = 5
"""Percentile that counts as least."""
HIGH_PERCENTILE = 95
"""Percentile that counts as most, unless that is below the middle between least and the very largest: one
clap in a quiet minute is an event, and one explosion in a loud film does not make the rest quiet."""
THINNING_TOLERANCE = 0.03
"""Of a setting's largest value: how far a thinned curve may lie off."""
SMOOTHING_STEPS = 5
"""Values that are averaged: a quarter of a second, in which nobody sees a corner."""
MOTIF_SHARES = 8
"""Shares that two motifs are mixed in."""


@dataclass(frozen=True, slots=True)
class FeatureKind:
    """How a feature is read."""

    least: float
    """A smaller change is none, in the feature's unit."""
    share: float
    """Nor is one under this share of the feature's own height."""
    rise: float
    """Seconds in which the curve goes from 0 to 1 at its fastest."""
    fall: float
    """Seconds from 1 to 0."""
    fades: bool
    """Whether there is none of it where the medium has not begun or is over; else it is held."""


# Loudness and bass are in sones of a kind, where 15 % are 2 dB; see `sound.features`.
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
    """One feature over time."""

    start: float
    """Seconds at which the first value's step begins; the others follow."""
    values: np.ndarray
    """float64 [value], 0..1; empty: it never changes."""

    @property
    def times(self) -> np.ndarray:
        """Seconds of each value, the middle of its step."""
        return np.asarray(self.start + STEP_SECONDS * (np.arange(len(self.values)) + 0.5))

    def at(self, seconds: np.ndarray) -> np.ndarray:
        """The feature at some times, held at both ends; the middle where it never changes."""
        if not len(self.values):
            return np.full(np.shape(seconds), 0.5)
        return np.interp(seconds, self.times, self.values)


def normalize_feature(name: str, start: float, values: np.ndarray) -> FeatureCurve:
    """Bring a measured feature to 0..1 and smooth it.

    Args:
        name: of `FEATURE_KINDS`.
        start: seconds at which the first value's step begins.
        values: float [value], `STEP_SECONDS` seconds apart, in any unit.

    Returns:
        The feature; its slope is at most ``1 / rise`` upwards and ``1 / fall`` downwards.
    """
    kind = FEATURE_KINDS[name]
    if not len(values):
        return FeatureCurve(start, np.zeros(0))
    low, high, largest = (
        np.percentile(values, LOW_PERCENTILE),
        np.percentile(values, HIGH_PERCENTILE),
        values.max(),
    )
    high = max(high, (low + largest) / 2)
    if high - low <= max(kind.least, kind.share * abs(high), 1e-9):
        return FeatureCurve(start, np.zeros(0))
    brought = np.clip((np.asarray(values, np.float64) - low) / (high - low), 0.0, 1.0)
    if kind.fades:
        before, after = (
            round(seconds / STEP_SECONDS) + SMOOTHING_STEPS for seconds in (kind.rise, kind.fall)
        )
        brought, start = np.pad(brought, (before, after)), start - before * STEP_SECONDS
    smoothed = scipy.ndimage.uniform_filter1d(limit_slope(brought, kind.rise, kind.fall), SMOOTHING_STEPS)
    return FeatureCurve(start, np.clip(smoothed, 0.0, 1.0))


def limit_slope(values: np.ndarray, rise: float, fall: float) -> np.ndarray:
    """The least curve that lies nowhere below the values and is nowhere steeper than told.

    It looks ahead, so that it is up when the event comes and not after it.

    Args:
        values: float64 [value], `STEP_SECONDS` apart.
        rise: seconds for a rise by 1.
        fall: seconds for a fall by 1.
    """
    at = STEP_SECONDS * np.arange(len(values))
    down = np.maximum.accumulate(values + at / fall) - at / fall
    up = np.maximum.accumulate((values - at / rise)[::-1])[::-1] + at / rise
    return np.maximum(down, up)


def modulate_curve(
    name: str, base: Curve, drives: Sequence[tuple[tuple[float, float], FeatureCurve]]
) -> Curve:
    """A setting's curve times its factors, within the setting's limits.

    Args:
        name: of the setting.
        base: the schedule's own curve of it.
        drives: (low, high) and the feature of each drive.

    Returns:
        As few keys as keep it `THINNING_TOLERANCE`.
    """
    at = np.unique(np.concatenate([np.array([when for when, _ in base.keys]), *(f.times for _, f in drives)]))
    values = np.asarray(base.at(at), np.float64)
    for (low, high), found in drives:
        values = values * (low + (high - low) * found.at(at))
    values = np.clip(values, *SCHEDULE_LIMITS[name])
    kept = thin_keys(at, values, THINNING_TOLERANCE * float(values.max()))
    return Curve(tuple(zip(at[kept].tolist(), values[kept].tolist(), strict=True)))


def modulate_motifs(names: Sequence[str], found: FeatureCurve) -> MotifCurve:
    """Motifs over time: the first where a feature is least, the last where it is most.

    Args:
        names: two or more.
        found: the feature.

    Returns:
        Keys whose motifs are named as often as they have parts of the mixture.
    """
    at = found.times if len(found.values) else np.zeros(1)
    places = found.at(at) * (len(names) - 1)
    kept = thin_keys(at, places, THINNING_TOLERANCE * (len(names) - 1))
    keys: list[tuple[float, tuple[str, ...]]] = []
    for when, place in _split_at_motifs(at[kept], places[kept]):
        below = min(int(place), len(names) - 2)
        more = round((place - below) * MOTIF_SHARES)
        keys.append((when, (names[below],) * (MOTIF_SHARES - more) + (names[below + 1],) * more))
    return MotifCurve(tuple(keys))


def thin_keys(at: np.ndarray, values: np.ndarray, off: float) -> np.ndarray:
    """Places of the keys that are enough, by Douglas and Peucker (1973), measured upright.

    Args:
        at: rising, float64 [value].
        values: float64 [value].
        off: how far the straight lines between the keys may miss a value.

    Returns:
        int [key], rising; first and last among them.
    """
    kept = np.zeros(len(at), bool)
    kept[[0, -1]] = True
    open_ = [(0, len(at) - 1)]
    while open_:
        first, last = open_.pop()
        if last - first < 2:
            continue
        line = np.interp(at[first:last], at[[first, last]], values[[first, last]])
        missed = np.abs(values[first:last] - line)
        worst = first + int(missed.argmax())
        if missed[worst - first] > off:
            kept[worst] = True
            open_ += [(first, worst), (worst, last)]
    found = np.flatnonzero(kept)
    flat = len(found) == 2 and abs(values[0] - values[-1]) <= off
    return found[:1] if flat else found


def _split_at_motifs(at: np.ndarray, places: np.ndarray) -> list[tuple[float, float]]:
    """The keys, and one more wherever a line passes a whole number: there, one motif stands alone."""
    found = [(float(at[0]), float(places[0]))]
    for when, place in zip(at[1:].tolist(), places[1:].tolist(), strict=True):
        begun, origin = found[-1]
        low, high = sorted((origin, place))
        whole = [float(k) for k in range(int(np.floor(low)) + 1, int(np.ceil(high)))]
        for k in whole if place > origin else whole[::-1]:
            found.append((begun + (when - begun) * (k - origin) / (place - origin), k))
        found.append((when, place))
    return found
