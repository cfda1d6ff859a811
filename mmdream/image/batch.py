"""Gradients that several ascents ask for at once, computed in one batch: one frame fills no graphics card.

Each ascent runs in a thread of its own and knows nothing of the others: it meets them where it asks for a
gradient. Who asks last computes for all whose images are of one size and objective; the others wait.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

PATIENCE_SECONDS = 0.25
"""That an ascent waits for the others: one of them may be reading or encoding."""

Compute = Callable[[Sequence[Any]], Sequence[np.ndarray]]
"""What was given to each -> the result of each."""


@dataclass(eq=False)
class _Ticket:
    """Somebody who waits for a gradient."""

    key: Hashable
    given: Any
    compute: Compute
    result: np.ndarray | None = None
    error: BaseException | None = None

    @property
    def is_served(self) -> bool:
        return self.result is not None or self.error is not None


class GradientMeeting:
    """Where the ascents of some chains meet."""

    def __init__(self) -> None:
        """With nobody there."""
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._seats = 0
        self.sizes: Counter[int] = Counter()
        """How many batches there were of each size."""

    @contextmanager
    def seat(self) -> Iterator[None]:
        """While the block runs, the others wait for its ascent."""
        with self._changed:
            self._seats += 1
        try:
            yield
        finally:
            with self._changed:
                self._seats -= 1
                self._changed.notify_all()

    def compute(self, key: Hashable, given: Any, compute: Compute) -> np.ndarray:
        """The result for what is given, computed together with all others that come with an equal key."""
        ticket = _Ticket(key, given, compute)
        with self._changed:
            self._waiting.append(ticket)
            if len(self._waiting) < self._seats:
                self._changed.wait_for(
                    lambda: ticket not in self._waiting or len(self._waiting) >= self._seats, PATIENCE_SECONDS
                )
            # Whoever is still waiting takes all with it; the others find themselves taken.
            taken, self._waiting = (self._waiting, []) if ticket in self._waiting else ([], self._waiting)
        self._serve(taken)
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: ticket.is_served)
        if ticket.error is not None:
            raise ticket.error
        assert ticket.result is not None
        return ticket.result

    def _serve(self, tickets: Sequence[_Ticket]) -> None:
        groups: defaultdict[Hashable, list[_Ticket]] = defaultdict(list)
        for ticket in tickets:
            groups[ticket.key].append(ticket)
        for group in groups.values():
            self.sizes[len(group)] += 1
            try:
                results = group[0].compute([ticket.given for ticket in group])
                for ticket, result in zip(group, results, strict=True):
                    ticket.result = result
            except BaseException as error:
                for ticket in group:
                    ticket.error = error


_current: GradientMeeting | None = None


def current_meeting() -> GradientMeeting | None:
    """Where ascents meet now; None: each is alone."""
    return _current


@contextmanager
def meeting() -> Iterator[GradientMeeting]:
    """Let all ascents of this process meet while the block runs."""
    global _current
    _current = GradientMeeting()
    try:
        yield _current
    finally:
        _current = None
