"""Read a film's frames one by one, each with its own time stamp, on through damage."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.container import InputContainer

from mmdream.core.errors import UserError
from mmdream.media.color import HDR_TRANSFERS, make_rgb_decoder
from mmdream.media.probe import DEMUX_END_ERROR, MediaFile, VideoTrack, open_media, video_decoder

SEEK_BACK_SECONDS = (0, 4, 30)
"""Seconds before the first frame at which a keyframe is looked for, until it lies before it."""
MAX_EARLY_END = Fraction(1, 4)
"""Seconds by which a film may end before its header says so: containers round, and count the longest
stream."""


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


def read_frames(
    film: MediaFile,
    start: Fraction | None = None,
    end: Fraction | None = None,
    *,
    every: Fraction | None = None,
    strict: bool = False,
    on_warning: Callable[[str], None] = lambda _line: None,
) -> Generator[Frame, None, None]:
    """Read frames in the order in which they are shown; their time stamps rise strictly.

    A broken frame keeps its place and time: the last good one stands in for it. A film that ends early is
    read as far as it decodes. A film without picture is a `UserError`.

    Args:
        film: the file.
        start: seconds since `MediaFile.start`; frames shown before are left out.
        end: the same; frames shown from there on are left out.
        every: seconds; only the first good frame of each such stretch is read, and only those are converted
            to RGB, which takes longer than decoding. None: all are read.
        strict: a broken frame or an early end is a `UserError` too.
        on_warning: called with one line about what was lost or passed through.
    """
    video = film.video
    if video is None:
        raise UserError(f"{film.path}: has no picture")
    if video.alpha:
        on_warning(f"{film.path}: is transparent; it is laid over black")
    if curve := HDR_TRANSFERS.get(video.color.transfer):
        on_warning(f"{film.path}: is of high dynamic range ({curve}); its curve is passed through untouched")
    coded_size = (video.height, video.width) if video.orientation.transpose else (video.width, video.height)
    to_rgb = make_rgb_decoder(video.color, *coded_size, video.bit_depth, video.alpha)
    stream_ends: dict[int, Fraction] = {}
    passed_end = False
    numbers = itertools.count()
    lost = 0
    due = Fraction(0)
    pending: list[int] = []  # Time stamps of lost frames that wait for a good one behind them.
    rgb: np.ndarray | None = None

    def make_frame(rgb: np.ndarray, pts: int, repeated: bool = False) -> Frame:
        seconds = pts * video.time_base - film.start
        return Frame(rgb, pts, video.time_base, next(numbers), seconds, repeated)

    with closing(_decode_rising(film, video, start, stream_ends)) as decoded:
        for pts, frame in decoded:
            seconds = pts * video.time_base - film.start
            if start is not None and seconds < start:
                continue
            if end is not None and seconds >= end:
                passed_end = True
                break
            if frame is None:
                if strict:
                    raise UserError(f"{film.path}: broken frame at {float(seconds):.3f} s")
                lost += 1
                if every is None and rgb is None:
                    pending.append(pts)
                elif every is None and rgb is not None:
                    yield make_frame(rgb, pts, repeated=True)
                continue
            if every is not None:
                if seconds < due:
                    continue
                due = every * (seconds // every + 1)
            rgb = video.orientation(to_rgb(frame))
            for early in pending:
                yield make_frame(rgb, early, repeated=True)
            pending.clear()
            yield make_frame(rgb, pts)
    if lost:
        remedy = "passed over" if every is not None else "the last good one stands in for each"
        on_warning(f"{film.path}: {lost} broken frame{'s' * (lost > 1)}; {remedy}")
    missing = Fraction(0) if passed_end else _missing_seconds(film, video, stream_ends, end)
    if missing > MAX_EARLY_END:
        line = f"{film.path}: ends {float(missing):.2f} s early; the file is cut off or broken there"
        if strict:
            raise UserError(line)
        on_warning(line)


def _decode_rising(
    film: MediaFile, video: VideoTrack, start: Fraction | None, stream_ends: dict[int, Fraction]
) -> Generator[tuple[int, av.VideoFrame | None], None, None]:
    """Frames (None: lost), see `_decode_from`, with time stamps; one that is missing or falls is the next."""
    last: int | None = None
    usual_step = round(1 / (video.rate * video.time_base)) if video.rate else 1
    with closing(_decode_from(film, video, start, stream_ends)) as decoded:
        for item in decoded:
            pts = item if isinstance(item, int) else item.pts
            if last is None:
                last = video.first_pts if pts is None else pts
            else:
                last = last + usual_step if pts is None else max(pts, last + 1)
            yield last, None if isinstance(item, int) else item


def _decode_from(
    film: MediaFile, video: VideoTrack, start: Fraction | None, stream_ends: dict[int, Fraction]
) -> Generator[av.VideoFrame | int, None, None]:
    """Decoded frames, see `_decode`, from a keyframe before `start` on, or from the beginning."""
    first_pts = None if start is None else math.floor((start + film.start) / video.time_base)
    if first_pts is not None and first_pts > video.first_pts:
        for back in SEEK_BACK_SECONDS:
            with open_media(film.path) as container:
                try:
                    stamp = first_pts - int(back / video.time_base)
                    container.seek(stamp, stream=container.streams[video.index])
                except (av.FFmpegError, OSError, OverflowError):
                    continue
                decoded = _decode(container, video.index, stream_ends)
                frame = next((item for item in decoded if not isinstance(item, int)), None)
                if frame is None or frame.pts is None or frame.pts > first_pts:
                    continue  # A keyframe found by its decoding time may be shown too late.
                yield frame
                yield from decoded
                return
    with open_media(film.path) as container:
        yield from _decode(container, video.index, stream_ends)


def _decode(
    container: InputContainer, index: int, stream_ends: dict[int, Fraction]
) -> Iterator[av.VideoFrame | int]:
    """Decode a stream from where its container stands: frames as shown, and stamps (ticks) of lost ones.

    A packet that is broken gives no frame, or one that the decoder patched up. Packets that give no frame by
    their nature (VP8's hidden ones) are told from broken ones by the decoder's errors: only as many stamps
    are lost as there were errors.
    """
    decoder = video_decoder(container.streams[index])
    expected: list[int] = []
    errors = 0
    for packet in _stream_packets(container, index, stream_ends):
        frames: Sequence[av.VideoFrame] = ()
        try:
            frames = decoder.decode(packet)
        except av.EOFError:
            pass
        except av.FFmpegError:
            errors += 1
        if packet is not None and packet.pts is not None and not packet.is_discard:
            heapq.heappush(expected, packet.pts)
        for frame in frames:
            passed: list[int] = []
            while frame.pts is not None and expected and expected[0] <= frame.pts:
                passed.append(heapq.heappop(expected))
            missing = [pts for pts in passed if pts != frame.pts]
            lost = missing[-errors:] if errors else []
            errors -= len(lost)
            yield from lost
            if frame.is_corrupt and frame.pts is not None:
                yield frame.pts
            else:
                yield frame
    yield from sorted(expected)[:errors]


def _stream_packets(
    container: InputContainer, index: int, stream_ends: dict[int, Fraction]
) -> Iterator[av.Packet[av.VideoStream] | None]:
    """Packets of one stream, then None to flush its decoder; `stream_ends` is each stream's end, seconds."""
    try:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                stream_ends[packet.stream_index] = max(stream_ends.get(packet.stream_index, end), end)
            if packet.stream_index == index and packet.size:
                yield cast("av.Packet[av.VideoStream]", packet)
    except (av.FFmpegError, OSError, DEMUX_END_ERROR):
        pass  # Cut off: what came so far is what there is.
    yield None


def _missing_seconds(
    film: MediaFile, video: VideoTrack, stream_ends: dict[int, Fraction], end: Fraction | None
) -> Fraction:
    """Seconds of video that the header promises, and that did not come.

    The stream's own length counts where the film states it; else the container's, which is that of its
    longest stream, and is only missed when no stream reaches it.
    """
    if video.duration is not None:
        promised = video.first_pts * video.time_base + video.duration
        reached = stream_ends.get(video.index, Fraction(0))
    elif film.duration is not None:
        promised = film.start + film.duration
        reached = max(stream_ends.values(), default=Fraction(0))
    else:
        return Fraction(0)
    if end is not None:
        promised = min(promised, film.start + end)
    return promised - reached
