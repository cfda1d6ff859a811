"""A film rendered by workers: chains of parts and runs of chunks given out, results kept in the journal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdream.cluster.dispatch import Call, Dispatcher, WrongResult
from mmdream.cluster.session import (
    ChunksResult,
    Introduction,
    PartResult,
    PlanBundle,
    PlanFile,
    hash_bytes,
    introduce,
    render_chunks,
    render_part,
    stop_session,
)
from mmdream.core.errors import UserError, disk_full_error
from mmdream.core.events import EventSink, RemainingTime
from mmdream.jobs.spec import Job
from mmdream.media.video_writer import count_frames
from mmdream.render.chain import VideoPlan, WrittenPart
from mmdream.render.parts import Chain

if TYPE_CHECKING:
    from distributed import Client

    from mmdream.audio.chunks import FillChunks

CHUNKS_PER_TASK = 2
"""Chunks of a sound that are given out at once."""
TOO_QUICK = 50
"""A worker that needs so many times less than this machine would has not done the work: Deadline's least task
time, against programs that end at once and say all is well."""
TELL_SECONDS = 30.0
"""Between two lines about the workers."""


def pack_plan(plan: VideoPlan, job: Job) -> PlanBundle:
    """What workers are sent of a video's plan."""
    files = {}
    for kind in ("scan", "driven", "hints"):
        if (entry := plan.store.finished(kind).get(0)) is not None:
            files[kind] = PlanFile(plan.store.path(kind, 0).read_bytes(), entry.count, entry.sums)
    return PlanBundle(job.to_json(), files)


@dataclass(frozen=True)
class FilmWorkers:
    """What is asked of a worker before it works on a film."""

    bundle: PlanBundle
    environment: Mapping[str, str]
    """Of this process."""
    threads: int | None
    """That a worker's tasks are to take; None: it has chosen."""
    anyway: bool
    """Whether others are taken too: the dream then differs in its last bits."""

    @property
    def admission(self) -> Call:
        """See `Workers.admission`."""
        return Call(introduce, (self.bundle, self.threads))

    def judge(self, name: str, answer: Introduction) -> str | None:
        """See `Workers.judge`."""
        other = {
            key: (value, answer.environment.get(key, "absent"))
            for key, value in self.environment.items()
            if answer.environment.get(key, "absent") != value
        }
        if not other or self.anyway:
            return answer.problem
        told = "; ".join(f"{key} is {there}, and {here} here" for key, (here, there) in other.items())
        return f"its dream would differ in the last bits ({told}); --anyway takes it"


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
        state, part = None, self.parts[task]
        if fresh and part.first not in self.plan.shot_starts:
            state = self.plan.store.path("carry", part.number - 1).read_bytes()
        numbers = tuple(part.number for part in self.parts[task:])
        return Call(render_part, (self.digest, numbers, fresh, state))

    def accept(self, task: int, result: PartResult, first: int, seconds: float) -> int:
        """See `TaskChain.accept`."""
        part, store = self.parts[task], self.plan.store
        if result.plan != self.digest or result.number != part.number:
            raise WrongResult("gave a part of another plan")
        if result.digest != hash_bytes(result.picture, result.carry):
            raise WrongResult("gave a part that was damaged on its way")
        if seconds < sum(self.expected[first : task + 1]) / TOO_QUICK:
            raise WrongResult(f"gave {part.frames} frames in {seconds:.2f} s, which is too quick to be true")
        if (result.carry is None) != (part.stop in self.plan.shot_starts):
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
class ChunkRun:
    """Some chunks of a film's sound: one task."""

    plan: VideoPlan
    digest: str
    numbers: tuple[int, ...]
    grains: Mapping[int, np.ndarray] | None
    """Of the chunks and their neighbours."""
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
        return Call(render_chunks, (self.digest, self.numbers, self.grains))

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


_TIMING_LOCK = threading.Lock()


def _add_timing(plan: VideoPlan, timing: Mapping[str, float]) -> None:
    with _TIMING_LOCK:
        for kind, seconds in timing.items():
            plan.stopwatch.seconds[kind] += seconds


