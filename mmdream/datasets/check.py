"""Whether a set is as it should be: files missing, damaged, twice there or unknown, classes empty, counts."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from mmdream.core.download import file_digest
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.datasets import manifest
from mmdream.datasets.card import dataset_names, read_dataset_card
from mmdream.datasets.folder import Dataset, list_class_folders, read_dataset
from mmdream.datasets.manifest import INPUT_FOLDER
from mmdream.media import image

MAX_LISTED = 20
"""Files of one kind that are named to people."""

BLOCK_SAMPLES = 1 << 16
"""Samples decoded at once."""

STREAMED_WAVE_BYTES = 0xFFFF_FF00
"""Bytes in the header of a wave file whose length nobody knew."""


@dataclass(frozen=True)
class DatasetFindings:
    """What is to be said of a set."""

    name: str
    folder: Path
    counts: dict[str, tuple[int, int]]
    """Files found and expected of each class; 0 expected: nothing is known."""
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    """Cannot be decoded, or have changed since the set was prepared."""
    unknown: tuple[str, ...]
    """In a prepared set's folders, and not in its table."""
    duplicates: tuple[tuple[str, ...], ...]
    """Files with the same bytes; a remark, since publishers' sets have some."""
    empty: tuple[str, ...]
    """Classes without files."""

    @property
    def problems(self) -> str:
        """What is wrong, in a few words; empty: nothing."""
        kinds = {"missing": self.missing, "damaged": self.damaged, "unknown": self.unknown}
        told = [f"{len(found)} {kind}" for kind, found in kinds.items() if found]
        return ", ".join(told + ([f"{len(self.empty)} classes are empty"] if self.empty else []))

    def as_json(self) -> dict[str, Any]:
        """Plain values only."""
        return {
            "name": self.name,
            "folder": str(self.folder),
            "classes": {
                k: {"files": found, "expected": known or None} for k, (found, known) in self.counts.items()
            },
            "missing": list(self.missing),
            "damaged": list(self.damaged),
            "unknown": list(self.unknown),
            "duplicates": [list(same) for same in self.duplicates],
            "empty": list(self.empty),
        }

    def lines(self) -> list[str]:
        """The same for people, with a few names of each kind."""
        differing = [
            f"  {name}: {found} of {known}"
            for name, (found, known) in self.counts.items()
            if known and found != known
        ]
        total = sum(found for found, _ in self.counts.values())
        lines = [f"{self.folder}: {self.name}, {total} files in {len(self.counts)} classes"]
        lines += _format_section("other counts than the card's", differing)
        for kind, found in (("missing", self.missing), ("damaged", self.damaged), ("unknown", self.unknown)):
            lines += _format_section(kind, [f"  {file}" for file in found])
        lines += _format_section("the same file", [f"  {' = '.join(same)}" for same in self.duplicates])
        lines += _format_section("empty classes", [f"  {name}" for name in self.empty])
        return [*lines, f"  {self.problems or 'all is well'}"]


def _format_section(kind: str, found: Sequence[str]) -> list[str]:
    """A heading and the first of what was found; nothing where there is nothing."""
    more = [f"  and {len(found) - MAX_LISTED} more"] if len(found) > MAX_LISTED else []
    return [f"{kind}: {len(found)}", *found[:MAX_LISTED], *more] if found else []


def check_dataset(folder: Path, listener: EventSink) -> DatasetFindings:
    """Look at every file of a set.

    Args:
        folder: a prepared set, or any folder of classes.
        listener: told the files that are done.

    Raises:
        UserError: it is no set at all.
    """
    of = read_dataset(folder)
    rows = {row.file: row for row in manifest.read_manifest(folder)[1]} if of.about else {}
    places = [example.file.relative_to(folder).as_posix() for example in of.examples]
    missing = {place for place in places if not (folder / place).is_file()}
    there = [place for place in places if place not in missing]
    decode = _decode_image if of.medium == "picture" else _decode_audio

    def look(place: str) -> tuple[str, bool]:
        sha = file_digest(folder / place, "sha256")
        row = rows.get(place)
        return sha, _is_decodable(folder / place, decode) and (row is None or row.sha256 == sha)

    hashes: dict[str, list[str]] = defaultdict(list)
    damaged = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as workers:
        for number, (place, (sha, well)) in enumerate(zip(there, workers.map(look, there), strict=True), 1):
            listener.progress("checking", number, len(there))
            hashes[sha].append(place)
            if not well:
                damaged.append(place)
    return DatasetFindings(
        of.name,
        folder,
        _count_by_class(of, missing),
        tuple(sorted(missing)),
        tuple(damaged),
        tuple(_find_unknown_files(folder, rows)) if of.about else (),
        tuple(tuple(same) for same in hashes.values() if len(same) > 1),
        tuple(_find_empty_classes(of)),
    )


def _count_by_class(of: Dataset, missing: set[str]) -> dict[str, tuple[int, int]]:
    """Files that are there and those of the card, by class; a variant has counts of its own."""
    found = dict.fromkeys(of.classes, 0)
    for example in of.examples:
        found[of.classes[example.label]] += example.file.relative_to(of.folder).as_posix() not in missing
    known: dict[str, int] = {}
    if of.about and not of.about.variant and of.name in dataset_names():
        known = {each.name: each.files for each in read_dataset_card(of.name).classes}
    return {name: (count, known.get(name, 0)) for name, count in found.items()}


def _find_unknown_files(folder: Path, rows: dict[str, manifest.ManifestRow]) -> list[str]:
    """Files in the folders of classes that the table does not have."""
    every = (path for home in list_class_folders(folder / INPUT_FOLDER) for path in sorted(home.iterdir()))
    return [name for path in every if (name := path.relative_to(folder).as_posix()) not in rows]


def _find_empty_classes(of: Dataset) -> list[str]:
    """Classes without files."""
    every = of.about.classes if of.about else [home.name for home in list_class_folders(of.folder)]
    return [name for name in every if name not in of.classes]


def _is_decodable(path: Path, decode: Callable[[Path], object]) -> bool:
    try:
        decode(path)
    except (UserError, soundfile.SoundFileError, OSError):
        return False
    return True


def _decode_image(path: Path) -> None:
    image.read_image(path)


def _decode_audio(path: Path) -> None:
    """Decode to the end; raises at a file that is cut off or of another kind."""
    with open(path, "rb") as raw:
        head = raw.read(8)
    size = int.from_bytes(head[4:], "little")
    # libsndfile reads what there is of a wave file; its header tells how much there should be, unless it was
    # written as a stream.
    if head[:4] == b"RIFF" and path.stat().st_size < 8 + size < STREAMED_WAVE_BYTES:
        raise UserError(f"{path}: is cut off")
    with soundfile.SoundFile(path) as file:
        read = 0
        while block := len(file.read(BLOCK_SAMPLES)):  # As far as it goes: the header may claim any length.
            read += block
        if not read or read < file.frames:
            raise UserError(f"{path}: is cut off")
