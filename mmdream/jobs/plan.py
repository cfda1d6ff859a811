"""A film's picture cut into parts: what is encoded, journalled, and at most lost, at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mmdream.analysis.shots import Shot

MAX_PART_FRAMES = 48
"""Frames of a part. The first 24 of a shot then always lie in its first part."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of frames."""

    number: int
    first: int
    stop: int
    """Frame numbers, half open."""

    @property
    def frames(self) -> int:
        """How many."""
        return self.stop - self.first


def plan_parts(shots: Sequence[Shot]) -> tuple[Part, ...]:
    """Cut a film into parts.

    A long shot is cut into stretches of nearly equal length. Short shots that follow one another share
    a part, or a strobe would make thousands of files.

    Args:
        shots: they follow one another without gap.

    Returns:
        Parts of 1 to `MAX_PART_FRAMES` frames that cover all shots; those that do not begin with a shot hold
        frames of that one shot only.
    """
    found: list[tuple[int, int]] = []
    open_to_more = False
    for shot in shots:
        length = shot.stop - shot.first
        pieces = -(-length // MAX_PART_FRAMES)
        if pieces == 1 and open_to_more and shot.stop - found[-1][0] <= MAX_PART_FRAMES:
            found[-1] = found[-1][0], shot.stop
            continue
        edges = [shot.first + length * k // pieces for k in range(pieces + 1)]
        found.extend(pairwise(edges))
        open_to_more = pieces == 1
    return tuple(Part(number, first, stop) for number, (first, stop) in enumerate(found))
