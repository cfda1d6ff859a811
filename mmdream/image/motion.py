"""An image that moves while it is dreamed on: camera motion, and a balance that keeps it from fading."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import cv2
import numpy as np

from mmdream.settings.ouroboros import ZoomSettings, parse_shift

OPPONENT_COLORS = np.array([[1, 1, 1], [1, -1, 0], [0.5, 0.5, -1]], np.float32)
OPPONENT_COLORS /= np.linalg.norm(OPPONENT_COLORS, axis=1, keepdims=True)
"""Brightness, red against green, yellow against blue; orthonormal, rows."""
MIN_PYRAMID_SIDE = 8
"""px; shortest side of the coarsest octave."""
MIN_STRENGTH_FACTOR = 0.85
"""Lower limit over the weakest image's strength; the upper limit is the strongest's."""
UNBOOSTED_OCTAVES = 2
"""Of the finest octaves, which are never made stronger: there it would only be grain."""
MAX_CORRECTION = 0.5
"""Share of an excess that is taken away at once, at most."""


def affine_after(zoom: ZoomSettings, seconds: float, size: tuple[int, int]) -> np.ndarray:
    """The affine map, float64 [2, 3], from a pixel (x, y) to its place after some time; size is H, W.

    All three go on at every instant, z' = a z + v about the middle, with a = ln zoom + i rotate: two
    stretches of time, one after the other, equal both together, whatever the frame rate.
    """
    # Rows run down, so against the clock is a negative angle.
    rate, shift = complex(math.log(zoom.zoom), -math.radians(zoom.rotate)), complex(*parse_shift(zoom.shift))
    factor = cmath.exp(rate * seconds)
    shifted = shift * ((factor - 1) / rate if abs(rate) > 1e-9 else seconds)
    middle = complex((size[1] - 1) / 2, (size[0] - 1) / 2)
    offset = middle + shifted - factor * middle
    return np.array([[factor.real, -factor.imag, offset.real], [factor.imag, factor.real, offset.imag]])


def max_displacement(affine: np.ndarray, size: tuple[int, int]) -> float:
    """The farthest that any corner of an image of a size, H, W, is moved, px."""
    height, width = size
    corners = np.array([[x, y, 1.0] for x in (0, width - 1) for y in (0, height - 1)])
    return float(np.abs(corners @ affine.T - corners[:, :2]).max())


def warp_affine(image: np.ndarray, affine: np.ndarray, method: int = cv2.INTER_CUBIC) -> np.ndarray:
    """An image, float32 [H, W, 3], after a motion, mirrored where it does not reach.

    Cubic interpolation makes fine detail 0.5 % stronger each time, linear wipes it out: what is moved again
    and again needs Lanczos, thirty times as slow.
    """
    return cv2.warpAffine(image, affine, image.shape[1::-1], flags=method, borderMode=cv2.BORDER_REFLECT_101)


def unwarp_change(change: np.ndarray, affine: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A smooth change, [h, w, 3], of a moved image as one of the image, of a size, before; 0 where unseen."""
    height, width = size
    scale = np.array([[change.shape[1] / width], [change.shape[0] / height]])
    matrix = affine * scale
    matrix[:, 2:] += 0.5 * scale - 0.5  # Pixels are counted from their middles.
    return cv2.warpAffine(change, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


@dataclass(frozen=True, slots=True)
class PyramidLimits:
    """How strong each octave of an image may be, RMS, float64 [octave, 3]; and its mean colour, [3]."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray


def measure_pyramid_limits(images: list[np.ndarray]) -> PyramidLimits:
    """The limits that some images of one size set, float32 [H, W, 3] each, 0..1."""
    opponents = [cv2.transform(image, OPPONENT_COLORS) for image in images]
    strengths = np.array([_octave_rms(_laplacian_pyramid(opponent)) for opponent in opponents])
    means = [opponent.mean(axis=(0, 1)) for opponent in opponents]
    low = MIN_STRENGTH_FACTOR * strengths.min(axis=0)
    low[:UNBOOSTED_OCTAVES] = 0.0
    return PyramidLimits(low, strengths.max(axis=0), np.mean(means, axis=0))


def balance_pyramid(image: np.ndarray, limits: PyramidLimits, share: float) -> np.ndarray:
    """Correct a share of what is too strong or weak in an image of the limits' size, [H, W, 3], 0..1."""
    opponent = cv2.transform(image, OPPONENT_COLORS)
    octaves = _laplacian_pyramid(opponent)
    strengths, power = _octave_rms(octaves), min(share, MAX_CORRECTION)
    goals = np.clip(strengths, limits.low, limits.high)
    factors = ((goals / np.maximum(strengths, 1e-6)) ** power).astype(np.float32)
    balanced = octaves[-1] * factors[-1]
    for octave, factor in zip(octaves[-2::-1], factors[-2::-1], strict=True):
        balanced = cv2.pyrUp(balanced, dstsize=octave.shape[1::-1]) + octave * factor
    balanced += ((limits.mean - opponent.mean(axis=(0, 1))) * power).astype(np.float32)
    return np.clip(cv2.transform(balanced, OPPONENT_COLORS.T), 0.0, 1.0)


def _laplacian_pyramid(image: np.ndarray) -> list[np.ndarray]:
    """Octaves of detail (Burt and Adelson 1983), fine to coarse; what is left over comes last."""
    octaves = []
    while min(image.shape[:2]) >= 2 * MIN_PYRAMID_SIDE:
        smaller = cv2.pyrDown(image)
        octaves.append(image - cv2.pyrUp(smaller, dstsize=image.shape[1::-1]))
        image = smaller
    return [*octaves, image]


def _octave_rms(octaves: list[np.ndarray]) -> np.ndarray:
    """RMS of each octave, of the coarsest about its mean; float64 [octave, 3]."""
    rms = [np.sqrt(np.square(octave).mean(axis=(0, 1))) for octave in octaves[:-1]]
    return np.array([*rms, octaves[-1].std(axis=(0, 1))], np.float64)
