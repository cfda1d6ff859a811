"""From power in bins to the bands that a sound network takes, and to the bands of a canvas.

Bands, scale, mean and divisor are named by the network's card, in seconds and Hz, so a network takes the same
sound at any sample rate; bands above Nyquist stay empty. Training and dreaming share this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import librosa
import numpy as np

from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.source import ArraySource
from mmdream.audio.stft import Stft, make_stft, read_spectra

if TYPE_CHECKING:
    from mmdream.networks.card import AudioInput

Array = Any  # a NumPy array or a TensorFlow tensor; the same formula serves both


def compute_band_edges(bands: int, low_hz: float, high_hz: float, scale: str) -> np.ndarray:
    """Band centres, evenly spaced on a scale, with an edge beyond each end; float64 [band + 2], Hz.

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

    Low bins stay single, high ones are gathered by the dozen, which makes a step four times cheaper. `grids`
    are edges of bands, as `compute_band_edges` gives them.
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
