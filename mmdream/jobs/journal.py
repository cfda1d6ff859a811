"""What of a job is done, a line for each finished file, and what happened on the way, a line an event.

A file without its line in the journal does not exist, nor does a torn line or what follows it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mmdream.core.events import EVENTS, Event, FrameRendered, Progress, RemainingTime
from mmdream.core.files import (
    append_line,
    atomic_file,
    hash_file,
    json_line,
    read_json_lines,
    write_atomically,
)

JOURNAL_FILE = "journal.jsonl"
FILE_NAMES = {
    "scan": "scan.safetensors",
    "driven": "driven.json",
    "hints": "hints.safetensors",
    "heard": "heard.safetensors",
    "shown": "shown.json",
    "picture": "picture/{:05d}.mid",
    "carry": "picture/{:05d}.carry",
    "seam": "picture/{:05d}.seam",
    "sound": "sound/{:05d}.safetensors",
}
"""Where files lie, from the job's folder on, by kind and number."""
PLAN_KINDS = ("scan", "driven", "hints", "heard", "shown")
"""Of which a job has one file at most, before its first part: what its plan is made from."""
EVENTS_FILE = "events.jsonl"
MIN_INTERVAL = 1.0
"""Seconds between two lines of the same kind and medium, of those events that come with every frame."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One finished file."""

    kind: str
    """scan, driven, hints, picture, carry, seam, sound; stems, result, sheet, plot: what has an own name."""
    number: int
    file: str
    """Its name, from the job's folder on."""
    sha256: str
    size: int
    """Bytes."""
    count: int
    """Frames or chunks in it."""
    seconds: float
    """Spent on it."""
    sums: dict[str, Any] = field(default_factory=dict)
    """What it adds to the report, as plain JSON."""

    def matches(self, path: Path) -> bool:
        """Whether a file is this one, byte for byte."""
        return path.is_file() and path.stat().st_size == self.size and hash_file(path) == self.sha256


@dataclass
class JournalDraft:
    """A file on its way into the journal; the figures may be set until it is written."""

    path: Path
    count: int = 1
    sums: dict[str, Any] = field(default_factory=dict)
    commit: Callable[[], None] = field(init=False)
    """Makes the file count, once it is written: its line is on the disk when this returns."""


class Journal:
    """The journal of a job; threads may share it. It is the job's `mmdream.render.parts.PartStore`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._lines = list(read_journal(folder))

    def finished(self, kind: str) -> dict[int, JournalEntry]:
        """Committed files of a kind by number; the last line of a number counts."""
        with self._lock:
            return {line.number: line for line in self._lines if line.kind == kind}

    def path(self, kind: str, number: int = 0) -> Path:
        """Where a file of a kind in `FILE_NAMES` lies, or would."""
        return self.folder / FILE_NAMES[kind].format(number)

    @contextmanager
    def write(self, kind: str, number: int = 0, file: str | None = None) -> Iterator[JournalDraft]:
        """Write a file: the block writes the draft's `path`; then it has its name, and is to be committed.

        Its name, from the job's folder on, is `file`, or by its kind.
        """
        began = time.perf_counter()
        file = FILE_NAMES[kind].format(number) if file is None else file
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        with atomic_file(path) as place:
            draft = JournalDraft(place)
            yield draft
            digest, size = hash_file(place), place.stat().st_size
        seconds = time.perf_counter() - began
        entry = JournalEntry(kind, number, file, digest, size, draft.count, seconds, draft.sums)
        draft.commit = lambda: self._add(entry)

    def _add(self, entry: JournalEntry) -> None:
        with self._lock:
            append_line(self.folder / JOURNAL_FILE, json_line(asdict(entry)))
            self._lines.append(entry)

    @contextmanager
    def record(self, kind: str, number: int = 0, file: str | None = None) -> Iterator[JournalDraft]:
        """Write a file and commit it."""
        with self.write(kind, number, file) as draft:
            yield draft
        draft.commit()

    def remove(self, kind: str, number: int) -> None:
        """Take a file away; its line no longer counts when the journal is verified."""
        self.path(kind, number).unlink(missing_ok=True)

    def verify(self) -> None:
        """Forget lines whose files are not as they say, and torn ones, so that new ones follow whole ones.

        Each file counts by itself: an earlier one that it depends on is the same whenever it is made.
        """
        with self._lock:
            self._lines = [line for line in self._lines if line.matches(self.folder / line.file)]
            data = b"".join(json_line(asdict(line)) for line in self._lines)
            path = self.folder / JOURNAL_FILE
            if path.is_file() and path.read_bytes() != data:
                write_atomically(path, data)


def read_journal(folder: Path) -> Iterator[JournalEntry]:
    """The lines of a job's journal, up to the first that is torn."""
    names = {each.name for each in fields(JournalEntry)}
    for values in read_json_lines(folder / JOURNAL_FILE):
        if not isinstance(values, dict) or set(values) != names:
            return
        yield JournalEntry(**values)


class EventLog:
    """A listener that adds a line of JSON to a job's file for each event; threads may share it.

    Events that come with every frame are thinned, and images left out. A line that cannot be written is lost.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock, self._lock = folder / EVENTS_FILE, clock, threading.Lock()
        self._last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Write an event."""
        now = self._clock()
        name = next(name for name, kind in EVENTS.items() if type(event) is kind)
        with self._lock:
            if isinstance(event, Progress | RemainingTime | FrameRendered):
                key = f"{name} {getattr(event, 'medium', '')}"
                is_last = isinstance(event, Progress) and event.done >= event.total
                if now - self._last.get(key, -MIN_INTERVAL) < MIN_INTERVAL and not is_last:
                    return
                self._last[key] = now
            values = {each.name: getattr(event, each.name) for each in fields(event)}
            for array in ("source", "dream", "settings"):
                values.pop(array, None)
            line = json.dumps({"time": round(now, 3), "event": name, **values}) + "\n"
            with suppress(OSError), open(self._path, "a", encoding="utf-8") as file:
                file.write(line)


def read_events(folder: Path) -> list[dict[str, Any]]:
    """All whole events of a job so far, each with its ``time`` (s since 1970) and its kind, ``event``."""
    path, events = folder / EVENTS_FILE, []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        with suppress(ValueError):  # A kill tore it.
            events.append(json.loads(line))
    return events
