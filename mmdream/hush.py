"""What libraries in C write to stderr past Python is kept from the user, who is told it in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_STDERR_LOCK = RLock()
"""A process has one stderr: who is hushed second would keep the first one's silence for ever."""


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
