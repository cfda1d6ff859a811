"""The studio of one folder: its project, the dreams at the cursor and the queue, whoever asks."""

from __future__ import annotations

import functools
import hashlib
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.files import user_cache_folder
from mmdream.media.frame_reader import FrameReader
from mmdream.media.image import write_image
from mmdream.settings.schedule import SCHEDULE_LIMITS
from mmdream.studio import film_folder, form, frames
from mmdream.studio.job_queue import JobRunner
from mmdream.studio.mask import decode_mask
from mmdream.studio.network_choice import check_networks
from mmdream.studio.previews import PreviewClient
from mmdream.studio.project import (
    MAX_TRIES,
    FilmState,
    Key,
    Project,
    QueuedJob,
    Try,
    read_project,
    write_project,
)

OPEN_READERS = 4
"""Films whose frames are read without being opened anew."""
MAX_KEYS = 2000
Tell = Callable[[dict[str, Any]], None]


class Studio:
    """What the pages of one folder ask of; threads may share it."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self.folder = folder.resolve()
        self._tell, self._lock = tell, threading.RLock()
        digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
        self._cache = user_cache_folder() / "studio" / digest
        self._cache.mkdir(parents=True, exist_ok=True)
        self._project: Project = read_project(self.folder)
        self._previews = PreviewClient(self._on_preview)
        self._runner = JobRunner(self.folder, self._cache / "logs")
        self._readers: OrderedDict[str, FrameReader] = OrderedDict()
        self._asked: dict[str, tuple[str, Try]] = {}
        self._jobs: list[Any] = []

    # Films.

    def list_films(self) -> list[dict[str, Any]]:
        """The films of the folder: id and name."""
        return [{"id": film.id, "name": film.path.name} for film in film_folder.list_films(self.folder)]

    @property
    def last_film(self) -> str:
        """The id of the film that was open last."""
        return film_folder.make_id(self._project.open)

    def open_film(self, film_id: str) -> dict[str, Any]:
        """Facts, course of the sound and settings of a film."""
        film = film_folder.find_film(self.folder, film_id)
        facts = frames.describe_film(film.path)
        state = self._state(film.path.name)
        return {
            "id": film.id,
            **asdict(facts),
            "peaks": frames.measure_peaks(film.path, film.path.stat().st_mtime),
            "state": asdict(state),
            "text": self._describe(film.path, state),
            "tries": [asdict(each) for each in state.tries],
        }

    def read_frame(self, film_id: str, seconds: float, height: int) -> tuple[bytes, float]:
        """The frame that is shown at a second, as JPEG, and its own second."""
        film = film_folder.find_film(self.folder, film_id)
        with self._lock:
            reader = self._readers.pop(film_id, None) or FrameReader(film.path)
            self._readers[film_id] = reader
            while len(self._readers) > OPEN_READERS:
                self._readers.popitem(last=False)[1].close()
            frame = reader.read(Fraction(str(seconds)))
        return frames.encode_jpeg(frame.rgb, height), float(frame.seconds)

    @functools.lru_cache(300)  # noqa: B019
    def read_thumbnail(self, film_id: str, seconds: float) -> bytes:
        """A small frame, as JPEG."""
        film = film_folder.find_film(self.folder, film_id)
        reader = FrameReader(film.path)
        try:
            return frames.encode_jpeg(reader.read(Fraction(str(seconds))).rgb, frames.THUMBNAIL_HEIGHT)
        finally:
            reader.close()

    def film_path(self, film_id: str) -> Path:
        """Where a film lies."""
        return film_folder.find_film(self.folder, film_id).path

    def name_upload(self, given: str) -> Path:
        """A free name for a film that is added."""
        return film_folder.name_upload(self.folder, given)

    def accept_upload(self, path: Path) -> dict[str, Any]:
        """A film that was added; `UserError`: it is none, and is gone."""
        try:
            frames.describe_film(path)
        except UserError:
            path.unlink(missing_ok=True)
            raise
        self._tell({"type": "films", "films": self.list_films()})
        return {"id": film_folder.make_id(path.name), "name": path.name}

    # Settings.

    def save_state(self, film_id: str, given: dict[str, Any]) -> dict[str, Any]:
        """Keep a film's settings and keys; what they come to. `UserError`: one is wrong; nothing is kept."""
        film = film_folder.find_film(self.folder, film_id)
        try:
            keys = msgspec.convert(given.get("keys", []), list[Key])
            settings = msgspec.convert(given.get("settings", {}), dict[str, str | bool | list[str]])
            cursor = msgspec.convert(given.get("cursor", 0.0), float)
        except msgspec.ValidationError as error:
            raise UserError(f"these settings are none: {error}") from None
        if len(keys) > MAX_KEYS:
            raise UserError(f"there are {len(keys)} keys; {MAX_KEYS} at most")
        with self._lock:
            old = self._state(film.path.name)
            state = replace(old, settings=settings, keys=keys, cursor=cursor)
            text = self._describe(film.path, state)
            form.write_schedule(keys, self._schedule_path(film.path))
            self._project.films[film.path.name], self._project.open = state, film.path.name
            self._save()
        return text

    def _describe(self, film: Path, state: FilmState) -> dict[str, str]:
        """Command line, Python and schedule of a film's settings, for its first result."""
        mask = self.folder / state.mask if state.mask else None
        schedule, out = self._schedule_path(film), film.with_name(f"{film.stem}.dream.mp4")
        recipe = form.check_settings(state.settings, state.keys, mask)
        check_networks(recipe)
        words = form.command_words(film, out, state.settings, state.keys, mask, schedule)
        return {
            "command": form.format_command(words),
            "python": form.format_python(film, out, recipe),
            "schedule": form.format_schedule(state.keys) if state.keys else "# no keys: nothing varies\n",
        }

    def _schedule_path(self, film: Path) -> Path:
        return film.with_name(f"{film.name}.schedule.toml")

    def sample_curves(self, film_id: str, seconds: list[float]) -> dict[str, Any]:
        """Every varying setting at some seconds, by the code that renders: value, or shares of motifs."""
        film = film_folder.find_film(self.folder, film_id).path
        state = self._state(film.name)
        recipe = form.check_settings(state.settings, state.keys, None)
        names = SCHEDULE_LIMITS
        curves: dict[str, Any] = {
            name: np.round(recipe.schedule.curve(name).at(seconds), 4).tolist() for name in names
        }
        motifs = [dict(recipe.schedule.motif_curve.at(at)) for at in seconds]
        return {"seconds": seconds, "curves": curves, "motifs": motifs}

    def keep_mask(self, film_id: str, png: bytes) -> dict[str, str]:
        """Keep a painted mask beside its film; no bytes: there is none any more."""
        film = film_folder.find_film(self.folder, film_id)
        with self._lock:
            state = self._state(film.path.name)
            name = ""
            if png:
                mask = decode_mask(png)
                name = f"{film.path.name}.mask.png"
                write_image(self.folder / name, mask)
            state = replace(state, mask=name)
            self._project.films[film.path.name] = state
            self._save()
            return self._describe(film.path, state)

    # Dreams at the cursor.

    def dream(self, film_id: str, kind: str, seconds: float) -> dict[str, Any]:
        """Ask for the dream at a second, a picture or a sound; what becomes of it is told."""
        film, made = film_folder.find_film(self.folder, film_id), uuid.uuid4().hex
        if kind not in ("picture", "sound"):
            raise UserError("a dream at the cursor is of the picture or the sound")
        with self._lock:
            state = self._state(film.path.name)
            new = Try(made, seconds, dict(state.settings), list(state.keys), state.mask)
            self._asked[kind] = film.path.name, new
            if self._project.open != film.path.name:
                self._project.open = film.path.name
                self._save()
        mask = str(self.folder / state.mask) if state.mask else ""
        request = {
            "id": made, "kind": kind, "film": str(film.path), "seconds": seconds, "settings": state.settings,
            "keys": [asdict(key) for key in state.keys], "mask": mask, "folder": str(self._cache),
        }  # fmt: skip
        self._previews.ask(request)
        return {"id": made}

    def made_file(self, made: str, name: str) -> Path:
        """A picture or sound that was dreamed at a cursor; `UserError`: it is not there."""
        if not (made.isalnum() and name in ("quick.jpg", "full.jpg", "source.wav", "sound.wav")):
            raise UserError("there is no such dream")
        path = self._cache / f"{made}.{name}"
        if not path.is_file():
            raise UserError("this dream is not there any more; dream it again")
        return path

    def _on_preview(self, said: dict[str, Any]) -> None:
        name, made = self._asked.get("picture", ("", None))
        if made is not None and said["id"] == made.id and said["state"] == "quick":
            self._keep_try(name, made)
        self._tell({"type": "dream", **said})

    def _keep_try(self, name: str, made: Try) -> None:
        """Keep a dream that was seen; the oldest of too many goes."""
        with self._lock:
            state = self._state(name)
            tries = [made, *state.tries]
            for old in tries[MAX_TRIES:]:
                for kind in ("quick.jpg", "full.jpg"):
                    (self._cache / f"{old.id}.{kind}").unlink(missing_ok=True)
            state = replace(state, tries=tries[:MAX_TRIES], cursor=made.seconds)
            self._project.films[name] = state
            with suppress(UserError):  # A full disk costs the memory of it, and nothing that is shown.
                self._save()
        shown = [asdict(each) for each in state.tries]
        self._tell({"type": "tries", "film": film_folder.make_id(name), "tries": shown})

    # Jobs.

    def add_job(self, film_id: str) -> None:
        """Put a film at the queue's end with its settings as they stand."""
        film = film_folder.find_film(self.folder, film_id).path
        with self._lock:
            state, taken = self._state(film.name), {job.out for job in self._project.jobs}
            stems = (f"{film.stem}.dream", *(f"{film.stem}.{n}.dream" for n in range(2, 1000)))
            out = next(
                self.folder / f"{stem}.mp4"
                for stem in stems
                if f"{stem}.mp4" not in taken and not (self.folder / f"{stem}.mp4").exists()
            )
            # A copy of the keys: the film's may change while it waits.
            schedule = out.with_name(f"{out.stem}.schedule.toml")
            form.write_schedule(state.keys, schedule)
            mask = self.folder / state.mask if state.mask else None
            words = form.command_words(film, out, state.settings, state.keys, mask, schedule)
            job_id = uuid.uuid4().hex
            words += ["--sheet", f"{out.stem}.sheet.jpg", "--compare"]
            self._project.jobs.append(QueuedJob(job_id, film.name, out.name, words))
            self._save()
        self.advance()

    def change_job(self, job_id: str, action: str) -> None:
        """Stop, resume, remove a job, or move it up or down."""
        with self._lock:
            job = self._find_job(job_id)
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
        self.advance()

    def job_file(self, job_id: str, kind: str) -> Path:
        """A result of a job; `UserError`: it is not there."""
        with self._lock:
            out = self.folder / self._find_job(job_id).out
        names = {
            "film": out.name,
            "compare": f"{out.stem}.compare{out.suffix}",
            "sheet": f"{out.stem}.sheet.jpg",
        }
        path = out.with_name(names.get(kind, ""))
        if kind not in names or not path.is_file() or not film_folder.is_inside(path, self.folder):
            raise UserError("this result is not there any more")
        return path

    def list_jobs(self) -> list[dict[str, Any]]:
        """The queue as it is shown."""
        with self._lock:
            return [asdict(self._runner.view(job)) for job in self._project.jobs]

    def advance(self) -> None:
        """Start the first job that waits if nothing runs, and tell if the queue has changed."""
        with self._lock:
            views = [self._runner.view(job) for job in self._project.jobs]
            if all(view.state != "running" for view in views):
                for job, view in zip(self._project.jobs, views, strict=True):
                    if not job.held and not job.started and view.state in ("waiting", "stopped"):
                        self._runner.start(job)
                        self._save()
                        views = [self._runner.view(each) for each in self._project.jobs]
                        break
            jobs = [asdict(view) for view in views]
            if jobs != self._jobs:
                self._jobs = jobs
                self._tell({"type": "jobs", "jobs": jobs})
        self._previews.end_if_idle()

    def _find_job(self, job_id: str) -> QueuedJob:
        for job in self._project.jobs:
            if job.id == job_id:
                return job
        raise UserError("this job is not in the queue any more")

    def _state(self, name: str) -> FilmState:
        return self._project.films.get(name, FilmState())

    def _save(self) -> None:
        try:
            write_project(self.folder, self._project)
        except OSError as error:
            raise UserError(
                f"{self.folder}: the project cannot be saved ({error.strerror}); make room"
            ) from error

    def close(self) -> None:
        """End the dreams at the cursor; jobs go on."""
        self._previews.close()
