"""The absolute grid of chunks: a sound of any length through one small canvas.

A chunk adds under eight seconds of new sound and hears about 2.2 s more to either side. Chunks
start at multiples of their length on the source's own clock, so an excerpt meets the same chunks as
the whole, and the log gains of neighbours are cross-faded *before* they are applied: both shape the
same source, so nothing can cancel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

CHUNK_HOPS = 640
"""Hops of new sound in a chunk, 7.4 s; a multiple of ALIGN. What lies to either side is heard twice; chunks
of a third take twice as long."""
HALO_HOPS = 192
"""Hops heard to either side, 2.2 s: the running mean that events stand out from reaches 1 s. With half of it
two grids of chunks dream twice as far apart near a seam."""
FADE_HOPS = 128
"""Hops over which neighbours cross-fade, half of them on either side of the seam."""
MAX_SLIVER_HOPS = 12
"""Hops; what is left of the grid at either end and no longer than this goes to the neighbour."""
ALIGN_HOPS = 32
"""Canvases start at multiples of this: the pooling grid of any network lies the same way in all of
them."""
_MIN_CANVAS_HOPS = 64
"""Hops of the shortest canvas; deep rungs need some room even when the sound is one sample long."""


@dataclass(frozen=True)
class Chunk:
    """A stretch of the grid, in hops of the source's own clock, half open."""

    number: int
    """Place on the grid."""
    first: int
    """First hop of new sound."""
    stop: int
    low: int
    """First hop heard."""
    high: int

    @property
    def center(self) -> float:
        """Hops; where octaves and steps are asked, also where the sound begins inside the chunk."""
        return (self.number + 0.5) * CHUNK_HOPS


def split_into_chunks(first: int, stop: int) -> list[Chunk]:
    """The grid's chunks over the hops of a sound.

    Args:
        first: first hop.
        stop: one past the last hop, > first.

    Returns:
        Chunks in order; their new sound covers every hop once.
    """
    floor = first // ALIGN_HOPS * ALIGN_HOPS
    first_number, last_number = first // CHUNK_HOPS, (stop - 1) // CHUNK_HOPS
    if first_number < last_number and (first_number + 1) * CHUNK_HOPS - first <= MAX_SLIVER_HOPS:
        first_number += 1
    if first_number < last_number and stop - last_number * CHUNK_HOPS <= MAX_SLIVER_HOPS:
        last_number -= 1
    found = []
    for number in range(first_number, last_number + 1):
        start = first if number == first_number else number * CHUNK_HOPS
        end = stop if number == last_number else (number + 1) * CHUNK_HOPS
        low = max((start - HALO_HOPS) // ALIGN_HOPS * ALIGN_HOPS, floor)
        heard = max(min(end + HALO_HOPS, stop) - low, _MIN_CANVAS_HOPS)
        found.append(Chunk(number, start, end, low, low + -(-heard // 8) * 8))
    return found


def crossfade_chunks(dreams: Iterable[tuple[Chunk, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """Join the log gains of neighbouring chunks, a finished stretch at a time.

    Args:
        dreams: each chunk with its log gain, float32 [high - low, band], in order.

    Yields:
        First hop of a stretch and its log gain, float32 [hop, band]; stretches follow one another
        without gap from the first chunk's `first` to the last one's `stop`.
    """
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE_HOPS, dtype=np.float32) + 0.5) / FADE_HOPS)[:, None]
    held: tuple[Chunk, np.ndarray] | None = None
    done = 0
    for chunk, gain in dreams:
        if held is None:
            done = chunk.first
        else:
            before, last = held
            # Chunks at the rims may be shorter than the fade.
            low = max(chunk.first - FADE_HOPS // 2, done, chunk.low)
            high = min(chunk.first + FADE_HOPS // 2, before.high, chunk.stop)
            weight = rise[low - chunk.first + FADE_HOPS // 2 :][: high - low]
            mixed = (1 - weight) * last[low - before.low : high - before.low]
            mixed = mixed + weight * gain[low - chunk.low : high - chunk.low]
            yield done, np.concatenate((last[done - before.low : low - before.low], mixed))
            done = high
        held = chunk, gain
    if held is not None:
        chunk, gain = held
        if done < chunk.stop:
            yield done, gain[done - chunk.low : chunk.stop - chunk.low]


class ChunkStore(Protocol):
    """A place for chunks, by their number in the sound; one is what a kill may cost."""

    def load(self, number: int) -> dict[str, np.ndarray] | None:
        """What `save` was given for a chunk; None: nothing yet."""

    def save(self, number: int, arrays: dict[str, np.ndarray]) -> None:
        """Keep what a chunk came to."""
