"""The frames of a film read one by one, each with its own time stamp, and written so again."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from mmdream.core.errors import UserError
from mmdream.film import decode
from mmdream.film.colour import HDR_TRANSFERS, make_rgb_decoder
from mmdream.film.opened import open_media
from mmdream.film.source import MediaFile, VideoTrack

SEEK_BACK_SECONDS = (0, 4, 30)
"""Seconds before the wanted frame at which a keyframe is looked for, until it lies before it."""
MAX_EARLY_END = Fraction(1, 4)
"""Seconds by which a film may end before its header says so: containers round and count their
longest stream."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a film."""

    rgb: np.ndarray
    """float32 [row, column, 3], 0..1, as shown."""
    pts: int
    """The source's own time stamp, ticks of `time_base`."""
    time_base: Fraction
    index: int
    """Its number among the frames read."""
    seconds: Fraction
    """Since `Film.start`."""
    repeated: bool = False
    """The frame was broken: the last good one stands in for it."""


def _ignore_warning(_line: str) -> None:
    pass


def read_frames(
    film: MediaFile,
    start: Fraction | None = None,
    end: Fraction | None = None,
    *,
    every: Fraction | None = None,
    strict: bool = False,
    on_warning: Callable[[str], None] = _ignore_warning,
) -> Generator[Frame, None, None]:
    """Read frames in the order in which they are shown.

    A broken frame keeps its place and time: the last good one stands in for it. A film that ends
    early is read as far as it decodes.

    Args:
        film: it must have a picture.
        start: seconds since `Film.start`; frames shown before are left out.
        end: seconds since `Film.start`; frames shown from there on are left out.
        every: seconds; only the first good frame of each such stretch is read. The others are decoded, as
            they must be, and not brought to RGB, which takes longer. None: all are read.
        strict: stop at the first broken frame or early end instead.
        on_warning: told in one line what was lost or passed through.

    Yields:
        Frames; their time stamps rise strictly.

    Raises:
        UserError: `strict`, and the film is broken.
    """
    picture = film.video
    if picture is None:
        raise UserError(f"{film.path}: has no picture")
    for line in _source_warnings(film, picture):
        on_warning(line)

    damage = decode.DecodeDamage()
    lost = 0
    last: Frame | None = None
    before: int | None = None
    due = Fraction(0)
    pending: list[int] = []  # Stamps of lost frames that wait for a good one behind them.
    convert = _rgb_converter(picture)
    items = _decode_from(film, picture, start, damage)
    stopped = False
    try:
        for item in items:
            before = pts = _rising_pts(item, picture, before)
            seconds = pts * picture.time_base - film.start
            if start is not None and seconds < start:
                continue
            if end is not None and seconds >= end:
                stopped = True
                break
            if isinstance(item, int):
                if strict:
                    raise UserError(f"{film.path}: broken frame at {float(seconds):.3f} s")
                lost += 1
                if every is not None:
                    continue
                if last is None:
                    pending.append(pts)
                    continue
                last = _next_frame(picture, film, last, last.rgb, pts, repeated=True)
                yield last
                continue
            if every is not None:
                if seconds < due:
                    continue
                due = every * (seconds // every + 1)
            rgb = convert(item)
            for early in pending:
                last = _next_frame(picture, film, last, rgb, early, repeated=True)
                yield last
            pending.clear()
            last = _next_frame(picture, film, last, rgb, pts)
            yield last
    finally:
        items.close()
    if lost:
        then = "passed over" if every is not None else "the last good one stands in for each"
        on_warning(f"{film.path}: {lost} broken frame{'s' * (lost > 1)}; {then}")
    early_by = Fraction(0) if stopped else _missing_seconds(film, picture, damage, end)
    if early_by > MAX_EARLY_END:
        line = f"{film.path}: ends {float(early_by):.2f} s early; the file is cut off or broken there"
        if strict:
            raise UserError(line)
        on_warning(line)


def _next_frame(
    picture: VideoTrack,
    film: MediaFile,
    last: Frame | None,
    rgb: np.ndarray,
    pts: int,
    repeated: bool = False,
) -> Frame:
    seconds = pts * picture.time_base - film.start
    return Frame(rgb, pts, picture.time_base, 0 if last is None else last.index + 1, seconds, repeated)


def _rgb_converter(picture: VideoTrack) -> Callable[[av.VideoFrame], np.ndarray]:
    width, height = picture.width, picture.height
    if picture.orientation.transpose:
        width, height = height, width
    to_rgb = make_rgb_decoder(picture.color, width, height, picture.bits, picture.alpha)
    return lambda frame: picture.orientation(to_rgb(frame))


def _source_warnings(film: MediaFile, picture: VideoTrack) -> Iterator[str]:
    if picture.alpha:
        yield f"{film.path}: is transparent; it is laid over black"
    if picture.color.transfer in HDR_TRANSFERS:
        curve = HDR_TRANSFERS[picture.color.transfer]
        yield (f"{film.path}: is of high dynamic range ({curve}); its curve is passed through untouched")


def _rising_pts(item: av.VideoFrame | int, picture: VideoTrack, before: int | None) -> int:
    """The item's time stamp; where the film has none, or one that falls, the next that rises."""
    pts = item if isinstance(item, int) else item.pts
    if before is None:
        return picture.first if pts is None else pts
    if pts is None:
        return before + (round(1 / (picture.rate * picture.time_base)) if picture.rate else 1)
    return max(pts, before + 1)


def _decode_from(
    film: MediaFile, picture: VideoTrack, start: Fraction | None, damage: decode.DecodeDamage
) -> Generator[av.VideoFrame | int, None, None]:
    """Decoded frames from a keyframe before `start` on, or from the beginning."""
    wanted = None if start is None else math.floor((start + film.start) / picture.time_base)
    if wanted is not None and wanted > picture.first:
        for back in SEEK_BACK_SECONDS:
            with open_media(film.path) as container:
                stream = decode.get_video_stream(container, picture.index)
                if not decode.seek_keyframe(container, stream, wanted - int(back / picture.time_base)):
                    continue
                items = decode.decode_frames(container, stream, damage)
                first = next((item for item in items if not isinstance(item, int)), None)
                if first is None or first.pts is None or first.pts > wanted:
                    continue  # A keyframe found by its decoding time may be shown too late.
                yield first
                yield from items
                return
    with open_media(film.path) as container:
        yield from decode.decode_frames(container, decode.get_video_stream(container, picture.index), damage)


def _missing_seconds(
    film: MediaFile, picture: VideoTrack, damage: decode.DecodeDamage, end: Fraction | None
) -> Fraction:
    """Seconds of picture that the header promises, and that did not come.

    The stream's own length counts where the film states it; else the container's, which is that of
    its longest stream, and is only missed when no stream reaches it.
    """
    if picture.duration is not None:
        promised = picture.first * picture.time_base + picture.duration
        reached = damage.stream_ends.get(picture.index, Fraction(0))
    elif film.duration is not None:
        promised = film.start + film.duration
        reached = max(damage.stream_ends.values(), default=Fraction(0))
    else:
        return Fraction(0)
    if end is not None:
        promised = min(promised, film.start + end)
    return promised - reached
