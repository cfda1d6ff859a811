"""The sound canvas on one grid of hops and mel bands: its limits, and how its gradient is smoothed.

A plane holds the log gain over the source; a second one, where something is to be invented, how strong new
energy is. The same grid whatever network climbs it: what a network hears, and how often, is its ear's affair.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from mmdream.sound.front import edges_hz

Array = Any  # a NumPy array or a TensorFlow tensor; the same formula serves both

EDGES = edges_hz(64, 40.0, 16000.0, "htk")
"""Of the canvas's bands, Hz: wide enough that a gain is no musical noise."""
BANDS = len(EDGES) - 2
DB = float(20 / np.log(10))
"""Decibels in a neper of amplitude."""
HIGHEST = 15 / DB
LOWEST = -15 / DB
"""Soft limits of the log gain in nepers. Wider ones (-24, +18 dB, hard) gate the source away and
leave flat-topped blobs."""
MOST_NEW, LEAST_NEW = 30 / DB, -16 / DB
"""Soft limits of new energy, nepers over where it starts."""
NEW = -15 / DB
"""Nepers, against a typical sound, at which new energy starts: half of it is heard there, and soon nothing
under it, or a faint hiss lay everywhere."""
GATE = 3 / DB
"""Nepers over which it comes and goes."""


def softened(canvas: np.ndarray, highest: float = HIGHEST, lowest: float = LOWEST) -> np.ndarray:
    """What a canvas stands for: softly limited, never cut.

    Args:
        canvas: float32, nepers.
        highest: nepers > 0.
        lowest: nepers < 0.

    Returns:
        float32, the same shape, between the limits.
    """
    limit = np.where(canvas > 0, np.float32(highest), np.float32(lowest))
    return np.asarray(limit * np.tanh(canvas / limit), dtype=np.float32)


def new_power(canvas: Array, typical: np.ndarray, exp: Callable[[Any], Any] = np.exp) -> Array:
    """The power of new energy that a canvas stands for.

    Args:
        canvas: float32 [hop, band], nepers, softly limited, over where it starts.
        typical: float32 [band], power of a bin of a typical sound.
        exp: of the library that `canvas` belongs to.

    Returns:
        float32 [hop, band], of a bin.
    """
    heard = 1.0 / (1.0 + exp(-canvas / GATE))
    return typical * exp(2.0 * (canvas + NEW)) * heard * heard


def smoothed(gradient: np.ndarray, sigma_hops: float) -> np.ndarray:
    """Blur a gradient along time, and by one band across: grain would sound as musical noise.

    The blur along time rises in a third of the time and dies away exponentially, as struck and
    blown things do: a symmetric one makes figures that swell like sound played backwards.

    Args:
        gradient: float32 [hop, band].
        sigma_hops: how coarse.

    Returns:
        float32, the same shape.
    """
    return np.asarray(
        cv2.sepFilter2D(
            gradient, -1, cv2.getGaussianKernel(7, 1.0, cv2.CV_32F), _decay(sigma_hops),
            borderType=cv2.BORDER_REFLECT_101,
        )
    )  # fmt: skip


@lru_cache(maxsize=64)
def _decay(sigma: float) -> np.ndarray:
    """Kernel over an odd number of hops, sums to 1; reversed, because OpenCV correlates."""
    rise, fall = max(sigma / 3, 0.8), 1.2 * sigma
    reach = int(5 * sigma) + 1
    t = np.arange(-reach, reach + 1)
    kernel = np.where(t < 0, np.exp(-0.5 * np.square(t / rise)), np.exp(-np.maximum(t, 0) / fall))
    return np.asarray((kernel / kernel.sum())[::-1].astype(np.float32))
