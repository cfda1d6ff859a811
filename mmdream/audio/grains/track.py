"""The grains of a whole sound: chosen window by window as it is dreamed, and mixed in when it has been."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial

import numpy as np

from mmdream.audio.chunks import Chunk, ChunkContext, ChunkStore, load_or_make
from mmdream.audio.grains.atoms import cut_atoms, name_kinds
from mmdream.audio.grains.choice import GrainWindow, choose_grains, hear_grains
from mmdream.audio.grains.grain import (
    Grain,
    GrainBank,
    HeardGrains,
    PlacedGrain,
    dull,
    fade_at_end,
    load_bank,
    pack_grains,
    pan_grain,
    unpack_grains,
)
from mmdream.audio.source import read_padded
from mmdream.settings.report import GrainEvent

OWN_ATOMS = 24
"""Events that a window takes from the sound itself."""
NEAR_CHUNKS = 4
"""Banks of a sound's own atoms that are kept: a chunk hears its neighbours' grains."""


@dataclass
class GrainTrack:
    """All grains of a sound, by the number of the chunk in which they begin."""

    context: ChunkContext
    grid: Sequence[Chunk]
    banks: Callable[[int], GrainBank]
    """The atoms of a chunk, by its place in the grid."""
    begin_in: Callable[[int], Sequence[Grain]]
    """The grains of a chunk, by its place in the grid, in order of time; chosen when first asked for."""
    _levels: dict[int, np.ndarray] = field(default_factory=dict)
    """Nepers that the ascent gave each grain, float32 [voice], by its hop."""
    _ordered: list[tuple[int, Grain]] = field(default_factory=list)
    _chunks_ordered: int = 0

    def order(self, stop: int | None = None) -> Sequence[tuple[int, Grain]]:
        """Every grain of the chunks that begin before a sample, in order of time, with its chunk's number.

        None: of all chunks.
        """
        for number in range(self._chunks_ordered, len(self.grid)):
            if stop is not None and self._sample(self.grid[number].first) >= stop:
                break
            self._ordered += [(number, grain) for grain in self.begin_in(number)]
            self._chunks_ordered = number + 1
        return self._ordered

    def hear(self, number: int) -> HeardGrains:
        """What is heard of grains over a chunk's columns: its own, and its neighbours'."""
        near = range(max(number - 1, 0), min(number + 2, len(self.grid)))
        placed = [(grain, self.banks(other)) for other in near for grain in self.begin_in(other)]
        return hear_grains(self.context, self.grid[number], placed)

    def watch_levels(self, canvases: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Pass finished canvases on, see `render_chunk`, and note the levels of the grains in them."""
        context = self.context
        for first, canvas in canvases:
            planes, stop = (
                canvas.reshape(len(canvas), len(context.voices), context.canvas_width),
                first + len(canvas),
            )
            for number, chunk in enumerate(self.grid):
                for grain in self.begin_in(number) if chunk.first < stop and chunk.stop > first else ():
                    if first <= grain.hop < stop:
                        self._levels[grain.hop] = planes[grain.hop - first, :, -1].copy()
            yield first, canvas

    def take_before(
        self, taken: list[GrainEvent], stop: int, chosen: Sequence[tuple[int, Grain]] | None = None
    ) -> Iterator[PlacedGrain]:
        """The grains that begin before sample `stop` and were not `taken`, in order: some of `order`, or all.

        They are `taken` then. The canvases up to there must have been watched.
        """
        grains = self.order(stop) if chosen is None else chosen
        for number, grain in grains[len(taken) :]:
            first = self._sample(grain.hop)
            if first >= stop:
                return
            placed = self._place(number, grain, first)
            taken.append(placed.event)
            yield placed

    def _sample(self, hop: int) -> int:
        return hop * self.context.stft.hop - self.context.offset

    def _place(self, number: int, grain: Grain, first: int) -> PlacedGrain:
        context, strength = self.context, self.context.settings.schedule.curve("strength")
        seconds = float(context.hop_seconds(grain.hop))
        pan = pan_grain(context.source, first, grain.side, grain.sidedness)
        amplitudes = grain.level * float(strength.at(seconds)) * pan * np.exp(self._levels[grain.hop])
        level = 20 * math.log10(max(float(np.linalg.norm(amplitudes)), 1e-12))
        bank = self.banks(number)
        atom = bank.atoms[grain.atom]
        pitch = bank.pitch(grain.atom)[0] * grain.ratio or None
        samples = dull(bank.samples(grain.atom, grain.ratio), grain.cutoff, context.source.rate)
        samples = fade_at_end(samples, context.source, first)
        length = len(samples) / context.source.rate
        about = atom.kind, atom.name, pitch, level, tuple(pan.tolist()), atom.credit
        event = GrainEvent(seconds, length, *about)
        return PlacedGrain(event, first, amplitudes.astype(np.float32)[:, None] * samples)


def choose_track(
    context: ChunkContext,
    grid: Sequence[Chunk],
    describe: Callable[[int], GrainWindow | None],
    store: ChunkStore | None,
) -> GrainTrack:
    """A track that chooses the grains of each chunk when they are asked for.

    `describe` says what is asked of a chunk's, None: it gets none. Even chunks choose for themselves, odd
    ones knowing what both neighbours chose: no choice depends on more than two others, wherever a sound
    begins. They are kept in the store behind the sound's chunks.
    """
    banks = _make_banks(context, grid)

    def choose(number: int) -> dict[str, np.ndarray]:
        window = describe(number)
        if window is None:
            return {"grains": pack_grains([])}
        # By the numbers of the absolute grid, so that an excerpt's chunks are even where the whole's are.
        is_odd = grid[number].number % 2
        near = [other for other in (number - 1, number + 1) if is_odd and 0 <= other < len(grid)]
        beside = [(banks(other), begin_in(other)) for other in near]
        return {"grains": pack_grains(choose_grains(context, window, banks(number), beside))}

    @cache
    def begin_in(number: int) -> list[Grain]:
        arrays = load_or_make(store, len(grid) + number, partial(choose, number))
        return unpack_grains(arrays["grains"])

    return GrainTrack(context, grid, banks, begin_in)


def restore_track(context: ChunkContext, grid: Sequence[Chunk], rows: Mapping[int, np.ndarray]) -> GrainTrack:
    """A track whose grains were chosen elsewhere: those of some chunks, by number, see `pack_grains`."""
    grains = [unpack_grains(rows[number]) if number in rows else [] for number in range(len(grid))]
    return GrainTrack(context, grid, _make_banks(context, grid), grains.__getitem__)


def _make_banks(context: ChunkContext, grid: Sequence[Chunk]) -> Callable[[int], GrainBank]:
    """The bank of each chunk, by its place in the grid."""
    atoms, source = context.settings.atoms, context.source
    if atoms != "own":
        bank = load_bank(atoms, context.frontend)
        return lambda number: bank

    @lru_cache(NEAR_CHUNKS)
    def cut(number: int) -> GrainBank:
        start, stop = (
            hop * context.stft.hop - context.offset for hop in (grid[number].low, grid[number].high)
        )
        heard = read_padded(source, start, min(stop, source.n_samples)).mean(axis=0)
        own = cut_atoms(heard, source.rate, OWN_ATOMS, name=f"own {grid[number].number}")
        return GrainBank(name_kinds(own, context.frontend.network), context.frontend)

    return cut
