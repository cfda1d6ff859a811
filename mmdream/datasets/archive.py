"""Downloads the archives of sets, checks them, and unpacks them as if somebody hostile had packed them.

Files and folders only come out, below one new folder, within limits.
"""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmdream.core.download import MAX_DOWNLOAD_BYTES, DownloadError, cache_folders, download_file, remote_size
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import hash_file
from mmdream.datasets.card import NOT_VERIFIED, DatasetArchive, DatasetCard

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
BLOCK_BYTES = 1 << 20
MAX_HEADER_BYTES = 1 << 20
"""Of a tar's header; names and times take a few hundred."""
MAX_TRAILING_BYTES = 64 * BLOCK_BYTES
"""After the end of a tar, which is padded to a record of some KB."""
ZIP_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
"""That are unpacked; LZMA takes as much memory as the archive says."""
ARCHIVE_ERRORS = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, OSError, RuntimeError, ValueError),
)
"""Of the readers at an archive that is cut off or changed; it depends on where."""

ByteProgress = Callable[[float, float], None]
"""(bytes done, bytes in all)"""


def fetch_archives(card: DatasetCard, listener: EventSink) -> list[Path]:
    """Download a set's archives into the cache, unless they are there; says terms and sizes before."""
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
        size = archive.bytes or remote_size(archive.address) or 0
        if size and not archive.bytes:
            listener.say(f"{archive.file}: {size / 1e6:,.0f} MB, says the server")
        into.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(into.parent).free
        if size > free:
            raise UserError(
                f"{into.parent}: {size / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; make room, "
                "or set XDG_CACHE_HOME to a folder on another disk"
            )
        max_bytes, progress = archive.bytes or MAX_DOWNLOAD_BYTES, progress_in_megabytes(listener, "download")
        download_file(archive.address, into, max_bytes, archive.checksum, progress)
    except (DownloadError, OSError) as error:
        raise UserError(
            f"{card.name}: {archive.file} could not be downloaded ({error}); the same command goes on, or "
            f"get it at {card.publisher} and give it with --from"
        ) from error
    listener.say(f"{into} is kept for another time; it may be deleted")
    return into


def progress_in_megabytes(listener: EventSink, stage: str) -> ByteProgress:
    """Reports bytes of a stage as MB."""
    return lambda done, total: listener.progress(stage, done / 1e6, total / 1e6)


def verify_checksum(archive: Path, card: DatasetCard) -> bool:
    """Compare an archive that bears the publisher's name with its checksum; False: there is none."""
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


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """How much may come out of an archive."""

    max_ratio: int = 20
    """Bytes out of each of its bytes: data sets have less than three, tables ten, bombs hundreds."""
    min_bytes: int = 64_000_000
    """Bytes that even a small archive may hold."""
    max_files: int = 3_000_000
    """ImageNet has 1.3 million."""

    def max_bytes(self, packed: int) -> int:
        """Bytes that may come out of an archive of `packed` bytes."""
        return max(self.min_bytes, self.max_ratio * packed)


DEFAULT_LIMITS = UnpackLimits()


class _RefusedArchive(Exception):
    """Why an archive is not unpacked, in half a sentence."""


class _DiskError(Exception):
    """Holds an OSError of writing, which is not the archive's fault."""


