"""How many threads the arithmetic of a task takes: chosen once in a process, for sums depend on it.

TensorFlow adds up in as many parts as it has threads, and OpenCV's optical flow walks an image in as many
stripes: with another number a dream differs in its last bits.
"""

from __future__ import annotations

import os
import sys

from mmdream.core.errors import UserError

_chosen: int | None = None


def count_processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_threads() -> int:
    """Threads of a task: those of `limit_threads`, or as many as there are processors."""
    return count_processors() if _chosen is None else _chosen


def limit_threads(count: int | None) -> None:
    """Let a task take so many threads from now on; None changes nothing.

    Raises:
        UserError: TensorFlow is loaded, and set up for another number.
    """
    global _chosen
    if count is None:
        return
    if "mmdream.networks.framework" in sys.modules and count != count_threads():
        raise UserError(
            f"this process dreams with {count_threads()} threads since its first dream; for {count} begin "
            "another process"
        )
    _chosen = count


def apply_thread_limit() -> None:
    """Bring the libraries that can be told at any time to the number; TensorFlow asks when it is loaded."""
    import cv2
    from threadpoolctl import threadpool_limits

    if _chosen is not None:
        cv2.setNumThreads(_chosen)
    # Its threads wait for the next product awake, and took a quarter of the processors' time from the rest of
    # a film, for products too small to be shared.
    threadpool_limits(1, user_api="blas")
