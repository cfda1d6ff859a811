"""A sound before it is styled: metered, on the canvas's clock, in windows; and how much of it sounds when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmdream.core.errors import UserError
from mmdream.sound.amplitudes import StyleGrid, make_style_grid
from mmdream.sound.chunks import HALO_HOPS, Chunk
from mmdream.sound.level import LoudnessMeter, compute_level_factor
from mmdream.sound.source import AudioSource, read_blocks, read_padded
from mmdream.sound.stft import HALF_WINDOW_HOPS, forward_stft

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
