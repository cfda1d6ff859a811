"""A film rendered by workers: chains of parts and runs of chunks given out, results kept in the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mmdream.cluster.dispatch import Dispatcher
from mmdream.cluster.film_tasks import ChunkRun, PartChain, SeamTask
from mmdream.cluster.messages import (
    Introduction,
    PlanBundle,
    PlanFile,
)
from mmdream.cluster.session import (
    introduce,
    stop_session,
)
from mmdream.cluster.tasks import Call
from mmdream.core.events import EventSink
from mmdream.jobs.journal import PLAN_KINDS
from mmdream.jobs.spec import Job
from mmdream.render.chain import VideoPlan, WrittenPart
from mmdream.render.parts import Chain

if TYPE_CHECKING:
    from distributed import Client

    from mmdream.audio.chunks import FillChunks

CHUNKS_PER_TASK = 2
"""Chunks of a sound that are given out at once."""
REPORT_SECONDS = 30.0
"""Between two lines about the workers."""


def pack_plan(plan: VideoPlan, job: Job) -> PlanBundle:
    """What workers are sent of a video's plan."""
    files = {}
    for kind in PLAN_KINDS:
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
        differences = "; ".join(f"{key} is {there}, and {here} here" for key, (here, there) in other.items())
        return f"its dream would differ in the last bits ({differences}); --anyway takes it"


@dataclass
class WorkerRunner:
    """The `Runner` that gives chains and chunks out to workers."""

    dispatcher: Dispatcher
    digest: str
    expected: np.ndarray
    """Seconds that each frame would take here, float64 [frame]."""
    in_order: bool = False
    _done: int = 0
    _began: float = field(default_factory=time.monotonic)
    _reported: float = field(default_factory=time.monotonic)

    def render_parts(
        self,
        plan: VideoPlan,
        sink: EventSink,
        is_stopped: Callable[[], bool],
        count: Callable[[int], None],
        commit: Callable[[WrittenPart], None],
    ) -> None:
        """See `Runner.render_parts`."""

        def count_done(frames: int) -> None:
            count(frames)
            self._done += frames
            if time.monotonic() - self._reported > REPORT_SECONDS:
                self._report_pace(sink)

        def expect(chain: Chain) -> list[float]:
            return [float(self.expected[part.first : part.stop].sum()) for part in chain]

        chains = [
            PartChain(plan, self.digest, chain, expect(chain), commit, count_done, sink)
            for chain in plan.missing
        ]
        self.dispatcher.run([SeamTask(plan, self.digest, seam) for seam in plan.missing_seams], is_stopped)
        self.dispatcher.run(chains, is_stopped)
        if chains:
            self._report_pace(sink)

    def render_chunks(self, plan: VideoPlan, is_stopped: Callable[[], bool]) -> FillChunks | None:
        """See `Runner.render_chunks`."""

        def fill(
            numbers: Sequence[int], grains: Sequence[np.ndarray] | None, shown: Mapping[int, np.ndarray]
        ) -> None:
            runs = []
            for place in range(0, len(numbers), CHUNKS_PER_TASK):
                own = tuple(numbers[place : place + CHUNKS_PER_TASK])
                near = None
                if grains is not None:
                    beside = {other for number in own for other in (number - 1, number, number + 1)}
                    near = {other: grains[other] for other in sorted(beside) if 0 <= other < len(grains)}
                seen = {number: shown[number] for number in own if number in shown}
                runs.append(ChunkRun(plan, self.digest, own, near, seen))
            self.dispatcher.run(runs, is_stopped)

        return fill

    def describe_shares(self) -> str:
        """What each worker did so far."""
        shares = sorted(self.dispatcher.shares.items())
        return ", ".join(f"{name} {frames}" for name, frames in shares if frames) or "none yet"

    def _report_pace(self, sink: EventSink) -> None:
        rate = self._done / max(time.monotonic() - self._began, 1e-3)
        sink.say(f"{rate:.1f} frames a second; frames by worker: {self.describe_shares()}")
        self._reported = time.monotonic()


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
            yield WorkerRunner(dispatcher, digest, expected)
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
