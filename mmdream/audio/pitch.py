"""Pitch of sounds, frame by frame and as a whole."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft

from mmdream.audio.spectra import Stft

MIN_PITCH_HZ, MAX_PITCH_HZ = 80.0, 1500.0
VOICED_THRESHOLD = 0.55
"""Height of the autocorrelation, 0..1, from which on a frame has a pitch (Praat's threshold is 0.45)."""
EDGE_SHARE = 0.97
"""Of the highest pitch: one that high is where the search ends, and not sure."""


def detect_pitch(power: np.ndarray, stft: Stft, fine: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Pitch of power [frame, bin], Hz, 0: none, and how sure it is, 0..1; float64 [frame] both.

    By autocorrelation (Boersma 1993); its height is how sure the pitch is. Periods are whole samples; `fine`
    ones lie at the top of a parabola, and are looked for further.
    """
    lags = np.arange(int(stft.rate / MAX_PITCH_HZ), min(int(stft.rate / MIN_PITCH_HZ), stft.window // 2))
    pitch = np.zeros(len(power))
    if not len(lags):
        return pitch, pitch
    correlation = scipy.fft.irfft(power, axis=1)
    correlation = correlation[:, lags] / np.maximum(correlation[:, :1], 1e-20)
    correlation = correlation / _window_autocorrelation(stft)[lags]
    # A period's multiples correlate as well; the shortest lag that comes near the best is the period.
    best = correlation.max(axis=1)
    lag = np.argmax(correlation > 0.9 * best[:, None], axis=1)
    # From there to the local maximum: a low tone without overtones comes near it long before.
    for _ in range(lags[-1] // 10 if fine else int(stft.rate / MAX_PITCH_HZ / 4)):
        following = np.minimum(lag + 1, len(lags) - 1)
        here, there = (np.take_along_axis(correlation, at[:, None], 1)[:, 0] for at in (lag, following))
        lag = np.where(there > here, following, lag)
    voiced = (best > VOICED_THRESHOLD) & (best < 1.2)
    period = lags[lag].astype(np.float64)
    if fine:
        beside = (np.clip(lag + each, 0, len(lags) - 1)[:, None] for each in (-1, 0, 1))
        low, top, high = (np.take_along_axis(correlation, each, 1)[:, 0] for each in beside)
        bend = np.minimum(low - 2 * top + high, -1e-9)
        period += np.clip(0.5 * (low - high) / bend, -0.5, 0.5)
    pitch[voiced] = stft.rate / period[voiced]
    return pitch, np.where(voiced, np.minimum(best, 1.0), 0.0)


@lru_cache(maxsize=8)
def _window_autocorrelation(stft: Stft) -> np.ndarray:
    """Autocorrelation of the transform's window, 1 at lag 0."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(stft.window) / stft.window)
    correlation = np.asarray(scipy.fft.irfft(np.square(np.abs(scipy.fft.rfft(window, stft.n_fft)))))
    return np.maximum(correlation / correlation[0], 1e-3)


def summarize_pitch(power: np.ndarray, stft: Stft) -> tuple[float, float]:
    """Pitch of a short sound, Hz, 0: none, and how sure it is, 0..1, from power [frame, bin].

    The median over its loud frames that have one; sure where most have one, and much the same.
    """
    pitch, sureness = detect_pitch(power, stft, fine=True)
    loudness = power.sum(axis=1)
    loud = loudness > 0.05 * loudness.max(initial=0.0)
    voiced = loud & (pitch > 0) & (pitch < EDGE_SHARE * MAX_PITCH_HZ)
    if not voiced.any():
        return 0.0, 0.0
    median = float(np.median(pitch[voiced]))
    # Within a semitone and a half.
    steady = voiced & (np.abs(np.log2(np.maximum(pitch, 1.0) / median)) < 0.125)
    if not steady.any():
        return 0.0, 0.0
    confidence = float(np.median(sureness[steady])) * float(steady.sum() / loud.sum())
    return float(np.median(pitch[steady])), confidence
