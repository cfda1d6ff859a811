"""Write frames to intermediate files that keep every time stamp, colour tag and pixel shape, and join them.

MP4 has any time base, and carries the colours of codecs that do not state them, which NUT loses. Only FFV1
cannot live in it: its frames go into Matroska, whose clock of 1 ms is that of the result (as in WebM). There
are no B-frames: stamps rise in the file as they do on the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.container import InputContainer

from mmdream.core.errors import Interrupted, reporting_full_disk
from mmdream.media.color import RGB, ColorSpace, default_matrix, make_rgb_encoder
from mmdream.media.formats import VIDEO_FORMATS, VideoCodec
from mmdream.media.probe import Orientation, VideoTrack, open_media

ORIGIN_TAG = "origin"
"""Tag of the file: second of the source at which its clock is 0, at most 0, as muxers shift what is below."""
KEYFRAME_INTERVAL = 120
"""Frames."""
MIN_SLICED_SIDE = 16
"""px; FFV1 refuses to slice smaller frames."""


def describe_new_video(width: int, height: int, rate: Fraction, frames: int) -> VideoTrack:
    """What frames that are made, and not read, are written as: so many a second, from 0 on."""
    matrix = default_matrix(height)
    return VideoTrack(
        index=0, codec="", width=width, height=height, orientation=Orientation(), time_base=1 / rate,
        first_pts=0, rate=rate, duration=frames / rate, sar=Fraction(1),
        color=ColorSpace(matrix, False, matrix, matrix), bit_depth=8, alpha=False,
    )  # fmt: skip


class VideoWriter:
    """Writes finished frames; used as a context manager. A full disk is a `UserError`.

    The file has the codec, colours and pixel shape of the final film, so that joining copies it.
    """

    def __init__(
        self, path: Path, video: VideoTrack, suffix: str, time_base: Fraction, *, part: bool = False
    ) -> None:
        """Begin a file of any name with the size, pixel shape, bit depth and colour of the source's `video`.

        `suffix` is the final film's; `time_base` seconds of a tick. A `part` of the film, for `write_packet`,
        is a NUT file: that keeps packets as the encoder gave them, where MP4 and Matroska rewrite those of
        H.264, and what is cut off by a crash is still a file.
        """
        video_format = VIDEO_FORMATS[suffix]
        codec = video_format.video
        self._path, self._time_base = path, time_base
        self._origin: int | None = None
        self._encodes = False
        self._pad_rows, self._pad_columns = (video.height % 2, video.width % 2) if codec.even else (0, 0)
        pixel_format, color = _output_format(video, codec)
        self._to_frame = make_rgb_encoder(color, pixel_format)
        muxer, options = "nut" if part else video_format.muxer, {}
        if video_format.is_mp4 and not part:
            # Starts counted in the film's own ticks instead of 1 ms, and our tag kept.
            ticks = time_base.denominator
            scale = str(ticks * max(1, 10_000 // ticks))
            muxer, options = "mp4", {"movflags": "use_metadata_tags", "movie_timescale": scale}
        with reporting_full_disk(path):
            self._container = av.open(str(path.resolve()), "w", format=muxer, container_options=options)
        rate = (video.rate or Fraction(25)).limit_denominator(100_000)
        self._usual_duration = max(1, round(1 / (rate * time_base)))
        codec_options = dict(codec.options)
        if min(video.width, video.height) < MIN_SLICED_SIDE:
            codec_options.pop("slices", None)
        stream = self._container.add_stream(codec.name, rate=rate, options=codec_options)
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        context = stream.codec_context
        context.width, context.height = video.width + self._pad_columns, video.height + self._pad_rows
        context.pix_fmt = pixel_format
        # A stream left with its rate's time base would round the stamps of films of variable rate.
        context.time_base = stream.time_base = time_base
        context.sample_aspect_ratio = video.sar
        context.colorspace, context.color_range = color.matrix, 2 if color.full_range else 1
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        if codec.name != "ffv1":
            context.gop_size = KEYFRAME_INTERVAL

    def write(self, rgb: np.ndarray, pts: int) -> None:
        """Encode a frame, float32 [H, W, 3], 0..1, of the video's size; stamps, in ticks, must rise."""
        self._encodes = True
        if self._pad_rows or self._pad_columns:
            rgb = np.pad(rgb, ((0, self._pad_rows), (0, self._pad_columns), (0, 0)), mode="edge")
        frame = self._to_frame(rgb)
        frame.pts, frame.time_base = self._shift(pts), self._time_base
        self._mux(self._stream.encode(frame))

    def write_packet(self, packet: av.Packet[av.VideoStream], pts: int) -> None:
        """Add a frame that a writer of the same settings encoded into another file; changes the packet."""
        packet.stream, packet.time_base = self._stream, self._time_base
        packet.pts = packet.dts = self._shift(pts)
        packet.duration = self._usual_duration
        self._mux(packet)

    def _mux(self, packets: av.Packet[Any] | list[av.Packet[Any]]) -> None:
        with reporting_full_disk(self._path):
            self._container.start_encoding()
            self._container.mux(packets)

    def _shift(self, pts: int) -> int:
        """A time stamp on the file's clock; the first one decides where that is 0."""
        if self._origin is None:
            self._origin = min(pts, 0)
            self._container.metadata[ORIGIN_TAG] = str(self._origin * self._time_base)
        return pts - self._origin

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with reporting_full_disk(self._path):
            try:
                if kind is None and self._encodes:
                    self._container.mux(self._stream.encode(None))
            finally:
                self._container.close()


