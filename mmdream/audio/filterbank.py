"""What a sound network hears: power in bands on a scale of its own; and the grid of bands that a canvas has.

One front end for all: spectrogram, bands, scale, mean and divisor, each named by the network's card. Windows
are given in seconds and bands in Hz, so a network hears the same sound at any sample rate; bands above the
Nyquist frequency stay empty and hold the card's floor. Training and dreaming share it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import librosa
import numpy as np

from mmdream.audio.loudness import LoudnessMeter, compute_level_factor
from mmdream.audio.source import ArraySource, read_padded
from mmdream.audio.stft import Stft, forward_stft, make_stft

if TYPE_CHECKING:
    from mmdream.networks.card import AudioInput

Array = Any  # a NumPy array or a TensorFlow tensor; the same formula serves both


def compute_band_edges(bands: int, low_hz: float, high_hz: float, scale: str) -> np.ndarray:
    """Band centres, evenly spaced on a scale, with an edge beyond each end.

    Args:
        bands: how many, at least 2.
        low_hz: the lowest edge of mel bands; the lowest centre of linear ones, which are bins.
        high_hz: likewise the highest.
        scale: "htk" or "slaney" (`librosa.hz_to_mel`), or "linear".

    Returns:
        float64 [band + 2], Hz.
    """
    if scale != "linear":
        return np.asarray(librosa.mel_frequencies(bands + 2, fmin=low_hz, fmax=high_hz, htk=scale == "htk"))
    width = (high_hz - low_hz) / (bands - 1)
    return np.linspace(low_hz - width, high_hz + width, bands + 2)


def network_band_edges(front: AudioInput) -> np.ndarray:
    """The edges of a network's bands: mel, or bins where it hears linear power."""
    scale = "linear" if front.kind == "power" else front.mel
    return compute_band_edges(front.bands, front.low_hz, front.high_hz, scale)


def make_network_stft(front: AudioInput, rate: int) -> Stft:
    """A network's own transform at a sample rate, before its columns are thinned out."""
    return make_stft(rate, front.hop_seconds, front.window_seconds / front.hop_seconds)


def make_network_filterbank(front: AudioInput, stft: Stft) -> np.ndarray:
    """A network's own bands, as `make_filterbank` gives them; bins stay as narrow as they are."""
    return make_filterbank(network_band_edges(front), stft, 1.0 if front.kind == "power" else 1.5)


def make_filterbank(edges: np.ndarray, stft: Stft, least: float = 1.5) -> np.ndarray:
    """Triangles that average the power of bins into bands.

    Each reaches a number of bins at least to either side, so that no low band falls between two bins
    (librosa's filters do, and warn), and sums to 1 over its bins: white noise reads alike in every
    band.

    Args:
        edges: of the bands, Hz, as `compute_band_edges` gives them.
        stft: the transform.
        least: bins; at 1 a band for each bin reads that bin alone.

    Returns:
        float32 [bin, band]; a band whose centre lies above Nyquist is zero.
    """
    width = stft.rate / stft.n_fft
    centre = edges[1:-1]
    below = np.maximum(centre - edges[:-2], least * width)
    above = np.maximum(edges[2:] - centre, least * width)
    offset = stft.frequencies[:, None] - centre
    bank = np.clip(1.0 - np.where(offset < 0, -offset / below, offset / above), 0.0, None)
    bank[:, centre > stft.rate / 2] = 0.0
    return np.asarray(bank / np.maximum(bank.sum(axis=0), 1e-12), dtype=np.float32)


def make_band_interpolation(edges: np.ndarray, stft: Stft) -> np.ndarray:
    """Linear interpolation from bands to bins, held beyond the outermost centres.

    No band has a hard edge.

    Returns:
        float32 [band, bin]; each bin's weights sum to 1.
    """
    centre = edges[1:-1]
    return np.stack([np.interp(stft.frequencies, centre, row) for row in np.eye(len(centre))]).astype(
        np.float32
    )


