"""Memory in a long run: allocator and collector told what equal frames need, and the most there was."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, ARENA_MAX = -1, -2, -3, -8
"""glibc's names in malloc.h, M_..."""
MAX_KEPT_BYTES = 1 << 25
"""Bytes; glibc takes no larger threshold."""


def keep_freed_memory() -> None:
    """Tell glibc's allocator to keep what is freed; other C libraries are left alone.

    By default each array of over a megabyte is a new mapping whose pages fault one by one: on frames of
    640x360 that takes five to twenty times as long as the arithmetic on them.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    for option, value in (
        (MMAP_THRESHOLD, MAX_KEPT_BYTES),
        (TRIM_THRESHOLD, 1 << 30),
        (TOP_PAD, 1 << 26),
        # Every part of a film has an encoder with threads of its own; each must not leave a heap behind.
        (ARENA_MAX, 4),
    ):
        mallopt(option, value)


@contextmanager
def freeze_loaded_objects() -> Iterator[None]:
    """Keep Python's collector from looking again and again at modules and networks that are loaded by now.

    TensorFlow brings about a million objects; walking them took 8 % of a film's time, with every other thread
    waiting. Afterwards they are the collector's again, so that a program that dreams many films can let go of
    what one of them held.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def peak_memory_mib() -> float | None:
    """MiB that this process had at most, so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)
