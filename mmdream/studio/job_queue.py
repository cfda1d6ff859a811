"""The queue of a project: one film after the other is made, in the order that a person gives."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmdream.core.errors import UserError
from mmdream.studio import form
from mmdream.studio.film_folder import is_inside
from mmdream.studio.job_runner import JobRunner, JobView
from mmdream.studio.project import FilmState, Project, QueuedJob

MAX_RESULTS = 1000
"""Of one film in a folder."""


class JobQueue:
    """Adds, orders and starts the jobs of a project; whoever calls holds the project's lock."""

    def __init__(self, folder: Path, logs: Path, project: Project, save: Callable[[], None]) -> None:
        self._folder, self._project, self._save = folder, project, save
        self._runner = JobRunner(folder, logs)

    def add(self, film: Path, state: FilmState) -> None:
        """Put a film at the queue's end with its settings as they stand; the first of several is started."""
        taken = {job.out for job in self._project.jobs}
        stems = (f"{film.stem}.dream", *(f"{film.stem}.{n}.dream" for n in range(2, MAX_RESULTS)))
        names = (f"{stem}.mp4" for stem in stems)
        out = next(
            self._folder / name for name in names if name not in taken and not (self._folder / name).exists()
        )
        # A copy of the keys: the film's may change while it waits.
        schedule = out.with_name(f"{out.stem}.schedule.toml")
        form.write_schedule(state.keys, schedule)
        mask = self._folder / state.mask if state.mask else None
        words = form.command_words(film, out, state.settings, state.keys, mask, schedule)
        job_id = uuid.uuid4().hex
        words += ["--sheet", f"{out.stem}.sheet.jpg", "--compare"]
        if "keep-picture" not in state.settings:
            words += ["--preview", str(self._runner.preview(job_id))]
        self._project.jobs.append(QueuedJob(job_id, film.name, out.name, words))
        try:
            self._save()
        except UserError:
            self._project.jobs.pop()  # What was refused is not begun later.
            raise

    def change(self, job_id: str, action: str) -> None:
        """Stop, resume, remove a job, or move it up or down; `UserError`: that cannot be."""
        job = self._find(job_id)
        jobs, place = self._project.jobs, self._project.jobs.index(job)
        if action == "stop":
            self._runner.stop(job)
        elif action == "resume":
            job.held, job.started = False, False
        elif action == "remove":
            if self._runner.is_active(job):
                raise UserError(f"{job.out}: is being made; stop it first")
            self._runner.remove(job)
            jobs.remove(job)
        elif action in ("up", "down"):
            other = place + (1 if action == "down" else -1)
            if 0 <= other < len(jobs):
                jobs[place], jobs[other] = jobs[other], jobs[place]
        else:
            raise UserError(f"a job has no action {action}")
        self._save()

    def find_file(self, job_id: str, kind: str) -> Path:
        """A result of a job, or the newest frame of one that is made; `UserError`: it is not there."""
        out = self._folder / self._find(job_id).out
        paths = {
            "film": out,
            "compare": out.with_name(f"{out.stem}.compare{out.suffix}"),
            "sheet": out.with_name(f"{out.stem}.sheet.jpg"),
            "frame": self._runner.preview(job_id),
            "partial": self._runner.partial(job_id),
        }
        path, is_own = paths.get(kind), kind in ("frame", "partial")
        if path is None or not path.is_file() or not (is_own or is_inside(path, self._folder)):
            raise UserError("this result is not there any more")
        return path

    def write_partial(self, job_id: str) -> float:
        """Write a film as far as it has come, for `find_file`; its seconds."""
        return self._runner.write_partial(self._find(job_id))

    def read_record(self, job_id: str) -> str:
        """All that happened to a job, and all that it said."""
        return self._runner.read_record(self._find(job_id))

    def views(self) -> list[dict[str, Any]]:
        """The queue as it is shown."""
        return [asdict(self._runner.view(job)) for job in self._project.jobs]

    def advance(self) -> None:
        """Start the first job that waits if nothing runs."""
        views: list[JobView] = [self._runner.view(job) for job in self._project.jobs]
        if any(view.state == "running" for view in views):
            return
        for job, view in zip(self._project.jobs, views, strict=True):
            if not job.held and not job.started and view.state in ("waiting", "stopped"):
                self._runner.start(job)
                self._save()
                return

    def _find(self, job_id: str) -> QueuedJob:
        for job in self._project.jobs:
            if job.id == job_id:
                return job
        raise UserError("this job is not in the queue any more")