@dataclass
class WorkerRunner:
    """The `Runner` that gives chains and chunks out to workers."""

    dispatcher: Dispatcher
    digest: str
    expected: np.ndarray
    """Seconds that each frame would take here, float64 [frame]."""
    sink: EventSink
    in_order: bool = False
    _done: int = 0
    _began: float = field(default_factory=time.monotonic)
    _told: float = field(default_factory=time.monotonic)

    def render_parts(
        self,
        plan: VideoPlan,
        sink: EventSink,
        is_stopped: Callable[[], bool],
        count: Callable[[int], None],
        commit: Callable[[WrittenPart], None],
    ) -> None:
        """See `Runner.render_parts`."""
        todo = len(plan.scan.pts) - plan.frames_done

        def count_done(frames: int) -> None:
            count(frames)
            self._done += frames
            self._tell(todo, sink)

        def expect(chain: Chain) -> list[float]:
            return [float(self.expected[part.first : part.stop].sum()) for part in chain]

        chains = [
            PartChain(plan, self.digest, chain, expect(chain), commit, count_done, sink)
            for chain in plan.missing
        ]
        self.dispatcher.run(chains, is_stopped)

    def render_chunks(self, plan: VideoPlan, is_stopped: Callable[[], bool]) -> FillChunks | None:
        """See `Runner.render_chunks`."""

        def fill(numbers: Sequence[int], grains: Sequence[np.ndarray] | None) -> None:
            runs = []
            for place in range(0, len(numbers), CHUNKS_PER_TASK):
                own = tuple(numbers[place : place + CHUNKS_PER_TASK])
                near = None
                if grains is not None:
                    beside = {other for number in own for other in (number - 1, number, number + 1)}
                    near = {other: grains[other] for other in sorted(beside) if 0 <= other < len(grains)}
                runs.append(ChunkRun(plan, self.digest, own, near))
            self.dispatcher.run(runs, is_stopped)

        return fill

    def describe_shares(self) -> str:
        """What each worker did so far."""
        shares = sorted(self.dispatcher.shares.items())
        return ", ".join(f"{name} {frames}" for name, frames in shares if frames) or "none yet"

    def _tell(self, todo: int, sink: EventSink) -> None:
        now = time.monotonic()
        rate = self._done / max(now - self._began, 1e-3)
        sink.emit(RemainingTime((todo - self._done) / rate))
        if now - self._told > TELL_SECONDS or self._done == todo:
            self._told = now
            sink.say(f"{rate:.1f} frames a second; frames by worker: {self.describe_shares()}")


@contextmanager
def give_out_film(
    client: Client,
    plan: VideoPlan,
    job: Job,
    expected: np.ndarray,
    sink: EventSink,
    threads: int | None,
    anyway: bool,
) -> Iterator[WorkerRunner]:
    """A runner for a film's plan; when the block ends, the workers stop their work on it.

    Args:
        client: of the workers' scheduler.
        plan: the video's.
        job: that it is of.
        expected: seconds that each frame would take here.
        sink: told about workers.
        threads: of a task, which workers are to take; None: they have chosen.
        anyway: whether workers are taken whose dream differs in its last bits.
    """
    bundle = pack_plan(plan, job)
    digest = bundle.digest
    try:
        with Dispatcher(client, FilmWorkers(bundle, job.environment, threads, anyway), sink) as dispatcher:
            yield WorkerRunner(dispatcher, digest, expected, sink)
            if dispatcher.dropped or dispatcher.lost:
                sink.say(
                    f"{dispatcher.lost} workers were lost, {dispatcher.dropped} results came twice or late "
                    "and were dropped"
                )
    finally:
        _stop_workers(client, digest)


def _stop_workers(client: Client, digest: str) -> None:
    try:
        client.run(stop_session, digest, on_error="ignore", wait=False)
    except (OSError, TimeoutError, ValueError):
        return  # The scheduler has gone, and the workers with it.