def _output_format(video: VideoTrack, codec: VideoCodec) -> tuple[str, ColorSpace]:
    """The pixel format and the colours that the codec writes a source's frames in."""
    source = video.color
    if codec.rgb:
        deep_format = "gbrp10le" if video.bit_depth <= 10 else "gbrp12le"
        color = ColorSpace(RGB, True, source.primaries, source.transfer)
        return "bgr0" if video.bit_depth <= 8 else deep_format, color
    if source.matrix == RGB:
        source = replace(source, matrix=default_matrix(video.height), full_range=False)
    return "yuv420p", source


def read_origin(path: Path) -> Fraction:
    """Second of the source's clock at which a file written by `VideoWriter` is at 0."""
    with open_media(path) as container:
        return next(Fraction(v) for key, v in container.metadata.items() if key.lower() == ORIGIN_TAG)


def count_frames(path: Path) -> int:
    """Frames in a file written by `VideoWriter`; one that cannot be read is a `UserError`.

    A full disk may show only when a file is closed, and not even then: whoever relies on a file counts.
    """
    with open_media(path) as container:
        return sum(not packet.is_corrupt for packet in _video_packets(container))


def join_parts(
    parts: Sequence[Path], writer: VideoWriter, pts: Sequence[int], should_stop: Callable[[], bool]
) -> None:
    """Give a writer the frames of parts, files of a `VideoWriter` in order; nothing is encoded again.

    `pts` are the time stamps of all frames in the writer's ticks, whatever the parts' container made of them:
    parts that do not fit them are a `RuntimeError`. `should_stop` is asked at each part; True ends the work
    with `Interrupted`.
    """
    number = 0
    for part in parts:
        if should_stop():
            raise Interrupted
        with open_media(part) as container:
            for packet in _video_packets(container):
                if number == len(pts):
                    raise RuntimeError(f"{part.name} has more frames than were planned")
                writer.write_packet(packet, pts[number])
                number += 1
    if number != len(pts):
        raise RuntimeError(f"the parts have {number} frames instead of {len(pts)}")


def _video_packets(container: InputContainer) -> Iterator[av.Packet[av.VideoStream]]:
    return (packet for packet in container.demux(container.streams.video[0]) if packet.size)
