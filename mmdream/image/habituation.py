"""Habituation: what a dream has shown for some seconds counts less in it, so that other things come.

A layer's energy is climbed the faster the more of it there is, so that a few channels win every film: with
dreamnet, those of dogs. Here a channel counts the less, the larger its share was of the energy that the dream
has added lately, at a place and in the whole picture, as neurons adapt to what lasts (Kohn 2007, "Visual
adaptation"), until all have their turn. Besides, attention drifts: the weight of each channel rises and falls
in waves that pass over the picture. Without them all strong channels are held down alike, and what is left is
vague; with them some are free to draw clearly, here these, there others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from mmdream.core.rng import rng_for

Fatigue = Mapping[str, np.ndarray]
"""Of each layer, by name: a running mean of each channel's share of the energy that the dream adds there,
float32 [row, column, c] at evenly spaced places. It begins at 0 with the dream, and its sum at a place grows
to 1."""

TIME_CONSTANT = 2.0
"""Of the running mean in a film, seconds."""
OCTAVE_SHARE = 0.3
"""What each octave of an image in full decides of it."""
LOCAL_SHARE = 0.55
"""What is added at a place counts so much for its fatigue, and what is added everywhere for the rest: so a
place changes, and what has left it does not come up beside it."""
FAINT = 0.3
"""Of the mean energy that is added: a place that adds this tires half."""
EXPONENT = 5.0
"""Power of a channel's share that its energy is divided by, at habituation 1."""
DRIFT = 2.2
"""Standard deviation of the logarithm of the drift, at habituation 1."""
DRIFT_PERIODS = 2.0, 8.0
"""Shortest and longest period of a channel's drift, seconds."""
DRIFT_WAVES = 0.5, 1.5
"""Fewest and most waves of a channel's drift along the shorter side."""


def habituate(
    fatigue: Fatigue, source: Mapping[str, np.ndarray], dream: Mapping[str, np.ndarray], share: float
) -> Fatigue:
    """The fatigue behind a dream that decides a `share`, 0..1, of it.

    `source` and `dream` are the energies of the channels, float32 [row, column, c], of some layers, without
    the dream and with it: what the source shows does not tire.
    """

    def mean(layer: str) -> np.ndarray:
        added = np.maximum(dream[layer] - source[layer], 0)
        here = added.sum(axis=2, keepdims=True)
        usual = max(float(here.mean()), 1e-12)
        everywhere = added.mean(axis=(0, 1)) / usual
        added = LOCAL_SHARE * added / (here + FAINT * usual) + (1 - LOCAL_SHARE) * everywhere
        before = fatigue.get(layer, np.zeros_like(added))
        return before + np.float32(share) * (added - before)

    return {**fatigue, **{layer: mean(layer) for layer in dream}}


def elapsed_share(seconds: float) -> float:
    """What a film's dream decides of the fatigue, so many seconds after it was last looked at."""
    return 1 - math.exp(-abs(seconds) / TIME_CONSTANT)


def fatigue_gains(shares: np.ndarray, habituation: float) -> np.ndarray:
    """Factors of channels' energies, 0..1, by their fatigue, float32 [..., c], and `habituation`, 0..1.

    At habituation 0.6, a channel with an even share of the energy counts an eighth, one with ten times that
    less than a thousandth.
    """
    weariness = np.log1p(shares * np.float32(shares.shape[-1]))
    return np.exp(weariness * np.float32(-EXPONENT * habituation))


def drift_gains(
    layer: str, size: tuple[int, int, int], habituation: float, seed: int, seconds: float
) -> np.ndarray:
    """Factors of channels' energies that come and go, float32 `size`, > 0, at `seconds` of the source.

    The size is that of the gains, [row, column, c], with places as far apart along rows as along columns. Of
    a layer, by its name, each channel has a period, a phase and a direction of its own, drawn by the `seed`.
    """
    rows, columns, channels = size
    frequencies, phases, waves = _draw_drift(layer, channels, seed)
    side = min(rows, columns)
    ys, xs = (np.arange(count, dtype=np.float32)[:, None] / side for count in (rows, columns))
    turns = np.float32(phases + (seconds * frequencies) % 1)
    angles = (ys * waves[0] + turns)[:, None] + xs * waves[1]
    return np.exp(np.float32(math.sqrt(2) * DRIFT * habituation) * np.cos(np.float32(2 * np.pi) * angles))


@lru_cache(maxsize=16)
def _draw_drift(layer: str, channels: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each channel: frequency, Hz, and phase, 0..1, float64 [c]; waves down and across, float32 [2, c]."""
    rng = rng_for(seed, "drift", layer)
    shortest, longest = DRIFT_PERIODS
    periods, phases = shortest * (longest / shortest) ** rng.random(channels), rng.random(channels)
    angles, count = 2 * np.pi * rng.random(channels), rng.uniform(*DRIFT_WAVES, channels)
    waves = count * np.stack([np.sin(angles), np.cos(angles)])
    return 1 / periods, phases, waves.astype(np.float32)
