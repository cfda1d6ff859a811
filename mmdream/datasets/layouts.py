"""Finds the files of sets of pictures as publishers lay them out, and the tools that all readers use."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdream.core.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
MEDIA_SUFFIXES = {"picture": IMAGE_SUFFIXES, "sound": AUDIO_SUFFIXES}
"""Of the files of each medium, in lower case."""

IMAGE_PATTERN = rf"[^/]*(?:{'|'.join(map(re.escape, IMAGE_SUFFIXES))})"
"""Matches the name of a picture file."""
WORDNET_ID = r"n\d{8}"

MATLAB_MEMORY, MATLAB_SECONDS = 4 << 30, 120
"""Bytes and time that the reader of a MATLAB file may take; a list holds some thousand names."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a set, as its publisher has it."""

    file: Path
    label: str
    """The class as the publisher calls it."""
    fold: str = ""
    """The publisher's fold, or its part: train, validation or test; empty: none."""
    group: str = ""
    """Speaker or recording; files of one group are never divided. Empty: the file stands alone."""
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
    display_name: str
    """What the user calls it: the archive that it came from, or the folder."""


def scan_folder(root: Path, display_name: object, excluded: Path | None = None) -> FileTree:
    """List the files below a folder, but for those in one folder, hidden ones, and what macOS adds."""
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not _is_hidden(name) and Path(folder, name) != excluded]
        relative = Path(folder).relative_to(root)
        names += [(relative / name).as_posix() for name in files if not _is_hidden(name)]
    return FileTree(root, tuple(sorted(names)), str(display_name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def match_paths(trees: Sequence[FileTree], pattern: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """The files whose path, or whose last folders and name, a pattern matches; case does not count."""
    compiled = re.compile(rf"(?:.*?/)??{pattern}", re.IGNORECASE)
    for tree in trees:
        for name in tree.files:
            if match := compiled.fullmatch(name):
                yield tree.root / name, match


def index_by_name(trees: Sequence[FileTree], pattern: str) -> dict[str, Path]:
    """The files that a pattern matches by their names; of equal names the first file."""
    paths: dict[str, Path] = {}
    for path, _ in match_paths(trees, pattern):
        paths.setdefault(path.name, path)
    return paths


def find_required(trees: Sequence[FileTree], pattern: str, what: str) -> Path:
    """The one file that a layout cannot do without; a UserError says `what` is not there."""
    for path, _ in match_paths(trees, pattern):
        return path
    raise UserError(f"no {what}")


def read_lines(trees: Sequence[FileTree], pattern: str) -> Iterator[str]:
    """The lines of the text files that a pattern matches."""
    for path, _ in match_paths(trees, pattern):
        yield from path.read_text("utf-8", "replace").splitlines()


def read_csv(path: Path) -> Iterator[list[str]]:
    """The lines of a comma-separated table; anything else is a UserError."""
    csv.field_size_limit(1 << 24)  # FMA keeps whole biographies in one field.
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield from csv.reader(file)
    except (csv.Error, UnicodeError) as error:
        raise UserError(f"{path}: is no table that can be read ({error})") from error


def read_table(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The lines of a comma-separated table by the names in its first line; short lines are filled up.

    Raises:
        UserError: it is no such table, or lacks one of `columns`.
    """
    rows = read_csv(path)
    names = next(rows, [])
    if missing := [name for name in columns if name not in names]:
        raise UserError(f"{path}: has no column {missing[0]}; is it the publisher's own table?")
    for row in rows:
        yield dict(zip(names, [*row, *[""] * len(names)], strict=False))


def read_wordnet(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """Pictures in folders named by a WordNet id, or under names that begin with one."""
    paths = set()
    for pattern in (
        rf"({WORDNET_ID})(?:-[^/]*)?/(?:images/)?{IMAGE_PATTERN}",
        rf"({WORDNET_ID})_{IMAGE_PATTERN}",
    ):
        for path, match in match_paths(trees, pattern):
            if path not in paths:
                paths.add(path)
                yield SourceFile(path, match[1])


def read_stanford_dogs(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``Images/WNID-breed/*.jpg``; the publisher's lists, where they are there, tell training from test."""
    folds = {
        entry.rpartition("/")[2]: fold
        for fold in ("train", "test")
        for path, _ in match_paths(trees, rf"{fold}_list\.mat")
        for entry in read_matlab_list(path)
    }
    for path, match in match_paths(trees, rf"({WORDNET_ID})-[^/]*/{IMAGE_PATTERN}"):
        yield SourceFile(path, match[1], fold=folds.get(path.name, ""))


def read_tiny_imagenet(trees: Sequence[FileTree]) -> Iterator[SourceFile]:
    """``train/WNID/images`` and ``val/images`` with its table, or both as ``WNID/*``."""
    for path, match in match_paths(trees, rf"({WORDNET_ID})/(?:images/)?{IMAGE_PATTERN}"):
        yield SourceFile(path, match[1], fold="validation" if path.name.startswith("val_") else "train")
    rows = (line.split("\t") for line in read_lines(trees, r"val/val_annotations\.txt"))
    labels = {row[0]: row[1] for row in rows if len(row) > 1}
    for path, _ in match_paths(trees, rf"val/images/{IMAGE_PATTERN}"):
        if path.name in labels:
            yield SourceFile(path, labels[path.name], fold="validation")


def read_matlab_list(path: Path) -> list[str]:
    """The entries of the array ``file_list``, read in another process: SciPy crashes on damaged files."""
    command = [sys.executable, "-m", __name__, str(path)]
    try:
        process = subprocess.run(command, capture_output=True, timeout=MATLAB_SECONDS, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        raise UserError(f"{path}: is no list of the publisher's that can be read") from error
    entries: list[str] = json.loads(process.stdout)
    return entries


def _print_matlab_list(path: str) -> None:
    """Print the entries of a file as JSON."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = MATLAB_MEMORY if hard == resource.RLIM_INFINITY else min(MATLAB_MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    import numpy as np
    from scipy.io import loadmat

    entries = np.ravel(loadmat(path, squeeze_me=True)["file_list"])
    sys.stdout.write(json.dumps([str(entry) for entry in entries]))


if __name__ == "__main__":
    _print_matlab_list(sys.argv[1])
