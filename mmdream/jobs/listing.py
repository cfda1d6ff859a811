"""The jobs in a folder: how far each is, and whether somebody works on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.jobs import journal
from mmdream.jobs.journal import JournalEntry
from mmdream.jobs.store import FOLDER_PREFIX, FOLDER_SUFFIX, JOB_FILE, is_job_folder, is_running, read_job


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job."""

    folder: Path
    out: Path | None
    """The result; None where the description is damaged."""
    state: str
    """running, stopped or broken."""
    frames: int
    total: int | None
    """Frames in all; None: not counted yet."""
    chunks: int
    """Of the sound."""
    touched: float
    """When something was last finished, seconds since 1970."""

    @property
    def percent(self) -> int | None:
        """Of the frames; None: not known, or the picture is not dreamed."""
        return None if not self.total else 100 * self.frames // self.total

    @property
    def name(self) -> Path:
        """What `mmdream resume` takes."""
        beside = self.folder.name.startswith(FOLDER_PREFIX) and self.folder.name.endswith(FOLDER_SUFFIX)
        own = self.folder.name.removeprefix(FOLDER_PREFIX).removesuffix(FOLDER_SUFFIX)
        return self.folder.with_name(own) if beside else self.folder


def list_jobs(place: Path) -> list[JobStatus]:
    """The jobs in a folder, the last touched first.

    Raises:
        UserError: no such folder.
    """
    if not place.is_dir():
        raise UserError(f"{place}: no such folder")
    found = [job for job in map(_read_status, _find_job_folders(place)) if job is not None]
    return sorted(found, key=lambda job: job.touched, reverse=True)


def _find_job_folders(place: Path) -> Iterator[Path]:
    for path in (place, *place.iterdir()):
        if is_job_folder(path) and (path / JOB_FILE).is_file():
            yield path


def _read_status(folder: Path) -> JobStatus | None:
    """How far a job is; None: it ended while it was looked at."""
    try:
        lines = list(journal.read_journal(folder))
        try:
            job = read_job(folder)
        except UserError:
            job = None
        running = is_running(folder)
        touched = (folder / JOB_FILE).stat().st_mtime
        if lines:
            touched = max(touched, (folder / journal.JOURNAL_FILE).stat().st_mtime)
    except FileNotFoundError:
        return None
    dreams = job is not None and not job.order.keep_picture
    return JobStatus(
        folder,
        None if job is None else job.out,
        "running" if running else "broken" if job is None else "stopped",
        _count_finished(lines, "picture"),
        next((line.count for line in lines if line.kind == "scan"), None) if dreams else None,
        _count_finished(lines, "sound"),
        touched,
    )


def _count_finished(lines: list[JournalEntry], kind: str) -> int:
    """Frames or chunks that are done; a number counts once."""
    return sum({line.number: line.count for line in lines if line.kind == kind}.values())
