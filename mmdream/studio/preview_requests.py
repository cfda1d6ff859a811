"""What the dreaming process is asked for: of each kind the newest counts, and some go before others."""

from __future__ import annotations

import json
import threading
from typing import Any, TextIO

KINDS = "sound", "drives", "picture", "gallery"
"""In this order: a picture gives way to a sound."""


class Requests:
    """Requests as they come in, lines of JSON; iterated over until there are no more."""

    def __init__(self, stream: TextIO) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, dict[str, Any]] = {}
        self._newest: dict[str, int] = {}
        self._has_ended = False
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: TextIO) -> None:
        for line in stream:
            self.put(json.loads(line))
        with self._changed:
            self._has_ended = True
            self._changed.notify()

    def put(self, request: dict[str, Any]) -> None:
        """Let a request wait, unless a newer one of its kind does."""
        kind, number = request["kind"], request["number"]
        with self._changed:
            if number >= self._newest.get(kind, number):
                self._newest[kind], self._waiting[kind] = number, request
                self._changed.notify()

    def gives_way(self, request: dict[str, Any]) -> bool:
        """Whether a request under way is to be left: for a newer or a more urgent one, or for good."""
        kind = request["kind"]
        return self._has_ended or any(each in self._waiting for each in KINDS[: KINDS.index(kind) + 1])

    def __iter__(self) -> Requests:
        return self

    def __next__(self) -> dict[str, Any]:
        with self._changed:
            while not (self._waiting or self._has_ended):
                self._changed.wait()
            if self._has_ended:
                raise StopIteration
            return self._waiting.pop(next(kind for kind in KINDS if kind in self._waiting))
