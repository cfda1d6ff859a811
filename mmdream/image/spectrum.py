"""Filters of gradients and noise: spectrum and colours of natural images, blur, and random affine motion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from mmdream.core.rng import rng_for

COLOR_COVARIANCE_ROOT = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]], np.float32)
"""Root of the covariance of natural images' channels, as tensorflow/lucid measured it on ImageNet."""
COLOR_COVARIANCE = (
    COLOR_COVARIANCE_ROOT @ COLOR_COVARIANCE_ROOT.T / np.linalg.norm(COLOR_COVARIANCE_ROOT, axis=0).max() ** 2
)
NOISE_DEVIATION = 0.03
"""Of a pixel of noise, in the range 0..1: enough to begin from. On 0.12 other networks tell half as many
class dreams."""
MIN_HALVED_SIGMA = 1.4
"""px; from this sigma on the two wider Gaussians are taken at half size."""
MAX_ROTATION, MAX_SCALING = 10.0, 0.1
"""Degrees and share of the size, either way, of the random affine motion, as in tensorflow/lucid."""


def precondition_gradient(gradient: np.ndarray) -> np.ndarray:
    """Bring a gradient, float32 [H, W, 3], to the spectrum and the colours of natural images.

    A dream x = F z with the amplitudes of natural images in F moves by F F' times the pixels' gradient
    (Olah et al. 2017, "Feature visualization"): amplitudes fall with frequency, brightness moves most.
    """
    return np.asarray(_weaken_high_frequencies(gradient).astype(np.float32) @ COLOR_COVARIANCE)


def make_noise_image(height: int, width: int, seed: int) -> np.ndarray:
    """Soft coloured noise with the 1/f spectrum of natural images (Field 1987), [height, width, 3]."""
    white = rng_for(seed, "noise", height, width).standard_normal((height, width, 3))
    pink = _weaken_high_frequencies(white)
    return np.clip(0.5 + NOISE_DEVIATION * pink / max(pink.std(), 1e-12), 0, 1).astype(np.float32)


def make_reference_noise(side: int = 192) -> np.ndarray:
    """A fixed, mostly grey image of 1/f noise, [side, side, 3], to measure a layer's usual activations on."""
    white = rng_for(0, "pink").standard_normal((side, side, 4))
    # Not divided by the frequencies, which rounds otherwise.
    spectrum = np.fft.rfft2(white, axes=(0, 1)) * (1.0 / _frequencies(side, side))
    layers = np.fft.irfft2(spectrum, (side, side), (0, 1))
    layers /= layers.std(axis=(0, 1))
    grey, colors = layers[..., 3:], layers[..., :3]
    return np.clip(0.5 + 0.2 * (0.9 * grey + 0.4 * colors), 0, 1).astype(np.float32)


def _weaken_high_frequencies(image: np.ndarray) -> np.ndarray:
    """Divide the spectrum of [H, W, c] by its frequencies."""
    spectrum = np.fft.rfft2(image, axes=(0, 1)) / _frequencies(*image.shape[:2])
    return np.fft.irfft2(spectrum, image.shape[:2], axes=(0, 1))


def _frequencies(height: int, width: int) -> np.ndarray:
    """Cycles a pixel of each term of a real spectrum, at least one cycle an image, [row, column, 1]."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    return np.maximum(np.hypot(rows, columns), 1 / max(height, width))[..., None]


def temper_gradient(
    gradient: Callable[..., np.ndarray], color: float, margin: float
) -> Callable[..., np.ndarray]:
    """A gradient, image -> float32 [H, W, 3], that neither burns colours nor runs into black and white.

    Where it leads a channel to a limit of 0..1 that is nearer than `margin`, it is scaled by that distance
    (Coleman and Li 1996 scale by it everywhere); of its colour a share `color` is left. 1 and 0: as it is.
    What else the gradient takes is handed on.
    """
    if color == 1 and margin == 0:
        return gradient

    def tempered(image: np.ndarray, *place: Any) -> np.ndarray:
        slope = gradient(image, *place)
        grey = slope.mean(axis=2, keepdims=True)
        slope = grey + np.float32(color) * (slope - grey)
        if margin:
            distance = np.where(slope > 0, 1 - image, image)
            slope *= np.minimum(distance / np.float32(margin), 1)
        return slope

    return tempered


def blur_cascade(gradient: np.ndarray, sigma: float) -> np.ndarray:
    """Mean of three Gaussian blurs of [H, W, 3] at half, one and twice `sigma`, px: shapes grow, not grain.

    The cascade of gordicaleksa/pytorch-deepdream: one width would favour motifs of one size.
    """

    def blur(image: np.ndarray, sigma: float) -> np.ndarray:
        return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)

    third = np.float32(1 / 3)
    height, width = gradient.shape[:2]
    if sigma < MIN_HALVED_SIGMA or min(height, width) < 16:
        return third * (blur(gradient, sigma / 2) + blur(gradient, sigma) + blur(gradient, 2 * sigma))
    # Wide Gaussians at half size: within 7 to 13 % on white noise, for a third of the time.
    half = cv2.resize(gradient, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    wide = blur(half, sigma / 2) + blur(half, sigma)
    wide = cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR)
    return third * (blur(gradient, sigma / 2) + wide)


def cascade_sigma(step: int, steps: int) -> float:
    """Sigma of the cascade at one of so many steps, 0.5 to 2.5 px: early ones draw, late ones round off."""
    return 0.5 + 2.0 * (step + 1) / steps


def flattening_gradient(gain: np.ndarray) -> np.ndarray:
    """Descent of the sum of squared differences of neighbours, [H, W, 3]: edges of motifs may stay soft."""
    return cv2.Laplacian(gain, cv2.CV_32F, borderType=cv2.BORDER_REFLECT)


def gradient_under_affine(
    gradient: Callable[[np.ndarray], np.ndarray], image: np.ndarray, amounts: np.ndarray
) -> np.ndarray:
    """The gradient by way of the image turned and scaled by `amounts`, -1..1 of most; 0 beyond its rim."""
    height, width = image.shape[:2]
    middle = (width - 1) / 2, (height - 1) / 2
    turn, growth = float(amounts[0]), float(amounts[1])
    matrix = cv2.getRotationMatrix2D(middle, MAX_ROTATION * turn, 1 + MAX_SCALING * growth)
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    return cv2.warpAffine(gradient(moved), matrix, (width, height), flags=back)
