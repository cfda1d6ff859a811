"""A film's work as tasks: what is asked of a worker, and how its result is checked and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdream.cluster.messages import (
    ChunksResult,
    PartResult,
    SeamResult,
    hash_bytes,
)
from mmdream.cluster.session import (
    render_chunks,
    render_part,
    render_seam_states,
)
from mmdream.cluster.tasks import Call, WrongResult
from mmdream.core.errors import UserError, disk_full_error
from mmdream.core.events import EventSink
from mmdream.media.video_writer import count_frames
from mmdream.render.chain import VideoPlan, WrittenPart
from mmdream.render.parts import Chain
from mmdream.render.seams import Seam

if TYPE_CHECKING:
    pass


TOO_QUICK = 50
"""A worker that needs so many times less than this machine would has not done the work: Deadline's least task
time, against programs that end at once and say all is well."""


@dataclass(frozen=True)
class PartChain:
    """Parts of a film's picture that follow one another."""

    plan: VideoPlan
    digest: str
    """Of the plan."""
    parts: Chain
    expected: Sequence[float]
    """Seconds that each part would take here."""
    commit: Callable[[WrittenPart], None]
    count: Callable[[int], None]
    sink: EventSink
    urgent: bool = False

    @property
    def name(self) -> str:
        """Its frames."""
        return f"frames {self.parts[0].first} to {self.parts[-1].stop - 1}"

    @property
    def size(self) -> float:
        """Seconds."""
        return sum(self.expected)

    @property
    def tasks(self) -> int:
        """One for each part."""
        return len(self.parts)

    def call(self, task: int, fresh: bool) -> Call:
        """See `TaskChain.call`."""
        plan, part, kept = self.plan, self.parts[task], list[tuple[str, int]]()
        if fresh and part.first not in plan.chain_starts:
            kept.append(("carry", part.number - 1))
        if fresh:
            last = self.parts[-1].stop
            kept += [
                ("seam", seam.number)
                for seam in plan.seams
                if part.first <= seam.first < last or seam.following == part.first
            ]
        data = {place: plan.store.path(*place).read_bytes() for place in kept}
        numbers = tuple(part.number for part in self.parts[task:])
        return Call(render_part, (self.digest, numbers, fresh, data))

    def accept(self, task: int, result: PartResult, first: int, seconds: float) -> int:
        """See `TaskChain.accept`."""
        part, store = self.parts[task], self.plan.store
        if result.plan != self.digest or result.number != part.number:
            raise WrongResult("gave a part of another plan")
        if result.digest != hash_bytes(result.picture, result.carry):
            raise WrongResult("gave a part that was damaged on its way")
        if seconds < sum(self.expected[first : task + 1]) / TOO_QUICK:
            raise WrongResult(f"gave {part.frames} frames in {seconds:.2f} s, which is too quick to be true")
        if (result.carry is None) != (part.stop in self.plan.chain_starts):
            raise WrongResult("gave a part without the states behind it")
        with store.write("picture", part.number) as draft:
            draft.path.write_bytes(result.picture)
            if draft.path.stat().st_size < len(result.picture):
                raise disk_full_error(draft.path)
            if result.frames != part.frames or _count_frames(draft.path) != part.frames:
                raise WrongResult(f"gave another count of frames than the {part.frames} of the part")
            draft.count, draft.sums = part.frames, result.sums
        drafts = [draft]
        if result.carry is not None:
            with store.write("carry", part.number) as state_draft:
                state_draft.path.write_bytes(result.carry)
            drafts.insert(0, state_draft)
        self.commit(WrittenPart(part, tuple(drafts)))
        self.count(part.frames)
        _add_timing(self.plan, result.timing)
        for line in result.warnings:
            self.sink.warn(line)
        if result.newest is not None:
            self.sink.emit(result.newest)
        return part.frames


def _count_frames(path: Any) -> int:
    try:
        return count_frames(path)
    except (UserError, OSError, ValueError):
        return -1


@dataclass(frozen=True)
class SeamTask:
    """The frames around a seam: one task."""

    plan: VideoPlan
    digest: str
    seam: Seam
    urgent: bool = True
    tasks: int = 1
    size: float = 1.0

    @property
    def name(self) -> str:
        """Its frames."""
        return f"the seam at frame {self.seam.first}"

    def call(self, task: int, fresh: bool) -> Call:
        """See `TaskChain.call`."""
        return Call(render_seam_states, (self.digest, self.seam.number))

    def accept(self, task: int, result: SeamResult, first: int, seconds: float) -> int:
        """See `TaskChain.accept`."""
        if result.plan != self.digest or result.number != self.seam.number:
            raise WrongResult("gave a seam of another plan")
        if result.digest != hash_bytes(result.states):
            raise WrongResult("gave a seam that was damaged on its way")
        with self.plan.store.record("seam", self.seam.number) as draft:
            draft.path.write_bytes(result.states)
        _add_timing(self.plan, result.timing)
        return 0


@dataclass(frozen=True)
class ChunkRun:
    """Some chunks of a film's sound: one task."""

    plan: VideoPlan
    digest: str
    numbers: tuple[int, ...]
    grains: Mapping[int, np.ndarray] | None
    """Of the chunks and their neighbours."""
    shown: Mapping[int, np.ndarray]
    """What the picture shows over chunks, where it matters."""
    urgent: bool = True
    """The rest of the sound waits for them."""
    tasks: int = 1

    @property
    def name(self) -> str:
        """Its chunks."""
        return f"chunks {self.numbers[0]} to {self.numbers[-1]} of the sound"

    @property
    def size(self) -> float:
        """How many."""
        return len(self.numbers)

    def call(self, task: int, fresh: bool) -> Call:
        """See `TaskChain.call`."""
        return Call(render_chunks, (self.digest, self.numbers, self.grains, self.shown))

    def accept(self, task: int, result: ChunksResult, first: int, seconds: float) -> int:
        """See `TaskChain.accept`."""
        if result.plan != self.digest or tuple(result.chunks) != self.numbers:
            raise WrongResult("gave chunks of another plan")
        if result.digest != hash_bytes(*result.chunks.values()):
            raise WrongResult("gave chunks that were damaged on their way")
        for number, data in result.chunks.items():
            with self.plan.store.record("sound", number) as draft:
                draft.path.write_bytes(data)
        _add_timing(self.plan, result.timing)
        return 0


def _add_timing(plan: VideoPlan, timing: Mapping[str, float]) -> None:
    for kind, seconds in timing.items():
        plan.stopwatch.seconds[kind] += seconds
