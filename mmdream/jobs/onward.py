"""A film's frames from any frame on, the same as when it is read from its beginning."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence

import numpy as np

from mmdream.core.errors import Interrupted
from mmdream.film.frames import Frame, read_frames
from mmdream.film.source import MediaFile
from mmdream.settings.recipe import Selection

PREROLL_FRAMES = 48
"""Frames before the wanted one at which reading begins again: broken frames repeat what lies before them,
and the first frames behind a jump may lack what they refer to."""


def frame_hash(frame: Frame) -> str:
    """SHA-256 of a frame's pixels, to be recognised by."""
    return hashlib.sha256(np.ascontiguousarray(frame.rgb).data).hexdigest()


def read_from(
    film: MediaFile,
    order: Selection,
    pts: Sequence[int],
    first: int,
    before: str | None,
    stopped: Callable[[], bool],
) -> Generator[Frame, None, None]:
    """Read a film from frame `first` on.

    A jump is trusted if it leads to all the time stamps and to the pixels of the frame before `first`;
    otherwise the film is read from its beginning.

    Args:
        film: the source.
        order: which part of it.
        pts: time stamps of all frames in it.
        first: number of the first frame wanted.
        before: `frame_hash` of the frame before; None: nobody knows.
        stopped: asked at each frame on the way; True ends the reading.

    Raises:
        Interrupted: `stopped` said so.
    """
    if first == 0:
        return read_frames(film, order.start, order.end)
    assert film.video is not None
    if before is not None and first > PREROLL_FRAMES:
        at = first - PREROLL_FRAMES
        frames = read_frames(film, pts[at] * film.video.time_base - film.start, order.end)
        last = _skip_frames(frames, pts[at:first], stopped)
        if last is not None and frame_hash(last) == before:
            return frames
        frames.close()
    frames = read_frames(film, order.start, order.end)
    _skip_frames(frames, pts[:first], stopped)
    return frames


def _skip_frames(
    frames: Generator[Frame, None, None], pts: Sequence[int], stopped: Callable[[], bool]
) -> Frame | None:
    """Pass over frames; the last of them, or None where one has another time stamp."""
    frame = None
    for wanted in pts:
        if stopped():
            frames.close()
            raise Interrupted
        frame = next(frames, None)
        if frame is None or frame.pts != wanted:
            return None
    return frame
