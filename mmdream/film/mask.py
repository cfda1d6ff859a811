"""Where a pass acts at each moment of a film: a mask, by the time of the film that it lies on."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.core.errors import UserError
from mmdream.film.feather import fit_mask, mask_luminance
from mmdream.film.frames import read_frames
from mmdream.film.source import MediaFile

ASPECT_TOLERANCE = 0.02
"""Share by which a mask may be wider or higher than its film: sides are rounded, to even numbers too."""
CLOCK_TOLERANCE = Fraction(1, 1000)
"""Seconds by which a mask's frame may be late: Matroska rounds to its tick, other containers do not, and the
same frame is meant."""
LOOK_BACK_SECONDS = Fraction(4)
"""Seconds before a moment from which on the frame that is shown then is looked for; doubled until found."""

TimedMask = tuple[Fraction, np.ndarray]
"""Seconds from which on they hold, and a mask's values, float32 [h, w], 0..1."""


@dataclass(frozen=True, slots=True)
class MaskSource:
    """What a mask is read from."""

    path: Path
    width: int
    height: int
    end_seconds: Fraction | None
    """Seconds after which nothing new comes, if that is known."""
    read: Callable[[Fraction | None], Generator[TimedMask, None, None]]
    """Its values in the order of time, from a second or from the beginning on."""


def mask_from_image(path: Path, rgb: np.ndarray) -> MaskSource:
    """A mask that stands still: float32 [h, w, 3], 0..1."""

    def once(_start: Fraction | None) -> Generator[TimedMask, None, None]:
        yield Fraction(0), mask_luminance(rgb)

    return MaskSource(path, rgb.shape[1], rgb.shape[0], Fraction(0), once)


def mask_from_video(film: MediaFile) -> MaskSource:
    """A mask that moves; where its frames are broken the last good one stands in.

    Raises:
        UserError: the file has no picture.
    """
    if film.video is None:
        raise UserError(f"{film.path}: is a sound; a mask is a picture or a film")

    def run(start: Fraction | None) -> Generator[TimedMask, None, None]:
        with closing(read_frames(film, start)) as frames:
            for frame in frames:
                yield frame.seconds, mask_luminance(frame.rgb)

    ends = (
        film.duration
        if film.video.duration is None
        else film.video.duration + (film.video.first * film.video.time_base - film.start)
    )
    return MaskSource(film.path, film.video.width, film.video.height, ends, run)


class MaskReader:
    """Reads a mask beside a film; two of its frames are in memory.

    Args:
        source: of the mask.
        width: of the film, px.
        height: likewise.
        feather: px of a film of 360 lines over which edges fade.

    Raises:
        UserError: the mask has another aspect than the film, or is too small to say where.
    """

    def __init__(self, source: MaskSource, width: int, height: int, feather: float) -> None:
        wide, high = source.width, source.height
        if min(wide, high) < 2:
            raise UserError(f"{source.path}: a mask of {wide}x{high} pixels is too small to say where")
        aspect = (wide * height) / (high * width)
        if max(aspect, 1 / aspect) > 1 + ASPECT_TOLERANCE:
            raise UserError(
                f"{source.path}: a mask of {wide}x{high} does not lie on {width}x{height}; "
                "give it the same ratio of width to height"
            )
        self._source = source
        self._size = width, height
        self._feather = feather
        self._values: Generator[TimedMask, None, None] | None = None
        self._since: Fraction | None = None
        self._held: np.ndarray | None = None
        self._next: TimedMask | None = None
        self._laid: np.ndarray | None = None

    def at(self, seconds: Fraction) -> np.ndarray:
        """The mask at a moment of the film; quick where moments rise.

        Of a film's mask it is the last frame that has begun: the first one before that, the last one for ever
        after.

        Args:
            seconds: of the film, as a player shows them.

        Returns:
            float32 [height, width], 0..1, read-only; the same array as long as the same frame is shown.

        Raises:
            UserError: the mask cannot be read.
        """
        moment = seconds + CLOCK_TOLERANCE
        if self._values is None or (self._since is not None and moment < self._since):
            self._open(moment)
        while self._next is not None and self._next[0] <= moment:
            self._take(self._next)
        if self._laid is None:
            assert self._held is not None
            self._laid = fit_mask(self._held, *self._size, self._feather)
            self._laid.flags.writeable = False
        return self._laid

    def close(self) -> None:
        """Close the file; the next `at` opens it again."""
        if self._values is not None:
            self._values.close()
        self._values = self._next = self._held = self._laid = None

    def _open(self, moment: Fraction) -> None:
        """Begin at the frame that is shown at a moment, however long it has been there."""
        near = moment if self._source.end_seconds is None else min(moment, self._source.end_seconds)
        back = LOOK_BACK_SECONDS
        while True:
            self.close()
            start = near - back if near > back else None
            self._values = self._source.read(start)
            first = next(self._values, None)
            if first is not None and (start is None or first[0] <= moment):
                break
            if start is None:
                raise UserError(f"{self._source.path}: no frame of it can be read")
            back *= 2
        self._take(first)
        if start is None:
            self._since = None  # What comes before the first frame is the first frame.

    def _take(self, values: TimedMask) -> None:
        assert self._values is not None
        self._since, self._held = values
        self._laid = None
        self._next = next(self._values, None)
