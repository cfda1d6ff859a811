"""The films of a folder as the page shows them: facts, frames, thumbnails, cuts and beats."""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from mmdream.core.errors import UserError
from mmdream.core.memory import release_freed_memory
from mmdream.media.frame_reader import FrameReader
from mmdream.studio import film_folder, frames
from mmdream.studio.film_scanner import FilmScanner
from mmdream.studio.frame_proxy import PROXY_HEIGHT

OPEN_READERS = 4
"""Films whose frames are read without being opened anew."""
IDLE_SECONDS = 5.0
Tell = Callable[[dict[str, Any]], None]


class FilmLibrary:
    """What the pages ask of the films in a folder; threads may share it."""

    def __init__(self, folder: Path, cache: Path, tell: Tell) -> None:
        self._folder, self._tell, self._lock = folder, tell, threading.Lock()
        self._scanner = FilmScanner(cache, self._on_scan)
        self._readers: OrderedDict[str, FrameReader] = OrderedDict()
        self._read_at = 0.0

    def list(self) -> list[dict[str, Any]]:
        """The films of the folder: id and name."""
        return [{"id": film.id, "name": film.path.name} for film in film_folder.list_films(self._folder)]

    def path(self, film_id: str) -> Path:
        """Where a film lies; `UserError`: it is not there any more."""
        return film_folder.find_film(self._folder, film_id).path

    def scan_folder(self, film: Path) -> Path:
        """Where is kept what is known of a film that was gone through."""
        return self._scanner.folder(film)

    def open(self, film_id: str) -> dict[str, Any]:
        """Facts and course of the sound of a film, which is gone through from now on."""
        path = self.path(film_id)
        facts = frames.describe_film(path)
        self._scanner.scan(path)
        peaks = frames.measure_peaks(path, path.stat().st_mtime)
        return {"id": film_id, **asdict(facts), "peaks": peaks, "marks": self._scanner.marks(path)}

    def read_frame(self, film_id: str, seconds: float, height: int) -> tuple[bytes, float]:
        """The frame that is shown at a second, as JPEG, and its own second."""
        path = self.path(film_id)
        if height <= PROXY_HEIGHT and (found := self._scanner.read_frame(path, seconds)) is not None:
            return found
        self._read_at = time.monotonic()
        with self._lock:
            reader = self._readers.pop(film_id, None) or FrameReader(path)
            self._readers[film_id] = reader
            while len(self._readers) > OPEN_READERS:
                self._readers.popitem(last=False)[1].close()
            frame = reader.read(Fraction(str(seconds)))
        return frames.encode_jpeg(frame.rgb, height), float(frame.seconds)

    @functools.lru_cache(600)  # noqa: B019
    def read_thumbnail(self, film_id: str, seconds: float) -> bytes:
        """A small frame, as JPEG."""
        path = self.path(film_id)
        if (found := self._scanner.read_frame(path, seconds)) is not None:
            return frames.encode_jpeg(frames.decode_jpeg(found[0]), frames.THUMBNAIL_HEIGHT)
        reader = FrameReader(path)
        try:
            return frames.encode_jpeg(reader.read(Fraction(str(seconds))).rgb, frames.THUMBNAIL_HEIGHT)
        finally:
            reader.close()

    def name_upload(self, given: str) -> Path:
        """A free name for a film that is added."""
        return film_folder.name_upload(self._folder, given)

    def accept_upload(self, path: Path) -> dict[str, Any]:
        """A film that was added; `UserError`: it is none, and is gone."""
        try:
            frames.describe_film(path)
        except UserError:
            path.unlink(missing_ok=True)
            raise
        self._tell({"type": "films", "films": self.list()})
        return {"id": film_folder.make_id(path.name), "name": path.name}

    def _on_scan(self, film: Path, share: float, error: str) -> None:
        marks, film_id = self._scanner.marks(film) if share >= 1 else None, film_folder.make_id(film.name)
        self._tell({"type": "scan", "film": film_id, "share": share, "marks": marks, "error": error})

    def close_idle_readers(self) -> None:
        """Let go of films that nobody reads frames of any more: their decoders hold many."""
        if self._readers and time.monotonic() - self._read_at > IDLE_SECONDS:
            with self._lock:
                while self._readers:
                    self._readers.popitem()[1].close()
            release_freed_memory()

    def close(self) -> None:
        """Let go of all."""
        self._scanner.close()
        self._read_at = -IDLE_SECONDS
        self.close_idle_readers()
