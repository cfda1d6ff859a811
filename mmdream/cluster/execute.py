"""What `Execution` asks for, opened: worker processes here, or the workers of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream.cluster import nodes
from mmdream.core.events import EventSink
from mmdream.core.processors import count_processors, count_threads, limit_threads
from mmdream.jobs.runner import OpenRunner, OpenWorkers, work_here
from mmdream.jobs.spec import Job, describe_environment
from mmdream.media.probe import MediaFile
from mmdream.settings.execution import Execution

if TYPE_CHECKING:
    from distributed import Client

    from mmdream.cluster.film import WorkerRunner
    from mmdream.render.chain import VideoPlan


def choose_execution(
    execution: Execution, film: MediaFile, job: Job, sink: EventSink
) -> tuple[Execution, Job]:
    """Settle how many workers there are and how many threads a task of a new film takes; its job says so."""
    if execution.workers is None or execution.threads is not None and execution.workers != "auto":
        return execution, job
    workers, threads = execution.workers, execution.threads
    if workers == "auto":
        raise NotImplementedError
    threads = max(1, count_processors() // workers)
    limit_threads(threads)
    return replace(execution, workers=workers, threads=threads), replace(
        job, environment=describe_environment(job.recipe)
    )


def fix_worker_count(execution: Execution) -> Execution:
    return execution


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
    return nodes.start_local_workers(execution.workers, count_threads(), folder)
