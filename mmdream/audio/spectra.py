"""Spectra of sounds: the short-time Fourier transform on one absolute grid, its inverse, and its bands.

Frame h is centred on sample ``h * hop`` of the source's own clock, so any part of a sound can be transformed
alone and agrees with the whole. Hann windows of four hops for analysis and synthesis add up to a constant:
unchanged frames give the samples back, and a change in one frame fades in and out over its window. The bands
of a sound network are named by its card, in seconds and Hz, so it takes the same sound at any sample rate;
bands above Nyquist stay empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import librosa
import numpy as np
import scipy.fft

from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.source import ArraySource, AudioSource, read_padded

if TYPE_CHECKING:
    from mmdream.networks.card import AudioInput

Array = Any  # a NumPy array or a TensorFlow tensor; the same formula serves both

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
    """The window, padded to a length that the FFT takes quickly."""

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
    """Periodic, float32 [length]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def compute_band_edges(bands: int, low_hz: float, high_hz: float, scale: str) -> np.ndarray:
    """Centres of bands, evenly spaced on a scale, with an edge beyond each end; float64 [band + 2], Hz.

    The scale is "htk" or "slaney" (`librosa.hz_to_mel`), where low_hz and high_hz are the outer edges, or
    "linear", where they are the outer centres, which are bins. There are at least two bands.
    """
    if scale != "linear":
        return np.asarray(librosa.mel_frequencies(bands + 2, fmin=low_hz, fmax=high_hz, htk=scale == "htk"))
    width = (high_hz - low_hz) / (bands - 1)
    return np.linspace(low_hz - width, high_hz + width, bands + 2)


def network_band_edges(spec: AudioInput) -> np.ndarray:
    """The edges of a network's bands: mel, or bins where it hears linear power."""
    scale = "linear" if spec.kind == "power" else spec.mel
    return compute_band_edges(spec.bands, spec.low_hz, spec.high_hz, scale)


def make_network_stft(spec: AudioInput, rate: int) -> Stft:
    """A network's own transform at a sample rate, before its columns are decimated."""
    return make_stft(rate, spec.hop_seconds, spec.window_seconds / spec.hop_seconds)


def make_network_filterbank(spec: AudioInput, stft: Stft) -> np.ndarray:
    """A network's own bands, as `make_filterbank` gives them; bins stay as narrow as they are."""
    return make_filterbank(network_band_edges(spec), stft, 1.0 if spec.kind == "power" else 1.5)


def make_filterbank(edges: np.ndarray, stft: Stft, min_bins: float = 1.5) -> np.ndarray:
    """Triangles that average the power of bins into bands, float32 [bin, band]; zero above Nyquist.

    Each reaches at least `min_bins` to either side, so that no low band falls between two bins (librosa's
    filters do, and warn); at 1 a band for each bin reads that bin alone. It sums to 1 over its bins: white
    noise reads alike in every band.
    """
    width = stft.rate / stft.n_fft
    center = edges[1:-1]
    below = np.maximum(center - edges[:-2], min_bins * width)
    above = np.maximum(edges[2:] - center, min_bins * width)
    bank = make_triangles(stft.frequencies, center, below, above)
    bank[:, center > stft.rate / 2] = 0.0
    return np.asarray(bank / np.maximum(bank.sum(axis=0), 1e-12), dtype=np.float32)


def make_triangles(hz: np.ndarray, center: np.ndarray, below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Triangles of height 1, float64 [frequency, band]: their centres and what they reach, all in Hz."""
    offset = hz[:, None] - center
    return np.clip(1.0 - np.where(offset < 0, -offset / below, offset / above), 0.0, None)


def make_band_interpolation(edges: np.ndarray, stft: Stft) -> np.ndarray:
    """Linear interpolation from bands to bins, held beyond the outermost centres, float32 [band, bin]."""
    center = edges[1:-1]
    rows = [np.interp(stft.frequencies, center, row) for row in np.eye(len(center))]
    return np.stack(rows).astype(np.float32)


def normalize_bands(
    power: Array, spec: AudioInput, log: Callable[..., Any] = np.log, exp: Callable[..., Any] = np.exp
) -> Array:
    """Levelled band powers, float32 [..., band], on the network's scale: (scaled power - mu) / divisor.

    The scales are those of `AudioInput.kind`; `log` and `exp` are of the library that `power` belongs to.
    """
    scaled = log(power * np.float32(spec.unit) + np.float32(spec.floor))
    if spec.kind == "db-mel":
        scaled = scaled * np.float32(10 / np.log(10))
    elif spec.kind == "power":
        scaled = exp(scaled * np.float32(spec.exponent))
    return (scaled - np.asarray(spec.mu, np.float32)) / np.float32(spec.divisor)


def compute_typical_power(spec: AudioInput, edges: np.ndarray) -> np.ndarray:
    """The levelled power of a bin where `normalize_bands` gives 0: of an average sound, float64 [band]."""
    scaled = np.asarray(spec.mu, np.float64)
    if spec.kind == "db-mel":
        scaled = scaled / (10 / np.log(10))
    elif spec.kind == "power":
        scaled = np.log(np.maximum(scaled, 1e-12)) / spec.exponent
    power = np.maximum(np.exp(scaled) - spec.floor, spec.floor) / spec.unit
    centers = network_band_edges(spec)[1:-1]
    return np.exp(np.interp(edges[1:-1], centers, np.log(np.broadcast_to(power, centers.shape))))


def group_bins(stft: Stft, *grids: np.ndarray) -> np.ndarray:
    """The first bins, int [group], of runs that share one gain: each at most a quarter of any band.

    Gathering high ones makes a step four times cheaper. `grids` are as `compute_band_edges` gives them.
    """
    bands = [np.interp(stft.frequencies, edges[1:-1], np.arange(len(edges) - 2)) for edges in grids]
    quarters = np.floor(4 * np.stack(bands)).astype(int)
    starts = np.any(np.diff(quarters, axis=1) > 0, axis=0)
    return np.flatnonzero(np.concatenate(([True], starts)))


def measure_band_power(samples: np.ndarray, rate: int, spec: AudioInput) -> np.ndarray:
    """Levelled power in a network's bands of one channel, float32 [sample], before columns are decimated.

    Gives float32 [column, band]; column k, of at least one, is centred on sample k * hop.
    """
    stft = make_network_stft(spec, rate)
    columns = max(1, len(samples) // stft.hop)
    power = np.square(np.abs(read_spectra(ArraySource(samples[None], rate), stft, 0, columns)[0]))
    meter = LoudnessMeter(rate, 1)
    meter.feed(samples[None])
    factor = meter.level_factor(spec.level_dbfs)
    return np.asarray(power @ make_network_filterbank(spec, stft) * np.float32(factor**2), np.float32)


def to_network_input(power: np.ndarray, spec: AudioInput) -> np.ndarray:
    """Power, float32 [n, column, band], normalised and decimated: [n, column / decimation, band, 1]."""
    return np.asarray(normalize_bands(power[:, :: spec.decimation], spec), np.float32)[..., None]
