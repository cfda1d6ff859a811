"""Gets the files of a set: downloads and unpacks archives, finds files in them, selects the classes."""

from __future__ import annotations

import filecmp
import itertools
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from mmdream.core.download import MAX_DOWNLOAD_BYTES, DownloadError, cache_folders, download_file, remote_size
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import hash_file
from mmdream.datasets import layouts, sound_layouts
from mmdream.datasets.archive import SUFFIXES, ByteProgress, is_archive, unpack
from mmdream.datasets.card import NOT_VERIFIED, DatasetArchive, DatasetCard, DatasetVariant
from mmdream.datasets.folder import INPUT_FOLDER
from mmdream.datasets.layouts import WORDNET_ID, FileTree, SourceFile, scan_folder

TABLE_SUFFIXES = (".csv", ".txt", ".json", ".mat")
"""Files that publishers give beside their archives, which may be given alone."""


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


def fetch_archives(card: DatasetCard, listener: EventSink) -> list[Path]:
    """Download a set's archives into the cache, unless they are there; says terms and sizes before.

    Raises:
        UserError: the card has no address, an archive cannot be had, or it is not what the checksum says.
    """
    if not card.archives:
        raise UserError(
            f"{card.name}: no address to download it from is known; get it at {card.publisher} and give it "
            "with --from"
        )
    folder = cache_folders()["mmdream"] / "data" / card.name
    listener.say(f"{card.name}: {card.about}")
    listener.say(f"licence: {card.licence}")
    for archive in card.archives:
        method = archive.checksum.partition(":")[0] or NOT_VERIFIED
        listener.say(f"{archive.address}: {archive.size}; checksum: {method}")
    return [_fetch_archive(card, archive, folder / archive.file, listener) for archive in card.archives]


def _fetch_archive(card: DatasetCard, archive: DatasetArchive, into: Path, listener: EventSink) -> Path:
    if into.is_file():
        verify_checksum(into, card)
        return into

    try:
        size = archive.bytes or remote_size(archive.address)
        if size and not archive.bytes:
            listener.say(f"{archive.file}: {size / 1e6:,.0f} MB, says the server")
        into.parent.mkdir(parents=True, exist_ok=True)
        _check_disk_space(into.parent, size or 0)
        max_bytes, progress = archive.bytes or MAX_DOWNLOAD_BYTES, _in_megabytes(listener, "download")
        download_file(archive.address, into, max_bytes, archive.checksum, progress)
    except (DownloadError, OSError) as error:
        raise UserError(
            f"{card.name}: {archive.file} could not be downloaded ({error}); the same command goes on, or "
            f"get it at {card.publisher} and give it with --from"
        ) from error
    listener.say(f"{into} is kept for another time; it may be deleted")
    return into


def _in_megabytes(listener: EventSink, stage: str) -> ByteProgress:
    return lambda done, total: listener.progress(stage, done / 1e6, total / 1e6)


def _check_disk_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; make room, "
            "or set XDG_CACHE_HOME to a folder on another disk"
        )


def verify_checksum(archive: Path, card: DatasetCard) -> bool:
    """Compare an archive that bears the publisher's name with its checksum; False: there is none.

    Raises:
        UserError: it is another file.
    """
    for published in card.archives:
        if archive.name == published.file and published.checksum:
            method, _, checksum = published.checksum.partition(":")
            if hash_file(archive, method) != checksum:
                raise UserError(
                    f"{archive}: its {method.upper()} is not the one of {published.address}; fetch it again, "
                    "or unpack it yourself and give the folder if it is meant to differ"
                )
            return True
    return False


