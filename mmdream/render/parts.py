"""A video's picture cut into parts, which are encoded and journalled at once, and chains of parts."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np
from safetensors.numpy import load_file, save

from mmdream.analysis.shots import Shot
from mmdream.render.seams import Seam
from mmdream.settings.report import SettingsChange

if TYPE_CHECKING:
    from mmdream.render.frames import DreamedFrame

MAX_PART_FRAMES = 48
"""Frames of a part. The first 24 of a shot then always lie in its first part."""
KEPT_STATES = 3
"""The last states that are kept: one may be damaged, and they are large."""


class StoredFile(Protocol):
    """A finished file of a job."""

    @property
    def count(self) -> int:
        """Frames or chunks in it."""

    @property
    def sums(self) -> dict[str, Any]:
        """What it adds to the report, as plain JSON."""


class DraftFile(Protocol):
    """A file on its way into a store: `path` is to be written, the figures may be set until that is done."""

    path: Path
    count: int
    sums: dict[str, Any]

    @property
    def commit(self) -> Callable[[], None]:
        """Makes the file count, once it is written."""


class PartStore(Protocol):
    """Where a job's finished files outlive the run.

    By kind, "scan", "driven", "hints", "heard", "shown", "picture", "carry", "seam" or "sound", and number.

    Writing a file and committing it are two calls, so that who writes (one of many workers) need not be who
    keeps the journal. What is complete is a set: any file may be there or not.
    """

    def finished(self, kind: str) -> Mapping[int, StoredFile]:
        """The committed files of a kind."""

    def path(self, kind: str, number: int) -> Path:
        """Where a file lies, or would."""

    def write(self, kind: str, number: int) -> AbstractContextManager[DraftFile]:
        """Write a file: when the block ends well it is whole and on the disk, but not committed."""

    def record(self, kind: str, number: int = 0) -> AbstractContextManager[DraftFile]:
        """Write a file and commit it."""

    def remove(self, kind: str, number: int) -> None:
        """Take a file away."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of frames that is one file."""

    number: int
    first: int
    stop: int
    """Frame numbers, half open."""

    @property
    def frames(self) -> int:
        """How many."""
        return self.stop - self.first


