"""Memory in a long run: allocator and collector told what equal frames need, and the most there was."""

from __future__ import annotations

import ctypes
import gc
import sys

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, ARENA_MAX = -1, -2, -3, -8
"""glibc's names in malloc.h, M_..."""
LARGEST_KEPT = 1 << 25
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
        (MMAP_THRESHOLD, LARGEST_KEPT),
        (TRIM_THRESHOLD, 1 << 30),
        (TOP_PAD, 1 << 26),
        # Every part of a film has an encoder with threads of its own; each must not leave a heap behind.
        (ARENA_MAX, 4),
    ):
        mallopt(option, value)


def leave_loaded_objects_alone() -> None:
    """Tell Python's collector not to look again and again at the modules and networks that are loaded by now.

    TensorFlow brings about a million objects; walking them took 8 % of a film's time, with every other thread
    waiting.
    """
    gc.collect()
    gc.freeze()


def peak() -> float | None:
    """MiB that this process had at most, so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)
