"""Grains: recorded atoms laid into a sound, as a network hears them beside it and as samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache

import numpy as np
import scipy.signal
import soxr

from mmdream.audio.canvas import DB_PER_NEPER, soft_limit
from mmdream.audio.frontend import AudioFrontend
from mmdream.audio.grains.atoms import Atom, measure_pitch
from mmdream.audio.source import ArraySource, AudioSource, read_padded
from mmdream.settings.report import GrainEvent

MAX_LEVEL_CHANGE = 6 / DB_PER_NEPER
"""Nepers that the ascent may make a grain louder or softer than it was placed."""
LEAD_COLUMNS = 2
"""Columns before its attack in which a network's windows hear an atom."""
PAN_SECONDS = 0.25
"""To either side of a grain's attack: what sounds there tells where it stands."""
END_FADE_SECONDS = 0.05
"""Over which a grain dies away that the sound's end would cut off."""
MAX_KEPT_ATOMS = 256
"""Of a bank, transposed or not, whose samples and power are kept."""


@dataclass(frozen=True, slots=True)
class Grain:
    """An atom at a place of a sound."""

    hop: int
    """Of the canvas, on the absolute grid, where its attack lies."""
    atom: int
    """Its number in its window's bank."""
    ratio: float
    """Of its frequencies to the atom's own."""
    level: float
    """Linear RMS of its loud part over all channels, of full scale, before the schedule's strength."""
    pitch: float
    """Hz of what sounds there; 0: it has none, or one that is not sure."""
    side: float = 0.0
    """-1 (left) to 1 (right): where its motif stands in the picture."""
    sidedness: float = 0.0
    """0..1: how much of where it stands that settles."""
    cutoff: float = 0.0
    """Hz above which it is dulled, as what is small in the picture is; 0: it is not."""


def pack_grains(grains: Sequence[Grain]) -> np.ndarray:
    """Grains as rows, float64 [grain, field]."""
    return np.array([astuple(grain) for grain in grains], np.float64).reshape(-1, len(Grain.__slots__))


def unpack_grains(rows: np.ndarray) -> list[Grain]:
    """What `pack_grains` was given."""
    return [Grain(int(hop), int(atom), *map(float, rest)) for hop, atom, *rest in rows]


