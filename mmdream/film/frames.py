"""The frames of a film read one by one, each with its own time stamp, and written so again."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from mmdream.errors import UserError
from mmdream.film import decode
from mmdream.film.colour import HDR, from_film
from mmdream.film.opened import opened
from mmdream.film.source import Film, Picture

STEPS_BACK = (0, 4, 30)
"""Seconds before the wanted frame at which a keyframe is looked for, until it lies before it."""
TOLERATED_END = Fraction(1, 4)
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


def _silent(_line: str) -> None:
    pass


def read(
    film: Film,
    start: Fraction | None = None,
    end: Fraction | None = None,
    *,
    every: Fraction | None = None,
    strict: bool = False,
    on_warning: Callable[[str], None] = _silent,
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
    picture = film.picture
    if picture is None:
        raise UserError(f"{film.path}: has no picture")
    for line in _remarks(film, picture):
        on_warning(line)

    damage = decode.Damage()
    lost = 0
    last: Frame | None = None
    before: int | None = None
    due = Fraction(0)
    pending: list[int] = []  # Stamps of lost frames that wait for a good one behind them.
    convert = _converter(picture)
    items = _items(film, picture, start, damage)
    stopped = False
    try:
        for item in items:
            before = pts = _stamp(item, picture, before)
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
                last = _follow(picture, film, last, last.rgb, pts, repeated=True)
                yield last
                continue
            if every is not None:
                if seconds < due:
                    continue
                due = every * (seconds // every + 1)
            rgb = convert(item)
            for early in pending:
                last = _follow(picture, film, last, rgb, early, repeated=True)
                yield last
            pending.clear()
            last = _follow(picture, film, last, rgb, pts)
            yield last
    finally:
        items.close()
    if lost:
        then = "passed over" if every is not None else "the last good one stands in for each"
        on_warning(f"{film.path}: {lost} broken frame{'s' * (lost > 1)}; {then}")
    early_by = Fraction(0) if stopped else _lost_seconds(film, picture, damage, end)
    if early_by > TOLERATED_END:
        line = f"{film.path}: ends {float(early_by):.2f} s early; the file is cut off or broken there"
        if strict:
            raise UserError(line)
        on_warning(line)


def _follow(
    picture: Picture,
    film: Film,
    last: Frame | None,
    rgb: np.ndarray,
    pts: int,
    repeated: bool = False,
) -> Frame:
    seconds = pts * picture.time_base - film.start
    return Frame(rgb, pts, picture.time_base, 0 if last is None else last.index + 1, seconds, repeated)


def _converter(picture: Picture) -> Callable[[av.VideoFrame], np.ndarray]:
    width, height = picture.width, picture.height
    if picture.turn.transpose:
        width, height = height, width
    to_rgb = from_film(picture.colour, width, height, picture.bits, picture.alpha)
    return lambda frame: picture.turn(to_rgb(frame))


def _remarks(film: Film, picture: Picture) -> Iterator[str]:
    if picture.alpha:
        yield f"{film.path}: is transparent; it is laid over black"
    if picture.colour.transfer in HDR:
        curve = HDR[picture.colour.transfer]
        yield (f"{film.path}: is of high dynamic range ({curve}); its curve is passed through untouched")


def _stamp(item: av.VideoFrame | int, picture: Picture, before: int | None) -> int:
    """The item's time stamp; where the film has none, or one that falls, the next that rises."""
    pts = item if isinstance(item, int) else item.pts
    if before is None:
        return picture.first if pts is None else pts
    if pts is None:
        return before + (round(1 / (picture.rate * picture.time_base)) if picture.rate else 1)
    return max(pts, before + 1)


def _items(
    film: Film, picture: Picture, start: Fraction | None, damage: decode.Damage
) -> Generator[av.VideoFrame | int, None, None]:
    """Decoded frames from a keyframe before `start` on, or from the beginning."""
    wanted = None if start is None else math.floor((start + film.start) / picture.time_base)
    if wanted is not None and wanted > picture.first:
        for back in STEPS_BACK:
            with opened(film.path) as container:
                stream = decode.picture_stream(container, picture.index)
                if not decode.seek(container, stream, wanted - int(back / picture.time_base)):
                    continue
                items = decode.frames(container, stream, damage)
                first = next((item for item in items if not isinstance(item, int)), None)
                if first is None or first.pts is None or first.pts > wanted:
                    continue  # A keyframe found by its decoding time may be shown too late.
                yield first
                yield from items
                return
    with opened(film.path) as container:
        yield from decode.frames(container, decode.picture_stream(container, picture.index), damage)


def _lost_seconds(film: Film, picture: Picture, damage: decode.Damage, end: Fraction | None) -> Fraction:
    """Seconds of picture that the header promises, and that did not come.

    The stream's own length counts where the film states it; else the container's, which is that of
    its longest stream, and is only missed when no stream reaches it.
    """
    if picture.duration is not None:
        promised = picture.first * picture.time_base + picture.duration
        reached = damage.reached.get(picture.index, Fraction(0))
    elif film.duration is not None:
        promised = film.start + film.duration
        reached = max(damage.reached.values(), default=Fraction(0))
    else:
        return Fraction(0)
    if end is not None:
        promised = min(promised, film.start + end)
    return promised - reached
