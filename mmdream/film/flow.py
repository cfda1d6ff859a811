"""Motion between two frames, where it can be trusted, and a picture moved along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np


@dataclass(frozen=True, slots=True)
class Flow:
    """How to fetch the previous frame's pixels for this frame."""

    back: np.ndarray
    """float32 [H, W, 2]: a pixel (x, y) of this frame lay at (x, y) + back in the previous one, px."""
    trust: np.ndarray
    """float32 [H, W], 0..1: 0 where the pixel was hidden, left the picture or lies on a motion edge."""


def grey(rgb: np.ndarray) -> np.ndarray:
    """The picture that flow is measured on: uint8 [h, w], half size.

    DIS is 4x cheaper there, and the detail that is to be moved is blurred to more than a pixel anyway.
    """
    height, width = rgb.shape[:2]
    half = (max(1, width // 2), max(1, height // 2))
    small = cv2.resize(rgb, half, interpolation=cv2.INTER_AREA)
    return np.rint(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) * 255).astype(np.uint8)


def between(previous: np.ndarray, current: np.ndarray, size: tuple[int, int]) -> Flow:
    """Dense flow both ways (OpenCV's DIS, Kroeger et al. 2016) and its trust.

    The medium preset: on skies and walls the fast one is wrong twice as often, for 3 ms less.
    The tests of Ruder et al. (2016): forward and backward flow must agree, and the flow must not jump.
    Their limits are squared pixels of the full size, of which one at half size holds four.

    Args:
        previous: uint8 [h, w], from `grey`.
        current: the same, of this frame.
        size: height, width of the wanted flow, about twice h, w.

    Returns:
        The flow at full size. Pictures under 16 px are too small for DIS: nothing is trusted there.
    """
    if min(current.shape) < 16:
        return Flow(np.zeros((*size, 2), np.float32), np.zeros(size, np.float32))
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back = dis.calc(current, previous, None)
    forth = dis.calc(previous, current, None)
    returned = cv2.remap(forth, *_places(back), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    length = _square(returned) + _square(back)
    hidden = _square(returned + back) >= 0.01 * length + 0.5 / 4
    edge = _gradient(back) > 0.01 * 4 * _square(back) + 0.002
    x, y = _places(back)
    height, width = current.shape
    outside = (x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)
    # The 3x3 minimum after fast-artistic-videos keeps the seam itself out; the blur avoids a hard rim.
    trust = cv2.erode(1.0 - (hidden | edge | outside).astype(np.float32), np.ones((3, 3)))
    trust = cv2.blur(trust, (3, 3), borderType=cv2.BORDER_REPLICATE)
    full = (size[1], size[0])
    scale = np.array([size[1] / width, size[0] / height], np.float32)
    return Flow(
        cv2.resize(back, full, interpolation=cv2.INTER_LINEAR) * scale,
        np.clip(cv2.resize(trust, full, interpolation=cv2.INTER_LINEAR), 0, 1),
    )


def warp(picture: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Fetch a picture along a backward flow, cubic (linear would blur it away within a second).

    Args:
        picture: float32 [H, W, c].
        back: float32 [H, W, 2], px.

    Returns:
        float32 [H, W, c].
    """
    moved: np.ndarray = cv2.remap(picture, *_places(back), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return moved


def _places(back: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = back.shape[:2]
    x = np.arange(width, dtype=np.float32)[None] + back[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + back[..., 1]
    return x, y


def _square(vectors: np.ndarray) -> np.ndarray:
    x, y = vectors[..., 0], vectors[..., 1]
    return x * x + y * y


def _gradient(vectors: np.ndarray) -> np.ndarray:
    """Squared length of the flow's gradient, central differences."""
    dx = cv2.Sobel(vectors, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    dy = cv2.Sobel(vectors, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    return _square(dx) + _square(dy)