def check_sources(sources: Sequence[Path]) -> None:
    """Refuse sources that cannot be read.

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


def find_files(sources: Sequence[Path], preparation: Preparation) -> dict[str, SourceFile]:
    """The set's files in archives and folders, by the path that each will have below the set's folder.

    Raises:
        UserError: nothing of the set is there, or an archive is refused.
    """
    card = preparation.card
    # Finds a set's files in trees, whatever folder they hang in, also files of classes that the card lacks.
    read_layout = getattr(layouts if card.medium == "picture" else sound_layouts, f"read_{card.layout}")
    new_trees = [_open_source(source, preparation) for source in sources]
    trees: list[FileTree] = []
    files: dict[str, SourceFile] = {}
    problem = ""
    # What lies packed inside is unpacked where nothing is found without: archives in a folder, or in an
    # archive, as ImageNet's are, which may lie in a folder too.
    while new_trees:
        trees += new_trees
        try:
            files = select_files(read_layout(trees), card, preparation.variant)
        except UserError as error:
            problem = f" ({error})"
        labels = {file.label for file in files.values()}
        nested = [(tree, path) for tree in new_trees for path in _nested_archives(tree, card, labels)]
        new_trees = [_unpack_archive(path, tree.display_name, preparation) for tree, path in nested]
    if files:
        return files
    for tree in trees:  # What was unpacked is gone when this is read.
        problem = problem.replace(str(tree.root), tree.display_name)
    names = ", ".join(map(str, sources))
    raise UserError(f"{names}: nothing of {card.name} is there{problem}; it is laid out as {card.laid_out}")


def _open_source(source: Path, preparation: Preparation) -> FileTree:
    """The files of one source."""
    if source.is_dir():
        return scan_folder(source.absolute(), source, preparation.out.absolute())
    if is_archive(source):
        return _unpack_archive(source, source, preparation)
    return FileTree(source.parent.absolute(), (source.name,), str(source))


def _nested_archives(tree: FileTree, card: DatasetCard, labels: set[str]) -> Iterator[Path]:
    """The archives in a folder with what is not found yet: the whole set, or one of ImageNet's classes."""
    missing = {each.label for each in card.classes} - labels
    for path in (tree.root / name for name in tree.files if is_archive(Path(name))):
        needed = path.stem in missing if re.fullmatch(WORDNET_ID, path.stem) else not labels
        if needed and any(fnmatch(path.name, pattern) for pattern in card.inside):
            yield path


def _unpack_archive(archive: Path, display_name: object, preparation: Preparation) -> FileTree:
    """An archive's files, in a folder of their own."""
    verify_checksum(archive, preparation.card)
    into = preparation.work / f"unpacked{len(list(preparation.work.iterdir()))}"
    preparation.listener.say(f"unpacking {archive.name}, {archive.stat().st_size / 1e6:.0f} MB")
    unpack(archive, into, progress=_in_megabytes(preparation.listener, "unpacking"))
    return scan_folder(into, display_name)


def select_files(
    files: Iterable[SourceFile], card: DatasetCard, variant: DatasetVariant
) -> dict[str, SourceFile]:
    """The files of the variant's classes, by the path that each will have below the set's folder.

    A file that is there twice is taken once; another one of the same name gets a number.
    """
    classes: dict[str, str] = {}
    for each in card.variant_classes(variant):
        classes |= {each.name: each.name, each.label or each.name: each.name}
    selected: dict[str, SourceFile] = {}
    taken: dict[str, Path] = {}
    for file in files:
        if file.label in classes:
            path = _assign_path(file, classes[file.label], ".jpg" if card.side else None, taken)
            if path is not None:
                taken[path.lower()] = file.file
                selected[path] = file
    return selected


def _assign_path(file: SourceFile, label: str, suffix: str | None, taken: dict[str, Path]) -> str | None:
    """A path that no file has, in any case of letters; None: the very same file has one."""
    name = file.name or file.file.name
    # A name that every system can have and a table can hold.
    safe = Path(re.sub(r"[\s\\\\:]+", " ", name.encode(errors="replace").decode()))
    for number in itertools.count():
        path = f"{INPUT_FOLDER}/{label}/{safe.stem}{f'~{number}' if number else ''}{suffix or safe.suffix}"
        other = taken.get(path.lower())
        if other is None:
            return path
        if filecmp.cmp(other, file.file, shallow=False):
            return None
    raise AssertionError
