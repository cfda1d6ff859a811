"""What keeps a picture that is dreamed on and on from fading, from burning out and from drifting in colour.

A picture is taken apart into octaves of detail, in brightness and in two colours; each octave may be as
strong as in the pictures that set the measure, and is drawn back from beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

OPPONENT_COLORS = np.array([[1, 1, 1], [1, -1, 0], [0.5, 0.5, -1]], np.float32)
OPPONENT_COLORS /= np.linalg.norm(OPPONENT_COLORS, axis=1, keepdims=True)
"""Brightness, red against green, yellow against blue; orthonormal, rows."""
MIN_PYRAMID_SIDE = 8
"""px; shortest side of the coarsest octave."""
MIN_STRENGTH_FACTOR = 0.85
"""Times the weakest of the measure; nothing may be stronger than its strongest."""
UNBOOSTED_OCTAVES = 2
"""Of the finest octaves, which are never made stronger: there it would only be grain."""
MAX_CORRECTION = 0.5
"""Share of an excess that is taken away at once, at most."""


@dataclass(frozen=True, slots=True)
class PyramidLimits:
    """How strong each octave may be."""

    low: np.ndarray
    """float64 [octave, 3], RMS."""
    high: np.ndarray
    mean: np.ndarray
    """float64 [3], of brightness and colours."""


def measure_pyramid_limits(pictures: list[np.ndarray]) -> PyramidLimits:
    """The measure that some pictures of one size set, float32 [H, W, 3] each, 0..1."""
    strengths = np.array([_octave_rms(_laplacian_pyramid(_to_opponent(picture))) for picture in pictures])
    means = [_to_opponent(picture).mean(axis=(0, 1)) for picture in pictures]
    low = MIN_STRENGTH_FACTOR * strengths.min(axis=0)
    low[:UNBOOSTED_OCTAVES] = 0.0
    return PyramidLimits(low, strengths.max(axis=0), np.mean(means, axis=0))


def balance_pyramid(picture: np.ndarray, wanted: PyramidLimits, share: float) -> np.ndarray:
    """A picture drawn back towards its measure.

    Args:
        picture: float32 [H, W, 3].
        wanted: the measure, of pictures of this size.
        share: 0..1, of what is too much or too little that is made good.

    Returns:
        float32 [H, W, 3], within 0..1.
    """
    opponent = _to_opponent(picture)
    octaves = _laplacian_pyramid(opponent)
    found = _octave_rms(octaves)
    goal = np.clip(found, wanted.low, wanted.high)
    factors = (goal / np.maximum(found, 1e-6)) ** min(share, MAX_CORRECTION)
    moved = octaves[-1] * factors[-1].astype(np.float32)
    for octave, factor in zip(octaves[-2::-1], factors[-2::-1], strict=True):
        moved = cv2.pyrUp(moved, dstsize=octave.shape[1::-1]) + octave * factor.astype(np.float32)
    moved += ((wanted.mean - opponent.mean(axis=(0, 1))) * min(share, MAX_CORRECTION)).astype(np.float32)
    return np.clip(cv2.transform(moved, OPPONENT_COLORS.T), 0.0, 1.0)


def _to_opponent(picture: np.ndarray) -> np.ndarray:
    return cv2.transform(picture, OPPONENT_COLORS)


def _laplacian_pyramid(picture: np.ndarray) -> list[np.ndarray]:
    """A Laplacian pyramid (Burt and Adelson 1983), fine to coarse; what is left over comes last."""
    found = []
    while min(picture.shape[:2]) >= 2 * MIN_PYRAMID_SIDE:
        smaller = cv2.pyrDown(picture)
        found.append(picture - cv2.pyrUp(smaller, dstsize=picture.shape[1::-1]))
        picture = smaller
    return [*found, picture]


def _octave_rms(octaves: list[np.ndarray]) -> np.ndarray:
    """RMS of each, of the coarsest about its mean; float64 [octave, 3]."""
    rms = [np.sqrt(np.square(octave).mean(axis=(0, 1))) for octave in octaves[:-1]]
    return np.array([*rms, octaves[-1].std(axis=(0, 1))], np.float64)
