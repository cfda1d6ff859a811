"""The absolute grid of chunks, and what the chunks of a sound share: any length through one small canvas.

Chunks start at multiples of their length on the source's own clock, so an excerpt meets the same chunks as
the whole. The log gains of neighbours are cross-faded *before* they are applied: both shape the same source,
so nothing can cancel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, Protocol, Self

import numpy as np

from mmdream.audio.canvas import N_BANDS
from mmdream.audio.frontend import SpectrogramSlice, get_frontend
from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.source import ArraySource, AudioSource, ChannelSource
from mmdream.audio.spectra import HALF_WINDOW_HOPS, make_stft
from mmdream.settings.recipe import DEFAULT_AUDIO_OPTIONS, AudioOptions, Recipe
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import NO_TARGETS, Targets

if TYPE_CHECKING:
    from mmdream.audio.grains.atoms import Atom
    from mmdream.audio.grains.cues import PictureCues
    from mmdream.networks.network import Network

CHUNK_HOPS = 640
"""New sound in a chunk, 7.4 s; a multiple of ALIGN_HOPS. A third of it would take twice as long."""
HALO_HOPS = 192
"""Hops heard to either side, 2.2 s: the running mean that events stand out from reaches 1 s. With half of it
two grids of chunks dream twice as far apart near a seam."""
FADE_HOPS = 128
"""Over which neighbours cross-fade, half of them on either side of the seam."""
MAX_SLIVER_HOPS = 12
"""A rest of the grid at either end that is no longer goes to the neighbour."""
ALIGN_HOPS = 32
"""Canvases start at multiples of this: the pooling grid of any network lies the same way in all of them."""
MIN_CANVAS_HOPS = 64
"""Of the shortest canvas; deep layers need some room even when the sound is one sample long."""


@dataclass(frozen=True)
class Chunk:
    """Place `number` of the grid: new sound in hops `first` to `stop` (excluded), heard `low` to `high`."""

    number: int
    first: int
    stop: int
    low: int
    high: int

    @property
    def center(self) -> float:
        """Hops; where octaves and steps are asked, also where the sound begins inside the chunk."""
        return (self.number + 0.5) * CHUNK_HOPS


CanvasCallback = Callable[[Chunk, int, int, np.ndarray], None]
"""(chunk, steps done, steps in all, canvas so far, see `dream`)."""


class ChunkStore(Protocol):
    """A place that outlives the run, for the arrays of finished chunks by their number in the sound."""

    def __contains__(self, number: object) -> bool:
        """Whether it has a chunk."""

    def load(self, number: int) -> dict[str, np.ndarray] | None:
        """What `save` was given; None: nothing yet."""

    def save(self, number: int, arrays: dict[str, np.ndarray]) -> None:
        """Keep them."""


def load_or_make(
    store: ChunkStore | None, number: int, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """A chunk's arrays, from the store where it has them."""
    if store is None:
        return make()
    arrays = store.load(number)
    if arrays is None:
        arrays = make()
        store.save(number, arrays)
    return arrays


@dataclass(frozen=True)
class AudioDreamSettings:
    """How a sound is dreamed."""

    schedule: Schedule
    """Octaves and steps are asked at each chunk's centre, depth and strength at each hop."""
    seed: int = 0
    targets: Targets = NO_TARGETS
    guide: ArraySource | None = None
    """A sound; the guide's file in `targets` is not looked at."""
    options: AudioOptions = DEFAULT_AUDIO_OPTIONS
    loudness: float | None = None
    """LUFS that the dream is brought to. None: its source's, and no 400 ms much louder than the source's."""
    atoms: tuple[Atom, ...] | Literal["own"] = ()
    """What grains are made of; own: events of the sound itself."""

    @classmethod
    def from_recipe(
        cls,
        recipe: Recipe,
        guide: ArraySource | None = None,
        atoms: tuple[Atom, ...] | Literal["own"] = (),
        loudness: float | None = None,
    ) -> Self:
        """What a recipe says of the sound."""
        wishes, options = recipe.sound_wishes, recipe.sound_manner
        return cls(recipe.schedule, recipe.seed, wishes, guide, options, loudness, atoms)

    @property
    def has_grains(self) -> bool:
        """Whether atoms are to be laid in anywhere."""
        return bool(self.atoms) and not self.schedule.curve("grains").is_zero


FillChunks = Callable[[Sequence[int], Sequence[np.ndarray] | None, Mapping[int, np.ndarray]], None]
"""Renders chunks of these numbers into the store, all before it returns; takes the grains of each chunk of
the sound, see `pack_grains`, or None, and by their numbers what the picture shows, see `find_shown`."""


@dataclass(frozen=True)
class DreamHooks:
    """What is called while a sound is dreamed."""

    progress: Callable[[float], None] = lambda share: None
    """Takes the finished share, 0..1."""
    should_stop: Callable[[], bool] = lambda: False
    """Asked before each step; True ends the dream."""
    on_gain: Callable[[np.ndarray], None] | None = None
    """Takes the log gain as it is applied, in order, float32 [hop, band], nepers."""
    on_canvas: CanvasCallback | None = None
    """Takes each chunk of the first voice before its first step and after each."""
    on_stem: Callable[[str, np.ndarray], None] | None = None
    """Takes the parts of the finished dream, each in order: its name, see `split_stems`, and what follows of
    it, float32 [channel, sample]."""
    fill: FillChunks | None = None
    """Renders all chunks that the store lacks, elsewhere; None: they are rendered one by one."""
    cues: Callable[[float, float], PictureCues | None] | None = None
    """What the film's picture shows from one second to another, see `PictureCues`; it may have to wait, and
    gives None where the picture does not matter yet. None: there is no picture."""


