"""The studio of one folder: its project, the dreams at the cursor and the queue, whoever asks."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.files import user_cache_folder
from mmdream.media.image import write_image
from mmdream.settings.passes import MASK_CURVES, Mask
from mmdream.settings.schedule import SCHEDULE_LIMITS
from mmdream.studio import film_folder, form, gallery, settings_reader
from mmdream.studio.film_library import FilmLibrary
from mmdream.studio.job_queue import JobQueue
from mmdream.studio.mask import decode_mask
from mmdream.studio.network_choice import check_networks
from mmdream.studio.previews import PreviewClient
from mmdream.studio.project import (
    MAX_TRIES,
    FilmState,
    Key,
    Project,
    Try,
    read_project,
    write_project,
)

MAX_KEYS = 2000
PREVIEW_IDLE_SECONDS, GALLERY_IDLE_SECONDS = 300.0, 40.0
GALLERY_NICENESS = 19
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
        self._previews = PreviewClient(self._on_preview, PREVIEW_IDLE_SECONDS)
        # Of its own: what is traced for a gallery would take the place of what dreams at the cursor need.
        self._gallery = PreviewClient(self._on_preview, GALLERY_IDLE_SECONDS, GALLERY_NICENESS)
        self.films = FilmLibrary(self.folder, self._cache / "films", tell)
        self._queue = JobQueue(self.folder, self._cache / "logs", self._project, self._save)
        self._asked: dict[str, tuple[str, Try]] = {}
        self._shown_jobs: list[Any] = []

    @property
    def last_film(self) -> str:
        """The id of the film that was open last."""
        return film_folder.make_id(self._project.open)

    def open_film(self, film_id: str) -> dict[str, Any]:
        """All that a page shows of a film."""
        found, path = self.films.open(film_id), self.films.path(film_id)
        state = self._state(path.name)
        return {
            **found,
            "state": asdict(state),
            "text": self._describe(path, state),
            "tries": [asdict(each) for each in state.tries],
        }

    # Settings.

    def save_state(self, film_id: str, given: dict[str, Any]) -> dict[str, Any]:
        """Keep a film's settings and keys; what they come to. `UserError`: one is wrong; nothing is kept."""
        film = self.films.path(film_id)
        try:
            keys = msgspec.convert(given.get("keys", []), list[Key])
            settings = msgspec.convert(given.get("settings", {}), dict[str, str | bool | list[str]])
            cursor = msgspec.convert(given.get("cursor", 0.0), float)
            mask = msgspec.convert(given.get("mask", self._state(film.name).mask), str)
        except msgspec.ValidationError as error:
            raise UserError(f"these settings are none: {error}") from None
        if len(keys) > MAX_KEYS:
            raise UserError(f"there are {len(keys)} keys; {MAX_KEYS} at most")
        if mask and not film_folder.is_inside_folder(self.folder, mask):
            raise UserError(f"{mask}: is not in the studio's folder; put it there")
        with self._lock:
            old = self._state(film.name)
            state = replace(old, settings=settings, keys=keys, cursor=cursor, mask=mask)
            text = self._describe(film, state)
            form.write_schedule(keys, self._schedule_path(film))
            self._project.films[film.name], self._project.open = state, film.name
            self._save()
        return text

    def _describe(self, film: Path, state: FilmState) -> dict[str, Any]:
        """Command line, Python and schedule of a film's settings, for its first result, and its passes."""
        mask = self.folder / state.mask if state.mask else None
        schedule, out = self._schedule_path(film), film.with_name(f"{film.stem}.dream.mp4")
        recipe = form.check_settings(state.settings, state.keys, mask)
        check_networks(recipe)
        words = form.command_words(film, out, state.settings, state.keys, mask, schedule)
        return {
            "command": form.format_command(words),
            "python": form.format_python(film, out, recipe, words),
            "schedule": form.format_schedule(state.keys) if state.keys else "# no keys: nothing varies\n",
            "passes": form.describe_passes(recipe),
        }

    def _schedule_path(self, film: Path) -> Path:
        return film.with_name(f"{film.name}.schedule.toml")

    def sample_curves(self, film_id: str, seconds: list[float]) -> dict[str, Any]:
        """Every varying setting at some seconds, by the code that renders: value, or shares of motifs."""
        film = self.films.path(film_id)
        state = self._state(film.name)
        recipe = form.check_settings(state.settings, state.keys, None)
        names = SCHEDULE_LIMITS
        curves: dict[str, Any] = {
            name: np.round(recipe.schedule.curve(name).at(seconds), 4).tolist() for name in names
        }
        mask = next((each.mask for each in recipe.passes if each.mask is not None), Mask())
        curves |= {n: np.round(getattr(mask, own).at(seconds), 4).tolist() for n, own in MASK_CURVES.items()}
        motifs = [dict(recipe.schedule.motif_curve.at(at)) for at in seconds]
        return {"seconds": seconds, "curves": curves, "motifs": motifs}

    def keep_mask(self, film_id: str, png: bytes) -> dict[str, Any]:
        """Keep a painted mask beside its film; no bytes: there is none any more."""
        film = self.films.path(film_id)
        with self._lock:
            state = self._state(film.name)
            name = ""
            if png:
                mask = decode_mask(png)
                name = f"{film.name}.mask.png"
                write_image(self.folder / name, mask)
            state = replace(state, mask=name)
            self._project.films[film.name] = state
            self._save()
            return {"mask": name} | self._describe(film, state)

    def read_settings(self, text: str) -> dict[str, Any]:
        """Settings, keys and mask out of a command line, Python of the studio or a schedule file."""
        found = settings_reader.read_settings(text, self.folder)
        return found | {"keys": [asdict(key) for key in found["keys"]]}

    # Dreams at the cursor.

    def dream(self, film_id: str, kind: str, seconds: float) -> dict[str, Any]:
        """Ask for the dream of the picture or sound at a second, or for what drives come to; it is told."""
        film, made = self.films.path(film_id), uuid.uuid4().hex
        if kind not in ("picture", "sound", "drives"):
            raise UserError("a dream at the cursor is of the picture or the sound")
        with self._lock:
            state = self._state(film.name)
            new = Try(made, seconds, dict(state.settings), list(state.keys), state.mask)
            self._asked[kind] = film.name, new
            if self._project.open != film.name:
                self._project.open = film.name
                self._save()
        mask = str(self.folder / state.mask) if state.mask else ""
        request = {
            "id": made, "kind": kind, "film": str(film), "seconds": seconds, "settings": state.settings,
            "keys": [asdict(key) for key in state.keys], "mask": mask, "folder": str(self._cache),
            "scan": str(self.films.scan_folder(film)),
        }  # fmt: skip
        self._previews.ask(request)
        return {"id": made}

    def fill_gallery(self, net: str, kind: str, names: list[str]) -> list[str]:
        """Ask for what a network can be asked to dream; the names that are there already."""
        known = [name for name in names if gallery.find_entry(net, kind, name).is_file()]
        if missing := [name for name in names if name not in known]:
            self._gallery.ask({"id": "", "kind": "gallery", "net": net, "of": kind, "names": missing})
        return known

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
            # The same again takes the place of the one before.
            older = [each for each in state.tries if replace(each, id=made.id) != made]
            tries = [made, *older][:MAX_TRIES]
            for old in state.tries:
                for kind in ("quick.jpg", "full.jpg") if old not in tries else ():
                    (self._cache / f"{old.id}.{kind}").unlink(missing_ok=True)
            state = replace(state, tries=tries, cursor=made.seconds)
            self._project.films[name] = state
            with suppress(UserError):  # A full disk costs the memory of it, and nothing that is shown.
                self._save()
        shown = [asdict(each) for each in state.tries]
        self._tell({"type": "tries", "film": film_folder.make_id(name), "tries": shown})

    # Jobs.

    def add_job(self, film_id: str) -> None:
        """Put a film at the queue's end with its settings as they stand."""
        film = self.films.path(film_id)
        with self._lock:
            self._queue.add(film, self._state(film.name))
        self.advance()

    def change_job(self, job_id: str, action: str) -> None:
        """Stop, resume, remove a job, or move it up or down."""
        with self._lock:
            self._queue.change(job_id, action)
        self.advance()

    def job_file(self, job_id: str, kind: str) -> Path:
        """A result of a job, see `JobQueue.find_file`."""
        with self._lock:
            return self._queue.find_file(job_id, kind)

    def write_partial(self, job_id: str) -> dict[str, float]:
        """Write a job's film as far as it has come; its seconds."""
        return {"seconds": self._queue.write_partial(job_id)}

    def read_job_record(self, job_id: str) -> str:
        """All that happened to a job, and all that it said."""
        with self._lock:
            return self._queue.read_record(job_id)

    def list_jobs(self) -> list[dict[str, Any]]:
        """The queue as it is shown."""
        with self._lock:
            return self._queue.views()

    def advance(self) -> None:
        """Let the queue go on, and tell if it has changed."""
        with self._lock:
            self._queue.advance()
            jobs = self._queue.views()
            if jobs != self._shown_jobs:
                self._shown_jobs = jobs
                self._tell({"type": "jobs", "jobs": jobs})
        self._previews.end_if_idle()
        self._gallery.end_if_idle()
        self.films.close_idle_readers()

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
        self._gallery.close()
        self.films.close()
