"""Films that are made, each by a process that outlives the studio; how they are is told by their folders."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdream.core.errors import UserError
from mmdream.jobs.journal import read_events
from mmdream.jobs.store import STOP_FILE, is_job_folder, is_running, job_folder, list_jobs
from mmdream.studio.project import QueuedJob

LOG_SUFFIX = ".log"


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as the page shows it."""

    id: str
    film: str
    out: str
    state: str
    """waiting, running, stopped, failed or done."""
    share: float
    """0..1."""
    left: float | None
    """Seconds that it still takes; None: not known."""
    message: str
    frame: int
    """Grows with each new picture of what is being made; 0: there is none."""


class JobRunner:
    """Starts and stops the processes, and tells from the files how they are."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder, self._logs = folder, logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, job: QueuedJob) -> None:
        """Begin a job, or go on with it; it lives on when the studio ends."""
        resumed = is_job_folder(job_folder(self._folder / job.out))
        words = ["resume", job.out] if resumed else job.command
        self._logs.mkdir(parents=True, exist_ok=True)
        if not resumed:
            self.preview(job.id).unlink(missing_ok=True)
        with open(self._log(job), "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "mmdream", *words],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes[job.id] = process
        job.started, job.held, job.pid = True, False, process.pid

    def stop(self, job: QueuedJob) -> None:
        """Let a job stop as Ctrl-C does: what is finished is kept."""
        job.held = True
        folder = job_folder(self._folder / job.out)
        if is_running(folder):
            (folder / STOP_FILE).touch()
        elif (process := self._processes.get(job.id)) is not None and process.poll() is None:
            process.terminate()

    def is_active(self, job: QueuedJob) -> bool:
        """Whether somebody works on it."""
        process = self._processes.get(job.id)
        if process is not None and process.poll() is None:
            return True
        return is_running(job_folder(self._folder / job.out))

    def view(self, job: QueuedJob) -> JobView:
        """How a job is, by its folder and its result."""
        out = self._folder / job.out
        folder, share, message = job_folder(out), 0.0, ""
        left: float | None = None
        if self.is_active(job):
            state = "running"
        elif is_job_folder(folder):
            state = "stopped"
        elif out.is_file() and job.started:
            state, share = "done", 1.0
        elif job.started and not job.held:
            state, message = "failed", self._read_error(job)
        else:
            state = "stopped" if job.held else "waiting"
        if is_job_folder(folder):
            with suppress(OSError):
                share, left = self._read_progress(folder)
            if state == "stopped" and not job.held:
                message = self._read_error(job) or "its process was ended from outside; Resume goes on"
        frame = 0
        with suppress(OSError):
            frame = self.preview(job.id).stat().st_mtime_ns // 1_000_000
        return JobView(job.id, job.film, job.out, state, share, left, message, frame)

    def preview(self, job_id: str) -> Path:
        """The newest frame of a job, as it is made."""
        return self._logs / f"{job_id}.jpg"

    def partial(self, job_id: str) -> Path:
        """The film as far as it had come when it was last asked for."""
        return self._logs / f"{job_id}.mp4"

    def write_partial(self, job: QueuedJob) -> float:
        """Write it; its seconds; `UserError`: nothing is finished yet."""
        folder = job_folder(self._folder / job.out)
        words = [sys.executable, "-m", "mmdream.jobs.partial", str(folder), str(self.partial(job.id))]
        made = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if made.returncode:
            lines = made.stderr.strip().splitlines() or ["it cannot be played yet"]
            raise UserError(lines[-1])
        return float(made.stdout)

    def read_record(self, job: QueuedJob) -> str:
        """All that happened and all that was said, a line each."""
        lines = []
        with suppress(OSError):
            lines += [_describe(event) for event in read_events(job_folder(self._folder / job.out))]
        with suppress(OSError):
            lines += self._log(job).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines) + "\n"

    def _read_progress(self, folder: Path) -> tuple[float, float | None]:
        happened = read_events(folder)
        share, left = 0.0, None
        for status in list_jobs(folder):
            if status.folder == folder and status.total:
                share = status.frames / status.total
        for event in reversed(happened):
            if event["event"] == "progress" and event.get("medium") == "picture" and event.get("total"):
                share = max(share, event["done"] / event["total"])
                break
        times = [event["seconds"] for event in happened if event["event"] == "left" and "seconds" in event]
        return share, times[-1] if times else left

    def _log(self, job: QueuedJob) -> Path:
        return self._logs / f"{job.id}{LOG_SUFFIX}"

    def _read_error(self, job: QueuedJob) -> str:
        """The last line that a process said of itself."""
        try:
            text = self._log(job).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        lines = [line for line in text.splitlines() if line.startswith("mmdream: error:")]
        return lines[-1].removeprefix("mmdream: error:").strip() if lines else ""

    def remove(self, job: QueuedJob) -> None:
        """Forget a job; its folder and its result stay."""
        self._processes.pop(job.id, None)
        for path in (self._log(job), self.preview(job.id), self.partial(job.id)):
            path.unlink(missing_ok=True)


def _describe(event: dict[str, Any]) -> str:
    """An event as a line."""
    told = {name: value for name, value in event.items() if name not in ("time", "event", "report")}
    return f"{event['event']} " + ", ".join(f"{name} {value}" for name, value in told.items())
