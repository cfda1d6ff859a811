"""How a picture moves while it is dreamed on: it grows, turns and slides at a steady pace."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import cv2
import numpy as np

from mmdream.core.errors import UserError

MOTION_LIMITS = {"zoom": (0.25, 4.0), "rotate": (-360.0, 360.0), "shift": (-2000.0, 2000.0)}
"""Least and most of each, a second."""


@dataclass(frozen=True, slots=True)
class CameraMotion:
    """What happens to a picture in each second; checked where it is made.

    Raises:
        UserError: a value out of range.
    """

    zoom: float = 1.0
    """Times so large, about the middle."""
    rotate: float = 0.0
    """Degrees against the clock."""
    shift: tuple[float, float] = (0.0, 0.0)
    """px to the right and down, at the middle."""

    def __post_init__(self) -> None:
        shifts = (("shift", value) for value in self.shift)
        for name, value in (("zoom", self.zoom), ("rotate", self.rotate), *shifts):
            low, high = MOTION_LIMITS[name]
            if not low <= value <= high:
                raise UserError(f"{name} is {value:g} a second; choose between {low:g} and {high:g}")

    def after(self, seconds: float, size: tuple[int, int]) -> np.ndarray:
        """Where the points of a picture have gone.

        All three go on at every instant, z' = a z + v about the middle, with a = ln zoom + i rotate: so what
        happens in two stretches of time, one after the other, is what happens in both together, and a film
        moves alike at any frame rate.

        Args:
            seconds: since the picture stood still.
            size: height, width, px.

        Returns:
            float64 [2, 3]: the affine map from a pixel (x, y) to its place.
        """
        # Rows run down, so against the clock is a negative angle.
        pace, slide = complex(math.log(self.zoom), -math.radians(self.rotate)), complex(*self.shift)
        grown = cmath.exp(pace * seconds)
        slid = slide * ((grown - 1) / pace if abs(pace) > 1e-9 else seconds)
        middle = complex((size[1] - 1) / 2, (size[0] - 1) / 2)
        to = middle + slid - grown * middle
        return np.array([[grown.real, -grown.imag, to.real], [grown.imag, grown.real, to.imag]])

    def reach(self, seconds: float, size: tuple[int, int]) -> float:
        """The farthest that any corner of a picture has gone, px."""
        height, width = size
        corners = np.array([[x, y, 1.0] for x in (0, width - 1) for y in (0, height - 1)])
        return float(np.abs(corners @ self.after(seconds, size).T - corners[:, :2]).max())


def parse_shift(text: str) -> tuple[float, float]:
    """Read "X,Y".

    Raises:
        UserError: another form.
    """
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"shift is {text!r}; write X,Y, pixels a second to the right and down: 2,0") from None
    return x, y


def warp_affine(picture: np.ndarray, way: np.ndarray, method: int = cv2.INTER_CUBIC) -> np.ndarray:
    """A picture after a motion, mirrored where it does not reach.

    Args:
        picture: float32 [H, W, 3].
        way: of `Motion.after`.
        method: OpenCV's interpolation. Cubic makes fine detail 0.5 % stronger each time, linear wipes it
            out: what is moved again and again needs Lanczos, thirty times as slow.

    Returns:
        float32 [H, W, 3].
    """
    size = picture.shape[1::-1]
    return cv2.warpAffine(picture, way, size, flags=method, borderMode=cv2.BORDER_REFLECT_101)


def unwarp_change(change: np.ndarray, way: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A change of the moved picture as one of the picture before the motion; none where it was not seen.

    Args:
        change: float32 [h, w, 3], smooth, of any size.
        way: of `Motion.after`, for the picture's size.
        size: height, width of the picture.

    Returns:
        float32 [H, W, 3].
    """
    height, width = size
    scale = np.array([[change.shape[1] / width], [change.shape[0] / height]])
    smaller = way * scale
    smaller[:, 2:] += 0.5 * scale - 0.5  # Pixels are counted from their middles.
    return cv2.warpAffine(change, smaller, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


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
