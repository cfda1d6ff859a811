"""Where one thread leaves something for the next: room for one, and the newest wins."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Closed(Exception):
    """Nothing will come any more, or nobody takes it."""


class LatestSlot(Generic[Item]):
    """Room for one item between two threads.

    `offer` replaces what nobody has taken yet, and counts it as dropped; `put` waits until there is room.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: list[Item] = []
        self._is_closed = False
        self.dropped = 0

    def offer(self, item: Item) -> None:
        """Leave an item, in place of one that still waits."""
        with self._changed:
            if self._is_closed:
                raise Closed
            self.dropped += len(self._items)
            self._items = [item]
            self._changed.notify_all()

    def put(self, item: Item) -> None:
        """Leave an item as soon as there is room; `Closed`: nobody takes it."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or not self._items)
            if self._is_closed:
                raise Closed
            self._items = [item]
            self._changed.notify_all()

    def take(self, timeout: float | None = None) -> Item | None:
        """The item, as soon as there is one; None: not within `timeout` seconds.

        Raises:
            Closed: there is none, and none will come.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._items:
                if self._is_closed:
                    raise Closed
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)
            item = self._items.pop()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Let nothing more in; what waits can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
