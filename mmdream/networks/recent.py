"""What was made last, kept to be used again; of too many the one that was not used for longest goes."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class LruCache:
    """The last few things; threads may share it, and wait for what another of them makes."""

    def __init__(self, most: int, gone: Callable[[], object] = lambda: None) -> None:
        """Keep at most so many; `gone` is called when one of them had to go."""
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
        """How many there are."""
        return len(self._kept)


class HasTraces(Protocol):
    """A network, or what belongs to one."""

    @property
    def traces(self) -> LruCache:
        """What was traced of the network."""


Traceable = TypeVar("Traceable", bound=HasTraces)


def cache_in_traces(make: Callable[Concatenate[Traceable, P], T]) -> Callable[Concatenate[Traceable, P], T]:
    """Let what a function makes of a network live as long as the network, and be made once.

    Kept in any other place it would hold the network for ever: what is traced refers to it.

    Args:
        make: takes the network, or what belongs to it, and values that can be keys.
    """

    @functools.wraps(make)
    def found(of: Traceable, /, *args: P.args, **named: P.kwargs) -> T:
        key = make, of, args, tuple(sorted(named.items()))
        return of.traces.get(key, lambda: make(of, *args, **named))

    return found
