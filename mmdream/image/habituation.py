"""Habituation: what a dream has shown for some seconds counts less in it, so that other things come.

A layer's energy is climbed the faster the more of it there is, so that a few channels win every film: with
dreamnet, those of dogs. Here a channel counts the less, the larger its share was of the energy that the dream
has added lately, as neurons adapt to what lasts (Kohn 2007, "Visual adaptation"), until all have their turn.
Besides, attention drifts: each channel's weight rises and falls slowly. Without it all strong channels are
held down alike, and what is left is vague; with it some are always free to draw clearly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from mmdream.core.rng import rng_for

Fatigue = Mapping[str, np.ndarray]
"""Of each layer, by name: a running mean of each channel's share of the energy that the dream adds there,
float32 [c]. It begins at 0 with the dream, and its sum grows to 1."""

TIME_CONSTANT = 2.0
"""Of the running mean in a film, seconds."""
OCTAVE_SHARE = 0.3
"""What each octave of an image in full decides of it."""
EXPONENT = 3.3
"""Power of a channel's share that its energy is divided by, at habituation 1."""
DRIFT = 1.6
"""Standard deviation of the logarithm of the drift, at habituation 1."""
DRIFT_PERIODS = 4.0, 16.0
"""Shortest and longest period of a channel's drift, seconds."""


def habituate(
    fatigue: Fatigue, source: Mapping[str, np.ndarray], dream: Mapping[str, np.ndarray], share: float
) -> Fatigue:
    """The fatigue behind a dream that decides a `share`, 0..1, of it.

    `source` and `dream` are the energies of the channels, float32 [c], of some layers, without the dream and
    with it: what the source shows does not tire.
    """

    def mean(layer: str) -> np.ndarray:
        added = np.maximum(dream[layer] - source[layer], 0)
        added = added / max(float(added.sum()), 1e-12)
        before = fatigue.get(layer, np.zeros_like(added))
        return before + np.float32(share) * (added - before)

    return {**fatigue, **{layer: mean(layer) for layer in dream}}


def elapsed_share(seconds: float) -> float:
    """What a film's dream decides of the fatigue, so many seconds after it was last looked at."""
    return 1 - math.exp(-abs(seconds) / TIME_CONSTANT)


def fatigue_gains(shares: np.ndarray, habituation: float) -> np.ndarray:
    """Factors of channels' energies, float32 [c], 0..1, by their fatigue and `habituation`, 0..1.

    At habituation 0.6, a channel with an even share of the energy counts a quarter, one with ten times that a
    hundredth.
    """
    return np.power(1 + shares * np.float32(len(shares)), np.float32(-EXPONENT * habituation))


def drift_gains(layer: str, channels: int, habituation: float, seed: int, seconds: float) -> np.ndarray:
    """Factors of channels' energies that come and go, float32 [c], > 0, at `seconds` of the source.

    Each channel of a layer, by its name, has a period and a phase of its own, drawn by the `seed`.
    """
    periods, phases = _draw_drift(layer, channels, seed)
    logarithms = math.sqrt(2) * DRIFT * habituation * np.cos(2 * np.pi * (seconds / periods + phases))
    return np.exp(logarithms).astype(np.float32)


@lru_cache(maxsize=16)
def _draw_drift(layer: str, channels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Period, s, and phase, 0..1, of each channel, float64 [c]."""
    rng = rng_for(seed, "drift", layer)
    shortest, longest = DRIFT_PERIODS
    return shortest * (longest / shortest) ** rng.random(channels), rng.random(channels)
