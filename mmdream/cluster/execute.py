"""What `Execution` asks for, opened: worker processes here, or the workers of a cluster."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream.cluster import nodes
from mmdream.cluster.tasks import Call
from mmdream.core.events import EventSink
from mmdream.core.processors import count_processors, count_threads, limit_threads
from mmdream.jobs.runner import OpenRunner, OpenWorkers, Scanned, work_here
from mmdream.jobs.spec import Job, describe_environment
from mmdream.media.probe import MediaFile
from mmdream.planning.shared import SharedEstimate, estimate_shared
from mmdream.settings.execution import Execution

if TYPE_CHECKING:
    from distributed import Client

    from mmdream.analysis.shots import Scan
    from mmdream.cluster.film import WorkerRunner
    from mmdream.cluster.trial import Trial
    from mmdream.render.chain import VideoPlan
    from mmdream.render.parts import Chain

WORKER_MIB = 1500
"""Of a worker, before one has been tried."""
MIN_FRAMES = 250
"""Of fewer a trial would take longer than it spares."""
START_SECONDS = 8.0
"""That workers begin later than one process would."""
MIB = 1 << 20


@dataclass(frozen=True)
class Choice:
    """Who works on a new film."""

    execution: Execution
    """With a number of workers."""
    job: Job
    scanned: Scanned | None = None
    """The film's scan, if it was looked at for the choice."""


def choose_execution(execution: Execution, film: MediaFile, job: Job, sink: EventSink) -> Choice:
    """Settle how many workers a new film has and how many threads a task takes; its job says so."""
    scanned, threads = None, execution.threads
    if execution.workers == "auto":
        look = _look_at_film(film, job, sink)
        estimate, scanned = _find_quickest(execution, job, look, sink), look.scanned
        workers = estimate.workers if estimate.workers > 1 else None
        execution, threads = replace(execution, workers=workers, threads=estimate.threads), estimate.threads
    elif isinstance(execution.workers, int) and threads is None:
        threads = max(1, count_processors() // execution.workers)
        execution = replace(execution, threads=threads)
    limit_threads(threads)
    return Choice(execution, replace(job, environment=describe_environment(job.recipe)), scanned)


def choose_workers_again(execution: Execution, threads: int) -> Execution:
    """Settle how many workers go on with a film whose tasks take so many threads."""
    if execution.workers != "auto":
        return execution
    fit = _count_that_fit(WORKER_MIB)
    workers = max(1, min(count_processors() // threads, fit))
    return replace(execution, workers=workers if workers > 1 else None)


def estimate_workers(
    execution: Execution, film: MediaFile, job: Job, sink: EventSink
) -> tuple[SharedEstimate, Scan, float]:
    """What a film's picture takes with the workers that are asked for, from a trial of theirs.

    Its scan comes with it, and the seconds that this took.
    """
    look = _look_at_film(film, job, sink)
    if isinstance(execution.workers, int):
        threads = execution.threads or max(1, count_processors() // execution.workers)
        estimate, _ = _try_out(job, look, execution.workers, threads)
    else:
        estimate = _find_quickest(execution, job, look, sink)
    return estimate, look.scanned[0], look.seconds


@dataclass(frozen=True)
class _Look:
    """A film before anything is tried."""

    scanned: Scanned
    chains: tuple[Chain, ...]
    seconds: float
    """That the scan took."""


def _look_at_film(film: MediaFile, job: Job, sink: EventSink) -> _Look:
    from mmdream.render.parts import plan_chains
    from mmdream.render.prepare import scan_video
    from mmdream.render.seams import plan_seams

    began, recipe = time.perf_counter(), job.recipe
    scanned = scan_video(film, job.order, sink, lambda: False, recipe)
    chains = plan_chains(scanned[0].shots, plan_seams(scanned[0], recipe.seams, recipe.loop))
    return _Look(scanned, chains, time.perf_counter() - began)


def _find_quickest(execution: Execution, job: Job, look: _Look, sink: EventSink) -> SharedEstimate:
    """The quickest of what processors, memory and chains allow, by trials one after the other."""
    frames, processors, most = len(look.scanned[0].pts), count_processors(), len(look.chains)
    if job.order.keep_picture or frames < MIN_FRAMES:
        sink.say("--workers auto: one process, for so little work")
        return SharedEstimate(1, execution.threads or processors, 0.0, "")
    found, memory = list[SharedEstimate](), float(WORKER_MIB)
    for threads in [execution.threads] if execution.threads else _thread_counts(processors):
        fit = _count_that_fit(memory)
        workers = max(1, min(processors // threads, most, fit))
        sink.say(f"tries {SharedEstimate(workers, threads, 0.0, '').text}")
        estimate, trial = _try_out(job, look, workers, threads)
        memory = trial.memory_mib
        late = START_SECONDS if workers > 1 else 0.0
        found.append(replace(estimate, seconds=estimate.seconds + late))
    best = min(found, key=lambda each: each.seconds)
    rates = ", ".join(f"{each.text} {frames / each.seconds:.1f} frames a second" for each in found)
    sink.say(
        f"takes {best.text}, of {processors} processors, {most} chains and room for {fit} processes: {rates}"
    )
    return best


def _thread_counts(processors: int) -> list[int]:
    """Threads of a task that are tried: one, a quarter of the processors, and all of them."""
    return sorted({1, max(1, processors // 4), processors})


def _count_that_fit(mib: float) -> int:
    """Processes of so many MiB for which there is memory, beside this one."""
    import psutil

    return int(psutil.virtual_memory().available / MIB / mib) - 1


def _try_out(job: Job, look: _Look, workers: int, threads: int) -> tuple[SharedEstimate, Trial]:
    from mmdream.cluster.trial import try_workers
    from mmdream.planning.eta import FINISHING_SECONDS

    scan = look.scanned[0]
    with (
        tempfile.TemporaryDirectory(prefix="mmdream") as folder,
        nodes.start_local_workers(workers, Path(folder)) as client,
    ):
        trial = try_workers(client, job, scan, threads)
    chains = [float(trial.expected[run[0].first : run[-1].stop].sum()) for run in look.chains]
    slowest_stage = max(trial.stages, key=lambda name: trial.stages[name])
    once, each = FINISHING_SECONDS
    alone = look.seconds + once + each * len(scan.pts)
    return estimate_shared(chains, workers, threads, alone, slowest_stage), trial


def workers_of(execution: Execution) -> OpenWorkers:
    """Who works; where processes are asked for, their number must be known by now."""
    if execution.workers is None and execution.cluster is None:
        return work_here
    nodes.import_engine()  # Before the work, if it is not there.

    @contextmanager
    def open_workers(folder: Path) -> Iterator[OpenRunner]:
        with _find_workers(execution, folder) as client:

            def open_runner(
                plan: VideoPlan, job: Job, seconds: np.ndarray, sink: EventSink
            ) -> AbstractContextManager[WorkerRunner]:
                # When all that can be checked is checked: this brings TensorFlow in.
                from mmdream.cluster.film import give_out_film

                threads = None if execution.cluster is not None else count_threads()
                return give_out_film(client, plan, job, seconds, sink, threads, execution.anyway)

            yield open_runner

    return open_workers


def _find_workers(execution: Execution, folder: Path) -> AbstractContextManager[Client]:
    if execution.cluster is not None:
        assert execution.keys is not None
        return nodes.connect(execution.cluster, execution.keys)
    assert isinstance(execution.workers, int)
    from mmdream.cluster.session import load_framework

    return nodes.start_local_workers(execution.workers, folder, Call(load_framework, (count_threads(),)))
