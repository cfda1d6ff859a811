"""The frames of a film read one by one, each with its own time stamp, and written so again."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.container import InputContainer

from mmdream.core.errors import Interrupted, UserError
from mmdream.media.color import HDR_TRANSFERS, make_rgb_decoder
from mmdream.media.open import demux_packets, open_media, video_decoder
from mmdream.media.probe import MediaFile, VideoTrack
from mmdream.settings.recipe import Selection

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
    """Since `MediaFile.start`."""
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
        start: seconds since `MediaFile.start`; frames shown before are left out.
        end: seconds since `MediaFile.start`; frames shown from there on are left out.
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

    damage = DecodeDamage()
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
    film: MediaFile, picture: VideoTrack, start: Fraction | None, damage: DecodeDamage
) -> Generator[av.VideoFrame | int, None, None]:
    """Decoded frames from a keyframe before `start` on, or from the beginning."""
    wanted = None if start is None else math.floor((start + film.start) / picture.time_base)
    if wanted is not None and wanted > picture.first:
        for back in SEEK_BACK_SECONDS:
            with open_media(film.path) as container:
                stream = get_video_stream(container, picture.index)
                if not seek_keyframe(container, stream, wanted - int(back / picture.time_base)):
                    continue
                items = decode_frames(container, stream, damage)
                first = next((item for item in items if not isinstance(item, int)), None)
                if first is None or first.pts is None or first.pts > wanted:
                    continue  # A keyframe found by its decoding time may be shown too late.
                yield first
                yield from items
                return
    with open_media(film.path) as container:
        yield from decode_frames(container, get_video_stream(container, picture.index), damage)


def _missing_seconds(
    film: MediaFile, picture: VideoTrack, damage: DecodeDamage, end: Fraction | None
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


@dataclass
class DecodeDamage:
    """What a reader found on its way; it grows while the frames are read."""

    stream_ends: dict[int, Fraction] = field(default_factory=dict)
    """Seconds on the streams' clocks at which each stream's packets end."""
    truncated: bool = False
    """The file ended with an error or inside a packet."""


def decode_frames(
    container: InputContainer, stream: av.VideoStream, damage: DecodeDamage
) -> Iterator[av.VideoFrame | int]:
    """Decode a picture stream from where its container stands.

    A packet that is broken gives no frame, or one that the decoder patched up: the time stamp is
    given in its place. Packets that give no frame by their nature (VP8's hidden ones) are told from
    broken ones by the decoder's errors: only as many stamps are lost as there were errors.

    Yields:
        Frames in the order in which they are shown, and in their midst the time stamps (ticks) of
        lost ones.
    """
    context = video_decoder(stream)
    awaited: list[int] = []
    errors = 0
    for packet in _stream_packets(container, stream.index, damage):
        if packet is not None and packet.is_corrupt:
            damage.truncated = True
        try:
            decoded = context.decode(packet)
        except av.EOFError:
            decoded = []
        except av.FFmpegError:
            errors += 1
            decoded = []
        if packet is not None and packet.pts is not None and not packet.is_discard:
            heapq.heappush(awaited, packet.pts)
        for frame in decoded:
            passed: list[int] = []
            while frame.pts is not None and awaited and awaited[0] <= frame.pts:
                passed.append(heapq.heappop(awaited))
            missing = [pts for pts in passed if pts != frame.pts]
            lost = missing[-errors:] if errors else []
            errors -= len(lost)
            yield from lost
            if frame.is_corrupt and frame.pts is not None:
                yield frame.pts
            else:
                yield frame
    yield from sorted(awaited)[:errors]


def _stream_packets(
    container: InputContainer, index: int, damage: DecodeDamage
) -> Iterator[av.Packet[av.VideoStream] | None]:
    """Packets of one stream, then None to flush its decoder; every stream's end is noted."""
    try:
        for packet in demux_packets(container):
            if packet.pts is not None and packet.time_base is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                damage.stream_ends[packet.stream_index] = max(
                    damage.stream_ends.get(packet.stream_index, end), end
                )
            if packet.stream_index == index and packet.size:
                yield cast("av.Packet[av.VideoStream]", packet)
    except (av.FFmpegError, OSError):
        damage.truncated = True
    yield None


def get_video_stream(container: InputContainer, index: int) -> av.VideoStream:
    """The picture stream of this number."""
    stream = container.streams[index]
    assert isinstance(stream, av.VideoStream)
    return stream


def seek_keyframe(container: InputContainer, stream: av.VideoStream, pts: int) -> bool:
    """Go to a keyframe at or before a time stamp; False where the file cannot."""
    try:
        container.seek(pts, stream=stream)
    except (av.FFmpegError, OSError, OverflowError):
        return False
    return True


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
