"""How much work a frame may be: a levels of qualities, and who climbs it by the clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

SMOOTHING = 0.15
"""Share of a new time in the running mean of a stage's times."""
MOST_GROWTH = 2.5
"""Of a time over the mean: what takes much longer once (a network is traced) says nothing of the next."""
FULL_SHARE, ROOM_SHARE = 0.92, 0.74
"""Of a frame's time: a stage that takes more than the first gives way; one that would take less than the
second on the next level goes up."""
PATIENCE, SETTLED = 3, 15
"""Frames that have to be too slow before quality falls, and frames of one quality before it rises."""
FORGIVEN = 0.3
"""Of a frame that was too slow, by one that was not: every fourth may not be late for long."""
BARRED = 60, 960
"""Frames for which a level that was too slow is not tried again, and for how many at most: each time that it
is left soon, twice as many. A dream that begins takes longer than one that has grown."""
LEVEL_GROWTH, ENGINE_GROWTH = 1.3, 5.0
"""Of the slowest stage, a level up, and where that is the ascent."""
FIRST_LEVEL = 4
"""That a session begins on: a finer one would be late by what it takes to find that it is too fine."""
MOST_FALLS = 5
"""Levels at once, where the time asks for as many."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What is done for a frame."""

    engine: Literal["ascent", "feedforward"]
    scale: float
    """Of the sides that are dreamed, over the recipe's."""
    is_fine: bool = True
    """Motion is measured as for a film; else on half of what is dreamed."""
    every: int = 1
    """One frame in so many is climbed; the others only move what is there."""

    def __str__(self) -> str:
        """In a few words: "feedforward at 72%"."""
        rest = f", one frame in {self.every}" if self.every > 1 else ""
        return f"{self.engine} at {self.scale:.0%}{rest}"


SCALES = (1.0, 0.85, 0.72, 0.6, 0.5, 0.42)
"""Sides: a level down saves about a quarter."""


def make_levels(has_dreamer: bool) -> tuple[Quality, ...]:
    """Qualities, the best first."""
    levels = [Quality("ascent", 1.0)]
    engine: Literal["ascent", "feedforward"] = "feedforward" if has_dreamer else "ascent"
    levels += [Quality(engine, scale, scale == 1) for scale in SCALES[0 if has_dreamer else 1 :]]
    return (*levels, Quality(engine, SCALES[-1], False, 2), Quality(engine, SCALES[-1], False, 4))


@dataclass
class Pacer:
    """Chooses a level of the levels for each frame, so that its slowest stage keeps up with the rate."""

    levels: tuple[Quality, ...]
    budget: float
    """Seconds of a frame."""
    level: int = FIRST_LEVEL
    _stages: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Mean seconds of each stage at this quality, and of how many frames."""
    _barred: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Of levels that were too slow: for how many frames they are barred, and until which."""
    _slow: float = 0.0
    _frames: int = 0
    _since: int = 0

    @property
    def quality(self) -> Quality:
        """What is to be done for the next frame."""
        return self.levels[self.level]

    @property
    def slowest(self) -> float:
        """Seconds of the slowest stage."""
        return max((mean for mean, _ in self._stages.values()), default=0.0)

    def note(self, stage: str, seconds: float, quality: Quality) -> None:
        """Take the time that a stage took for a frame of some quality."""
        if quality is not self.quality:
            return
        before, count = self._stages.get(stage, (seconds, 0))
        # The mean of the first few as it is: of a dreamer's frames one in three takes the steps of all.
        weight = 1 / (count + 1) if count < PATIENCE else SMOOTHING
        mean = before + weight * (min(seconds, MOST_GROWTH * before) - before)
        self._stages[stage] = mean, count + 1

    def advance(self, is_late: bool) -> None:
        """Decide again, once for each frame that is dreamed.

        `is_late`: one had to be dropped, or came too late to be shown.
        """
        self._frames += 1
        self._since += 1
        is_slow = is_late or self.slowest > FULL_SHARE * self.budget
        self._slow = self._slow + 1 if is_slow else max(0.0, self._slow - FORGIVEN)
        if self._slow >= PATIENCE and self.level + 1 < len(self.levels):
            # Far too slow: as many levels at once as the time asks for.
            excess = max(self.slowest / (FULL_SHARE * self.budget), 1.0)
            falls = min(max(1, math.floor(math.log(excess, LEVEL_GROWTH))), MOST_FALLS)
            self._bar()
            self._go_to(min(self.level + falls, len(self.levels) - 1))
        elif self._since > SETTLED and self.level and self._fits(self.level - 1):
            self._go_to(self.level - 1)

    def _bar(self) -> None:
        """Let this level alone for a while."""
        shortest, longest = BARRED
        before = self._barred.get(self.level, (0, 0))[0]
        frames = min(2 * before, longest) if before and self._since < before else shortest
        self._barred[self.level] = frames, self._frames + frames

    def _fits(self, level: int) -> bool:
        if self._frames < self._barred.get(level, (0, 0))[1]:
            return False
        is_alike = self.levels[level].engine == self.quality.engine
        return self.slowest * (LEVEL_GROWTH if is_alike else ENGINE_GROWTH) < ROOM_SHARE * self.budget

    def _go_to(self, level: int) -> None:
        self.level, self._slow, self._since = level, 0.0, 0
        self._stages.clear()
