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
        estimate, scanned = _find_quickest(execution, film, job, sink)
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


def estimate_workers(execution: Execution, film: MediaFile, job: Job, sink: EventSink) -> SharedEstimate:
    """What a film's picture takes with the workers that are asked for, from a trial of theirs."""
    if not isinstance(execution.workers, int):
        return _find_quickest(execution, film, job, sink)[0]
    (scan, _), serial = _scan(film, job, sink)
    threads = execution.threads or max(1, count_processors() // execution.workers)
    return _try_out(job, scan, execution.workers, threads, serial)[0]


def _scan(film: MediaFile, job: Job, sink: EventSink) -> tuple[Scanned, float]:
    """A film's scan, and the seconds that are one process' alone: those of scanning and of joining."""
    from mmdream.planning.eta import FINISHING_SECONDS
    from mmdream.render.prepare import scan_video

    began = time.perf_counter()
    scanned = scan_video(film, job.order, sink, lambda: False, job.recipe.seams)
    once, each = FINISHING_SECONDS
    return scanned, time.perf_counter() - began + once + each * len(scanned[0].pts)


def _find_quickest(
    execution: Execution, film: MediaFile, job: Job, sink: EventSink
) -> tuple[SharedEstimate, Scanned]:
    """The quickest of what processors, memory and chains allow, by trials one after the other."""
    from mmdream.render.parts import plan_chains
    from mmdream.render.seams import plan_seams

    scanned, serial = _scan(film, job, sink)
    scan, processors = scanned[0], count_processors()
    seams = plan_seams(scan, job.recipe.seams)
    one = SharedEstimate(1, execution.threads or processors, 0.0, "")
    if job.order.keep_picture or len(scan.pts) < MIN_FRAMES:
        sink.say("--workers auto: one process, for so little work")
        return one, scanned
    most, found, memory = len(plan_chains(scan.shots, seams)), list[SharedEstimate](), float(WORKER_MIB)
    for threads in [execution.threads] if execution.threads else _thread_counts(processors):
        fit = _count_that_fit(memory)
        workers = max(1, min(processors // threads, most, fit))
        sink.say(f"tries {SharedEstimate(workers, threads, 0.0, '').text}")
        estimate, trial = _try_out(job, scan, workers, threads, serial)
        memory = trial.memory_mib
        late = START_SECONDS if workers > 1 else 0.0
        found.append(replace(estimate, seconds=estimate.seconds + late))
    best = min(found, key=lambda each: each.seconds)
    rates = ", ".join(f"{each.text} {len(scan.pts) / each.seconds:.1f} frames a second" for each in found)
    sink.say(
        f"takes {best.text}, of {processors} processors, {most} chains and room for {fit} processes: {rates}"
    )
    return best, scanned


def _thread_counts(processors: int) -> list[int]:
    """Threads of a task that are tried: one, a quarter of the processors, and all of them."""
    return sorted({1, max(1, processors // 4), processors})


def _count_that_fit(mib: float) -> int:
    """Processes of so many MiB for which there is memory, beside this one."""
    import psutil

    return int(psutil.virtual_memory().available / MIB / mib) - 1


def _try_out(job: Job, scan: Scan, workers: int, threads: int, serial: float) -> tuple[SharedEstimate, Trial]:
    from mmdream.cluster.trial import try_workers
    from mmdream.render.parts import plan_chains
    from mmdream.render.seams import plan_seams

    with (
        tempfile.TemporaryDirectory(prefix="mmdream") as folder,
        nodes.start_local_workers(workers, Path(folder)) as client,
    ):
        trial = try_workers(client, job, scan, threads)
    runs = plan_chains(scan.shots, plan_seams(scan, job.recipe.seams))
    chains = [float(trial.expected[run[0].first : run[-1].stop].sum()) for run in runs]
    slowest_stage = max(trial.stages, key=lambda name: trial.stages[name])
    return estimate_shared(chains, workers, threads, serial, slowest_stage), trial


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
