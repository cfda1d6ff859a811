"""Blur of a gradient and flattening of a dream, so that it grows shapes and not grain."""

from __future__ import annotations

import cv2
import numpy as np

MIN_HALVED_SIGMA = 1.4
"""px; from this sigma on the two wider Gaussians are taken at half size."""


def blur_cascade(gradient: np.ndarray, sigma: float) -> np.ndarray:
    """Mean of three Gaussian blurs at half, one and twice `sigma`.

    The cascade of gordicaleksa/pytorch-deepdream: one width would favour motifs of one size.

    Args:
        gradient: float32 [H, W, 3].
        sigma: of the middle Gaussian, in pixels, > 0.

    Returns:
        float32 [H, W, 3].
    """
    third = np.float32(1 / 3)
    height, width = gradient.shape[:2]
    if sigma < MIN_HALVED_SIGMA or min(height, width) < 16:
        fine = _blur(gradient, sigma / 2) + _blur(gradient, sigma)
        return third * (fine + _blur(gradient, 2 * sigma))
    # Wide Gaussians at half size: within 7 to 13 % on white noise, for a third of the time.
    half = cv2.resize(gradient, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    wide = _blur(half, sigma / 2) + _blur(half, sigma)
    wide = cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR)
    return third * (_blur(gradient, sigma / 2) + wide)


def flattening_gradient(gain: np.ndarray) -> np.ndarray:
    """The way to less variation, float32 [H, W, 3]: down the gradient of the sum of squared differences.

    Neighbours are drawn together; the square where total variation has the absolute value, so that edges of
    motifs may stay soft instead of becoming steps.
    """
    return cv2.Laplacian(gain, cv2.CV_32F, borderType=cv2.BORDER_REFLECT)


def _blur(gradient: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(gradient, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def cascade_sigma(step: int, steps: int) -> float:
    """Sigma of the cascade at one step of a climb: 0.5 px at first, 2.5 px at the last.

    After the same source: the early steps draw, the late ones round off.
    """
    return 0.5 + 2.0 * (step + 1) / steps
