"""Read a film's frames one by one, each with its own time stamp, on through damage."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.container import InputContainer

from mmdream.core.errors import UserError
from mmdream.media.color import HDR_TRANSFERS, make_rgb_decoder
from mmdream.media.open import DEMUX_END_ERROR, open_media, video_decoder, video_stream
from mmdream.media.probe import UPRIGHT, MediaFile, VideoTrack

SEEK_BACK_SECONDS = (0, 4, 30)
"""Seconds before the first frame at which a keyframe is looked for, until it lies before it."""
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


@dataclass
class _Progress:
    """How far the packets of a file were read; it grows while frames are read."""

    stream_ends: dict[int, Fraction] = field(default_factory=dict)
    """Seconds on the streams' clocks at which each stream's packets end."""
    passed_end: bool = False
    """A frame behind the span was seen."""


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

    A broken frame keeps its place and time: the last good one stands in for it. A film that ends
    early is read as far as it decodes.

    Args:
        film: it must have a picture.
        start: seconds since `MediaFile.start`; frames shown before are left out.
        end: seconds since `MediaFile.start`; frames shown from there on are left out.
        every: seconds; only the first good frame of each such stretch is read, and only those are converted
            to RGB, which takes longer than decoding. None: all are read.
        strict: stop at the first broken frame or early end instead.
        on_warning: called with one line about what was lost or passed through.

    Raises:
        UserError: no picture; or `strict`, and the film is broken.
    """
    video = film.video
    if video is None:
        raise UserError(f"{film.path}: has no picture")
    for line in _source_warnings(film, video):
        on_warning(line)
    to_rgb = _make_converter(video)
    progress = _Progress()
    numbers = itertools.count()
    lost = 0
    due = Fraction(0)
    pending: list[int] = []  # Time stamps of lost frames that wait for a good one behind them.
    rgb: np.ndarray | None = None

    def make_frame(rgb: np.ndarray, pts: int, repeated: bool = False) -> Frame:
        seconds = pts * video.time_base - film.start
        return Frame(rgb, pts, video.time_base, next(numbers), seconds, repeated)

    with closing(_decode_span(film, video, start, end, progress)) as decoded:
        for pts, seconds, frame in decoded:
            if frame is None:
                if strict:
                    raise UserError(f"{film.path}: broken frame at {float(seconds):.3f} s")
                lost += 1
                if every is not None:
                    continue
                if rgb is None:
                    pending.append(pts)
                else:
                    yield make_frame(rgb, pts, repeated=True)
                continue
            if every is not None:
                if seconds < due:
                    continue
                due = every * (seconds // every + 1)
            rgb = to_rgb(frame)
            for early in pending:
                yield make_frame(rgb, early, repeated=True)
            pending.clear()
            yield make_frame(rgb, pts)
    if lost:
        remedy = "passed over" if every is not None else "the last good one stands in for each"
        on_warning(f"{film.path}: {lost} broken frame{'s' * (lost > 1)}; {remedy}")
    missing = _missing_seconds(film, video, progress, end)
    if missing > MAX_EARLY_END:
        line = f"{film.path}: ends {float(missing):.2f} s early; the file is cut off or broken there"
        if strict:
            raise UserError(line)
        on_warning(line)


def _source_warnings(film: MediaFile, video: VideoTrack) -> Iterator[str]:
    if video.alpha:
        yield f"{film.path}: is transparent; it is laid over black"
    if video.color.transfer in HDR_TRANSFERS:
        curve = HDR_TRANSFERS[video.color.transfer]
        yield f"{film.path}: is of high dynamic range ({curve}); its curve is passed through untouched"


def _make_converter(video: VideoTrack) -> Callable[[av.VideoFrame], np.ndarray]:
    """A function from a decoded frame to float32 RGB as shown."""
    width, height = video.width, video.height
    if video.orientation.transpose:
        width, height = height, width
    to_rgb = make_rgb_decoder(video.color, width, height, video.bit_depth, video.alpha)
    return to_rgb if video.orientation == UPRIGHT else lambda frame: video.orientation(to_rgb(frame))


def _decode_span(
    film: MediaFile, video: VideoTrack, start: Fraction | None, end: Fraction | None, progress: _Progress
) -> Generator[tuple[int, Fraction, av.VideoFrame | None], None, None]:
    """Time stamp, seconds since `MediaFile.start` and frame (None: lost) of all frames in a span."""
    last: int | None = None
    with closing(_decode_from(film, video, start, progress)) as decoded:
        for item in decoded:
            last = pts = _rising_pts(item, video, last)
            seconds = pts * video.time_base - film.start
            if start is not None and seconds < start:
                continue
            if end is not None and seconds >= end:
                progress.passed_end = True
                return
            yield pts, seconds, None if isinstance(item, int) else item


def _rising_pts(item: av.VideoFrame | int, video: VideoTrack, last: int | None) -> int:
    """The item's time stamp; where the film has none, or one that falls, the next that rises."""
    pts = item if isinstance(item, int) else item.pts
    if last is None:
        return video.first_pts if pts is None else pts
    if pts is None:
        return last + (round(1 / (video.rate * video.time_base)) if video.rate else 1)
    return max(pts, last + 1)


def _decode_from(
    film: MediaFile, video: VideoTrack, start: Fraction | None, progress: _Progress
) -> Generator[av.VideoFrame | int, None, None]:
    """Decoded frames, see `_decode`, from a keyframe before `start` on, or from the beginning."""
    first_pts = None if start is None else math.floor((start + film.start) / video.time_base)
    if first_pts is not None and first_pts > video.first_pts:
        for back in SEEK_BACK_SECONDS:
            with open_media(film.path) as container:
                stream = video_stream(container, video.index)
                try:
                    container.seek(first_pts - int(back / video.time_base), stream=stream)
                except (av.FFmpegError, OSError, OverflowError):
                    continue
                decoded = _decode(container, stream, progress)
                frame = next((item for item in decoded if not isinstance(item, int)), None)
                if frame is None or frame.pts is None or frame.pts > first_pts:
                    continue  # A keyframe found by its decoding time may be shown too late.
                yield frame
                yield from decoded
                return
    with open_media(film.path) as container:
        yield from _decode(container, video_stream(container, video.index), progress)


def _decode(
    container: InputContainer, stream: av.VideoStream, progress: _Progress
) -> Iterator[av.VideoFrame | int]:
    """Decode a video stream from where its container stands.

    A packet that is broken gives no frame, or one that the decoder patched up: the time stamp is
    given in its place. Packets that give no frame by their nature (VP8's hidden ones) are told from
    broken ones by the decoder's errors: only as many stamps are lost as there were errors.

    Yields:
        Frames in the order in which they are shown, and among them the time stamps (ticks) of lost ones.
    """
    decoder = video_decoder(stream)
    expected: list[int] = []
    errors = 0
    for packet in _stream_packets(container, stream.index, progress):
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
    container: InputContainer, index: int, progress: _Progress
) -> Iterator[av.Packet[av.VideoStream] | None]:
    """Packets of one stream, then None to flush its decoder; every stream's end is noted."""
    ends = progress.stream_ends
    try:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                ends[packet.stream_index] = max(ends.get(packet.stream_index, end), end)
            if packet.stream_index == index and packet.size:
                yield cast("av.Packet[av.VideoStream]", packet)
    except (av.FFmpegError, OSError, DEMUX_END_ERROR):
        pass  # Cut off: what came so far is what there is.
    yield None


def _missing_seconds(
    film: MediaFile, video: VideoTrack, progress: _Progress, end: Fraction | None
) -> Fraction:
    """Seconds of video that the header promises, and that did not come.

    The stream's own length counts where the film states it; else the container's, which is that of
    its longest stream, and is only missed when no stream reaches it.
    """
    if progress.passed_end:
        return Fraction(0)
    if video.duration is not None:
        promised = video.first_pts * video.time_base + video.duration
        reached = progress.stream_ends.get(video.index, Fraction(0))
    elif film.duration is not None:
        promised = film.start + film.duration
        reached = max(progress.stream_ends.values(), default=Fraction(0))
    else:
        return Fraction(0)
    if end is not None:
        promised = min(promised, film.start + end)
    return promised - reached
