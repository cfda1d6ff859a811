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
    """Place of its class among `list_classes`."""
    fold: int
    """1..5."""
    origin: str
    """Number at freesound.org of what the clip was cut from."""
    sound: ArraySource
    """One channel at 44.1 kHz, 4 to 7 s."""


def read_recordings(tar: Path) -> Iterator[Recording]:
    """All recordings of the archive, class by class, one in memory at a time."""
    with tarfile.open(tar) as archive:
        for name in _list_members(archive):
            yield Recording(*_parse_label(name), find_origin(name), _read_member(archive, name))


def list_classes(tar: Path) -> tuple[str, ...]:
    """The names of its classes, "dog bark" the first."""
    with tarfile.open(tar) as archive:
        folders = dict.fromkeys(name.split("/")[0] for name in _list_members(archive))
    return tuple(folder.split(" - ")[1].lower() for folder in folders)


def read_clip(tar: Path, member: str) -> ArraySource:
    """One recording, by its name in the archive."""
    with tarfile.open(tar) as archive:
        return _read_member(archive, member)


def list_members(tar: Path, label: int, fold: int) -> list[str]:
    """Names in the archive of a class's recordings in one fold."""
    with tarfile.open(tar) as archive:
        return [name for name in _list_members(archive) if _parse_label(name) == (label, fold)]


def find_origin(member: str) -> str:
    """Number at freesound.org of what a recording, by its name in the archive, was cut from."""
    return Path(member).stem.split("-")[1]


def _list_members(archive: tarfile.TarFile) -> list[str]:
    return [name for name in archive.getnames() if name.endswith(".ogg")]


def _parse_label(member: str) -> tuple[int, int]:
    """The label and the fold of a recording."""
    folder, file = member.split("/")
    return int(folder.split(" - ")[0]) - 1, int(file[0])


def _read_member(archive: tarfile.TarFile, member: str) -> ArraySource:
    file = archive.extractfile(member)
    assert file is not None
    samples, rate = soundfile.read(io.BytesIO(file.read()), dtype="float32", always_2d=True)
    return ArraySource(samples.T, rate)
