"""Open media files, and tell what they hold from the header and the first frame of each stream."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.stream import Disposition

from mmdream.core.errors import UserError
from mmdream.media.color import ColorSpace, read_color_space

OPEN_OPTIONS = {"protocol_whitelist": "file"}
"""A film is a file: playlists that point elsewhere are not followed."""
DEMUX_END_ERROR = IndexError
"""PyAV 18.1 counts the streams when demuxing begins, and fails at its end where one was added on the way."""
MAX_SIDE = 16384
MAX_PIXELS = 2**28
"""Larger frames are refused before anything of their size is allocated."""
MAX_CHANNELS = 64
"""FFmpeg's resampler, which turns integers into floats, takes no more."""
MAX_START_SECONDS = 10
"""A film whose clock begins later is a piece of a longer one, and a player begins it at 0."""
NO_LANGUAGE = {None, "", "und"}
DURATION_TAG = re.compile(r"(\d{1,6}):(\d{1,2}):(\d{1,2}(?:\.\d{1,12})?)")
"""Matroska's tag of a stream's end. `Fraction` would take powers of ten too, of any size."""
RUNNING_CLOCK_FORMATS = {"mpegts", "mpeg", "h264", "hevc"}
"""Formats whose clock begins anywhere: the first frame or sample is at 0."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways to turn and mirror a frame: transposed first, then flipped."""

    transpose: bool = False
    flip_horizontal: bool = False
    flip_vertical: bool = False

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """Turn coded pixels [row, column, 3] as they are shown."""
        if self.transpose:
            rgb = rgb.swapaxes(0, 1)
        if self.flip_horizontal:
            rgb = rgb[:, ::-1]
        if self.flip_vertical:
            rgb = rgb[::-1]
        return np.ascontiguousarray(rgb)


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """The video stream of a file."""

    index: int
    codec: str
    width: int
    height: int
    """As shown: after rotation, before the sample aspect ratio is applied."""
    orientation: Orientation
    """From coded pixels to shown ones."""
    time_base: Fraction
    """Seconds of a tick."""
    first_pts: int
    """Of the first frame, ticks."""
    rate: Fraction | None
    """Frames a second on average, if the file says so."""
    duration: Fraction | None
    """Seconds, if the file says so."""
    sar: Fraction
    """Sample aspect ratio: width of a shown pixel over its height."""
    color: ColorSpace
    bit_depth: int
    alpha: bool


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """An audio stream of a file."""

    index: int
    number: int
    """From 1, as players count the audio tracks."""
    codec: str
    rate: int
    """Samples a second."""
    channels: int
    layout: str
    """FFmpeg's name, e.g. `stereo` or `5.1`."""
    time_base: Fraction
    start: Fraction
    """Seconds from `MediaFile.start` to the first sample."""
    duration: Fraction | None
    """Seconds, if the file says so exactly."""
    language: str | None
    """As the container writes it, e.g. `fra` or `en-US`; None: it does not say."""
    title: str | None
    dispositions: tuple[str, ...]
    """FFmpeg's names, e.g. `default` or `comment`."""


@dataclass(frozen=True, slots=True)
class SubtitleTrack:
    """A subtitle stream of a file."""

    index: int
    codec: str
    language: str | None


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file with video, audio or both."""

    path: Path
    container_format: str
    start: Fraction
    """Seconds on the streams' clocks at which a player's clock is 0."""
    duration: Fraction | None
    """Seconds from `start` to the end of the longest stream, as the header says."""
    video: VideoTrack | None
    audio_tracks: tuple[AudioTrack, ...]
    undecodable_audio: tuple[int, ...]
    """Numbers of the tracks of which nothing can be decoded; the others are in `audio_tracks`."""
    subtitles: tuple[SubtitleTrack, ...]


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a film or a sound for reading; a `UserError` says why it cannot be read."""
    if not os.path.exists(path):  # Unlike pathlib's, False for a name that is too long for any file.
        raise UserError(f"{path}: no such file")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a film in it")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: is empty")
    try:
        # The absolute path: a name with a colon would be taken for a protocol.
        container = av.open(str(path.resolve()), options=OPEN_OPTIONS, metadata_errors="replace")
    except PermissionError as error:
        raise UserError(f"{path}: no permission to read it") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read as a film or a sound; it is of another kind, or cut off in its header"
        ) from error
    with container:
        yield container


def read_tags(path: Path) -> dict[str, str]:
    """A file's tags by their names in lower case, its own before those of its first sound; `open_media`."""
    with open_media(path) as container:
        streams = container.streams.audio[:1]
        tags = [container.metadata, *(stream.metadata for stream in streams)]
    return {name.lower(): value for each in reversed(tags) for name, value in each.items()}


def video_decoder(stream: av.stream.Stream) -> av.VideoCodecContext:
    """The decoder of a video stream: libvpx for transparent VP9, as FFmpeg's own leaves transparency out."""
    assert isinstance(stream, av.VideoStream)
    context = stream.codec_context
    if context.name == "vp9" and stream.metadata.get("alpha_mode") == "1":
        libvpx = av.CodecContext.create("libvpx-vp9", "r")
        assert isinstance(libvpx, av.VideoCodecContext)
        context = libvpx
    context.thread_type = "AUTO"
    return context


