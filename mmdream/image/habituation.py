"""Habituation: what a dream has shown for some seconds counts less in it, so that other things come.

A layer's energy is climbed the faster the more of it there is, so that a few channels win every film: with
dreamnet, those of dogs. Here a channel counts the less, the larger its share was of the energy that the dream
has added lately, as neurons adapt to what lasts (Kohn 2007, "Visual adaptation"), until all have their turn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

Fatigue = Mapping[str, np.ndarray]
"""Of each layer, by name: a running mean of each channel's share of the energy that the dream adds there,
float32 [c]. It begins at 0 with the dream, and its sum grows to 1."""

TIME_CONSTANT = 2.0
"""Of the running mean in a film, seconds."""
OCTAVE_SHARE = 0.3
"""What each octave of an image in full decides of it."""
EXPONENT = 2.5
"""Power of a channel's share that its energy is divided by, at habituation 1."""


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


def channel_gains(shares: np.ndarray, habituation: float) -> np.ndarray:
    """Factors of channels' energies, float32 [c], 0..1, by their fatigue and `habituation`, 0..1.

    At habituation 0.6, a channel with an even share of the energy counts a third, one with ten times that a
    thirtieth.
    """
    return np.power(1 + shares * np.float32(len(shares)), np.float32(-EXPONENT * habituation))
