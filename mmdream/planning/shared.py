"""What a film takes when its chains are rendered beside each other."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from mmdream.settings.report import format_duration


@dataclass(frozen=True, slots=True)
class SharedEstimate:
    """A film's picture by workers."""

    workers: int
    threads: int
    """Of a task."""
    seconds: float
    """Until the last chain is done."""
    bound: str
    """What keeps it from being quicker."""

    @property
    def text(self) -> str:
        """``2 workers of 1 thread``."""
        workers = f"{self.workers} worker{'' if self.workers == 1 else 's'}"
        return f"{workers} of {self.threads} thread{'' if self.threads == 1 else 's'}"

    def describe(self, frames: int) -> str:
        """For people, with the frames a second of a film of so many."""
        rate = frames / max(self.seconds, 1e-9)
        return (
            f"{self.text}: {format_duration(self.seconds)}, {rate:.1f} frames a second; bound by {self.bound}"
        )


def finish_seconds(chains: Sequence[float], workers: int) -> float:
    """When the last chain is done, if workers take the longest that is left whenever they have none.

    Args:
        chains: seconds of each.
        workers: how many; each chain is one's.
    """
    free = [0.0] * workers
    for seconds in sorted(chains, reverse=True):
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def estimate_shared(
    chains: Sequence[float], workers: int, threads: int, serial: float, slowest_stage: str
) -> SharedEstimate:
    """What chains take that take so many seconds each, and what bounds it.

    Args:
        chains: seconds of each.
        workers: how many.
        threads: of a task.
        serial: seconds of what one process does alone, before and after: looking at the film, joining it.
        slowest_stage: what a worker spends most of a frame's time on.
    """
    seconds, mean = finish_seconds(chains, workers), sum(chains) / workers
    if serial > seconds:
        bound = "what one process does alone: looking at the film, and joining it"
    elif chains and max(chains) > 1.1 * mean and max(chains) > 0.9 * seconds:
        bound = f"the longest chain, {max(chains):.0f} s; see --seams"
    elif slowest_stage == "decode":
        bound = "decoding"
    else:
        bound = "the work of all frames: more processors would help"
    return SharedEstimate(workers, threads, seconds, bound)