def probe(path: Path) -> MediaFile:
    """Tell what a file holds; a `UserError` where it holds neither video nor audio that can be decoded."""
    with open_media(path) as container:
        container_format = container.format.name
        if container_format == "tty":  # FFmpeg takes a text for a picture of letters.
            raise UserError(f"{path}: is a text, and no film or sound")
        if container_format.endswith("_pipe") or container_format == "image2":
            raise UserError(f"{path}: is a single picture; use `mmdream image`")
        covers = Disposition.attached_pic
        video_indices = [s.index for s in container.streams.video if not s.disposition & covers]
        audio_indices = [s.index for s in container.streams.audio]
        subtitles = tuple(
            SubtitleTrack(s.index, s.codec_context.name if s.codec_context else "unknown", s.language)
            for s in container.streams.subtitles
        )
        container_start, length = container.start_time, container.duration
    video = next((v for index in video_indices if (v := _probe_video(path, index)) is not None), None)
    every_audio = {number: _probe_audio(path, index, number) for number, index in enumerate(audio_indices, 1)}
    audio = [track for track in every_audio.values() if track is not None]
    if video is None and audio_indices and not audio:
        raise UserError(f"{path}: nothing in it can be heard; it has no samples, or is damaged")
    if video is None and not audio:
        raise UserError(f"{path}: has neither a picture nor a sound that can be decoded")

    start = min([t.start for t in audio] + ([] if video is None else [video.first_pts * video.time_base]))
    # A player's clock is 0 at the file's own 0, so that what starts late stays late; unless something lies
    # before it, or the clock began elsewhere.
    if 0 <= start <= MAX_START_SECONDS and container_format not in RUNNING_CLOCK_FORMATS:
        start = Fraction(0)
    duration = Fraction(length + (container_start or 0), av.time_base) - start if length else None
    audio_tracks = tuple(replace(track, start=track.start - start) for track in audio)
    undecodable = tuple(number for number, track in every_audio.items() if track is None)
    return MediaFile(path, container_format, start, duration, video, audio_tracks, undecodable, subtitles)


def _probe_video(path: Path, index: int) -> VideoTrack | None:
    with open_media(path) as container:
        stream = container.streams[index]
        assert isinstance(stream, av.VideoStream)
        if stream.codec_context is None:
            return None
        width, height = stream.codec_context.width, stream.codec_context.height
        if max(width, height) > MAX_SIDE or width * height >= MAX_PIXELS:
            raise UserError(f"{path}: its picture of {width}x{height} is larger than {MAX_SIDE} px allow")
        decoder = video_decoder(stream)
        frame = _first_frame(container, stream, lambda p: decoder.decode(p if p.size else None))
        if frame is None:
            return None
        assert isinstance(frame, av.VideoFrame)
        orientation = _read_orientation(frame)
        turned = orientation.transpose
        sar = Fraction(stream.sample_aspect_ratio or 1)
        components = frame.format.components
        return VideoTrack(
            index=index,
            codec=stream.codec_context.name,
            width=frame.height if turned else frame.width,
            height=frame.width if turned else frame.height,
            orientation=orientation,
            time_base=Fraction(stream.time_base or Fraction(1, 1000)),
            first_pts=frame.pts or 0,
            rate=Fraction(stream.average_rate) if stream.average_rate else None,
            duration=_stated_duration(stream),
            sar=(1 / sar if turned else sar) if sar > 0 else Fraction(1),
            color=read_color_space(frame),
            bit_depth=max(component.bits for component in components),
            alpha=any(component.is_alpha for component in components),
        )


def _probe_audio(path: Path, index: int, number: int) -> AudioTrack | None:
    with open_media(path) as container:
        stream = container.streams[index]
        if stream.codec_context is None:
            return None
        frame = _first_frame(container, stream, lambda packet: packet.decode())
        if frame is None:
            return None
        assert isinstance(frame, av.AudioFrame)
        channels = frame.layout.nb_channels
        if channels > MAX_CHANNELS:
            raise UserError(f"{path}: its sound of {channels} channels has more than {MAX_CHANNELS}")
        time_base = Fraction(stream.time_base or Fraction(1, frame.sample_rate))
        return AudioTrack(
            index=index,
            number=number,
            codec=stream.codec_context.name,
            rate=frame.sample_rate,
            channels=channels,
            layout=frame.layout.name,
            time_base=time_base,
            start=(frame.pts or 0) * time_base,
            duration=_stated_duration(stream) if container.format.name.startswith("mov") else None,
            language=None if stream.language in NO_LANGUAGE else stream.language,
            # FFmpeg's MP4 reader calls a track's title its name, and its writer reads it as the title.
            title=stream.metadata.get("title") or stream.metadata.get("name") or None,
            dispositions=tuple(each.name for each in Disposition if each in stream.disposition and each.name),
        )


def _first_frame(
    container: InputContainer, stream: av.stream.Stream, decode: Callable[[av.Packet[Any]], Iterable[Any]]
) -> Any:
    """The first frame that decodes; None: nothing does."""
    with suppress(av.FFmpegError, OSError, DEMUX_END_ERROR):
        for packet in container.demux(stream):
            with suppress(av.FFmpegError):
                for frame in decode(packet):
                    return frame
    return None


def _stated_duration(stream: av.stream.Stream) -> Fraction | None:
    """Seconds that a header gives for a stream: a number, or in Matroska a tag with its end."""
    if not stream.time_base:
        return None
    time_base = Fraction(stream.time_base)
    if stream.duration:
        return stream.duration * time_base
    if tag := DURATION_TAG.fullmatch(stream.metadata.get("DURATION", "")):
        end = int(tag[1]) * 3600 + int(tag[2]) * 60 + Fraction(tag[3])
        return end - (stream.start_time or 0) * time_base
    return None


def _read_orientation(frame: av.VideoFrame) -> Orientation:
    """The nearest quarter turn to a frame's display matrix.

    The matrix maps coded to shown places, (x, y) -> (a x + c y, b x + d y) with y downwards; a, b, c, d are
    the first, second, fourth and fifth of its nine numbers.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix)[:36])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transpose=True, flip_horizontal=c < 0, flip_vertical=b < 0)
    return Orientation(flip_horizontal=a < 0, flip_vertical=d < 0)
