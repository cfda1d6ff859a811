"""Frames of a film by the second at which they are shown."""

from __future__ import annotations

import math
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.media.probe import MediaFile, probe
from mmdream.media.video_reader import Frame, read_frames


class FrameReader:
    """Frames of one film by time; goes on decoding where the next one asked for is near."""

    NEAR_SECONDS = Fraction(1)
    ROUNDING_SECONDS = Fraction(1, 2000)
    """By which a frame's own second may be rounded down on its way here."""

    def __init__(self, path: Path) -> None:
        self._film: MediaFile = probe(path)
        self._rate = Fraction(25) if self._film.video is None else self._film.video.rate or Fraction(25)
        self._frames: Generator[Frame, None, None] | None = None
        self._shown: Frame | None = None
        self._next: Frame | None = None

    def read(self, seconds: Fraction) -> Frame:
        """The frame that is shown at a second; before the film the first, behind it the last.

        `UserError`: there is none.
        """
        seconds += self.ROUNDING_SECONDS
        if self._film.duration is not None:
            seconds = min(seconds, self._film.duration)
        if (
            self._shown is None
            or not self._shown.seconds <= seconds <= self._shown.seconds + self.NEAR_SECONDS
        ):
            # Frames before this one are decoded, but not converted. One that lasts long begins earlier.
            back = 2 / self._rate
            while self._begin(max(seconds - back, Fraction(0))) > seconds and back < seconds:
                back *= 8
        while self._next is not None and self._next.seconds <= seconds:
            self._advance()
        if self._shown is None:
            raise UserError(f"{self._film.path}: has no frame that can be shown")
        return self._shown

    def _begin(self, start: Fraction) -> float:
        """Read on from the first frame after a second; when that is, infinite if there is none."""
        self.close()
        self._frames = read_frames(self._film, start)
        self._next = next(self._frames, None)
        self._advance()
        return math.inf if self._shown is None else float(self._shown.seconds)

    def _advance(self) -> None:
        assert self._frames is not None
        self._shown, self._next = self._next, next(self._frames, None)

    def close(self) -> None:
        """Let go of the file."""
        if self._frames is not None:
            self._frames.close()
        self._frames = self._shown = self._next = None