def plan_parts(shots: Sequence[Shot], seams: Sequence[Seam] = ()) -> tuple[Part, ...]:
    """Cut shots without gap into parts of 1 to `MAX_PART_FRAMES` frames; the overlap of a seam is a part.

    A long shot is cut into stretches of nearly equal length; what does not begin with a shot holds frames of
    one only. Short shots that follow one another share a part, or a strobe would make thousands of files.
    """
    stretches: list[tuple[int, int]] = []
    open_to_more = False
    for shot in shots:
        own = [seam for seam in seams if shot.first <= seam.first < shot.stop]
        if own:
            edges = [shot.first, *(edge for seam in own for edge in (seam.first, seam.stop)), shot.stop]
            stretches.extend(
                cut for first, stop in pairwise(edges) if first < stop for cut in _cut_evenly(first, stop)
            )
            open_to_more = False
            continue
        pieces = -(-(shot.stop - shot.first) // MAX_PART_FRAMES)
        if pieces == 1 and open_to_more and shot.stop - stretches[-1][0] <= MAX_PART_FRAMES:
            stretches[-1] = stretches[-1][0], shot.stop
            continue
        stretches.extend(_cut_evenly(shot.first, shot.stop))
        open_to_more = pieces == 1
    return tuple(Part(number, first, stop) for number, (first, stop) in enumerate(stretches))


def _cut_evenly(first: int, stop: int) -> list[tuple[int, int]]:
    """Stretches of nearly equal length, each at most `MAX_PART_FRAMES` long."""
    length = stop - first
    pieces = -(-length // MAX_PART_FRAMES)
    return list(pairwise(first + length * k // pieces for k in range(pieces + 1)))


@dataclass(frozen=True)
class StoredChunks:
    """The chunks of a sound in a job's store, see `mmdream.audio.chunks.ChunkStore`."""

    store: PartStore

    def __contains__(self, number: object) -> bool:
        """See `ChunkStore.__contains__`."""
        return number in self.store.finished("sound")

    def load(self, number: int) -> dict[str, np.ndarray] | None:
        """See `ChunkStore.load`."""
        if number not in self:
            return None
        return load_file(self.store.path("sound", number))

    def save(self, number: int, arrays: dict[str, np.ndarray]) -> None:
        """See `ChunkStore.save`."""
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        with self.store.record("sound", number) as draft:
            draft.path.write_bytes(save(whole))


Chain = tuple[Part, ...]
"""The parts from one that begins with a shot, or behind a seam, to the next that does: a dream is carried
within it only, so chains can be rendered in any order, anywhere."""


def plan_chains(shots: Sequence[Shot], seams: Sequence[Seam] = ()) -> tuple[Chain, ...]:
    """The chains of a video's parts, see `plan_parts`."""
    starts = {shot.first for shot in shots} | {seam.following for seam in seams}
    chains: list[list[Part]] = []
    for part in plan_parts(shots, seams):
        if part.first in starts:
            chains.append([])
        chains[-1].append(part)
    return tuple(map(tuple, chains))


def find_missing_runs(chain: Chain, done: Mapping[int, int], states: Container[int]) -> tuple[Chain, ...]:
    """What of a chain is still to be rendered: runs of parts that follow one another.

    Each begins with the chain's first part or behind a part whose states are kept: a part that is complete is
    rendered again where a missing one cannot begin without.

    Args:
        chain: its parts.
        done: frames of the parts that are finished, by number.
        states: numbers of the parts whose last frame's states are kept.
    """
    needed: set[int] = set()
    for place, part in enumerate(chain):
        if done.get(part.number) == part.frames:
            continue
        needed.add(place)
        while place and place - 1 not in needed and chain[place - 1].number not in states:
            place -= 1
            needed.add(place)
    runs = groupby(range(len(chain)), key=lambda place: place in needed)
    return tuple(tuple(chain[place] for place in places) for missing, places in runs if missing)


def outdated_states(chains: Sequence[Chain], part: Part) -> range:
    """Numbers of the parts whose states nobody needs any more when a part is committed."""
    chain = next(chain for chain in chains if chain[0].number <= part.number <= chain[-1].number)
    oldest = part.number - KEPT_STATES
    stop = part.number if part is chain[-1] else oldest + 1
    return range(max(oldest, chain[0].number), stop)


def find_missing_seams(
    seams: Sequence[Seam], runs: Sequence[Chain], done: Container[int]
) -> tuple[Seam, ...]:
    """The seams without which some runs of parts cannot be rendered, and that are not done, by number."""
    needed = {part.first for run in runs for part in run}
    begun = {run[0].first for run in runs}
    return tuple(
        seam
        for seam in seams
        if (seam.first in needed or seam.following in begun) and seam.number not in done
    )


@dataclass
class FrameStats:
    """Sums over the frames of a part, or of all. Its fields are written to the journal by their names."""

    frames: int = 0
    repeated: int = 0
    strength: float = 0.0
    source: float = 0.0
    dream: float = 0.0
    used: list[SettingsChange] = field(default_factory=list)

    def add(self, dreamed: DreamedFrame) -> None:
        """Count one frame."""
        self.frames += 1
        self.repeated += dreamed.frame.repeated
        self.strength += dreamed.strength
        source, dream = dreamed.scores or (0.0, 0.0)
        self.source += source
        self.dream += dream
        self._add_change(SettingsChange(float(dreamed.frame.seconds), dreamed.settings))

    def merge(self, later: FrameStats) -> None:
        """Count the part that follows.

        Sums are taken part by part in an unbroken run too: other orders round otherwise.
        """
        for name in ("frames", "repeated", "strength", "source", "dream"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        for change in later.used:
            self._add_change(change)

    def _add_change(self, change: SettingsChange) -> None:
        if not self.used or self.used[-1].moment != change.moment:
            self.used.append(change)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without loss."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> FrameStats:
        """What `to_dict` gave, through JSON too."""
        return FrameStats(**{**values, "used": msgspec.convert(values["used"], list[SettingsChange])})
