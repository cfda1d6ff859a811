"""Where a result goes: checked before the work, and laid under its name only when it is whole."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mmdream.errors import NoRoom, UserError
from mmdream.film.opened import FULL, no_room
from mmdream.jobs.durable import whole

NUMBERED = re.compile(r"\d{4,}\.png")
"""The pictures in a folder of steps."""
LONGEST_NAME = 200
"""Bytes; file systems take 255, and the files on the way have longer names than the result."""


def destination(
    source: Path | None,
    output: Path | None,
    ending: str,
    suffixes: Sequence[str],
    overwrite: bool,
    option: str = "-o",
) -> Path:
    """The name of the result.

    Args:
        source: the input; None: there is none.
        output: the user's wish; None: the input's name with `ending` in its folder.
        ending: e.g. ``".dream.mp4"``.
        suffixes: those that can be written.
        overwrite: whether an existing file may be replaced.
        option: the one that names this file, for the messages.

    Raises:
        UserError: an unknown suffix, too long a name, a missing folder, an existing file, or the input
            itself.
    """
    if output is None:
        assert source is not None
        output = source.with_name(source.stem + ending)
    path = output
    if len(os.fsencode(path.name)) > LONGEST_NAME:
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


def folder_beside(path: Path, ending: str, overwrite: bool) -> Path:
    """The name of a folder of numbered pictures beside a result, ``OUT.ending``; to be asked before the work.

    Raises:
        UserError: something of that name is there, and may not be replaced.
    """
    folder = path.with_name(f"{path.stem}.{ending}")
    if not os.path.lexists(folder):
        return folder
    if not (overwrite and folder.is_dir()):
        raise UserError(f"{folder}: exists already; choose another name with -o or --overwrite")
    if others := sorted(each.name for each in folder.iterdir() if not NUMBERED.fullmatch(each.name)):
        raise UserError(
            f"{folder}: holds other files ({others[0]}) than the pictures of an earlier run; choose another "
            "name with -o"
        )
    return folder


def lay_folder(folder: Path, path: Path) -> None:
    """Give a finished folder of numbered pictures on the same disk its name, in place of an older one.

    Raises:
        UserError: something else is in it by now.
    """
    for each in path.iterdir() if path.is_dir() else ():
        if NUMBERED.fullmatch(each.name):
            each.unlink()
    try:
        with suppress(FileNotFoundError):
            path.rmdir()
        folder.rename(path)
    except OSError as error:
        raise UserError(f"{path}: holds other files by now; choose another name with -o") from error


def lay(file: Path, path: Path) -> None:
    """Give a finished file its name, in one moment, also on another disk."""
    with whole(path) as draft:
        try:
            os.replace(file, draft)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.copyfile(file, draft)


@contextmanager
def workshop(path: Path) -> Iterator[Path]:
    """A folder beside the result to work in; what is left in it under the result's name becomes the result.

    The folder is gone afterwards, whatever happens, and a full disk becomes one clear line.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.mmdream-", dir=path.parent))
    except OSError as error:
        if error.errno in FULL:
            raise no_room(path) from error
        raise UserError(
            f"{path.parent}: cannot be written to ({error.strerror}); choose another place"
        ) from error
    try:
        yield folder
        os.replace(folder / path.name, path)
    except NoRoom as error:
        raise no_room(path) from error  # It names the folder that is gone.
    except OSError as error:
        if error.errno in FULL:
            raise no_room(path) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
