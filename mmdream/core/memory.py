"""Memory in a long run: allocator and collector told what equal frames need, and the most there was."""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, ARENA_MAX = -1, -2, -3, -8
"""glibc's names in malloc.h, M_..."""
MAX_KEPT_BYTES = 1 << 25
"""glibc takes no larger threshold."""

T = TypeVar("T")
P = ParamSpec("P")


def keep_freed_memory() -> None:
    """Tell glibc's allocator to keep what is freed; other C libraries are left alone.

    By default each array of over a megabyte is a new mapping whose pages fault one by one: on frames of
    640x360 that takes five to twenty times as long as the arithmetic on them.
    """
    # Every part of a film has an encoder with threads of its own; each must not leave a heap behind.
    _tune_allocator(
        (MMAP_THRESHOLD, MAX_KEPT_BYTES), (TRIM_THRESHOLD, 1 << 30), (TOP_PAD, 1 << 26), (ARENA_MAX, 4)
    )


def return_freed_memory() -> None:
    """Tell glibc's allocator to give back what is freed: a server waits far longer than it works."""
    _tune_allocator((MMAP_THRESHOLD, 1 << 19), (ARENA_MAX, 2))


def release_freed_memory() -> None:
    """Give back what was freed so far, where the allocator is glibc's."""
    with suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _tune_allocator(*options: tuple[int, int]) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    for option, value in options:
        mallopt(option, value)


@contextmanager
def freeze_loaded_objects() -> Iterator[None]:
    """Keep Python's collector for good from walking what is loaded within, or was loaded before.

    TensorFlow brings half a million objects. Walking them again and again took a sixth of the time in which
    they are loaded, and 8 % of a film's time, all threads waiting.
    """
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def peak_memory_mib() -> float | None:
    """MiB that this process had at most, so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


class LruCache:
    """The last few things; threads may share it, and wait for what another of them makes.

    Keeps at most so many; `gone` is called when one of them had to go.
    """

    def __init__(self, most: int, gone: Callable[[], object] = lambda: None) -> None:
        self._most, self._gone = most, gone
        # One thread may take it again: what is made may ask for something else of the same kind.
        self._lock = threading.RLock()
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under a key, or is made and kept from now on."""
        with self._lock:
            if key not in self._kept:
                if len(self._kept) >= self._most:
                    self._kept.popitem(last=False)
                    self._gone()
                self._kept[key] = make()
            self._kept.move_to_end(key)
            found: T = self._kept[key]
            return found

    def __len__(self) -> int:
        return len(self._kept)


class HasTraces(Protocol):
    """A network, or what belongs to one."""

    @property
    def traces(self) -> LruCache:
        """What was traced of the network."""


Traceable = TypeVar("Traceable", bound=HasTraces)


def cache_in_traces(make: Callable[Concatenate[Traceable, P], T]) -> Callable[Concatenate[Traceable, P], T]:
    """Make what a function makes of a network and of hashable values once, for as long as the network lives.

    Kept in any other place it would hold the network for ever: what is traced refers to it.
    """

    @functools.wraps(make)
    def found(of: Traceable, /, *args: P.args, **named: P.kwargs) -> T:
        key = make, of, args, tuple(sorted(named.items()))
        return of.traces.get(key, lambda: make(of, *args, **named))

    return found
