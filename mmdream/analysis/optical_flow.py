"""Motion between two frames, where it can be trusted, and a picture moved along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

UNLIKE_LEVELS = 6
"""Grey levels, mean over 5x5: a larger difference is another thing."""


@dataclass(frozen=True, slots=True)
class OpticalFlow:
    """How to fetch the previous frame's pixels for this frame."""

    back: np.ndarray
    """float32 [h, w, 2]: a pixel (x, y) of this frame lay at (x, y) + back in the previous one, px."""
    trust: np.ndarray
    """float32 [h, w], 0..1: 0 where the pixel was hidden, left the picture or lies on a motion edge."""


def half_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the grid that motion, and all that changes smoothly with it, is kept on.

    DIS is 4x cheaper there, and the detail that is to be moved is blurred to more than a pixel anyway.
    """
    return max(1, size[0] // 2), max(1, size[1] // 2)


def to_gray(rgb: np.ndarray) -> np.ndarray:
    """The picture that flow is measured on, from float32 [H, W, 3], 0..1: uint8 [h, w], half size."""
    height, width = half_size((rgb.shape[0], rgb.shape[1]))
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return np.rint(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) * 255).astype(np.uint8)


def estimate_flow(previous: np.ndarray, current: np.ndarray) -> OpticalFlow:
    """Dense flow both ways (OpenCV's DIS, Kroeger et al. 2016) and its trust.

    The medium preset, with wider steps between patches and fewer iterations, which halves its time and costs
    little (R of a street scene .133 instead of .128); the fast preset is wrong twice as often on skies and
    walls (R .18).
    The tests of Ruder et al. (2016): forward and backward flow must agree, and the flow must not jump.
    Their limits are squared pixels of the full size, of which one at half size holds four. A place that
    fails them is trusted all the same if the flow fetches the very picture that is there: around moving
    people the flow is smeared over a still background, and a dream that starts anew there would boil.

    Args:
        previous: uint8 [h, w], from `to_gray`.
        current: the same, of this frame.

    Returns:
        The flow at their size. Pictures under 16 px are too small for DIS: nothing is trusted there.
    """
    if min(current.shape) < 16:
        return OpticalFlow(np.zeros((*current.shape, 2), np.float32), np.zeros(current.shape, np.float32))
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setPatchStride(4)
    dis.setGradientDescentIterations(16)
    dis.setVariationalRefinementIterations(3)
    back = dis.calc(current, previous, None)
    forth = dis.calc(previous, current, None)
    at = _sample_positions(back)
    returned = _remap(forth, at)
    length = _squared_length(returned) + _squared_length(back)
    hidden = _squared_length(returned + back) >= 0.01 * length + 0.5 / 4
    edge = _squared_gradient(back) > 0.01 * 4 * _squared_length(back) + 0.002
    x, y = at[..., 0], at[..., 1]
    height, width = current.shape
    outside = (x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)
    fetched = _remap(previous, at)
    unlike = cv2.blur(cv2.absdiff(fetched, current), (5, 5)) > UNLIKE_LEVELS
    trust = 1.0 - ((hidden | edge) & unlike | outside).astype(np.float32)
    # The blur avoids a hard rim.
    trust = cv2.blur(trust, (3, 3), borderType=cv2.BORDER_REPLICATE)
    return OpticalFlow(back, trust)


def warp(sharp: np.ndarray, smooth: Sequence[np.ndarray], back: np.ndarray) -> list[np.ndarray]:
    """Fetch pictures along a backward flow.

    Args:
        sharp: float32 [H, W, c] of any size, interpolated cubic: linear would blur it away within a second.
        smooth: float32 [h, w] or [h, w, c] each, interpolated linear for a third of the time.
        back: float32 [h, w, 2], px of h, w.

    Returns:
        All the pictures, in the same shapes.
    """
    at = _sample_positions(back)
    fetched = [_remap(p, at) for p in smooth]
    height, width = sharp.shape[:2]
    if (height, width) != back.shape[:2]:
        scale = width / back.shape[1], height / back.shape[0]
        back = cv2.resize(back, (width, height), interpolation=cv2.INTER_LINEAR)
        back[..., 0] *= scale[0]
        back[..., 1] *= scale[1]
        at = _sample_positions(back)
    return [_remap(sharp, at, cv2.INTER_CUBIC), *fetched]


def _sample_positions(back: np.ndarray) -> np.ndarray:
    """Where each pixel is fetched from, x and y, float32 [h, w, 2]."""
    return _pixel_grid(*back.shape[:2]) + back


def _remap(picture: np.ndarray, at: np.ndarray, method: int = cv2.INTER_LINEAR) -> np.ndarray:
    """The pixels of a picture at these places; beyond its rim, those of the rim."""
    remap: Any = cv2.remap  # Its stubs do not know that both coordinates may lie in one array.
    return remap(picture, at, None, method, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=8)
def _pixel_grid(height: int, width: int) -> np.ndarray:
    """Each pixel's own x and y, float32 [h, w, 2]."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack((x, y), axis=-1)


def _squared_length(vectors: np.ndarray) -> np.ndarray:
    x, y = vectors[..., 0], vectors[..., 1]
    return x * x + y * y


def _squared_gradient(vectors: np.ndarray) -> np.ndarray:
    """Squared length of the flow's gradient, central differences."""
    dx = cv2.Sobel(vectors, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    dy = cv2.Sobel(vectors, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    return _squared_length(dx) + _squared_length(dy)
