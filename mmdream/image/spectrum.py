"""The spectrum and the colours of natural pictures: noise that has them, and gradients brought to them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from mmdream.core import rng

COLOR_COVARIANCE_ROOT = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]], np.float32)
"""Root of the covariance of natural pictures' channels, as tensorflow/lucid measured it on ImageNet."""
NOISE_DEVIATION = 0.03
"""Of a pixel of noise, in the range 0..1: enough to begin from. On 0.12 other networks tell half as many
class dreams."""
COLOR_COVARIANCE = (
    COLOR_COVARIANCE_ROOT @ COLOR_COVARIANCE_ROOT.T / np.linalg.norm(COLOR_COVARIANCE_ROOT, axis=0).max() ** 2
)


def precondition_gradient(gradient: np.ndarray) -> np.ndarray:
    """A gradient by the pixels, as a dream that is parameterised by its decorrelated spectrum would move.

    A dream x = F z with the amplitudes of natural pictures in F moves by F F' times the pixels' gradient
    (Olah et al. 2017, "Feature visualization", preconditioning): amplitudes fall with frequency, and
    brightness moves more than colour.

    Args:
        gradient: float32 [H, W, 3].

    Returns:
        float32 [H, W, 3].
    """
    height, width = gradient.shape[:2]
    spectrum = np.fft.rfft2(gradient, axes=(0, 1)) / _frequency_grid(height, width)[..., None]
    moved = np.fft.irfft2(spectrum, (height, width), axes=(0, 1)).astype(np.float32)
    return np.asarray(moved @ COLOR_COVARIANCE)


def make_noise_image(height: int, width: int, seed: int) -> np.ndarray:
    """Soft coloured noise with the 1/f spectrum of natural pictures (Field 1987), to dream upon.

    Args:
        height: px.
        width: px.
        seed: the user's.

    Returns:
        float32 [height, width, 3], around 0.5.
    """
    white = rng.rng_for(seed, "noise", height, width).standard_normal((height, width, 3))
    spectrum = np.fft.rfft2(white, axes=(0, 1)) / _frequency_grid(height, width)[..., None]
    pink = np.fft.irfft2(spectrum, (height, width), axes=(0, 1))
    return np.clip(0.5 + NOISE_DEVIATION * pink / max(pink.std(), 1e-12), 0, 1).astype(np.float32)


def _frequency_grid(height: int, width: int) -> np.ndarray:
    """Cycles a pixel of each term of a real spectrum, at least one cycle a picture."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    return np.maximum(np.hypot(rows, columns), 1 / max(height, width))


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
