"""Work done in a thread of its own, a few items ahead of whoever uses the result."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Generator
from typing import TypeVar

Item = TypeVar("Item")


BACKGROUND_NICENESS = 19
"""Niceness of what is done beside the ascent."""


def lower_priority() -> None:
    """Let this thread, and those it starts, run where others leave a processor free.

    A network's step waits for the slowest of its threads; one that is held up by a decoder holds up all.
    Linux alone has a priority for each thread, elsewhere nothing happens.
    """
    if sys.platform == "linux":
        here = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, here, max(BACKGROUND_NICENESS, os.getpriority(os.PRIO_PROCESS, here)))


def prefetch(
    items: Generator[Item, None, None], room: int = 3, *, in_front: bool = False
) -> Generator[Item, None, None]:
    """Iterate `items` in another thread, at most `room` items before the reader.

    Args:
        items: closed in the other thread.
        room: items that may wait.
        in_front: the thread does the main work and does not step back.

    Close the result (`contextlib.closing`): the other thread then stops too, and `items` is closed in it.
    What ends the other thread, its last item or an exception, reaches the reader in its place.
    """
    box: queue.Queue[tuple[Item, ...] | BaseException | None] = queue.Queue(room)
    gone = threading.Event()

    def work() -> None:
        last: BaseException | None = None
        try:
            if not in_front:
                lower_priority()
            for item in items:
                box.put((item,))
                if gone.is_set():
                    break
        except BaseException as error:
            last = error
        finally:
            items.close()
            box.put(last)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (got := box.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            yield got[0]
    finally:
        gone.set()
        while thread.is_alive():
            while not box.empty():
                box.get_nowait()
            thread.join(0.01)
