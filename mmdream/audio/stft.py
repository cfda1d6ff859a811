"""The short-time Fourier transform on one absolute grid, and back without loss.

Frame h is centred on sample ``h * hop`` of the source's own clock, so any part of a sound can be
transformed alone and agrees with the whole. Hann windows of four hops on both sides add up to a
constant: a change in one frame fades in and out over its window, and no change gives every sample
    back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

HALF_WINDOW_HOPS = 2
"""Hops that a canvas's frame reaches to either side of its centre; its window is twice as long."""
HOP_SECONDS = 512 / 44100
"""Hop of every canvas, whatever network climbs it."""


@dataclass(frozen=True)
class Stft:
    """Lengths of one transform, in samples."""

    rate: int
    """Samples a second."""
    hop: int
    window: int
    """Even; ``2 * REACH * hop`` where spectra are to become samples again."""
    n_fft: int
    """Length of the transform: the window, padded to a length that the FFT takes quickly."""

    @property
    def n_bins(self) -> int:
        """Bins from 0 Hz to Nyquist."""
        return self.n_fft // 2 + 1

    @property
    def frequencies(self) -> np.ndarray:
        """float64 [bin], the centre of each bin."""
        return np.asarray(scipy.fft.rfftfreq(self.n_fft, 1.0 / self.rate))


def make_stft(rate: int, hop_seconds: float = HOP_SECONDS, hops: float = 2 * HALF_WINDOW_HOPS) -> Stft:
    """The transform for a rate: the same time and frequency resolution at every rate.

    Args:
        rate: samples a second, > 0.
        hop_seconds: wanted hop; rounded to whole samples.
        hops: length of the window in hops; rounded to an even number of samples.

    Returns:
        The lengths; the hop is at least one sample.
    """
    hop = max(1, round(rate * hop_seconds))
    window = 2 * max(1, round(hops * hop / 2))
    return Stft(rate, hop, window, int(scipy.fft.next_fast_len(window, real=True)))


def forward_stft(samples: np.ndarray, stft: Stft) -> np.ndarray:
    """Transform samples whose first one lies half a window before the first frame's centre.

    Scaled so that a sine reads its amplitude.

    Args:
        samples: float32 [channel, (frame - 1) * hop + window].
        stft: the lengths.

    Returns:
        complex64 [channel, frame, bin].
    """
    window = _hann_window(stft.window)
    frames = np.lib.stride_tricks.sliding_window_view(samples, stft.window, axis=-1)
    weighted = frames[:, :: stft.hop] * (window * np.float32(2.0 / window.sum()))
    return np.asarray(scipy.fft.rfft(weighted, n=stft.n_fft))


def inverse_stft(spectra: np.ndarray, stft: Stft) -> np.ndarray:
    """Overlap and add frames: the hops that lie under all frames that can reach them.

    `F` frames, the first centred on hop ``h``, give the samples of the hops ``h + REACH - 1`` to
    ``h + F - REACH`` (half open): at the rims of the block a neighbour would be missing.

    Args:
        spectra: complex64 [channel, F, bin], F >= 2 REACH - 1.
        stft: the lengths.

    Returns:
        float32 [channel, (F - 2 REACH + 1) * hop].
    """
    window = _hann_window(stft.window)
    n_channels, n_frames, _ = spectra.shape
    # The squares of Hann windows four to a window add up to 3/2.
    scale = window * np.float32(window.sum() / 2.0 / 1.5)
    frames = np.asarray(scipy.fft.irfft(spectra, n=stft.n_fft))[..., : stft.window] * scale
    cells = frames.reshape(n_channels, n_frames, 2 * HALF_WINDOW_HOPS, stft.hop)
    last = n_frames - 2 * HALF_WINDOW_HOPS + 1
    added = cells[:, :last, 2 * HALF_WINDOW_HOPS - 1].copy()
    for part in range(2 * HALF_WINDOW_HOPS - 1):
        shift = 2 * HALF_WINDOW_HOPS - 1 - part
        added += cells[:, shift : shift + last, part]
    return added.reshape(n_channels, last * stft.hop)


@lru_cache(maxsize=8)
def _hann_window(length: int) -> np.ndarray:
    """Periodic Hann window, float32 [length]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
