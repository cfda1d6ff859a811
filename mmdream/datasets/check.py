"""Checks a data set: files that are missing, damaged, duplicate or unknown, empty classes, and counts."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import soundfile

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import hash_file
from mmdream.datasets.card import dataset_names, read_dataset_card
from mmdream.datasets.folder import (
    INPUT_FOLDER,
    counts_to_json,
    list_class_folders,
    read_dataset,
    read_manifest,
)
from mmdream.datasets.load import BLOCK_SAMPLES
from mmdream.media.image import read_image

MAX_LISTED = 20
"""Files of one kind that are named to people."""
STREAMED_WAVE_BYTES = 0xFFFF_FF00
"""In the header of a wave file whose length nobody knew."""


@dataclass(frozen=True)
class DatasetFindings:
    """What `check_dataset` found."""

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
    """Files with the same bytes; no problem, since publishers' sets have some."""
    empty_classes: tuple[str, ...]

    @property
    def problems(self) -> str:
        """What is wrong, in a few words; empty: nothing."""
        kinds = {"missing": self.missing, "damaged": self.damaged, "unknown": self.unknown}
        parts = [f"{len(files)} {kind}" for kind, files in kinds.items() if files]
        empty = [f"{len(self.empty_classes)} classes are empty"] if self.empty_classes else []
        return ", ".join(parts + empty)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        values = asdict(self) | {"folder": str(self.folder), "counts": counts_to_json(self.counts)}
        keys = {"counts": "classes", "empty_classes": "empty"}
        return {keys.get(name, name): value for name, value in values.items()}

    def lines(self) -> list[str]:
        """For people, with a few names of each kind."""
        differing = [
            f"{name}: {count} of {expected}"
            for name, (count, expected) in self.counts.items()
            if expected and count != expected
        ]
        total = sum(count for count, _ in self.counts.values())
        lines = [f"{self.folder}: {self.name}, {total} files in {len(self.counts)} classes"]
        for heading, items in (
            ("other counts than the card's", differing),
            ("missing", self.missing),
            ("damaged", self.damaged),
            ("unknown", self.unknown),
            ("the same file", [" = ".join(same) for same in self.duplicates]),
            ("empty classes", self.empty_classes),
        ):
            if items:
                lines += [f"{heading}: {len(items)}", *(f"  {item}" for item in items[:MAX_LISTED])]
            if len(items) > MAX_LISTED:
                lines.append(f"  and {len(items) - MAX_LISTED} more")
        return [*lines, f"  {self.problems or 'all is well'}"]


def check_dataset(folder: Path, listener: EventSink) -> DatasetFindings:
    """Read and hash every file of a set, a prepared one or any folder of classes."""
    dataset = read_dataset(folder)
    rows = {row.file: row for row in read_manifest(folder)[1]} if dataset.info else {}
    names = [example.file.relative_to(folder).as_posix() for example in dataset.examples]
    missing = {name for name in names if not (folder / name).is_file()}
    existing = [name for name in names if name not in missing]
    decode = read_image if dataset.medium == "picture" else _decode_audio

    def inspect(name: str) -> tuple[str, bool]:
        sha256 = hash_file(folder / name)
        try:
            decode(folder / name)
        except (UserError, soundfile.SoundFileError, OSError):
            return sha256, False
        return sha256, name not in rows or rows[name].sha256 == sha256

    by_hash: dict[str, list[str]] = defaultdict(list)
    damaged = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as workers:
        results = zip(existing, workers.map(inspect, existing), strict=True)
        for number, (name, (sha256, intact)) in enumerate(results, 1):
            listener.progress("checking", number, len(existing))
            by_hash[sha256].append(name)
            if not intact:
                damaged.append(name)
    expected: dict[str, int] = {}
    unknown: list[str] = []
    classes = [path.name for path in list_class_folders(folder)]
    if dataset.info:
        classes = list(dataset.info.classes)
        folders = list_class_folders(folder / INPUT_FOLDER)
        paths = (path for class_folder in folders for path in sorted(class_folder.iterdir()))
        unknown = [name for path in paths if (name := path.relative_to(folder).as_posix()) not in rows]
        if not dataset.info.variant and dataset.name in dataset_names():  # A variant has counts of its own.
            expected = {each.name: each.files for each in read_dataset_card(dataset.name).classes}
    labels = (each.label for name, each in zip(names, dataset.examples, strict=True) if name not in missing)
    found = Counter(dataset.classes[label] for label in labels)
    return DatasetFindings(
        dataset.name,
        folder,
        {name: (found[name], expected.get(name, 0)) for name in dataset.classes},
        tuple(sorted(missing)),
        tuple(damaged),
        tuple(unknown),
        tuple(tuple(same) for same in by_hash.values() if len(same) > 1),
        tuple(name for name in classes if name not in dataset.classes),
    )


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
