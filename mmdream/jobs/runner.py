"""A job begun, or gone on with, in its folder and under its lock; whatever ends it early loses little."""

from __future__ import annotations

import os
import shlex
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mmdream.core.errors import DISK_FULL_ERRNOS, DiskFull, UserError
from mmdream.core.events import EventSink, Finished
from mmdream.core.files import check_output_file
from mmdream.core.memory import keep_freed_memory
from mmdream.core.report import Report
from mmdream.core.threads import run_interruptible
from mmdream.jobs import store as folders
from mmdream.jobs.delivery import attach_preview, check_extras, deliver_outputs, find_result
from mmdream.jobs.journal import EventLog, Journal, JournalEntry
from mmdream.jobs.spec import Job, describe_job, format_differences
from mmdream.media.formats import VIDEO_SUFFIXES
from mmdream.media.probe import MediaFile, probe
from mmdream.media.tracks import resolve_tracks


def start_job(film: MediaFile, job: Job, out: Path, job_dir: Path | None, listener: EventSink) -> Report:
    """Dream a film, from where an earlier run of the same job stopped.

    Args:
        film: the source.
        job: what to make of it.
        out: the result, as the user names it.
        job_dir: the job's folder; None: beside the result.
        listener: told about plan and progress.

    Raises:
        UserError: the folder holds another job, or what `render` raises.
        Stopped: Ctrl-C.
    """
    folder = folders.job_folder(out) if job_dir is None else job_dir
    how = _resume_command(out if job_dir is None else job_dir)
    check_extras(job, folder)
    job = replace(job, extras=job.extras.absolute())

    def prepare() -> tuple[MediaFile, Job]:
        folders.begin_job(job, folder, how)
        return film, job

    return _run_job(folder, how, listener, prepare).with_output(out)


def resume_job(
    name: Path, anyway: bool, listener: EventSink, overwrite: bool = False, output: Path | None = None
) -> Report:
    """Go on with a job.

    Args:
        name: its folder, or the result's name where the folder lies beside it.
        anyway: even where another machine or other libraries will make the rest differ in its last bits.
        listener: told about plan and progress.
        overwrite: the result may replace a file, even if that was not said when the job began.
        output: another name for the result; None: the job's.

    Raises:
        UserError: there is no such job, its source or weights have changed, the result's name is taken, or
            what `render` raises.
        Stopped: Ctrl-C.
    """
    folder, how = name if name.is_dir() else folders.job_folder(name), _resume_command(name)
    none = UserError(f"{name}: no job to go on with; `mmdream jobs FOLDER` lists those in a folder")
    if not folders.is_job_folder(folder):
        raise none

    def prepare() -> tuple[MediaFile, Job]:
        # Under the lock: a first run may have ended in between.
        held = folders.read_job(folder)
        if held is None:
            raise none
        job = replace(held, overwrite=overwrite or held.overwrite)
        if output is not None:
            job = replace(job, out=output.resolve())
        done = find_result(job, folder)
        if done is None or not done.matches(job.out):
            _check_output_name(job, how)
        film = probe(job.source)
        _, track = resolve_tracks(film, job.order)
        now = describe_job(
            job.source, job.out, job.order, job.recipe, track is not None, job.overwrite, job.extras
        )
        if other := format_differences(held.settings, now.settings):
            raise UserError(
                f"{name}: cannot go on, {other}; put that back, or begin anew: mmdream video ... --overwrite"
            )
        if done is None and not anyway:
            folders.check_environment(held, now.environment, how)
        check_extras(now, folder, Journal(folder))
        folders.write_job(now, folder)
        return film, now

    return _run_job(folder, how, listener, prepare)


def _resume_command(name: Path) -> str:
    """What goes on with a job, by the name of its result or of its folder."""
    return f"mmdream resume {shlex.quote(str(name))}"


def _check_output_name(job: Job, how: str) -> None:
    """Refuse a result's name that is taken before the work.

    Raises:
        UserError: it is, or cannot be written.
    """
    if job.out.exists() and not job.overwrite:
        raise UserError(
            f"{job.out}: exists already; move it away, or replace it: {how} --overwrite, or choose another "
            "name with -o"
        )
    check_output_file(job.source, job.out, "", VIDEO_SUFFIXES, job.overwrite)


def _run_job(
    folder: Path, how: str, listener: EventSink, prepare: Callable[[], tuple[MediaFile, Job]]
) -> Report:
    """Do a job in its folder, under its lock, as far as it is not done.

    Args:
        folder: of the job.
        how: the command that goes on with it.
        listener: told about plan and progress.
        prepare: makes the folder hold the job, or tells what it holds.
    """
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
                    done = _render(film, job, folder, attach_preview(sink, film, job), stop)
                sink.emit(Finished(Report.from_dict(done.sums["report"]).as_json()))
                report = deliver_outputs(film, job, folder, done, how)
            except UserError as error:
                if not isinstance(error, DiskFull) and not _is_worth_keeping(folder):
                    folders.discard_job(folder)
                raise
            folders.discard_job(folder)
            return report.with_output(job.out)

    return run_interruptible(work, how, lambda: begun.is_set() and stop_file.exists())


def _render(film: MediaFile, job: Job, folder: Path, sink: EventSink, stop: threading.Event) -> JournalEntry:
    """Dream a film, or what is left of it, into its job's folder; the journal's line of the result.

    The line has the report, which does not name the result.
    """
    from mmdream.planning.announce import announce_plan
    from mmdream.render.video import prepare_video, render_video

    keep_freed_memory()
    journal = Journal(folder)
    journal.verify()
    kinds = ("picture", "carry", "sound")
    folders.remove_unlisted(folder, {line.file for kind in kinds for line in journal.finished(kind).values()})
    plan = prepare_video(film, job, journal, sink, stop.is_set)
    sink = announce_plan(plan, folder, sink)
    with folders.make_work_folder(folder) as work:
        report = render_video(plan, work, sink, stop)
        with journal.record("result", 0, folders.result_file("result", job.out)) as draft:
            os.replace(work / job.out.name, draft.path)
            draft.sums = {"report": report.to_dict()}
    return journal.finished("result")[0]


@contextmanager
def _explain_full_disk(folder: Path, how: str) -> Iterator[None]:
    """The line for a full disk: which folder lies on it, and how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL_ERRNOS:
            raise
        raise _disk_full_error(folder, how) from error
    except DiskFull as error:
        raise _disk_full_error(folder, how) from error


def _is_worth_keeping(folder: Path) -> bool:
    journal = Journal(folder)
    return any(journal.finished(kind) for kind in ("picture", "sound", "result"))


def _disk_full_error(folder: Path, how: str) -> DiskFull:
    """The line for a full disk: which folder lies on it, and how to go on."""
    held = folders.read_job(folder)
    if held is None:
        return DiskFull(f"{folder.parent}: no space left; make room or choose another place with -o")
    places = [held.out.parent, folder.parent if folder == folders.job_folder(held.out) else folder]
    place = min(places, key=lambda path: shutil.disk_usage(path).free)
    return DiskFull(f"{place}: no space left; make room, then go on with: {how}")
