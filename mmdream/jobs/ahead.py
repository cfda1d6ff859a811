"""Work done in a thread of its own, a few items ahead of whoever uses the result."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Generator[T, None, None], room: int = 3) -> Generator[T, None, None]:
    """Iterate `items` in another thread, at most `room` items before the reader.

    Close the result (`contextlib.closing`): the other thread then stops too, and `items` is closed in it.
    What ends the other thread, its last item or an exception, reaches the reader in its place.
    """
    box: queue.Queue[tuple[T, ...] | BaseException | None] = queue.Queue(room)
    gone = threading.Event()

    def work() -> None:
        last: BaseException | None = None
        try:
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
