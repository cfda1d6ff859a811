"""The folder of a job: where everything in it lies, who may work in it, and what may be thrown away."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import lock_descriptor

from mmdream.core.errors import UserError
from mmdream.core.files import write_atomically
from mmdream.jobs import journal
from mmdream.jobs.spec import Job, format_differences

JOB_FILE, LOCK_FILE = "job.json", "lock"
STOP_FILE = "stop"
"""Whoever writes it into the folder of a running job stops it, as Ctrl-C does."""
WORK_PREFIX = "work-"
"""Begins the name of a run's own folder in the job's: what an ffmpeg that outlives it writes meets nobody."""
MARKER_FILE = "made-by-mmdream"
"""Lies in every folder that mmdream made or was given empty. Without it nothing in a folder is touched."""
CREATED_TEXT = b"mmdream made this folder; when its film is finished, mmdream removes it.\n"
ADOPTED_TEXT = b"mmdream found this folder empty; when its film is finished, mmdream leaves it so.\n"
"""What the marker says. A kill may have cut it short."""
PART_FILES = {
    "picture": re.compile(r"\d{5}\.(mid|carry|seam)(\.draft)?"),
    "sound": re.compile(r"\d{5}\.safetensors(\.draft)?"),
    "stems": re.compile(r"(source|gain|grains .+)\.wav(\.draft)?|grains\.csv(\.draft)?"),
}
"""The files in the folders of a job's parts."""
RESULT_FILES = re.compile(r"(result|sheet|plot|compare|record)\.\w+(\.draft)?")
"""The film and what is made besides, from being finished to being given their names."""
LOCK_WAIT_SECONDS = 1.0
"""Seconds that a starting run waits for the lock: `is_running` takes it for a moment."""
FOLDER_PREFIX, FOLDER_SUFFIX = ".", ".mmdream"
"""Around the result's name: the job's folder, unless the user names one."""


def job_folder(out: Path) -> Path:
    """The job's folder beside a result."""
    return out.with_name(f"{FOLDER_PREFIX}{out.name}{FOLDER_SUFFIX}")


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a job's folder, which is made if need be; the lock dies with its process.

    Raises:
        UserError: another run holds it, the folder holds something else, or it cannot be made.
    """
    handle, late = None, time.monotonic() + LOCK_WAIT_SECONDS
    while handle is None:
        try:
            _claim_folder(folder)
            # FileLock would make a missing folder.
            handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT)
            # What a run that ended has unlinked keeps nobody out.
            if not (lock_descriptor(handle, blocking=False) and os.fstat(handle).st_nlink):
                os.close(handle)
                handle = None
        except OSError as error:
            # A run that ended may have taken the folder away in between.
            if not (isinstance(error, FileNotFoundError) and folder.parent.is_dir()):
                raise UserError(
                    f"{folder}: cannot be made for the job ({error.strerror}); see --job-dir"
                ) from error
        if handle is None:
            if time.monotonic() > late:
                raise UserError(f"{folder}: another run works on this film; wait for it, or stop it first")
            time.sleep(LOCK_WAIT_SECONDS / 20)
    try:
        if not is_job_folder(folder):
            # A run that ended has left the folder as it was given.
            (folder / MARKER_FILE).write_bytes(ADOPTED_TEXT)
        yield
    finally:
        os.close(handle)


def _claim_folder(folder: Path) -> None:
    """Make a job's folder, or take an empty one, and mark it; `UserError`: it holds what is not ours."""
    text = ADOPTED_TEXT
    try:
        folder.mkdir()
        text = CREATED_TEXT
    except FileExistsError:
        if is_job_folder(folder):
            return
        if others := sorted(path.name for path in folder.iterdir()):
            raise UserError(
                f"{folder}: holds other files ({others[0]}), and nothing tells that mmdream made them; "
                "name a new folder with --job-dir"
            ) from None
    try:
        (folder / MARKER_FILE).write_bytes(text)
    except OSError:  # The disk is full.
        (folder / MARKER_FILE).unlink(missing_ok=True)
        if text == CREATED_TEXT:
            folder.rmdir()
        raise


def is_job_folder(folder: Path) -> bool:
    """Whether a folder is a job's: mmdream made it, or was given it empty; it may go meanwhile."""
    try:
        found = (folder / MARKER_FILE).read_bytes()
    except OSError:
        return False
    # A kill, or a power cut, may have left the beginning only.
    return any(text.startswith(found[: len(text)]) for text in (CREATED_TEXT, ADOPTED_TEXT))


@contextmanager
def make_work_folder(folder: Path) -> Iterator[Path]:
    """A run's own folder in the job's; it goes with all that is in it."""
    with tempfile.TemporaryDirectory("", WORK_PREFIX, folder, ignore_cleanup_errors=True) as name:
        (Path(name) / MARKER_FILE).write_bytes(CREATED_TEXT)
        yield Path(name)


def is_running(folder: Path) -> bool:
    """Whether somebody works in a job's folder now; makes nothing, also where the folder goes meanwhile."""
    with suppress(OSError), open(folder / LOCK_FILE, "rb+") as file:
        return not lock_descriptor(file.fileno(), blocking=False)
    return False


def read_job(folder: Path) -> Job | None:
    """The job that a folder holds; None: none, or one torn before its first part; UserError: damaged."""
    path = folder / JOB_FILE
    if not path.is_file():
        return None
    try:
        return Job.from_json(path.read_text(encoding="utf-8"))
    except ValueError:
        if next(journal.read_journal(folder), None) is None:
            return None
    raise UserError(f"{path}: is damaged or of another version; begin anew: mmdream video ... --overwrite")


