"""A job run in its folder, under its lock, from where an earlier run stopped until its results have names."""

from __future__ import annotations

import os
import shlex
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from mmdream.core.errors import DISK_FULL_ERRNOS, DiskFull, UserError, disk_full_error
from mmdream.core.events import EventSink, Finished
from mmdream.core.files import check_output_file
from mmdream.core.memory import keep_freed_memory
from mmdream.core.threads import run_interruptible
from mmdream.jobs import store as folders
from mmdream.jobs.journal import EventLog, Journal, JournalEntry
from mmdream.jobs.outputs import STEMS, check_extras, deliver_outputs, find_result
from mmdream.jobs.spec import Job, describe_job, format_differences
from mmdream.media.formats import VIDEO_SUFFIXES
from mmdream.media.probe import MediaFile, probe
from mmdream.media.tracks import resolve_tracks
from mmdream.settings.definition import to_dict
from mmdream.settings.execution import HERE, Execution
from mmdream.settings.report import Report
from mmdream.views.preview import Preview

if TYPE_CHECKING:
    from mmdream.analysis.shots import Scan
    from mmdream.render.chain import VideoPlan
    from mmdream.render.video import Runner

OpenRunner = Callable[["VideoPlan", Job, np.ndarray, EventSink], AbstractContextManager["Runner"]]
"""Gives a `Runner` for a plan, whose frames are expected to take so many seconds each, here."""
OpenWorkers = Callable[[Path], AbstractContextManager[OpenRunner]]
"""Starts, or finds, those who will work; they may use a folder, which goes with all that is in it."""
Scanned = tuple["Scan", dict[int, str]]
"""A film's scan and the hashes of its parts' first frames, see `scan_video`."""

CHAINS_AT_ONCE = 4
"""Chains whose frames are dreamed in one batch on a graphics card."""


@contextmanager
def work_here(_folder: Path) -> Iterator[OpenRunner]:
    """The `OpenWorkers` of this process alone."""

    def open_runner(
        plan: VideoPlan, _job: Job, _seconds: np.ndarray, _sink: EventSink
    ) -> AbstractContextManager[Runner]:
        from mmdream.networks.framework import has_gpu
        from mmdream.render.video import LocalRunner

        return nullcontext(LocalRunner(CHAINS_AT_ONCE if has_gpu and len(plan.missing) > 1 else 1))

    yield open_runner


def start_job(
    film: MediaFile,
    job: Job,
    out: Path,
    job_dir: Path | None,
    listener: EventSink,
    execution: Execution = HERE,
    open_workers: OpenWorkers = work_here,
    scanned: Scanned | None = None,
) -> Report:
    """Dream a film, from where an earlier run of the same job stopped; in `job_dir`, or beside the result.

    `open_workers` is what `execution` asks for; `scanned` spares a look at the film.

    Raises:
        UserError: the folder holds another job, or what rendering raises.
        Stopped: Ctrl-C, or a stop file.
    """
    folder = job_dir or folders.job_folder(out)
    how = f"mmdream resume {shlex.quote(str(job_dir or out))}{execution.options()}"
    check_extras(film, job, folder)
    job = replace(job, extras=job.extras.absolute())

    def prepare() -> tuple[MediaFile, Job]:
        folders.begin_job(job, folder, how, execution.anyway)
        return film, job

    return _run_job(folder, how, listener, prepare, open_workers, scanned).with_output(out)


def resume_job(
    name: Path,
    listener: EventSink,
    overwrite: bool = False,
    output: Path | None = None,
    execution: Execution = HERE,
    open_workers: OpenWorkers = work_here,
) -> Report:
    """Go on with a job, named by its folder, or by its result where the folder lies beside that.

    `open_workers` is what `execution` asks for.
    `overwrite`: the result may replace a file, even if that was not said when the job began. `output` is
    another name for the result.

    Raises:
        UserError: there is no such job, its source or weights have changed, the result's name is taken, or
            what rendering raises.
        Stopped: Ctrl-C, or a stop file.
    """
    folder = name if name.is_dir() else folders.job_folder(name)
    how = f"mmdream resume {shlex.quote(str(name))}{execution.options()}"
    none = UserError(f"{name}: no job to go on with; `mmdream jobs FOLDER` lists those in a folder")
    if not folders.is_job_folder(folder):
        raise none

    def prepare() -> tuple[MediaFile, Job]:
        # Under the lock: a first run may have ended in between.
        held = folders.read_job(folder)
        if held is None:
            raise none
        out = held.out if output is None else output.resolve()
        job = replace(held, out=out, overwrite=overwrite or held.overwrite)
        done = find_result(job, folder)
        if done is None or not done.matches(job.out):
            if job.out.exists() and not job.overwrite:
                raise UserError(
                    f"{job.out}: exists already; move it away, or replace it: {how} --overwrite, or choose "
                    "another name with -o"
                )
            check_output_file(job.source, job.out, "", VIDEO_SUFFIXES, job.overwrite)
        film = probe(job.source)
        _, track = resolve_tracks(film, job.order)
        now = describe_job(
            job.source, job.out, job.order, job.recipe, track is not None, job.overwrite, job.extras
        )
        if other := format_differences(held.settings, now.settings):
            raise UserError(
                f"{name}: cannot go on, {other}; put that back, or begin anew: mmdream video ... --overwrite"
            )
        if done is None and not execution.anyway:
            folders.check_environment(held, now.environment, how)
        check_extras(film, now, folder, Journal(folder))
        folders.write_job(now, folder)
        return film, now

    return _run_job(folder, how, listener, prepare, open_workers)


