"""A sound before it is styled: metered, on the canvas's clock, in windows; and how much of it sounds when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmdream.errors import UserError
from mmdream.sound.amplitudes import Grid, grid
from mmdream.sound.chunks import HALO, Chunk
from mmdream.sound.level import Meter, level_factor
from mmdream.sound.source import Source, blocks, padded
from mmdream.sound.stft import REACH, spectra

LEVEL_DBFS = -23.0
"""That contents and styles are brought to before they are compared."""
SHORTEST = 0.25
"""Seconds; a shorter sound has no texture, and fewer hops than the longest filter needs."""
LENGTH = 860
"""Hops of a window, 10 s."""
LEAST = 64
"""Hops of the shortest canvas."""
OVERLAP = 32
"""Hops by which pieces overlap: no filter is longer."""
QUIETEST = -100.0
"""LUFS or dBFS; the noise of 16 bits is louder."""


def heard(source: Source, name: str) -> Heard:
    """Meter a sound.

    Raises:
        UserError: it is silent, too short, or holds what is not a number.
    """
    meter = Meter(source.rate, source.channels, source.layout)
    if source.n_samples < SHORTEST * source.rate:
        raise UserError(
            f"{name}: lasts {source.n_samples / source.rate:.3g} s; a style shows in {SHORTEST:g} s or more"
        )
    try:
        for samples in blocks(source):
            meter.feed(samples)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    if meter.loudness() < QUIETEST:
        raise UserError(f"{name}: is silent; give a sound that can be heard")
    return Heard(source, meter, level_factor(meter.level(), LEVEL_DBFS), grid(source.rate))


@dataclass(frozen=True, eq=False)
class Heard:
    """A sound that was metered, on the canvas's clock: hop h is centred on sample h * hop."""

    source: Source
    meter: Meter
    factor: float
    grid: Grid

    @property
    def hops(self) -> int:
        """Hops that begin in it."""
        return -(-self.source.n_samples // self.grid.stft.hop)

    def spectra(self, first: int, stop: int) -> np.ndarray:
        """Complex64 [channel, hop, bin], silent beyond its ends."""
        reach, hop = REACH * self.grid.stft.hop, self.grid.stft.hop
        return spectra(padded(self.source, first * hop - reach, (stop - 1) * hop + reach), self.grid.stft)

    def canvas(self, first: int, stop: int) -> np.ndarray:
        """float32 [hop, run]."""
        return self.grid.told(self.spectra(first, stop), self.factor)

    def pieces(self) -> Iterator[np.ndarray]:
        """The whole canvas, in pieces that overlap by what the filters reach."""
        for window in windows(0, self.hops):
            yield self.canvas(window.first, window.stop + OVERLAP)

    def counted(self, like: Heard | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The pieces, and how much each of their hops counts: in pauses there is no texture.

        Args:
            like: the sound whose pauses are meant, of equal length; None: this one.
        """
        others = self.pieces() if like is None else like.pieces()
        for piece, other in zip(self.pieces(), others, strict=True):
            yield piece, self.grid.sounding(other)


def windows(first: int, stop: int) -> list[Chunk]:
    """A sound's hops in windows of nearly equal length, each with what it hears to either side."""
    count = -(-(stop - first) // LENGTH)
    edges = [first + (stop - first) * k // count for k in range(count + 1)]
    found = []
    for number in range(count):
        low, high = max(edges[number] - HALO, first), min(edges[number + 1] + HALO, stop)
        found.append(Chunk(number, edges[number], edges[number + 1], low, max(high, low + LEAST)))
    return found


def moments(
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
