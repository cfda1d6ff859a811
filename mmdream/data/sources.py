"""A set's files in what the user gives: folders, archives, archives in folders, archives in archives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.data.archive import SUFFIXES, is_archive, unpack
from mmdream.data.card import DatasetCard, DatasetVariant
from mmdream.data.fetch import verify_checksum
from mmdream.data.layouts import LAYOUT_READERS
from mmdream.data.picture_layouts import WORDNET_ID
from mmdream.data.sort import select_files
from mmdream.data.tree import FileTree, SourceFile, scan_folder

TABLE_SUFFIXES = (".csv", ".txt", ".json", ".mat")
"""Files that publishers give beside their archives, which may be given alone."""


def check_sources(sources: Sequence[Path]) -> None:
    """See whether something can be read from all of them.

    Raises:
        UserError: one is not there, is a file of another kind, or a part of an archive.
    """
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


def find_files(
    sources: Sequence[Path],
    about: DatasetCard,
    choice: DatasetVariant,
    work: Path,
    out: Path,
    listener: EventSink,
) -> dict[str, SourceFile]:
    """The set's files by the place that each will have, unpacked as far as need be.

    Args:
        sources: archives and folders.
        about: the set.
        choice: of its variants.
        work: archives are unpacked below it.
        out: the set's own folder, which is none of its sources.
        listener: told what is unpacked.

    Raises:
        UserError: nothing of the set is there, or an archive is refused.
    """
    newest = [_open_source(source, about, work, out, listener) for source in sources]
    trees: list[FileTree] = []
    found: dict[str, SourceFile] = {}
    lacks = ""
    # What lies packed inside is unpacked where nothing is found without: archives in a folder, or in an
    # archive, as ImageNet's are, which may lie in a folder too.
    while newest:
        trees += newest
        try:
            found = select_files(LAYOUT_READERS[about.layout](trees), about, choice)
        except UserError as error:
            lacks = f" ({error})"
        labels = {item.label for item in found.values()}
        inside = [(each, path) for each in newest for path in _nested_archives(each, about, labels)]
        newest = [_unpack_archive(path, each.told, about, work, listener) for each, path in inside]
    if found:
        return found
    for each in trees:
        lacks = lacks.replace(str(each.root), each.told)  # What was unpacked is gone when this is read.
    told = ", ".join(map(str, sources))
    raise UserError(f"{told}: nothing of {about.name} is there{lacks}; it is laid out as {about.laid_out}")


def _open_source(source: Path, about: DatasetCard, work: Path, out: Path, listener: EventSink) -> FileTree:
    """What one source holds."""
    if source.is_dir():
        return scan_folder(source.absolute(), source, out.absolute())
    if is_archive(source):
        return _unpack_archive(source, source, about, work, listener)
    return FileTree(source.parent.absolute(), (source.name,), str(source))


def _nested_archives(each: FileTree, about: DatasetCard, found: set[str]) -> Iterator[Path]:
    """The archives in a folder with what is not found yet: the whole set, or one of ImageNet's classes."""
    lacking = {known.label for known in about.classes} - found
    for path in (each.root / name for name in each.files if is_archive(Path(name))):
        wanted = path.stem in lacking if re.fullmatch(WORDNET_ID, path.stem) else not found
        if wanted and any(fnmatch(path.name, pattern) for pattern in about.inside):
            yield path


def _unpack_archive(
    archive: Path, told: object, about: DatasetCard, work: Path, listener: EventSink
) -> FileTree:
    """An archive's files, in a folder of their own."""
    verify_checksum(archive, about)
    into = work / f"unpacked{len(list(work.iterdir()))}"

    def progress(done: float, total: float) -> None:
        listener.progress("unpacking", done / 1e6, total / 1e6)

    listener.say(f"unpacking {archive.name}, {archive.stat().st_size / 1e6:.0f} MB")
    unpack(archive, into, progress=progress)
    return scan_folder(into, told)
