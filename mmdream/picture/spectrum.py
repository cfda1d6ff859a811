"""The spectrum and the colours of natural pictures: noise that has them, and gradients brought to them."""

from __future__ import annotations

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
