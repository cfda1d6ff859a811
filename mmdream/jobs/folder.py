"""The folder of a job: where everything in it lies, who may work in it, and what may be thrown away."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mmdream.errors import UserError
from mmdream.jobs import journal
from mmdream.jobs.durable import write
from mmdream.jobs.job import Job, differences

JOB, LOCK, SCAN, DRIVEN = "job.json", "lock", "scan.safetensors", "driven.json"
WORK = "work-"
"""Begins the name of a run's own folder in the job's. What a killed run leaves there, or an ffmpeg that
outlives it still writes, meets nobody."""
BEGIN, END = ".", ".mmdream"
"""Around the result's name: the job's folder, unless the user names one."""


def folder_of(out: Path) -> Path:
    """The job's folder beside a result."""
    return out.with_name(f"{BEGIN}{out.name}{END}")


def picture_file(number: int) -> str:
    """A part's frames."""
    return f"picture/{number:05d}.mid"


def carry_file(number: int) -> str:
    """What a part's last frame hands on."""
    return f"picture/{number:05d}.carry"


def sound_file(number: int) -> str:
    """A group of chunks."""
    return f"sound/{number:05d}.safetensors"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have a job's folder to oneself; it is made if need be. The lock dies with its process.

    Raises:
        UserError: another run works in it, it holds something else, or it cannot be made.
    """
    try:
        if folder.is_dir() and not (folder / JOB).is_file():
            others = [path.name for path in folder.iterdir() if not _is_ours(path)]
            if others:
                raise UserError(
                    f"{folder}: holds other files ({others[0]}); name a new folder with --job-dir"
                )
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made for the job ({error.strerror}); see --job-dir") from error
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{folder}: another run works on this film; wait for it, or stop it first") from None
    try:
        yield
    finally:
        lock.release()


def is_running(folder: Path) -> bool:
    """Whether somebody works in a job's folder now."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK).acquire(timeout=0):
            return False
    except Timeout:
        return True


def job_in(folder: Path) -> Job | None:
    """The job that a folder holds; None: none, or one that was torn before its first part.

    Raises:
        UserError: the job's description is damaged.
    """
    path = folder / JOB
    if not path.is_file():
        return None
    try:
        return Job.from_json(path.read_text(encoding="utf-8"))
    except ValueError:
        if next(journal.read(folder), None) is None:
            return None
    raise UserError(f"{path}: is damaged or of another version; begin anew with --overwrite")


def begin(job: Job, folder: Path, how: str) -> None:
    """Make a folder hold this job, whose lock is ours: go on with what is there, or begin.

    Args:
        job: what is to be made.
        folder: of the job.
        how: the command that goes on with what the folder holds.

    Raises:
        UserError: the folder holds another job, or one from another machine.
    """
    try:
        held = job_in(folder)
    except UserError:
        if not job.overwrite:
            raise
        held = None
    # Not the digests: 1 and 1.0 are one setting, and two texts.
    if held is not None and held.settings == job.settings and held.out == job.out:
        check_environment(held, job.environment, how)
        return
    if held is not None and not job.overwrite:
        other = differences({"output": held.out, **held.settings}, {"output": job.out, **job.settings})
        raise UserError(
            f"{job.out}: a film with other settings is half done ({other}); go on with it: {how}, "
            "or begin anew: --overwrite"
        )
    clear(folder)
    write(folder / JOB, job.to_json().encode())


def check_environment(job: Job, here: dict[str, str], how: str) -> None:
    """Refuse to go on where the rest of a film would not be the same, bit for bit.

    Raises:
        UserError: precision, processor, cores or libraries differ.
    """
    if other := differences(job.environment, here):
        raise UserError(
            f"{job.out}: begun where the dream would differ in its last bits ({other}); go on there, "
            f"or here: {how} --anyway"
        )


def clear(folder: Path) -> None:
    """Throw away all of a job but its lock."""
    for path in folder.iterdir():
        if _is_ours(path) and path.name != LOCK:
            _remove(path)


def sweep(folder: Path, kept: set[str]) -> None:
    """Throw away what no line of the journal names.

    Args:
        folder: of the job.
        kept: files that stay, named from the folder on.
    """
    for path in folder.iterdir():
        if path.name.startswith(WORK):
            _remove(path)
    for place in (folder / "picture", folder / "sound"):
        for path in place.iterdir() if place.is_dir() else ():
            if path.relative_to(folder).as_posix() not in kept:
                _remove(path)


def _is_ours(path: Path) -> bool:
    names = {JOB, LOCK, SCAN, DRIVEN, journal.NAME, "picture", "sound"}
    return path.name.removesuffix(".draft") in names or path.name.startswith(WORK)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
