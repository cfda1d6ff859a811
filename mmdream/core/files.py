"""Files that are whole or not there, results named when they are whole, and our folders in a home."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import platformdirs

from mmdream.core.errors import DiskFull, UserError, disk_full_error, reporting_full_disk

NUMBERED_IMAGE = re.compile(r"\d{4,}\.png")
"""The pictures in a folder of steps."""
MAX_NAME_BYTES = 200
"""Bytes; file systems take 255, and the files on the way have longer names than the result."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A draft beside `path` that takes its name, synced, when the block ends well, and is gone otherwise."""
    draft = path.with_name(f"{path.name}.draft")
    try:
        yield draft
        with open(draft, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file as `atomic_file` does."""
    with atomic_file(path) as draft:
        draft.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk; Windows does so by itself and cannot open folders."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def json_line(values: Mapping[str, Any]) -> bytes:
    """An object as a line of a file that `append_line` grows."""
    return json.dumps(values).encode() + b"\n"


def append_line(path: Path, line: bytes) -> None:
    """Add a line that is on the disk when this returns; a line that does not fit is taken back."""
    with open(path, "ab", buffering=0) as file:
        before = file.tell()
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name)
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)  # What follows a torn line would be lost.
            raise


def read_json_lines(path: Path) -> Iterator[Any]:
    """The values of a file's lines, up to the first that is torn; no file has none."""
    if not path.is_file():
        return
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            values = json.loads(line)
        except ValueError:
            return
        if not line.endswith(b"\n"):
            return
        yield values


def hash_file(path: Path, method: str = "sha256") -> str:
    """The checksum of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(method, usedforsecurity=False)).hexdigest()


def check_output_file(
    source: Path | None,
    output: Path | None,
    ending: str,
    suffixes: Sequence[str],
    overwrite: bool,
    option: str = "-o",
) -> Path:
    """The name of the result; `UserError` where nothing can be written by that name.

    Args:
        source: the input, if any.
        output: the user's wish; None: the input's name with `ending`, such as ``".dream.mp4"``.
        ending: see `output`.
        suffixes: those that can be written.
        overwrite: whether an existing file may be replaced.
        option: the one that names this file, for the messages.
    """
    if output is None:
        assert source is not None
        output = source.with_name(source.stem + ending)
    path = output
    if len(os.fsencode(path.name)) > MAX_NAME_BYTES:
        raise UserError(f"{path.name[:40]}...: is too long a name; give a shorter one with {option}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file in it, for example {path / 'dream'}{suffixes[0]}")
    if path.suffix.lower() not in suffixes:
        raise UserError(
            f"{path}: cannot write {path.suffix or 'a file without ending'}; use {', '.join(suffixes)}"
        )
    if not path.parent.exists():
        raise UserError(f"{path.parent}: no such folder; create it first")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: is a file, not a folder")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path.parent}: no permission to write there; choose another place with {option}")
    if path.exists():
        if source is not None and source.exists() and path.samefile(source):
            raise UserError(f"{path}: is the input itself; choose another name with {option}")
        if not overwrite:
            raise UserError(f"{path}: exists already; add --overwrite or choose another name with {option}")
    return path


def check_output_folder(path: Path, ending: str, overwrite: bool) -> Path:
    """The name of a folder of numbered pictures beside a result, ``OUT.ending``; `UserError` if taken."""
    folder = path.with_name(f"{path.stem}.{ending}")
    if not os.path.lexists(folder):
        return folder
    if not (overwrite and folder.is_dir()):
        raise UserError(f"{folder}: exists already; choose another name with -o or --overwrite")
    if others := sorted(each.name for each in folder.iterdir() if not NUMBERED_IMAGE.fullmatch(each.name)):
        raise UserError(
            f"{folder}: holds other files ({others[0]}) than the pictures of an earlier run; choose another "
            "name with -o"
        )
    return folder


def move_folder_into_place(folder: Path, path: Path) -> None:
    """Give a finished folder of numbered pictures on the same disk its name, in place of an older one."""
    for each in path.iterdir() if path.is_dir() else ():
        if NUMBERED_IMAGE.fullmatch(each.name):
            each.unlink()
    try:
        with suppress(FileNotFoundError):
            path.rmdir()
        folder.rename(path)
    except OSError as error:
        raise UserError(f"{path}: holds other files by now; choose another name with -o") from error


def move_into_place(file: Path, path: Path, overwrite: bool) -> None:
    """Move a finished file to its name, in one moment, also on another disk.

    Raises:
        FileExistsError: something has that name, and may not be replaced; `file` is as it was.
    """
    rename = os.replace if overwrite else _rename_without_replacing
    try:
        rename(file, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            shutil.copyfile(file, draft)
            with open(draft, "rb+") as copied:
                os.fsync(copied.fileno())
            rename(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        file.unlink()
    sync_folder(path.parent)


def _rename_without_replacing(file: Path, path: Path) -> None:
    """Rename a file to a name that nothing has, not even since this very moment; else `FileExistsError`."""
    if os.name == "nt":
        os.rename(file, path)  # Replaces nothing there.
        return
    try:
        os.link(file, path)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.EXDEV):
            raise
        # A disk without links, such as a FAT stick: the name is taken first, by an empty file of ours.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        try:
            os.replace(file, path)
        except OSError:
            path.unlink()
            raise
    else:
        os.unlink(file)


def publish_file(file: Path, path: Path, overwrite: bool) -> None:
    """Give a finished file its name; if that is taken by now, one like it, which a `UserError` tells."""
    names = (path, *(path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(2, 1000)))
    for name in names:
        try:
            move_into_place(file, name, overwrite and name == path)
        except FileExistsError:
            continue
        if name != path:
            raise UserError(
                f"{path}: has appeared since the work began, and is not replaced; the result is {name}"
            )
        return
    raise UserError(f"{path}: has appeared since the work began, and is not replaced")


@contextmanager
def output_workspace(path: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to work in beside the result, gone afterwards; what it holds by that name is the result."""
    try:
        with reporting_full_disk(path):
            folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.mmdream-", dir=path.parent))
    except OSError as error:
        raise UserError(
            f"{path.parent}: cannot be written to ({error.strerror}); choose another place"
        ) from error
    try:
        with reporting_full_disk(path):
            yield folder
            publish_file(folder / path.name, path, overwrite)
    except DiskFull as error:
        raise disk_full_error(path) from error  # It may name the folder that is gone.
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def user_cache_folder() -> Path:
    """For what can be downloaded or computed again; ``XDG_CACHE_HOME`` goes first, on any platform."""
    return Path(os.environ.get("XDG_CACHE_HOME") or platformdirs.user_cache_dir(opinion=False)) / "mmdream"


def user_data_folder() -> Path:
    """For trained networks; ``XDG_DATA_HOME`` goes first, on any platform."""
    return Path(os.environ.get("XDG_DATA_HOME") or platformdirs.user_data_dir()) / "mmdream"
