"""Archives unpacked as if somebody hostile had packed them.

Files and folders only, below one fresh folder, within bounds of bytes and of files; an archive that holds
anything else, or is cut off, is refused as a whole and leaves nothing behind.
"""

from __future__ import annotations

import gzip
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import IO, Any

from mmdream.core.errors import UserError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

BLOCK_BYTES = 1 << 20
"""Bytes copied at once."""

MAX_HEADER_BYTES = 1 << 20
"""Bytes of one header of a tar; names and times take a few hundred."""

MAX_TRAILING_BYTES = 64 * BLOCK_BYTES
"""Bytes; a tar is padded to a record of some KB."""

_ZIP_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
"""Of a zip's members; LZMA takes as much memory as the archive says."""

ByteProgress = Callable[[float, float], None]
"""(bytes done, bytes in all)"""

ARCHIVE_ERRORS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What the readers of archives raise at one that is cut off or changed; it depends on where."""


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """How much may come out of an archive."""

    times: int = 20
    """Bytes out of each byte of the archive. Sounds and pictures are packed already: the whole of a data set
    gains less than threefold, a table of numbers tenfold; a bomb begins at hundreds."""
    least: int = 64_000_000
    """Bytes that even a small archive may hold."""
    files: int = 3_000_000
    """ImageNet has 1.3 million."""

    def bytes(self, packed: int) -> int:
        """That may come out of an archive of so many."""
        return max(self.least, self.times * packed)


DEFAULT_LIMITS = UnpackLimits()


class _RefusedArchive(Exception):
    """Why an archive is not unpacked, in half a sentence."""


class _DiskError(Exception):
    """What the disk says of a file that is being written: an OSError that is not the archive's fault."""


def is_archive(path: Path) -> bool:
    """Whether a file's name ends as those that can be unpacked."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(
    archive: Path,
    into: Path,
    bounds: UnpackLimits = DEFAULT_LIMITS,
    progress: ByteProgress = lambda _done, _total: None,
) -> None:
    """Unpack an archive into a folder that does not exist yet.

    Args:
        archive: one of `SUFFIXES`.
        into: the folder to make; its parent exists.
        bounds: how much may come out.
        progress: told (bytes read, bytes of the archive).

    Raises:
        UserError: the archive is damaged, or holds a link, a device, a path that leads out of the folder, a
            name twice, or more than the bounds allow; `into` is gone again.
        OSError: the disk is full, or another trouble with writing; `into` is gone again.
    """
    into.mkdir()
    try:
        _unpack_members(archive, into, bounds, progress)
    except BaseException:
        shutil.rmtree(into)
        raise


def _unpack_members(archive: Path, into: Path, bounds: UnpackLimits, progress: ByteProgress) -> None:
    """Unpack, and say what is wrong with an archive."""
    zipped = archive.name.lower().endswith(".zip")
    try:
        with closing((_zip_members if zipped else _tar_members)(archive, progress)) as members:
            # An archive says itself how much it holds, and may lie: what comes out is counted.
            _write_members(members, into, bounds.bytes(archive.stat().st_size), bounds.files)
    except _RefusedArchive as error:
        raise UserError(f"{archive}: {error}; nothing of it was kept") from error
    except _DiskError as error:
        raise error.args[0] from None
    except ARCHIVE_ERRORS as error:
        raise UserError(f"{archive}: is cut off or damaged ({error}); fetch it again") from error


ArchiveMember = tuple[str, Callable[[], IO[bytes]] | None]
"""Name, and what opens the contents; None: a folder."""


def _write_members(members: Iterator[ArchiveMember], into: Path, most_bytes: int, most_files: int) -> None:
    """Write the files of an archive below a folder."""
    written = 0
    for number, (name, contents_of) in enumerate(members):
        if number == most_files:
            raise _RefusedArchive(f"holds more than {most_files} files")
        parts = _split_member_name(name)
        if contents_of is None:
            continue
        with _create_file(into.joinpath(*parts), name) as file, contents_of() as contents:
            while block := contents.read(BLOCK_BYTES):
                written += len(block)
                if written > most_bytes:
                    raise _RefusedArchive(f"holds more than {most_bytes / 1e6:.0f} MB, too much for its size")
                _write_block(file, block)


def _write_block(file: FileIO, block: bytes) -> None:
    """Write a block to a file without a buffer, which would tell a full disk only when it is closed."""
    try:
        while block:
            block = block[file.write(block) :]
    except OSError as error:
        raise _DiskError(error) from error


def _create_file(path: Path, name: str) -> FileIO:
    """A new file, never one that is there: the name may be that of a member that came before."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "xb", buffering=0)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise _RefusedArchive(f"holds {name!r} twice") from None
    except OSError as error:
        raise _DiskError(error) from error


