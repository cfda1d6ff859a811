"""A video's frames from any frame on, the same as when it is read from its beginning."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from fractions import Fraction
from typing import Protocol

import numpy as np

from mmdream.core.errors import Interrupted
from mmdream.media.probe import MediaFile
from mmdream.media.video_reader import Frame, read_frames

PREROLL_FRAMES = 48
"""Frames before the wanted one at which reading begins again: broken frames repeat what lies before them,
and the first frames behind a jump may lack what they refer to."""
HASHED_ROWS = 8
"""Every so many rows of a frame are hashed: codecs go wrong by blocks."""


class FrameSource(Protocol):
    """Gives the frames of a video."""

    def frames(self, first: int, stop: int) -> Generator[Frame, None, None]:
        """Frames `first` to `stop`, half open; fewer where the source ends."""


def hash_frame(frame: Frame) -> str:
    """What a frame is recognised by: 64 bits of a SHA-256 of some rows of its pixels, in hex."""
    return hashlib.sha256(np.ascontiguousarray(frame.rgb[::HASHED_ROWS]).data).hexdigest()[:16]


class FileFrameSource:
    """Reads frames of a file; goes on where the last request ended, and jumps elsewhere.

    A jump is trusted if it leads to all the time stamps and to the hash of the first wanted frame; otherwise
    the file is read from its beginning.
    """

    def __init__(
        self,
        film: MediaFile,
        span: tuple[Fraction | None, Fraction | None],
        pts: Sequence[int],
        hashes: Mapping[int, str],
        is_stopped: Callable[[], bool],
    ) -> None:
        """Read nothing yet.

        Args:
            film: the file.
            span: start and end of the part that is read, seconds from `MediaFile.start`; None: its own.
            pts: time stamps of all frames in it.
            hashes: `hash_frame` of some frames by number; to others no jump is trusted.
            is_stopped: asked at each frame on the way to the first; True ends the reading with `Interrupted`.
        """
        self._film, self._span, self._pts = film, span, pts
        self._hashes, self._is_stopped = hashes, is_stopped
        self._next, self._frames = 0, read_frames(film, *span)

    def frames(self, first: int, stop: int) -> Generator[Frame, None, None]:
        """See `FrameSource`."""
        if first != self._next:
            self._go_to(first)
        while self._next < stop:
            frame = next(self._frames, None)
            if frame is None:
                return
            self._next += 1
            yield frame

    def close(self) -> None:
        """Close the file."""
        self._frames.close()

    def _go_to(self, first: int) -> None:
        """Open the file so that frame `first` comes next."""
        self.close()
        film = self._film
        assert film.video is not None
        if first in self._hashes and first > PREROLL_FRAMES:
            before = first - PREROLL_FRAMES
            seconds = self._pts[before] * film.video.time_base - film.start
            frames = read_frames(film, seconds, self._span[1])
            if self._skip(frames, self._pts[before:first]):
                frame = next(frames, None)
                if frame is not None and hash_frame(frame) == self._hashes[first]:
                    self._next, self._frames = first, _put_back(frame, frames)
                    return
            frames.close()
        self._next, self._frames = first, read_frames(film, *self._span)
        self._skip(self._frames, self._pts[:first])

    def _skip(self, frames: Generator[Frame, None, None], pts: Iterable[int]) -> bool:
        """Pass over frames; whether all have these time stamps."""
        for wanted in pts:
            if self._is_stopped():
                frames.close()
                raise Interrupted
            frame = next(frames, None)
            if frame is None or frame.pts != wanted:
                return False
        return True


def _put_back(frame: Frame, frames: Generator[Frame, None, None]) -> Generator[Frame, None, None]:
    with closing(frames):
        yield frame
        yield from frames
