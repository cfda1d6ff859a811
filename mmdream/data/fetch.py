"""Archives from the publishers, by the addresses of a card: told, fetched, checked, kept for another time."""

from __future__ import annotations

import shutil
from pathlib import Path

from mmdream.core.download import DownloadError, cache_folders, download_file, file_digest, remote_size
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.data.card import NOT_VERIFIED, DatasetArchive, DatasetCard

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
