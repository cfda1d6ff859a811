"""Archives from the publishers, by the addresses of a card: told, fetched, checked, kept for another time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from mmdream.core.download import DownloadError, cache_folders, download_file, file_digest, remote_size
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.datasets import layouts, sound_layouts
from mmdream.datasets.archive import SUFFIXES, is_archive, unpack
from mmdream.datasets.card import NOT_VERIFIED, DatasetArchive, DatasetCard, DatasetVariant
from mmdream.datasets.layouts import WORDNET_ID, FileTree, SourceFile, scan_folder
from mmdream.datasets.sort import select_files
from mmdream.datasets.sound_layouts import read_dog_sounds

MAX_ARCHIVE_BYTES = 500_000_000_000
"""Bytes that an archive of unknown size may have."""


def fetch_archives(about: DatasetCard, listener: EventSink) -> list[Path]:
    """Download a set's archives, unless they are there from another time.

    What is about to come, how large it is and on which terms, is told first.

    Args:
        about: the set.
        listener: told the terms, and megabytes as they come.

    Returns:
        The archives, in the cache.

    Raises:
        UserError: the card has no address, an archive cannot be had, or it is not what the checksum says.
    """
    if not about.archives:
        raise UserError(
            f"{about.name}: no address to download it from is known; get it at {about.publisher} and give it "
            "with --from"
        )
    folder = cache_folders()["mmdream"] / "data" / about.name
    listener.say(f"{about.name}: {about.about}")
    listener.say(f"licence: {about.licence}")
    for archive in about.archives:
        checked = archive.checksum.partition(":")[0] or NOT_VERIFIED
        listener.say(f"{archive.address}: {archive.size}; checksum: {checked}")
    return [_fetch_archive(about, archive, folder / archive.file, listener) for archive in about.archives]


def verify_checksum(archive: Path, about: DatasetCard) -> bool:
    """Compare an archive that bears the publisher's name with its checksum.

    Returns:
        Whether there was anything to compare.

    Raises:
        UserError: it is another file.
    """
    for known in about.archives:
        if archive.name == known.file and known.checksum:
            method, _, wanted = known.checksum.partition(":")
            if file_digest(archive, method) != wanted:
                raise UserError(
                    f"{archive}: its {method.upper()} is not the one of {known.address}; fetch it again, or "
                    "unpack it yourself and give the folder if it is meant to differ"
                )
            return True
    return False


def _fetch_archive(about: DatasetCard, archive: DatasetArchive, into: Path, listener: EventSink) -> Path:
    """One archive, in the cache."""
    if into.is_file():
        verify_checksum(into, about)
        return into

    def progress(done: float, total: float) -> None:
        listener.progress("download", done / 1e6, total / 1e6)

    try:
        expected = archive.bytes or remote_size(archive.address)
        if expected and not archive.bytes:
            listener.say(f"{archive.file}: {expected / 1e6:,.0f} MB, says the server")
        into.parent.mkdir(parents=True, exist_ok=True)
        _check_disk_space(into, expected or 0)
        download_file(archive.address, into, archive.bytes or MAX_ARCHIVE_BYTES, archive.checksum, progress)
    except (DownloadError, OSError) as error:
        raise UserError(
            f"{about.name}: {archive.file} could not be downloaded ({error}); the same command goes on, or "
            f"get it at {about.publisher} and give it with --from"
        ) from error
    listener.say(f"{into} is kept for another time; it may be deleted")
    return into


def _check_disk_space(into: Path, wanted: int) -> None:
    """See whether the disk takes an archive."""
    free = shutil.disk_usage(into.parent).free
    if wanted > free:
        raise UserError(
            f"{into.parent}: {wanted / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; make room, "
            "or set XDG_CACHE_HOME to a folder on another disk"
        )


LayoutReader = Callable[[Sequence[FileTree]], Iterator[SourceFile]]

LAYOUT_READERS: dict[str, LayoutReader] = {
    "bird_audio": sound_layouts.read_bird_audio,
    "dog_sounds": read_dog_sounds,
    "esc": sound_layouts.read_esc,
    "fma": sound_layouts.read_fma,
    "fsdkaggle2018": sound_layouts.read_fsdkaggle2018,
    "librispeech": sound_layouts.read_librispeech,
    "nsynth": sound_layouts.read_nsynth,
    "speech_commands": sound_layouts.read_speech_commands,
    "stanford_dogs": layouts.read_stanford_dogs,
    "tiny_imagenet": layouts.read_tiny_imagenet,
    "urbansound8k": sound_layouts.read_urbansound8k,
    "wordnet": layouts.read_wordnet,
}
"""Each finds a set's files in trees, whatever folder they hang in; a class that a card does not have is left
out later."""


pass
pass

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