def begin_job(job: Job, folder: Path, how: str, anyway: bool = False) -> None:
    """Make a folder, whose lock is ours, hold this job.

    UserError: it holds another, or another machine's and that is not to be gone on with `anyway`.
    """
    try:
        held = read_job(folder)
    except UserError:
        if not job.overwrite:
            raise
        held = None
    # Not the digests: 1 and 1.0 are one setting, and two texts.
    if held is not None and held.settings == job.settings and held.out == job.out:
        if not anyway:
            check_environment(held, job.environment, how)
        write_job(job, folder)
        return
    if held is not None and not job.overwrite:
        other = format_differences({"output": held.out, **held.settings}, {"output": job.out, **job.settings})
        raise UserError(
            f"{job.out}: a film with other settings is half done ({other}); go on with it: {how}, "
            "or begin anew: --overwrite"
        )
    clear_folder(folder)
    write_job(job, folder)


def write_job(job: Job, folder: Path) -> None:
    """Write a job down, unless it stands there already."""
    text = job.to_json().encode()
    if not (folder / JOB_FILE).is_file() or (folder / JOB_FILE).read_bytes() != text:
        write_atomically(folder / JOB_FILE, text)


def check_environment(job: Job, here: dict[str, str], how: str) -> None:
    """Refuse to go on where the rest of a film would not be the same, bit for bit."""
    if other := format_differences(job.environment, here):
        differing = {
            name for name in {**job.environment, **here} if job.environment.get(name) != here.get(name)
        }
        right = f"with --threads {job.environment['threads']}" if differing == {"threads"} else "there"
        raise UserError(
            f"{job.out}: begun where the dream would differ in its last bits ({other}); go on {right}, "
            f"or here: {how} --anyway"
        )


def clear_folder(folder: Path) -> None:
    """Delete all of a job but its lock; what mmdream did not make stays."""
    plan_files = (journal.FILE_NAMES[kind] for kind in journal.PLAN_KINDS)
    for name in (JOB_FILE, *plan_files, journal.JOURNAL_FILE, journal.EVENTS_FILE, STOP_FILE):
        (folder / name).unlink(missing_ok=True)
        (folder / f"{name}.draft").unlink(missing_ok=True)
    for path in folder.iterdir():
        if RESULT_FILES.fullmatch(path.name) and not path.is_dir():
            path.unlink()
    remove_unlisted(folder, set())
    for name in PART_FILES:
        with suppress(OSError):  # Something of the user's is in it.
            (folder / name).rmdir()


def remove_unlisted(folder: Path, kept: set[str]) -> None:
    """Delete parts that are not among the kept ones, named from the folder on, and what killed runs left."""
    for path in folder.glob(f"{WORK_PREFIX}*"):
        if not path.is_symlink() and path.is_dir() and (is_job_folder(path) or not any(path.iterdir())):
            shutil.rmtree(path, ignore_errors=True)
    for name, ours in PART_FILES.items():
        for path in (folder / name).iterdir() if (folder / name).is_dir() else ():
            if ours.fullmatch(path.name) and f"{name}/{path.name}" not in kept and not path.is_dir():
                path.unlink(missing_ok=True)


def discard_job(folder: Path) -> None:
    """Delete a job whose lock is ours, and its folder unless it holds what mmdream did not make.

    A run that waits for the lock never meets half of it: a folder that goes has another name by then.
    """
    # First what makes it a job: a kill from here on leaves litter, but no job that is done.
    clear_folder(folder)
    if not {path.name for path in folder.iterdir()} <= {LOCK_FILE, MARKER_FILE}:
        return
    with suppress(OSError):  # Windows holds on to a folder in which a lock is held.
        made = (folder / MARKER_FILE).read_bytes()[: len(CREATED_TEXT)] == CREATED_TEXT
        if made:
            folder = folder.rename(folder.with_name(f".{folder.name}.{uuid.uuid4().hex}"))
        (folder / MARKER_FILE).unlink()
        (folder / LOCK_FILE).unlink()
        if made:
            folder.rmdir()


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
    """Frames in all; None: not counted yet, or the picture is not dreamed."""
    touched: float
    """When something was last finished, seconds since 1970."""

    @property
    def percent(self) -> int | None:
        """Of the frames; None: not known."""
        return 100 * self.frames // self.total if self.total else None

    @property
    def name(self) -> Path:
        """What `mmdream resume` takes."""
        beside = self.folder.name.startswith(FOLDER_PREFIX) and self.folder.name.endswith(FOLDER_SUFFIX)
        own = self.folder.name.removeprefix(FOLDER_PREFIX).removesuffix(FOLDER_SUFFIX)
        return self.folder.with_name(own) if beside else self.folder


def list_jobs(place: Path) -> list[JobStatus]:
    """The jobs in a folder, the last touched first; a UserError if there is no such folder."""
    if not place.is_dir():
        raise UserError(f"{place}: no such folder")
    folders = [
        path for path in (place, *place.iterdir()) if is_job_folder(path) and (path / JOB_FILE).is_file()
    ]
    return sorted(filter(None, map(_read_status, folders)), key=lambda job: job.touched, reverse=True)


def _read_status(folder: Path) -> JobStatus | None:
    """How far a job is; None: it ended while it was looked at."""
    try:
        made = journal.Journal(folder)
        try:
            job = read_job(folder)
        except UserError:
            job = None
        running = is_running(folder)
        touched = [path.stat().st_mtime for path in (folder / JOB_FILE, *folder.glob(journal.JOURNAL_FILE))]
    except FileNotFoundError:
        return None
    scan = None if job is None or job.order.keep_picture else made.finished("scan").get(0)
    return JobStatus(
        folder,
        None if job is None else job.out,
        "running" if running else "broken" if job is None else "stopped",
        sum(part.count for part in made.finished("picture").values()),
        None if scan is None else scan.count,
        max(touched),
    )
