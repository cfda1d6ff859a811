"""The short-time Fourier transform on one absolute grid, and its inverse by overlap-add.

Frame h is centred on sample ``h * hop`` of the source's own clock, so any part of a sound can be
transformed alone and agrees with the whole. Hann windows of four hops for analysis and synthesis add up to a
constant: unchanged frames give the samples back, and a change in one frame fades in and out over its window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

from mmdream.audio.source import AudioSource, read_padded

HALF_WINDOW_HOPS = 2
"""Hops that a canvas's frame reaches to either side of its centre; its window is twice as long."""
HOP_SECONDS = 512 / 44100
"""Hop of every canvas, whatever the network."""


@dataclass(frozen=True)
class Stft:
    """Lengths of one transform, in samples."""

    rate: int
    """Samples a second."""
    hop: int
    window: int
    """Even; ``2 * HALF_WINDOW_HOPS * hop`` where the inverse is needed."""
    n_fft: int
    """Length of the transform: the window, padded to a length that the FFT takes quickly."""

    @property
    def n_bins(self) -> int:
        """Bins from 0 Hz to Nyquist."""
        return self.n_fft // 2 + 1

    @property
    def frequencies(self) -> np.ndarray:
        """float64 [bin], the centre of each bin, Hz."""
        return np.asarray(scipy.fft.rfftfreq(self.n_fft, 1.0 / self.rate))


def make_stft(rate: int, hop_seconds: float = HOP_SECONDS, hops: float = 2 * HALF_WINDOW_HOPS) -> Stft:
    """The transform for a rate: the same time and frequency resolution at every rate.

    The hop is rounded to whole samples, at least one; the window, `hops` of them, to an even number.
    """
    hop = max(1, round(rate * hop_seconds))
    window = 2 * max(1, round(hops * hop / 2))
    return Stft(rate, hop, window, int(scipy.fft.next_fast_len(window, real=True)))


def forward_stft(samples: np.ndarray, stft: Stft) -> np.ndarray:
    """Transform samples, float32 [channel, (frame - 1) * hop + window]; complex64 [channel, frame, bin].

    The first sample lies half a window before the first frame's centre. A sine reads its amplitude.
    """
    window = _hann_window(stft.window)
    frames = np.lib.stride_tricks.sliding_window_view(samples, stft.window, axis=-1)
    weighted = frames[:, :: stft.hop] * (window * np.float32(2.0 / window.sum()))
    return np.asarray(scipy.fft.rfft(weighted, n=stft.n_fft))


def read_spectra(source: AudioSource, stft: Stft, first: int, stop: int, offset: int = 0) -> np.ndarray:
    """Frames `first` to `stop` of a sound, which is silent beyond its ends; complex64 [channel, frame, bin].

    The sound begins at sample `offset` of the absolute clock.
    """
    start = first * stft.hop - stft.window // 2 - offset
    end = (stop - 1) * stft.hop + stft.window // 2 - offset
    return forward_stft(read_padded(source, start, end), stft)


def sum_power(spectra: np.ndarray) -> np.ndarray:
    """Power summed over the channels, float32 [frame, bin] of complex64 [channel, frame, bin]."""
    return np.asarray(np.square(spectra.real).sum(axis=0) + np.square(spectra.imag).sum(axis=0))


def inverse_stft(spectra: np.ndarray, stft: Stft) -> np.ndarray:
    """Overlap and add frames: the hops that lie under all frames that can reach them.

    With H = HALF_WINDOW_HOPS, F >= 2 H - 1 frames from hop ``h`` on, complex64 [channel, F, bin], give the
    hops ``h + H - 1`` to ``h + F - H`` (half open), float32 [channel, sample]: at the edges neighbours are
    missing.
    """
    overlap = 2 * HALF_WINDOW_HOPS
    window = _hann_window(stft.window)
    n_channels, n_frames, _ = spectra.shape
    # The squares of Hann windows four to a window add up to 3/2.
    scale = window * np.float32(window.sum() / 2.0 / 1.5)
    frames = np.asarray(scipy.fft.irfft(spectra, n=stft.n_fft))[..., : stft.window] * scale
    parts = frames.reshape(n_channels, n_frames, overlap, stft.hop)
    n_hops = n_frames - overlap + 1
    added = parts[:, :n_hops, overlap - 1].copy()
    for part in range(overlap - 1):
        shift = overlap - 1 - part
        added += parts[:, shift : shift + n_hops, part]
    return added.reshape(n_channels, n_hops * stft.hop)


def overlap_add(blocks: Iterable[np.ndarray], stft: Stft) -> Iterator[np.ndarray]:
    """The samples of a long sound's frames, which come in blocks, complex64 [channel, frame, bin].

    The first sample is that of hop ``h + HALF_WINDOW_HOPS - 1`` where ``h`` is the hop of the first frame.
    """
    carry: np.ndarray | None = None
    for block in blocks:
        frames = block if carry is None else np.concatenate((carry, block), axis=1)
        carry = frames[:, 1 - 2 * HALF_WINDOW_HOPS :]
        if frames.shape[1] >= 2 * HALF_WINDOW_HOPS:
            yield inverse_stft(frames, stft)


@lru_cache(maxsize=8)
def _hann_window(length: int) -> np.ndarray:
    """Periodic Hann window, float32 [length]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
