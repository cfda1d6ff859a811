"""The one exception for what a person can put right; everything else keeps its traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

MAX_MESSAGE_LENGTH = 1000
"""Characters; of longer lines the middle is left out."""
DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The disk is full, or the user's share of it."""
_STDERR_LOCK = RLock()
"""A process has one stderr: who is hushed second would keep the first one's silence for ever."""


def to_one_line(text: str) -> str:
    """A text, maybe out of a file, as one line that moves no terminal's cursor."""
    whole = " ".join(text.splitlines())
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in whole)


class UserError(Exception):
    """One line that says what is wrong and what to do; the command line prints it and exits with status 2."""

    def __init__(self, text: str) -> None:
        told = to_one_line(text)
        half = MAX_MESSAGE_LENGTH // 2
        short = f"{told[: half - 5]} ... {told[-half:]}"
        super().__init__(short if len(told) > MAX_MESSAGE_LENGTH else told)


class DiskFull(UserError):
    """The disk is full; what is being written says which file does not fit."""


def disk_full_error(path: Path) -> DiskFull:
    """That the disk has no room for this file."""
    return DiskFull(f"{path.parent}: no space left; make room or choose another place with -o")


@contextmanager
def reporting_full_disk(path: Path) -> Iterator[None]:
    """Turn a full disk into `DiskFull` while a file is written."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL_ERRNOS:
            raise disk_full_error(path) from error
        raise


class Stopped(KeyboardInterrupt):
    """Ctrl-C, or a polite kill, of work that can go on later; `how` is the command that does it."""

    def __init__(self, how: str) -> None:
        super().__init__(f"stopped; go on with: {how}")
        self.how = how


class Interrupted(Exception):
    """The user wants to stop; whoever works lets go at once and leaves nothing half-written."""


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Let nothing through to stderr meanwhile."""
    with _STDERR_LOCK:
        try:
            stderr = os.dup(2)
        except OSError:  # no stderr, nothing to keep
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
