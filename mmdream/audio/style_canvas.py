"""A sound before it is styled: metered, on the canvas's clock, in windows; and how much of it sounds when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.ndimage

from mmdream.audio.canvas import BAND_EDGES
from mmdream.audio.chunks import HALO_HOPS, Chunk
from mmdream.audio.filterbank import group_bins
from mmdream.audio.loudness import LoudnessMeter, compute_level_factor
from mmdream.audio.source import AudioSource, read_blocks, read_padded
from mmdream.audio.stft import HALF_WINDOW_HOPS, Stft, forward_stft, make_stft
from mmdream.core.errors import UserError

pass

STYLE_LEVEL_DBFS = -23.0
"""That contents and styles are brought to before they are compared."""
MIN_SECONDS = 0.25
"""Seconds; a shorter sound has no texture, and fewer hops than the longest filter needs."""
WINDOW_HOPS = 860
"""Hops of a window, 10 s."""
MIN_CANVAS_HOPS = 64
"""Hops of the shortest canvas."""
OVERLAP_HOPS = 32
"""Hops by which pieces overlap: no filter is longer."""
MIN_LOUDNESS = -100.0
"""LUFS or dBFS; the noise of 16 bits is louder."""


def meter_sound(source: AudioSource, name: str) -> MeteredSound:
    """Meter a sound.

    Raises:
        UserError: it is silent, too short, or holds what is not a number.
    """
    meter = LoudnessMeter(source.rate, source.channels, source.layout)
    if source.n_samples < MIN_SECONDS * source.rate:
        raise UserError(
            f"{name}: lasts {source.n_samples / source.rate:.3g} s; a style shows in {MIN_SECONDS:g} s or more"
        )
    try:
        for samples in read_blocks(source):
            meter.feed(samples)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    if meter.loudness() < MIN_LOUDNESS:
        raise UserError(f"{name}: is silent; give a sound that can be heard")
    return MeteredSound(
        source, meter, compute_level_factor(meter.level(), STYLE_LEVEL_DBFS), make_style_grid(source.rate)
    )


@dataclass(frozen=True, eq=False)
class MeteredSound:
    """A sound that was metered, on the canvas's clock: hop h is centred on sample h * hop."""

    source: AudioSource
    meter: LoudnessMeter
    factor: float
    grid: StyleGrid

    @property
    def hops(self) -> int:
        """Hops that begin in it."""
        return -(-self.source.n_samples // self.grid.stft.hop)

    def spectra(self, first: int, stop: int) -> np.ndarray:
        """Complex64 [channel, hop, bin], silent beyond its ends."""
        reach, hop = HALF_WINDOW_HOPS * self.grid.stft.hop, self.grid.stft.hop
        return forward_stft(
            read_padded(self.source, first * hop - reach, (stop - 1) * hop + reach), self.grid.stft
        )

    def canvas(self, first: int, stop: int) -> np.ndarray:
        """float32 [hop, run]."""
        return self.grid.told(self.spectra(first, stop), self.factor)

    def read_pieces(self) -> Iterator[np.ndarray]:
        """The whole canvas, in pieces that overlap by what the filters reach."""
        for window in split_into_windows(0, self.hops):
            yield self.canvas(window.first, window.stop + OVERLAP_HOPS)

    def read_weighted_pieces(
        self, like: MeteredSound | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The pieces, and how much each of their hops counts: in pauses there is no texture.

        Args:
            like: the sound whose pauses are meant, of equal length; None: this one.
        """
        others = self.read_pieces() if like is None else like.read_pieces()
        for piece, other in zip(self.read_pieces(), others, strict=True):
            yield piece, self.grid.measure_presence(other)


def split_into_windows(first: int, stop: int) -> list[Chunk]:
    """A sound's hops in windows of nearly equal length, each with what it hears to either side."""
    count = -(-(stop - first) // WINDOW_HOPS)
    edges = [first + (stop - first) * k // count for k in range(count + 1)]
    found = []
    for number in range(count):
        low, high = max(edges[number] - HALO_HOPS, first), min(edges[number + 1] + HALO_HOPS, stop)
        found.append(Chunk(number, edges[number], edges[number + 1], low, max(high, low + MIN_CANVAS_HOPS)))
    return found


def weighted_moments(
    pieces: Iterator[tuple[np.ndarray, np.ndarray]], shape: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over the hops, as they count, of what pieces are in other bands; float64 [band]."""
    whole, total, squares = 0.0, np.zeros(1), np.zeros(1)
    for piece, counts in pieces:
        told = piece if shape is None else piece @ shape
        whole += float(counts.sum())
        total = total + counts @ told.astype(np.float64)
        squares = squares + counts @ np.square(told, dtype=np.float64)
    mean = total / max(whole, 1e-12)
    return mean, squares / max(whole, 1e-12) - np.square(mean)


LOG_SCALE = 2000.0
"""Where the scale turns from linear to logarithmic, one over the amplitude: -66 dB under a levelled full
scale. Ulyanov's audio style has 512 (ln(1 + |S|) of a transform that is not scaled), which leaves out the
upper octaves of most recordings."""
MIN_CANVAS_HZ = 30.0
"""What lies below is no sound, and stays as it is."""
MAX_SINGLE_BIN_HZ = 600.0
"""Bins below stay single."""
LEVELLED_ENERGY = 3 * 10 ** (-23 / 10)
"""Energy of a hop of a levelled sound: three times the mean square, for Hann windows spread a sine of
amplitude 1 over bins whose squares add up to 1.5."""
AUDIBLE_ENERGY = LEVELLED_ENERGY / 100
"""Energy of a hop that counts half, 20 dB softer."""
RING_HOPS = 5
"""Hops to either side over which what sounds is heard too."""
PANNING_SIZE = (5, 5)
"""Hops and bins over which the place of new sound between the channels is averaged."""


@dataclass(frozen=True, eq=False)
class StyleGrid:
    """Runs of bins at one sample rate."""

    stft: Stft
    starts: np.ndarray
    """int [run], the first bin of each."""
    widths: np.ndarray
    """float32 [run], bins."""

    def told(self, spectra: np.ndarray, factor: float) -> np.ndarray:
        """A sound on the canvas's scale.

        Args:
            spectra: complex64 [channel, hop, bin].
            factor: brings the sound to the level at which all sounds are compared.

        Returns:
            float32 [hop, run], >= 0: ln(1 + UNIT * amplitude), all channels taken together.
        """
        power = np.square(spectra.real).sum(axis=0) + np.square(spectra.imag).sum(axis=0)
        means = np.add.reduceat(power, self.starts, axis=1) / self.widths
        return np.asarray(np.log1p(np.float32(LOG_SCALE * factor) * np.sqrt(means)), np.float32)

    def measure_presence(self, canvas: np.ndarray) -> np.ndarray:
        """How much of a sound there is at each hop of a canvas, float32 [hop], 0 in pauses to 1."""
        energy = np.square(np.expm1(canvas) / np.float32(LOG_SCALE)) @ self.widths
        near = scipy.ndimage.maximum_filter1d(energy, 2 * RING_HOPS + 1)
        return np.asarray(near / (near + AUDIBLE_ENERGY), np.float32)

    def to_amplitudes(self, canvas: np.ndarray, spectra: np.ndarray, factor: float) -> np.ndarray:
        """The amplitudes that a canvas stands for, in the channels and bins of the sound it came from.

        What was there keeps its place between the channels and its shape inside a run; what is new is laid
        evenly over a run and over the channels as the sound lies around it. So the canvas of a sound gives
        that sound's own amplitudes, whatever its channels hold, and no two channels can cancel.

        Args:
            canvas: float32 [hop, run].
            spectra: complex64 [channel, hop, bin] of the content.
            factor: as in `told`.

        Returns:
            float32 [channel, hop, bin].
        """
        power = np.square(np.abs(spectra))
        first = int(self.starts[0])
        counts = self.widths.astype(int)
        heard = power[..., first:]
        whole = np.repeat(np.add.reduceat(heard.sum(axis=0), self.starts - first, axis=1) / self.widths,
                          counts, axis=1)  # fmt: skip
        wanted = np.repeat(np.square(np.expm1(canvas) / np.float32(LOG_SCALE * factor)), counts, axis=1)
        new = np.square(np.maximum(np.sqrt(wanted) - np.sqrt(whole), 0.0))
        near = np.stack([scipy.ndimage.uniform_filter(channel, PANNING_SIZE) for channel in heard])
        share = (near + 1e-20) / (near + 1e-20).sum(axis=0)
        least = np.float32(1e-30)
        mixed = (heard + (new + least) * share) / (whole + new + least)
        found = np.sqrt(power)
        found[..., first:] = np.sqrt(wanted * mixed)
        return np.asarray(found, np.float32)


@lru_cache(maxsize=4)
def make_style_grid(rate: int) -> StyleGrid:
    """The runs at a sample rate."""
    stft = make_stft(rate)
    single = np.flatnonzero((stft.frequencies >= MIN_CANVAS_HZ) & (stft.frequencies < MAX_SINGLE_BIN_HZ))
    starts = np.union1d(single, group_bins(stft, BAND_EDGES))
    starts = starts[starts >= single[0]]
    return StyleGrid(stft, starts, np.diff(np.append(starts, stft.n_bins)).astype(np.float32))
