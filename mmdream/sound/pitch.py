"""The pitch of a sound, frame by frame, from spectra that are there already."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft

from mmdream.sound.stft import Stft

MIN_PITCH_HZ, MAX_PITCH_HZ = 80.0, 1500.0
VOICED_THRESHOLD = 0.55
"""Height of the autocorrelation, 0..1, from which on a frame has a pitch (Praat's threshold is 0.45)."""


def detect_pitch(power: np.ndarray, stft: Stft) -> np.ndarray:
    """Pitch by autocorrelation, over that of the window (Boersma 1993).

    Args:
        power: float32 [frame, bin].
        stft: the transform; its window is a Hann window.

    Returns:
        float64 [frame], Hz; 0 where there is none.
    """
    lags = np.arange(int(stft.rate / MAX_PITCH_HZ), min(int(stft.rate / MIN_PITCH_HZ), stft.window // 2))
    found = np.zeros(len(power))
    if not len(lags):
        return found
    own = scipy.fft.irfft(power, axis=1)
    likeness = own[:, lags] / np.maximum(own[:, :1], 1e-20) / _window_autocorrelation(stft)[lags]
    # A period's multiples are as like; the shortest that comes near the best is the period.
    best = likeness.max(axis=1)
    place = np.argmax(likeness > 0.9 * best[:, None], axis=1)
    # Up the hill that it stands on.
    for _ in range(int(stft.rate / MAX_PITCH_HZ / 4)):
        further = np.minimum(place + 1, len(lags) - 1)
        up = np.take_along_axis(likeness, further[:, None], 1) > np.take_along_axis(
            likeness, place[:, None], 1
        )
        place = np.where(up[:, 0], further, place)
    clear = (best > VOICED_THRESHOLD) & (best < 1.2)
    found[clear] = stft.rate / lags[place[clear]]
    return found


@lru_cache(maxsize=8)
def _window_autocorrelation(stft: Stft) -> np.ndarray:
    """Autocorrelation of the transform's window, 1 at lag 0."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(stft.window) / stft.window)
    own = np.asarray(scipy.fft.irfft(np.square(np.abs(scipy.fft.rfft(window, stft.n_fft)))))
    return np.maximum(own / own[0], 1e-3)