def is_archive(path: Path) -> bool:
    """Whether a file's name ends in one of `SUFFIXES`."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(
    archive: Path,
    into: Path,
    limits: UnpackLimits = DEFAULT_LIMITS,
    progress: ByteProgress = lambda _done, _total: None,
) -> None:
    """Unpack an archive into a folder that does not exist yet; it is gone again after any error.

    A UserError: the archive is damaged, or holds a link, a device, a path that leads out of the folder, a
    name twice, or more than the limits allow. An OSError: of writing, such as a full disk.
    """
    into.mkdir()
    try:
        gate = _Gate(into, limits.max_bytes(archive.stat().st_size), limits.max_files)
        extract = _extract_zip if archive.name.lower().endswith(".zip") else _extract_tar
        extract(archive, into, gate, progress)
    except BaseException as error:
        shutil.rmtree(into)
        if isinstance(error, _RefusedArchive):
            raise UserError(f"{archive}: {error}; nothing of it was kept") from error
        if isinstance(error, _DiskError):
            raise error.args[0] from None
        if isinstance(error, ARCHIVE_ERRORS):
            raise UserError(f"{archive}: is cut off or damaged ({error}); fetch it again") from error
        raise


class _Gate:
    """Lets the members of an archive through, one by one, while they keep to the limits."""

    def __init__(self, into: Path, max_bytes: int, max_files: int) -> None:
        self.into, self.max_bytes, self.max_files = into, max_bytes, max_files
        self.bytes = self.files = 0

    def extract(self, name: str, size: int, is_file: bool, write: Callable[[], object]) -> None:
        """Extract a file or a folder by `write`; the readers never give more than `size` bytes."""
        if self.files == self.max_files:
            raise _RefusedArchive(f"holds more than {self.max_files} files")
        self.files, self.bytes = self.files + 1, self.bytes + size
        if self.bytes > self.max_bytes:
            raise _RefusedArchive(f"holds more than {self.max_bytes / 1e6:.0f} MB, too much for its size")
        path = self.into.joinpath(*_split_name(name))
        try:
            if is_file and os.path.lexists(path):
                raise FileExistsError
            write()
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise _RefusedArchive(f"holds {name!r} twice") from None
        except OSError as error:
            if error.errno in (None, errno.EINVAL):  # Of reading: a place or a checksum is wrong.
                raise
            raise _DiskError(error) from error


def _split_name(name: str) -> list[str]:
    """The folders and the name of a member, none of which leads elsewhere on any system."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    # A colon names a drive or a second content on Windows, a backslash is a slash there.
    if name.startswith("/") or ".." in parts or any(sign in name for sign in "\\:\0"):
        raise _RefusedArchive(f"holds a path that leads out of its folder, {name!r}")
    if len(name) > 1000 or any(len(part.encode(errors="replace")) > 255 for part in parts):
        raise _RefusedArchive(f"holds a name that is too long, {name[:40]!r}")
    return parts


def _extract_zip(archive: Path, into: Path, gate: _Gate, progress: ByteProgress) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        total, done = sum(member.compress_size for member in members), 0
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _RefusedArchive(f"holds a link or a device, {member.filename!r}")
            if member.flag_bits & 1:
                raise _RefusedArchive("is locked with a password")
            if member.compress_type not in ZIP_COMPRESSIONS:
                raise _RefusedArchive(
                    "is packed in a way that cannot be read here; unpack it and give the folder"
                )
            # The original name: zipfile cuts another one at its first zero byte.
            name, is_file = member.orig_filename, not member.is_dir()
            gate.extract(name, member.file_size, is_file, partial(file.extract, member, into))
            done += member.compress_size
            progress(done, total)


def _extract_tar(archive: Path, into: Path, gate: _Gate, progress: ByteProgress) -> None:
    total = archive.stat().st_size
    with open(archive, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: Any = _TarStream(gzip.GzipFile(fileobj=raw) if packed else raw)
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            # Python 3.11 has it from 3.11.4 on only; the gate refuses what it would.
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            while (member := tar.next()) is not None:
                if not (member.isreg() or member.isdir()):
                    raise _RefusedArchive(f"holds a link or a device, {member.name!r}")
                write = partial(tar.extract, member, into, set_attrs=False)
                gate.extract(member.name, member.size, member.isreg(), write)
                # Of millions of files the list alone would fill the memory.
                tar.members.clear()  # type: ignore[attr-defined]  # documented, not in the stub
                progress(raw.tell(), total)
        # tarfile takes any header that it cannot read for the end.
        if len(stream.last) < tarfile.BLOCKSIZE or any(stream.last):
            raise _RefusedArchive("is cut off or damaged")
        # gzip's checksum stands behind the end of the tar.
        for _ in range(MAX_TRAILING_BYTES // BLOCK_BYTES):
            if not stream.read(BLOCK_BYTES):
                return
        raise _RefusedArchive("holds much after its end")


class _TarStream:
    """The bytes of a tar; remembers those it gave last, and refuses to read a huge header."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.last = stream, b""
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= max(BLOCK_BYTES, MAX_HEADER_BYTES):
            raise _RefusedArchive("holds a header that is too long")
        self.last = self.stream.read(size)
        return self.last