def normalize_bands(
    power: Array, front: AudioInput, log: Callable[..., Any] = np.log, exp: Callable[..., Any] = np.exp
) -> Array:
    """Band powers as the network takes them.

    Args:
        power: float32 [..., band], levelled: the sound's level factor is in it already.
        front: the network's front end.
        log: of the library that `power` belongs to.
        exp: likewise.

    Returns:
        float32, the same shape: (scaled power - mu) / divisor; see `SoundInput.kind` for the scales.
    """
    scaled = log(power * np.float32(front.unit) + np.float32(front.floor))
    if front.kind == "db-mel":
        scaled = scaled * np.float32(10 / np.log(10))
    elif front.kind == "power":
        scaled = exp(scaled * np.float32(front.exponent))
    return (scaled - np.asarray(front.mu, np.float32)) / np.float32(front.divisor)


def compute_typical_power(front: AudioInput, edges: np.ndarray) -> np.ndarray:
    """The power, levelled, of a bin of the sound that a network finds average: where `normalize_bands` gives 0.

    Args:
        front: the network's front end.
        edges: of the bands that are wanted, Hz, as `compute_band_edges` gives them.

    Returns:
        float64 [band].
    """
    scaled = np.asarray(front.mu, np.float64)
    if front.kind == "db-mel":
        scaled = scaled / (10 / np.log(10))
    elif front.kind == "power":
        scaled = np.log(np.maximum(scaled, 1e-12)) / front.exponent
    power = np.maximum(np.exp(scaled) - front.floor, front.floor) / front.unit
    own = network_band_edges(front)[1:-1]
    return np.exp(np.interp(edges[1:-1], own, np.log(np.broadcast_to(power, own.shape))))


def group_bins(stft: Stft, *grids: np.ndarray) -> np.ndarray:
    """Runs of bins that one gain may serve while a canvas is climbed: a quarter of any band at most.

    Low bins stay single, high ones are gathered by the dozen, which makes a step four times
    cheaper.

    Args:
        stft: the transform.
        grids: edges of bands, as `compute_band_edges` gives them.

    Returns:
        int [group], the first bin of each run; fit for ``np.add.reduceat``.
    """
    places = [np.interp(stft.frequencies, edges[1:-1], np.arange(len(edges) - 2)) for edges in grids]
    quarters = np.floor(4 * np.stack(places)).astype(int)
    begins = np.any(np.diff(quarters, axis=1) > 0, axis=0)
    return np.flatnonzero(np.concatenate(([True], begins)))


pass


def measure_band_power(samples: np.ndarray, rate: int, front: AudioInput) -> np.ndarray:
    """Levelled power in a network's bands, before its columns are thinned out.

    Args:
        samples: float32 [sample], one channel.
        rate: samples a second.
        front: the network's front end.

    Returns:
        float32 [column, band]; column k is centred on sample k * hop; at least one.
    """
    stft = make_network_stft(front, rate)
    columns = max(1, len(samples) // stft.hop)
    reach = stft.window // 2
    stretch = read_padded(ArraySource(samples[None], rate), -reach, (columns - 1) * stft.hop + reach)
    power = np.square(np.abs(forward_stft(stretch, stft)[0]))
    meter = LoudnessMeter(rate, 1)
    meter.feed(samples[None])
    factor = compute_level_factor(meter.level(), front.level_dbfs)
    return np.asarray(power @ make_network_filterbank(front, stft) * np.float32(factor**2), np.float32)


def to_network_input(power: np.ndarray, front: AudioInput) -> np.ndarray:
    """Band powers as `Network.rungs` takes them: on the network's scale, its columns thinned out.

    Args:
        power: float32 [n, column, band].
        front: the network's front end.

    Returns:
        float32 [n, column / decimation, band, 1].
    """
    return np.asarray(normalize_bands(power[:, :: front.decimation], front), np.float32)[..., None]
