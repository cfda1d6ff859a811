"""How many threads the arithmetic of a task takes: chosen once in a process, for sums depend on it.

TensorFlow adds up in as many parts as it has threads, and OpenCV's optical flow walks an image in as many
stripes: with another number a dream differs in its last bits.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from mmdream.core.errors import UserError

_chosen: int | None = None
_listeners: list[Callable[[int], None]] = []


def count_processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_threads() -> int:
    """Threads of a task: those of `limit_threads`, or as many as there are processors."""
    return count_processors() if _chosen is None else _chosen


def limit_threads(count: int | None) -> None:
    """Let a task take so many threads from now on; None changes nothing.

    Raises:
        UserError: TensorFlow works already, with another number.
    """
    global _chosen
    if count is None or count == count_threads():
        return
    before, _chosen = _chosen, count
    try:
        for listener in _listeners:
            listener(count)
    except UserError:
        _chosen = before
        raise


def on_thread_limit(listener: Callable[[int], None]) -> None:
    """Have a function called with every new number; a `UserError` of its keeps the number as it was."""
    _listeners.append(listener)


def apply_thread_limit() -> None:
    """Bring the libraries that can be told at any time to the number."""
    import cv2
    from threadpoolctl import threadpool_limits

    cv2.setNumThreads(count_threads())
    # Its threads wait for the next product awake, and took a quarter of the processors' time from the rest of
    # a film, for products too small to be shared.
    threadpool_limits(1, user_api="blas")
