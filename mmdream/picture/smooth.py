"""Blur of a gradient, so that a dream grows shapes and not grain."""

from __future__ import annotations

import cv2
import numpy as np


def cascade(gradient: np.ndarray, sigma: float) -> np.ndarray:
    """Mean of three Gaussian blurs at half, one and twice `sigma`.

    The cascade of gordicaleksa/pytorch-deepdream: one width would favour motifs of one size.

    Args:
        gradient: float32 [H, W, 3].
        sigma: of the middle Gaussian, in pixels, > 0.

    Returns:
        float32 [H, W, 3].
    """
    blurred = [
        cv2.GaussianBlur(gradient, (0, 0), sigma * factor, borderType=cv2.BORDER_REFLECT)
        for factor in (0.5, 1.0, 2.0)
    ]
    smooth: np.ndarray = cv2.addWeighted(blurred[0], 1 / 3, blurred[1], 1 / 3, 0)
    return cv2.addWeighted(smooth, 1.0, blurred[2], 1 / 3, 0)


def width(step: int, steps: int) -> float:
    """Sigma of the cascade at one step of a climb: 0.5 px at first, 2.5 px at the last.

    After the same source: the early steps draw, the late ones round off.
    """
    return 0.5 + 2.0 * (step + 1) / steps