def _split_member_name(name: str) -> list[str]:
    """The folders and the name of a member, none of which leads elsewhere on any system."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    # A colon names a drive or a second content on Windows, a backslash is a slash there.
    if name.startswith("/") or ".." in parts or any(sign in name for sign in "\\:\0"):
        raise _RefusedArchive(f"holds a path that leads out of its folder, {name!r}")
    if len(name) > 1000 or any(len(part.encode(errors="replace")) > 255 for part in parts):
        raise _RefusedArchive(f"holds a name that is too long, {name[:40]!r}")
    return parts


def _zip_members(archive: Path, progress: ByteProgress) -> Generator[ArchiveMember, None, None]:
    """The members of a zip."""
    with zipfile.ZipFile(archive) as file:
        infos = file.infolist()
        total, done = sum(info.compress_size for info in infos), 0
        for info in infos:
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _RefusedArchive(f"holds a link or a device, {info.filename!r}")
            if info.flag_bits & 1:
                raise _RefusedArchive("is locked with a password")
            if info.compress_type not in _ZIP_COMPRESSIONS:
                raise _RefusedArchive(
                    "is packed in a way that cannot be read here; unpack it and give the folder"
                )
            # The original name: zipfile cuts another one at its first zero byte.
            yield info.orig_filename, None if info.is_dir() else partial(file.open, info)
            done += info.compress_size
            progress(done, total)


def _tar_members(archive: Path, progress: ByteProgress) -> Generator[ArchiveMember, None, None]:
    """The members of a tar, packed or not, read once from its beginning to its end."""
    total = archive.stat().st_size
    with open(archive, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        watched: Any = _TarStream(gzip.GzipFile(fileobj=raw) if packed else raw)
        with tarfile.open(fileobj=watched, mode="r:") as tar:
            while (member := tar.next()) is not None:
                if not (member.isreg() or member.isdir()):
                    raise _RefusedArchive(f"holds a link or a device, {member.name!r}")
                yield member.name, partial(_open_tar_member, tar, member) if member.isreg() else None
                # Of millions of files the list alone would fill the memory.
                tar.members.clear()  # type: ignore[attr-defined]  # documented, not in the stub
                progress(raw.tell(), total)
        # tarfile takes any header that it cannot read for the end.
        if len(watched.last) < tarfile.BLOCKSIZE or any(watched.last):
            raise _RefusedArchive("is cut off or damaged")
        watched.read_out()


def _open_tar_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """Of a file in a tar."""
    contents = tar.extractfile(member)
    assert contents is not None  # Only folders and links have none.
    return contents


class _TarStream:
    """The bytes of a tar, of which it remembers those it gave last."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.last = b""
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        """So many bytes."""
        if not 0 <= size <= max(BLOCK_BYTES, MAX_HEADER_BYTES):
            raise _RefusedArchive("holds a header that is too long")
        self.last = self.stream.read(size)
        return self.last

    def read_out(self) -> None:
        """Read what comes after the end of the tar: gzip's checksum stands behind it."""
        for _ in range(MAX_TRAILING_BYTES // BLOCK_BYTES):
            if not self.stream.read(BLOCK_BYTES):
                return
        raise _RefusedArchive("holds much after its end")