class GrainBank:
    """Atoms at a sound's rate, and as a front end hears them."""

    def __init__(self, atoms: Sequence[Atom], frontend: AudioFrontend) -> None:
        self.atoms = tuple(atoms)
        self._frontend = frontend
        self.samples = lru_cache(MAX_KEPT_ATOMS)(self._resample)
        self.band_power = lru_cache(MAX_KEPT_ATOMS)(self._measure)
        self.pitch = lru_cache(MAX_KEPT_ATOMS)(self._measure_pitch)

    def _resample(self, atom: int, ratio: float) -> np.ndarray:
        """An atom at the sound's rate with its frequencies multiplied, float32 [sample]."""
        given, rate = self.atoms[atom], self._frontend.stft.rate
        if given.rate == rate * ratio:
            return given.samples
        return np.asarray(soxr.resample(given.samples, given.rate * ratio, rate), np.float32)

    def _measure_pitch(self, atom: int) -> tuple[float, float]:
        """Its own pitch, Hz, and how sure it is, 0..1."""
        return measure_pitch(self.atoms[atom])

    def _measure(self, atom: int, ratio: float) -> np.ndarray:
        """Its power in the network's bands, float32 [column, band], from `LEAD_COLUMNS` before its attack."""
        frontend, samples = self._frontend, self.samples(atom, ratio)
        columns = -(-len(samples) // frontend.stft.hop) + LEAD_COLUMNS
        sound = ArraySource(samples[None], frontend.stft.rate)
        return frontend.read_power(sound, -LEAD_COLUMNS, columns, 0, 1.0) @ frontend.filterbank


def load_bank(atoms: Sequence[Atom], frontend: AudioFrontend) -> GrainBank:
    """A bank; the last one of a front end is kept with its traces, for to hear a set takes half a second."""
    key = tuple(atoms)
    kept = frontend.traces.get((load_bank, frontend), dict[tuple[Atom, ...], GrainBank])
    bank = kept.get(key)
    if bank is None:
        bank = GrainBank(key, frontend)
        kept.clear()
        kept[key] = bank
    return bank


class HeardGrains:
    """Grains over the columns of a stretch: what a network hears of them at the levels of a canvas."""

    def __init__(self, shape: tuple[int, int]) -> None:
        """For a stretch of so many columns and bands."""
        self._shape = shape
        self._found: list[tuple[int, slice, np.ndarray]] = []

    def add(self, hop: int, column: int, power: np.ndarray) -> None:
        """Add a grain whose attack lies at a hop and column of the stretch, or beside it.

        `power` is [column, band], levelled, from `LEAD_COLUMNS` before the attack.
        """
        start = column - LEAD_COLUMNS
        low, high = max(start, 0), min(start + len(power), self._shape[0])
        if low < high:
            self._found.append((hop, slice(low, high), power[low - start : high - start]))

    def power(self, levels: np.ndarray) -> np.ndarray:
        """Power in the network's bands, float32 [column, band], for levels [hop], see `limit_level`."""
        total = np.zeros(self._shape, np.float32)
        for hop, columns, power in self._found:
            total[columns] += power * np.exp(2 * limit_level(_at_hop(levels, hop)))
        return total

    def level_gradient(self, gradient: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """The gradient in levels, float32 [hop], of that in power, float32 [column, band]."""
        result = np.zeros(len(levels), np.float32)
        for hop, columns, power in self._found:
            if 0 <= hop < len(levels):
                scale = 2 * np.exp(2 * limit_level(levels[hop]))
                result[hop] += scale * np.vdot(gradient[columns], power)
        return result

    def mask(self, hops: int) -> np.ndarray:
        """1 at the hops where a grain begins, float32 [hop]."""
        result = np.zeros(hops, np.float32)
        result[[hop for hop, _, _ in self._found if 0 <= hop < hops]] = 1.0
        return result


def limit_level(level: np.ndarray | float) -> np.ndarray:
    """The nepers that a canvas's level stands for, softly limited."""
    return np.asarray(soft_limit(np.asarray(level, np.float32), MAX_LEVEL_CHANGE, -MAX_LEVEL_CHANGE))


def _at_hop(levels: np.ndarray, hop: int) -> float:
    """The level at a hop; of a grain that begins outside of the stretch, what it was placed with."""
    return float(levels[hop]) if 0 <= hop < len(levels) else 0.0


def pan_grain(source: AudioSource, sample: int, side: float = 0.0, sidedness: float = 0.0) -> np.ndarray:
    """Where a grain stands: amplitude for each channel, float32 [channel], squares sum to 1.

    Channels share it as they share what sounds around that moment; of its power `sidedness` (0..1) goes to
    the first two, left and right, by its side (-1..1), as loud wherever it stands.
    """
    reach = round(PAN_SECONDS * source.rate)
    around = read_padded(source, sample - reach, sample + reach)
    power = np.square(around, dtype=np.float64).sum(axis=1)
    power = power / power.sum() if power.any() else np.full(source.channels, 1 / source.channels)
    if sidedness and source.channels > 1:
        angle = (side + 1) * math.pi / 4
        power = (1 - sidedness) * power
        power[:2] += sidedness * np.square([math.cos(angle), math.sin(angle)])
    return np.sqrt(power).astype(np.float32)


def dull(samples: np.ndarray, cutoff: float, rate: int) -> np.ndarray:
    """An atom, float32 [sample], whose power above a frequency, Hz, falls by 6 dB an octave; 0: as it is."""
    if not 0 < cutoff < rate / 2:
        return samples
    return np.asarray(
        scipy.signal.sosfilt(scipy.signal.butter(1, cutoff, fs=rate, output="sos"), samples), np.float32
    )


def fade_at_end(samples: np.ndarray, source: AudioSource, first: int) -> np.ndarray:
    """What of an atom, float32 [sample], laid in at sample `first`, fits into a sound; it dies away there."""
    left = source.n_samples - first
    if left >= len(samples):
        return samples
    fall = min(round(END_FADE_SECONDS * source.rate), left)
    weight = np.ones(left, np.float32)
    weight[left - fall :] = 0.5 + 0.5 * np.cos(np.pi * (np.arange(fall) + 1) / max(fall, 1))
    return np.asarray(samples[:left] * weight)


@dataclass(frozen=True)
class PlacedGrain:
    """A grain as it is mixed in."""

    event: GrainEvent
    """As it is told."""
    first: int
    """Its first sample, from the sound's."""
    samples: np.ndarray
    """float32 [channel, sample]."""

    @property
    def stop(self) -> int:
        """The sample behind its last."""
        return self.first + self.samples.shape[1]


def add_grains(
    blocks: Iterable[np.ndarray], take_before: Callable[[int], Iterable[PlacedGrain]]
) -> Iterator[np.ndarray]:
    """Lay grains over a sound that comes in order, float32 [channel, sample].

    ``take_before(stop)`` gives those that begin before sample `stop` and were not given yet.
    """
    waiting: list[PlacedGrain] = []
    start = 0
    for block in blocks:
        stop = start + block.shape[1]
        waiting += take_before(stop)
        for placed in waiting:
            low, high = max(placed.first, start), min(placed.stop, stop)
            if low < high:
                part = placed.samples[:, low - placed.first : high - placed.first]
                block[:, low - start : high - start] += part
        waiting = [placed for placed in waiting if placed.stop > stop]
        start = stop
        yield block