NO_HOOKS = DreamHooks()


class ChunkContext:
    """What the chunks of a sound share.

    `meter` has heard the whole source, whose first sample lies at `start_seconds` as a player shows it.
    """

    def __init__(
        self,
        source: AudioSource,
        network: Network,
        meter: LoudnessMeter,
        settings: AudioDreamSettings,
        start_seconds: float | Fraction = 0,
        hooks: DreamHooks = NO_HOOKS,
    ) -> None:
        self.source, self.settings, self.hooks = source, settings, hooks
        self.frontend = get_frontend(network, source.rate, settings.targets, settings.guide)
        self.stft = make_stft(source.rate)
        self.level_factor = meter.level_factor(self.frontend.spec.level_dbfs)
        """Brings the source to the level that the network expects."""
        self.rms = meter.gated_rms() if settings.loudness is None else 10 ** (settings.loudness / 20)
        """Of the sound's loud parts, or of what is to be made of it; linear, K-weighted, 0 for silence."""
        self.offset = round(start_seconds * source.rate)
        """Sample of the absolute clock at which the source begins."""

    @property
    def voices(self) -> list[AudioSource]:
        """What is dreamed for itself: the whole sound, or each of its channels."""
        if self.settings.options.stereo == "linked" or self.source.channels == 1:
            return [self.source]
        return [ChannelSource(self.source, channel) for channel in range(self.source.channels)]

    @property
    def canvas_width(self) -> int:
        """Values to a hop of a voice's canvas.

        Gains; as many again where something is invented; with grains the level of the one that begins there.
        """
        return N_BANDS * (2 if self.settings.options.invent else 1) + self.settings.has_grains

    @property
    def columns_per_hop(self) -> float:
        """The network's columns over one hop of the canvas."""
        return self.stft.hop / self.frontend.stft.hop

    @property
    def hop_range(self) -> tuple[int, int]:
        """First frame that touches the sound and one past the last, on the absolute grid."""
        end = self.offset + max(self.source.n_samples, 1)
        first = self.offset // self.stft.hop - HALF_WINDOW_HOPS + 1
        return first, -(-end // self.stft.hop) + HALF_WINDOW_HOPS

    def hop_seconds(self, hop: float | np.ndarray) -> float | np.ndarray:
        """Time of a hop as a player shows it."""
        return hop * self.stft.hop / self.stft.rate

    def column_range(self, chunk: Chunk) -> tuple[int, int]:
        """The network's columns over a chunk, half open; aligned, for the network's pooling grid."""
        decimation = self.frontend.spec.decimation
        grid = max(ALIGN_HOPS // decimation, 1) * decimation
        first = int(chunk.low * self.columns_per_hop) // grid * grid
        return first, math.ceil(chunk.high * self.columns_per_hop)

    def read_slice(self, sound: AudioSource, chunk: Chunk, factor: float) -> SpectrogramSlice:
        """A chunk of `sound`, which shares the source's clock, as the network is given it under a factor."""
        first, stop = self.column_range(chunk)
        power = self.frontend.read_power(sound, first, stop, self.offset, factor)
        positions = np.arange(first, stop) * (self.frontend.stft.hop / self.stft.hop) - chunk.low
        held = np.clip(positions, 0, chunk.high - chunk.low - 1).astype(np.float32)
        return SpectrogramSlice(power, held)


def split_into_chunks(first: int, stop: int) -> list[Chunk]:
    """The chunks over the hops of a sound, in order; their new sound covers every hop once."""
    floor = first // ALIGN_HOPS * ALIGN_HOPS
    first_number, last_number = first // CHUNK_HOPS, (stop - 1) // CHUNK_HOPS
    if first_number < last_number and (first_number + 1) * CHUNK_HOPS - first <= MAX_SLIVER_HOPS:
        first_number += 1
    if first_number < last_number and stop - last_number * CHUNK_HOPS <= MAX_SLIVER_HOPS:
        last_number -= 1
    chunks = []
    for number in range(first_number, last_number + 1):
        start = first if number == first_number else number * CHUNK_HOPS
        end = stop if number == last_number else (number + 1) * CHUNK_HOPS
        low = max((start - HALO_HOPS) // ALIGN_HOPS * ALIGN_HOPS, floor)
        length = max(min(end + HALO_HOPS, stop) - low, MIN_CANVAS_HOPS)
        chunks.append(Chunk(number, start, end, low, low + -(-length // 8) * 8))
    return chunks


def crossfade_chunks(dreams: Iterable[tuple[Chunk, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """First hop and joined log gain, float32 [hop, band], of one stretch of a sound after the other."""
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE_HOPS, dtype=np.float32) + 0.5) / FADE_HOPS)[:, None]
    held: tuple[Chunk, np.ndarray] | None = None
    done = 0
    for chunk, gain in dreams:
        if held is None:
            done = chunk.first
        else:
            before, last = held
            # Chunks at the ends may be shorter than the fade.
            low = max(chunk.first - FADE_HOPS // 2, done, chunk.low)
            high = min(chunk.first + FADE_HOPS // 2, before.high, chunk.stop)
            weight = rise[low - chunk.first + FADE_HOPS // 2 :][: high - low]
            mixed = (1 - weight) * last[low - before.low : high - before.low]
            mixed = mixed + weight * gain[low - chunk.low : high - chunk.low]
            yield done, np.concatenate((last[done - before.low : low - before.low], mixed))
            done = high
        held = chunk, gain
    if held is not None and done < held[0].stop:
        chunk, gain = held
        yield done, gain[done - chunk.low : chunk.stop - chunk.low]
