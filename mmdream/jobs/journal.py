"""What of a job is done: one line for each finished file, written last and never changed.

A file without its line does not exist. A line that a power cut tore, and whatever follows it, does not
either.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mmdream.core.files import atomic_file, hash_file, write_atomically

JOURNAL_FILE = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One finished file."""

    kind: str
    """scan, driven, picture, carry, sound; result, sheet or compare: what is to have a name of its own."""
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

    def holds(self, folder: Path) -> bool:
        """Whether the file is there, byte for byte."""
        return self.matches(folder / self.file)

    def matches(self, path: Path) -> bool:
        """Whether a file is this one, byte for byte."""
        return path.is_file() and path.stat().st_size == self.size and hash_file(path) == self.sha256


@dataclass
class DraftFile:
    """A file on its way into the journal; the figures may be set until it is finished."""

    path: Path
    count: int = 1
    sums: dict[str, Any] = field(default_factory=dict)


class Journal:
    """The journal of a job; threads may share it."""

    def __init__(self, folder: Path) -> None:
        """Read a journal, an empty one where there is none; see `read_journal`."""
        self.folder = folder
        self._lock = threading.Lock()
        self._lines = list(read_journal(folder))

    def done(self, kind: str) -> dict[int, JournalEntry]:
        """Finished files of a kind by number; the last line of a number counts."""
        with self._lock:
            return {line.number: line for line in self._lines if line.kind == kind}

    @contextmanager
    def entry(self, kind: str, number: int, file: str) -> Iterator[DraftFile]:
        """Write one file: the block writes the draft's `path`, the journal's line follows."""
        began = time.perf_counter()
        path = self.folder / file
        path.parent.mkdir(exist_ok=True)
        with atomic_file(path) as place:
            draft = DraftFile(place)
            yield draft
            digest, size = hash_file(place), place.stat().st_size
        self._add(
            JournalEntry(
                kind, number, file, digest, size, draft.count, time.perf_counter() - began, draft.sums
            )
        )

    def verify(self) -> None:
        """Forget lines whose files are not as they say, and torn ones, so that new ones follow whole ones.

        A file that depends on an earlier one does so through its contents, which are the same
        whenever it is made: each file counts by itself.
        """
        with self._lock:
            self._lines = [line for line in self._lines if line.holds(self.folder)]
            data = b"".join(map(_format_line, self._lines))
            path = self.folder / JOURNAL_FILE
            if path.is_file() and path.read_bytes() != data:
                write_atomically(path, data)

    def _add(self, line: JournalEntry) -> None:
        data = _format_line(line)
        with self._lock:
            with open(self.folder / JOURNAL_FILE, "ab", buffering=0) as file:
                before = file.tell()
                try:
                    if file.write(data) < len(data):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name)
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(before)  # What follows a torn line would be lost.
                    raise
            self._lines.append(line)


def read_journal(folder: Path) -> Iterator[JournalEntry]:
    """The lines of a job's journal, up to the first that is torn."""
    path = folder / JOURNAL_FILE
    if not path.is_file():
        return
    names = {each.name for each in fields(JournalEntry)}
    for text in path.read_bytes().splitlines(keepends=True):
        try:
            values = json.loads(text)
        except ValueError:
            return
        if not text.endswith(b"\n") or not isinstance(values, dict) or set(values) != names:
            return
        yield JournalEntry(**values)


def _format_line(done: JournalEntry) -> bytes:
    return json.dumps(asdict(done)).encode() + b"\n"
