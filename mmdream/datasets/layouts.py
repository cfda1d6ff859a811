"""What lies in a folder as a publisher lays it out, and what a reader of layouts makes of it."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.datasets.matlab import read_file_list

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
MEDIA_SUFFIXES = {"picture": IMAGE_SUFFIXES, "sound": AUDIO_SUFFIXES}
"""Of the files of each medium, in any case of letters."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a set."""

    file: Path
    label: str
    """The class as the publisher calls it."""
    fold: str = ""
    """The publisher's fold, or its part: train, validation or test."""
    group: str = ""
    """Who speaks, or which recording it was cut from; files of one group are never divided."""
    licence: str = ""
    """Of this file; empty: the set's."""
    source: str = ""
    """Who made it, or where it comes from; empty: the set's publisher."""
    name: str = ""
    """Of the file in its class's folder; empty: as it is."""


@dataclass(frozen=True)
class FileTree:
    """The files below a folder."""

    root: Path
    files: tuple[str, ...]
    """Relative to the root, with slashes, sorted."""
    told: str
    """What the user calls it: the archive that it came from, or the folder."""


def scan_folder(root: Path, told: object, without: Path | None = None) -> FileTree:
    """Look through a folder, but for one in it; hidden files and what macOS adds are passed over."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not _is_hidden(name) and Path(folder, name) != without]
        here = Path(folder).relative_to(root)
        found += [(here / name).as_posix() for name in files if not _is_hidden(name)]
    return FileTree(root, tuple(sorted(found)), str(told))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def match_paths(trees: Sequence[FileTree], pattern: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """The files whose path, or the end of it from a folder on, a pattern describes."""
    wanted = re.compile(rf"(?:.*?/)??{pattern}", re.IGNORECASE)
    for each in trees:
        for name in each.files:
            if match := wanted.fullmatch(name):
                yield each.root / name, match


def index_by_name(trees: Sequence[FileTree], endings: tuple[str, ...]) -> dict[str, Path]:
    """The files of some endings by the last part of their path; of equal ones the first."""
    found: dict[str, Path] = {}
    for each in trees:
        for name in each.files:
            if name.lower().endswith(endings):
                found.setdefault(name.rpartition("/")[2], each.root / name)
    return found


def find_required(trees: Sequence[FileTree], pattern: str, what: str) -> Path:
    """The one file that a layout cannot do without.

    Raises:
        UserError: it is not there.
    """
    for path, _ in match_paths(trees, pattern):
        return path
    raise UserError(f"no {what}")


def read_csv(path: Path) -> Iterator[list[str]]:
    """The lines of a comma-separated table.

    Raises:
        UserError: it is no such table.
    """
    csv.field_size_limit(1 << 24)  # FMA keeps whole biographies in one field.
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield from csv.reader(file)
    except (csv.Error, UnicodeError) as error:
        raise UserError(f"{path}: is no table that can be read ({error})") from error


def read_table(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The lines of a table, by the names in its first line; short lines are filled up.

    Args:
        path: comma-separated.
        columns: those that must be there.

    Raises:
        UserError: it is no such table.
    """
    rows = read_csv(path)
    names = next(rows, [])
    if missing := [name for name in columns if name not in names]:
        raise UserError(f"{path}: has no column {missing[0]}; is it the publisher's own table?")
    for row in rows:
        yield dict(zip(names, [*row, *[""] * len(names)], strict=False))


pass

IMAGE_SUFFIX_PATTERN = rf"(?:{'|'.join(re.escape(ending) for ending in IMAGE_SUFFIXES)})"
WORDNET_ID = r"n\d{8}"


def read_wordnet(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """Pictures in folders named by a WordNet id, or under names that begin with one."""
    seen = set()
    for wanted in (
        rf"({WORDNET_ID})(?:-[^/]*)?/(?:images/)?[^/]*{IMAGE_SUFFIX_PATTERN}",
        rf"({WORDNET_ID})_[^/]*{IMAGE_SUFFIX_PATTERN}",
    ):
        for path, match in match_paths(trees, wanted):
            if path not in seen:
                seen.add(path)
                yield SourceFile(path, match[1])


def read_stanford_dogs(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``Images/WNID-breed/*.jpg``; the publisher's lists tell training from test, where they are there."""
    parts = {
        name: part
        for part, wanted in (("train", r"train_list\.mat"), ("test", r"test_list\.mat"))
        for path, _ in match_paths(trees, wanted)
        for name in (entry.rpartition("/")[2] for entry in read_file_list(path))
    }
    for path, match in match_paths(trees, rf"({WORDNET_ID})-[^/]*/[^/]*{IMAGE_SUFFIX_PATTERN}"):
        yield SourceFile(path, match[1], fold=parts.get(path.name, ""))


def read_tiny_imagenet(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``train/WNID/images`` and ``val/images`` with its table, or both as ``WNID/*``."""
    for path, match in match_paths(trees, rf"({WORDNET_ID})/(?:images/)?[^/]*{IMAGE_SUFFIX_PATTERN}"):
        yield SourceFile(path, match[1], fold="validation" if path.name.startswith("val_") else "train")
    labels = {
        cells[0]: cells[1]
        for path, _ in match_paths(trees, r"val/val_annotations\.txt")
        for line in path.read_text("utf-8", "replace").splitlines()
        if len(cells := line.split("\t")) > 1
    }
    for path, _ in match_paths(trees, rf"val/images/[^/]*{IMAGE_SUFFIX_PATTERN}"):
        if path.name in labels:
            yield SourceFile(path, labels[path.name], fold="validation")
