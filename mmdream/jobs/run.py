"""A job begun, or gone on with, in its folder and under its lock; whatever ends it early loses little."""

from __future__ import annotations

import shlex
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mmdream.errors import NoRoom, UserError
from mmdream.film.opened import FULL
from mmdream.film.source import Film, probe
from mmdream.jobs import folder as folders
from mmdream.jobs.attended import attended
from mmdream.jobs.durable import write
from mmdream.jobs.job import Job, describe, differences
from mmdream.jobs.journal import Journal
from mmdream.jobs.order import wanted
from mmdream.listen import Listener
from mmdream.report import Report


def begin(film: Film, job: Job, out: Path, job_dir: Path | None, listener: Listener) -> Report:
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
    folder = folders.folder_of(out) if job_dir is None else job_dir
    how = f"mmdream resume {shlex.quote(str(out if job_dir is None else job_dir))}"
    return _run(film, job, folder, how, listener, lambda: folders.begin(job, folder, how)).named(out)


def resume(name: Path, anyway: bool, listener: Listener) -> Report:
    """Go on with a job.

    Args:
        name: its folder, or the result's name where the folder lies beside it.
        anyway: even where another machine or other libraries will make the rest differ in its last bits.
        listener: told about plan and progress.

    Raises:
        UserError: there is no such job, its source or weights have changed, or what `render` raises.
        Stopped: Ctrl-C.
    """
    folder = name if name.is_dir() else folders.folder_of(name)
    held = folders.job_in(folder)
    if held is None:
        raise UserError(f"{name}: no job to go on with; `mmdream jobs FOLDER` lists those in a folder")
    if held.out.exists() and not held.overwrite:
        raise UserError(f"{held.out}: exists already; move it away, then go on")
    how = f"mmdream resume {shlex.quote(str(name))}"
    film = probe(held.source)
    _, track = wanted(film, held.order)
    now = describe(held.source, held.out, held.order, held.recipe, track is not None, held.overwrite)
    if other := differences(held.settings, now.settings):
        raise UserError(f"{name}: cannot go on, {other}; put that back, or begin anew with --overwrite")

    def prepare() -> None:
        if not anyway:
            folders.check_environment(held, now.environment, how)
        elif held.environment != now.environment:
            write(folder / folders.JOB, replace(held, environment=now.environment).to_json().encode())

    return _run(film, now, folder, how, listener, prepare).named(held.out)


def _run(
    film: Film, job: Job, folder: Path, how: str, listener: Listener, prepare: Callable[[], None]
) -> Report:
    def work(stop: threading.Event) -> Report:
        with folders.locked(folder):
            try:
                prepare()
            except OSError:
                if not (folder / folders.JOB).is_file():
                    folders.discard(folder)  # It could not even be begun.
                raise
            try:
                # Imported when all that can be checked is checked: this brings TensorFlow in.
                from mmdream.jobs.film import render

                report = render(film, job, folder, listener, stop)
            except UserError as error:
                if not isinstance(error, NoRoom) and not _is_worth_keeping(folder):
                    folders.discard(folder)
                raise
            folders.discard(folder)
            return report

    try:
        return attended(work, how)
    except NoRoom as error:
        raise _full(job, folder, how) from error
    except OSError as error:
        if error.errno in FULL:
            raise _full(job, folder, how) from error
        raise


def _is_worth_keeping(folder: Path) -> bool:
    journal = Journal(folder)
    return bool(journal.done("picture") or journal.done("sound"))


def _full(job: Job, folder: Path, how: str) -> NoRoom:
    """The line for a full disk: which folder lies on it, and how to go on."""
    places = [job.out.parent, folder.parent if folder == folders.folder_of(job.out) else folder]
    place = min(places, key=lambda path: shutil.disk_usage(path).free)
    if not (folder / folders.JOB).is_file():
        return NoRoom(f"{place}: no space left; make room or choose another place with -o")
    return NoRoom(f"{place}: no space left; make room, then go on with: {how}")
