"""The gradient of a picture that is turned and scaled before it: motifs then hold at more than one angle."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

MAX_ROTATION = 10.0
"""Degrees either way, and"""
MAX_SCALING = 0.1
"""share of the size either way, that a picture wanders at most, as in tensorflow/lucid."""


def gradient_under_affine(
    slope: Callable[[np.ndarray], np.ndarray], picture: np.ndarray, drawn: np.ndarray
) -> np.ndarray:
    """The gradient at a picture, by way of one that is turned and scaled about its middle.

    Args:
        slope: float32 [H, W, 3] -> gradient of the same shape.
        picture: float32 [H, W, 3].
        drawn: how far to turn and to grow, each -1..1 of the most.

    Returns:
        float32 [H, W, 3]; 0 where the turned picture does not reach.
    """
    height, width = picture.shape[:2]
    middle = (width - 1) / 2, (height - 1) / 2
    way = cv2.getRotationMatrix2D(middle, MAX_ROTATION * float(drawn[0]), 1 + MAX_SCALING * float(drawn[1]))
    there = cv2.warpAffine(picture, way, (width, height), borderMode=cv2.BORDER_REFLECT)
    back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    return cv2.warpAffine(slope(there), way, (width, height), flags=back)
