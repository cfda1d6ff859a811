"""What a media file holds, read from its header and the first frame of each stream."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
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
from mmdream.media.open import DEMUX_END_ERROR, audio_stream, open_media, video_decoder, video_stream

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
TEXT_SUBTITLES = {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"}


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways to turn and mirror a frame: transposed first, then flipped."""

    transpose: bool = False
    flip_horizontal: bool = False
    flip_vertical: bool = False

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """Turn coded pixels [row, column, 3] as they are shown."""
        if self == UPRIGHT:
            return rgb
        if self.transpose:
            rgb = rgb.swapaxes(0, 1)
        if self.flip_horizontal:
            rgb = rgb[:, ::-1]
        if self.flip_vertical:
            rgb = rgb[::-1]
        return np.ascontiguousarray(rgb)


UPRIGHT = Orientation()


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
    """Seconds of one tick of the time stamps."""
    first_pts: int
    """Time stamp of the first frame, ticks."""
    rate: Fraction | None
    """Frames a second on average, if the file says so."""
    duration: Fraction | None
    """Seconds of this stream, if the file says so."""
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
    """Seconds of this stream, if the file says so exactly."""
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
    is_text: bool
    language: str | None


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file with video, audio or both."""

    path: Path
    container_format: str
    """FFmpeg's name."""
    start: Fraction
    """Seconds on the streams' clocks at which a player's clock is 0."""
    duration: Fraction | None
    """Seconds from `start` to the end of the longest stream, as the header says."""
    video: VideoTrack | None
    audio_tracks: tuple[AudioTrack, ...]
    """Those that can be decoded."""
    undecodable_audio: tuple[int, ...]
    """Numbers of the audio tracks of which nothing can be decoded."""
    subtitles: tuple[SubtitleTrack, ...]


def probe(path: Path) -> MediaFile:
    """Read a file's header, and the first frame of each stream for rotation and depth.

    Raises:
        UserError: the file cannot be read, or holds neither video nor audio that can be decoded.
    """
    with open_media(path) as container:
        container_format = container.format.name
        if container_format == "tty":  # FFmpeg takes a text for a picture of letters.
            raise UserError(f"{path}: is a text, and no film or sound")
        if container_format.endswith("_pipe") or container_format == "image2":
            raise UserError(f"{path}: is a single picture; use `mmdream image`")
        covers = Disposition.attached_pic
        video_indices = [s.index for s in container.streams.video if not s.disposition & covers]
        audio_indices = [s.index for s in container.streams.audio]
        subtitles = tuple(_probe_subtitle(s) for s in container.streams.subtitles)
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
        stream = video_stream(container, index)
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
        stream = audio_stream(container, index)
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


def _probe_subtitle(stream: av.stream.Stream) -> SubtitleTrack:
    codec = "unknown" if stream.codec_context is None else stream.codec_context.name
    return SubtitleTrack(stream.index, codec, codec in TEXT_SUBTITLES, stream.language)


def _first_frame(
    container: InputContainer, stream: av.stream.Stream, decode: Callable[[av.Packet[Any]], Iterable[Any]]
) -> Any:
    """The first frame of a stream that may begin with broken packets; None: nothing decodes."""
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
    tag = DURATION_TAG.fullmatch(stream.metadata.get("DURATION", ""))
    if tag is None:
        return None
    end = int(tag[1]) * 3600 + int(tag[2]) * 60 + Fraction(tag[3])
    return end - (stream.start_time or 0) * time_base


def _read_orientation(frame: av.VideoFrame) -> Orientation:
    """The nearest quarter turn to a frame's display matrix.

    The matrix maps coded to shown places, (x, y) -> (a x + c y, b x + d y) with y downwards; a, b, c, d are
    the first, second, fourth and fifth of its nine numbers.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix)[:36])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transpose=True, flip_horizontal=c < 0, flip_vertical=b < 0)
    return Orientation(flip_horizontal=a < 0, flip_vertical=d < 0)