def find_threads(name: Path) -> int | None:
    """How many threads the tasks of a job take, named as for `resume_job`; None: that cannot be told."""
    try:
        held = folders.read_job(name if name.is_dir() else folders.job_folder(name))
    except UserError:
        return None
    threads = "" if held is None else held.environment.get("threads", "")
    return int(threads) if threads.isdecimal() else None


def _run_job(
    folder: Path,
    how: str,
    listener: EventSink,
    prepare: Callable[[], tuple[MediaFile, Job]],
    open_workers: OpenWorkers,
    scanned: Scanned | None = None,
) -> Report:
    """Do what is left of a job; `prepare` makes its folder hold it or tells what it holds, under the lock."""
    begun, stop_file = threading.Event(), folder / folders.STOP_FILE

    def work(stop: threading.Event) -> Report:
        with _explain_full_disk(folder, how), folders.lock_folder(folder):
            try:
                film, job = prepare()
            except (OSError, UserError):
                if not (folder / folders.JOB_FILE).is_file():
                    folders.discard_job(folder)  # It could not even be begun, or has ended meanwhile.
                raise
            stop_file.unlink(missing_ok=True)  # It was for an earlier run.
            begun.set()
            sink = EventSink(listener.emit, EventLog(folder))
            try:
                done = find_result(job, folder)
                if done is None:
                    # Imported when all that can be checked is checked: this brings TensorFlow in.
                    done = _render(film, job, folder, sink, stop, open_workers, scanned)
                sink.emit(Finished(msgspec.convert(done.sums["report"], Report).as_json()))
                report = deliver_outputs(film, job, folder, done, how)
            except UserError as error:
                made = map(Journal(folder).finished, ("picture", "sound", "result"))
                if not isinstance(error, DiskFull) and not any(made):
                    folders.discard_job(folder)
                raise
            folders.discard_job(folder)
            return report.with_output(job.out)

    return run_interruptible(work, how, lambda: begun.is_set() and stop_file.exists())


def _render(
    film: MediaFile,
    job: Job,
    folder: Path,
    sink: EventSink,
    stop: threading.Event,
    open_workers: OpenWorkers,
    scanned: Scanned | None,
) -> JournalEntry:
    """Dream what is left of a film into its job's folder; the journal's line of the result."""
    from mmdream.planning.estimate import announce_plan
    from mmdream.planning.eta import estimate_frame_seconds
    from mmdream.render.prepare import prepare_video, record_scan
    from mmdream.render.video import render_video

    if job.extras.preview is not None and film.video is not None:
        sink = EventSink(sink.emit, frame=Preview(job.extras.preview, job.recipe.net, film.video.sar))
    keep_freed_memory()
    journal = Journal(folder)
    journal.verify()
    kinds = ("picture", "carry", "seam", "sound")
    folders.remove_unlisted(folder, {line.file for kind in kinds for line in journal.finished(kind).values()})
    with folders.make_work_folder(folder) as work, open_workers(work) as open_runner:
        if scanned is not None and not journal.finished("scan"):
            record_scan(journal, *scanned)
        plan = prepare_video(film, job, journal, sink, stop.is_set)
        seconds = np.zeros(len(plan.scan.pts))
        if plan.pipeline is not None:
            seconds = estimate_frame_seconds(plan.pipeline, film, plan.scan)
        timed = announce_plan(plan, seconds, folder, sink)
        stems = work / STEMS if job.extras.stems else None
        with open_runner(plan, job, seconds, sink) as runner:
            report = render_video(plan, work, timed if runner.in_order else sink, stop, runner, stems)
        for number, path in enumerate(sorted(stems.iterdir()) if stems is not None else ()):
            with journal.record(STEMS, number, f"{STEMS}/{path.name}") as part:
                os.replace(path, part.path)
        with journal.record("result", 0, f"result{job.out.suffix.lower()}") as draft:
            os.replace(work / job.out.name, draft.path)
            draft.sums = {"report": to_dict(report)}
    return journal.finished("result")[0]


@contextmanager
def _explain_full_disk(folder: Path, how: str) -> Iterator[None]:
    """The line for a full disk: which folder lies on it, and how to go on."""
    try:
        yield
    except (OSError, DiskFull) as error:
        if isinstance(error, OSError) and error.errno not in DISK_FULL_ERRNOS:
            raise
        held = folders.read_job(folder)
        if held is None:
            raise disk_full_error(folder) from error
        places = [held.out.parent, folder.parent if folder == folders.job_folder(held.out) else folder]
        place = min(places, key=lambda path: shutil.disk_usage(path).free)
        raise DiskFull(f"{place}: no space left; make room, then go on with: {how}") from error
