"""A publisher's files as they are given: opened, listed, matched by patterns, and its tables read."""

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
from mmdream.core.events import EventSink
from mmdream.datasets.archive import SUFFIXES, is_archive, progress_in_megabytes, unpack, verify_checksum
from mmdream.datasets.card import DatasetCard, DatasetVariant

TABLE_SUFFIXES = (".csv", ".txt", ".json", ".mat")
"""Files that publishers give beside their archives, which may be given alone."""
MATLAB_MEMORY, MATLAB_SECONDS = 4 << 30, 120
"""Bytes and time that the reader of a MATLAB file may take; a list holds some thousand names."""


@dataclass(frozen=True)
class Preparation:
    """Which set is prepared, and where."""

    card: DatasetCard
    variant: DatasetVariant
    out: Path
    """The set's folder."""
    work: Path
    """Archives are unpacked below it."""
    listener: EventSink


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a set, as its publisher has it; an empty licence, source or name is the usual one."""

    file: Path
    label: str
    """The class as the publisher calls it."""
    fold: str = ""
    """As `group`, see `mmdream.datasets.folder.Example`."""
    group: str = ""
    licence: str = ""
    source: str = ""
    """Who made it, or where it comes from."""
    name: str = ""
    """Of the file in its class's folder."""


@dataclass(frozen=True)
class FileTree:
    """The files below a folder."""

    root: Path
    files: tuple[str, ...]
    """Relative to the root, with slashes, sorted."""
    display_name: str
    """What the user calls it: the archive that it came from, or the folder."""


def check_sources(sources: Sequence[Path]) -> None:
    """Refuse what is not there, a file of another kind, or a part of an archive."""
    for source in sources:
        if not source.exists():
            raise UserError(f"{source}: no such file or folder")
        if source.is_file() and not is_archive(source) and source.suffix.lower() not in TABLE_SUFFIXES:
            raise UserError(
                f"{source}: is no archive that can be unpacked; give {', '.join(SUFFIXES)}, or a folder"
            )
        if source.suffix.lower() == ".zip" and source.with_suffix(".z01").exists():
            raise UserError(
                f"{source}: is one of several parts of an archive; unpack it (7-Zip does, or `zip -s 0`) and "
                "give the folder"
            )


def open_source(source: Path, preparation: Preparation) -> FileTree:
    """The files of a folder or an archive, or a table alone."""
    if source.is_dir():
        return scan_folder(source.absolute(), source, preparation.out.absolute())
    if is_archive(source):
        return unpack_source(source, source, preparation)
    return FileTree(source.parent.absolute(), (source.name,), str(source))


def unpack_source(archive: Path, display_name: object, preparation: Preparation) -> FileTree:
    """An archive's files, in a folder of their own."""
    verify_checksum(archive, preparation.card)
    into = preparation.work / f"unpacked{len(list(preparation.work.iterdir()))}"
    preparation.listener.say(f"unpacking {archive.name}, {archive.stat().st_size / 1e6:.0f} MB")
    unpack(archive, into, progress=progress_in_megabytes(preparation.listener, "unpacking"))
    return scan_folder(into, display_name)


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
    return {path.name: path for path, _ in reversed(list(match_paths(trees, pattern)))}


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
    """The lines of a table by the names in its first line, filled up; a UserError without all `columns`."""
    rows = read_csv(path)
    names = next(rows, [])
    if missing := [name for name in columns if name not in names]:
        raise UserError(f"{path}: has no column {missing[0]}; is it the publisher's own table?")
    for row in rows:
        yield dict(zip(names, [*row, *[""] * len(names)], strict=False))


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
