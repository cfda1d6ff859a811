"""Motion between two frames, where it can be trusted, and a picture moved along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

UNLIKE = 6
"""Grey levels, mean over 5x5: a larger difference is another thing."""


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
    Their limits are squared pixels of the full size, of which one at half size holds four. A place that
    fails them is trusted all the same if the flow fetches the very picture that is there: around moving
    people the flow is smeared over a still background, and a dream that starts anew there would boil.

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
    fetched = cv2.remap(previous, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    unlike = cv2.blur(cv2.absdiff(fetched, current), (5, 5)) > UNLIKE
    trust = 1.0 - ((hidden | edge) & unlike | outside).astype(np.float32)
    # The blur avoids a hard rim.
    trust = cv2.blur(trust, (3, 3), borderType=cv2.BORDER_REPLICATE)
    full = (size[1], size[0])
    back = cv2.resize(back, full, interpolation=cv2.INTER_LINEAR)
    back[..., 0] *= size[1] / width
    back[..., 1] *= size[0] / height
    return Flow(
        back,
        np.clip(cv2.resize(trust, full, interpolation=cv2.INTER_LINEAR), 0, 1),
    )


def warp(sharp: np.ndarray, smooth: Sequence[np.ndarray], back: np.ndarray) -> list[np.ndarray]:
    """Fetch pictures along a backward flow.

    Args:
        sharp: float32 [H, W, c], interpolated cubic: linear would blur it away within a second.
        smooth: float32 [H, W] or [H, W, c] each, interpolated linear for a third of the time.
        back: float32 [H, W, 2], px.

    Returns:
        All the pictures, in the same shapes.
    """
    x, y = _places(back)
    methods = [cv2.INTER_CUBIC] + [cv2.INTER_LINEAR] * len(smooth)
    return [
        cv2.remap(picture, x, y, method, borderMode=cv2.BORDER_REPLICATE)
        for picture, method in zip((sharp, *smooth), methods, strict=True)
    ]


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
