"""Judges frames by the clock: tells the pacer how long their stages take, but for those that are excused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mmdream.live.picture import PictureDreamer
from mmdream.live.quality import Quality


class FrameClock:
    """Tells a dreamer's pacer of its frames; threads may share it.

    Frames that a dream's beginning, or a trace, holds up say nothing of the usual ones, and are excused.
    """

    def __init__(self, dreamer: PictureDreamer, delay: float) -> None:
        """`delay` is that from frame in to frame out, seconds."""
        self._dreamer, self._delay = dreamer, delay
        self._late, self._seen_drops = 0, 0
        self._is_held_up, self._excused_until = False, 0.0

    def excuse(self) -> None:
        """Judge no frame that is under way."""
        self._excused_until = time.monotonic() + self._delay

    @contextmanager
    def excuse_while(self) -> Iterator[None]:
        """Judge no frame that is under way within, or at its end if it was long.

        What was traced before takes milliseconds: a knob that is turned on and on excuses nothing.
        """
        began, self._is_held_up = time.monotonic(), True
        try:
            yield
        finally:
            self._is_held_up = False
            if time.monotonic() - began > self._delay:
                self.excuse()

    def note(self, stage: str, seconds: float, quality: Quality) -> None:
        """Take the time that a stage took for a frame of some quality."""
        if not self._is_excused():
            self._dreamer.pacer.note(stage, seconds, quality)

    def finish(self, arrived: float) -> None:
        """Take that a frame is ready, which came in at a monotonic time."""
        self._late += time.monotonic() > arrived + self._delay

    def advance(self, dropped: int) -> None:
        """Decide on the quality again; `dropped` frames there were in all."""
        is_late = dropped > self._seen_drops or self._late > 0
        self._seen_drops, self._late = dropped, 0
        self._dreamer.pacer.advance(is_late and not self._is_excused())

    def _is_excused(self) -> bool:
        return self._is_held_up or time.monotonic() <= self._excused_until
