"""ESC-10 (CC BY 3.0, K. J. Piczak 2015) read from its tar: ``001 - Dog bark/5-203128-A.ogg`` is of fold 5."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from mmdream.audio.source import ArraySource


@dataclass(frozen=True)
class Recording:
    """One recording of the set."""

    label: int
    """Place of its class among `classes`."""
    fold: int
    """1..5."""
    sound: ArraySource
    """One channel at 44.1 kHz, 4 to 7 s."""


def recordings(tar: Path) -> Iterator[Recording]:
    """All recordings of the archive, class by class, one in memory at a time."""
    with tarfile.open(tar) as archive:
        for name in _members(archive):
            yield Recording(*_place(name), _sound(archive, name))


def classes(tar: Path) -> tuple[str, ...]:
    """The names of its classes, "dog bark" the first."""
    with tarfile.open(tar) as archive:
        folders = dict.fromkeys(name.split("/")[0] for name in _members(archive))
    return tuple(folder.split(" - ")[1].lower() for folder in folders)


def clip(tar: Path, member: str) -> ArraySource:
    """One recording, by its name in the archive."""
    with tarfile.open(tar) as archive:
        return _sound(archive, member)


def members(tar: Path, label: int, fold: int) -> list[str]:
    """Names in the archive of a class's recordings in one fold."""
    with tarfile.open(tar) as archive:
        return [name for name in _members(archive) if _place(name) == (label, fold)]


def _members(archive: tarfile.TarFile) -> list[str]:
    return [name for name in archive.getnames() if name.endswith(".ogg")]


def _place(member: str) -> tuple[int, int]:
    """The label and the fold of a recording."""
    folder, file = member.split("/")
    return int(folder.split(" - ")[0]) - 1, int(file[0])


def _sound(archive: tarfile.TarFile, member: str) -> ArraySource:
    file = archive.extractfile(member)
    assert file is not None
    samples, rate = soundfile.read(io.BytesIO(file.read()), dtype="float32", always_2d=True)
    return ArraySource(samples.T, rate)
