"""A film, and everything known about it before it is read."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
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
from mmdream.media.open import demux_packets, open_media, video_decoder

MAX_SIDE = 16384
MAX_PIXELS = 2**28
"""Pixels; larger pictures are refused before anything of their size is allocated."""
MAX_CHANNELS = 64
"""Of a sound; FFmpeg's resampler, which turns integers into floats, takes no more."""
MAX_START_SECONDS = 10
"""Seconds; a film whose clock begins later is a piece of a longer one, and a player begins it at
0."""
NO_LANGUAGE = {None, "", "und"}
"""Languages that are none."""
DURATION_TAG = re.compile(r"(\d{1,6}):(\d{1,2}):(\d{1,2}(?:\.\d{1,12})?)")
"""Matroska's tag of a stream's end. A fraction of text takes powers of ten too, of any size."""
RUNNING_CLOCK_FORMATS = {"mpegts", "mpeg", "h264", "hevc"}
"""Formats whose clock begins anywhere: the first picture or sound is 0."""


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """The picture stream of a film."""

    index: int
    codec: str
    width: int
    height: int
    """As shown: after rotation, before the sample aspect ratio is applied."""
    orientation: Orientation
    """From coded pixels to shown ones."""
    time_base: Fraction
    """Seconds of one tick of the time stamps."""
    first: int
    """Time stamp of the first frame, ticks."""
    rate: Fraction | None
    """Frames a second on average, if the film says so."""
    duration: Fraction | None
    """Seconds of this stream, if the film says so."""
    sar: Fraction
    """Width of a shown pixel over its height."""
    color: ColorSpace
    bits: int
    alpha: bool

    @property
    def n_frames(self) -> int | None:
        """An estimate; films lie about it."""
        if self.rate is None or self.duration is None:
            return None
        return round(self.rate * self.duration)


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """A sound stream of a film."""

    index: int
    number: int
    """From 1, as players count the film's sound tracks."""
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
    """Seconds of this stream, if the film says so exactly."""
    language: str | None
    """As the container writes it, e.g. `fra` or `en-US`; None: it does not say."""
    title: str | None
    dispositions: tuple[str, ...]
    """FFmpeg's dispositions, e.g. `default` or `comment`."""


@dataclass(frozen=True, slots=True)
class SubtitleTrack:
    """A subtitle stream of a film."""

    index: int
    codec: str
    is_text: bool
    language: str | None


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file with a picture, a sound or both."""

    path: Path
    container_format: str
    """FFmpeg's name of the container format."""
    start: Fraction
    """Seconds on the streams' clocks at which a player's clock is 0."""
    duration: Fraction | None
    """Seconds from `start` to the end of the longest stream, as the header says."""
    video: VideoTrack | None
    audio_tracks: tuple[AudioTrack, ...]
    """Those that can be decoded."""
    undecodable_audio: tuple[int, ...]
    """Numbers of the sound tracks of which nothing can be decoded."""
    subtitles: tuple[SubtitleTrack, ...]


def probe(path: Path) -> MediaFile:
    """Look at a film: its header, and the first frame of each stream for rotation and depth.

    Raises:
        UserError: the file cannot be read, or holds neither picture nor sound that can be decoded.
    """
    with open_media(path) as container:
        form = container.format.name
        if form == "tty":  # FFmpeg takes a text for a picture of letters.
            raise UserError(f"{path}: is a text, and no film or sound")
        if form.endswith("_pipe") or form == "image2":
            raise UserError(f"{path}: is a single picture; use `mmdream image`")
        videos = [s.index for s in container.streams.video if not _is_cover_art(s)]
        audios = [(s.index, s.codec_context is not None) for s in container.streams.audio]
        subtitles = tuple(_probe_subtitle(s) for s in container.streams.subtitles)
        beginning, length = container.start_time, container.duration
    picture = next((p for v in videos if (p := _probe_video(path, v)) is not None), None)
    tried = {n: _probe_audio(path, index, n) if known else None for n, (index, known) in enumerate(audios, 1)}
    heard = [sound for sound in tried.values() if sound is not None]
    if picture is None and audios and not heard:
        raise UserError(f"{path}: nothing in it can be heard; it has no samples, or is damaged")
    if picture is None and not heard:
        raise UserError(f"{path}: has neither a picture nor a sound that can be decoded")

    firsts = [s.start for s in heard] + ([] if picture is None else [picture.first * picture.time_base])
    start = _clock_zero(form, min(firsts))
    duration = None
    if length:
        duration = Fraction(length + (beginning or 0), av.time_base) - start
    sounds = tuple(replace(sound, start=sound.start - start) for sound in heard)
    mute = tuple(number for number, sound in tried.items() if sound is None)
    return MediaFile(path, form, start, duration, picture, sounds, mute, subtitles)


def _is_cover_art(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _clock_zero(form: str, first: Fraction) -> Fraction:
    """Where a player's clock is 0: at the file's own 0, so that what starts late stays late.

    Unless something lies before it, or the clock began elsewhere.
    """
    if first < 0 or first > MAX_START_SECONDS or form in RUNNING_CLOCK_FORMATS:
        return first
    return Fraction(0)


def _probe_video(path: Path, index: int) -> VideoTrack | None:
    with open_media(path) as container:
        stream = container.streams[index]
        assert isinstance(stream, av.VideoStream)
        if stream.codec_context is None:
            return None
        width, height = stream.codec_context.width, stream.codec_context.height
        if max(width, height) > MAX_SIDE or width * height >= MAX_PIXELS:
            raise UserError(f"{path}: its picture of {width}x{height} is larger than {MAX_SIDE} px allow")
        frame = next(_decode_frames(container, stream), None)
        if frame is None:
            return None
        turn = read_orientation(frame)
        sar = Fraction(stream.sample_aspect_ratio or 1)
        shown = (frame.width, frame.height)
        parts = frame.format.components
        return VideoTrack(
            index=index,
            codec=stream.codec_context.name,
            width=shown[1] if turn.transpose else shown[0],
            height=shown[0] if turn.transpose else shown[1],
            orientation=turn,
            time_base=Fraction(stream.time_base or Fraction(1, 1000)),
            first=frame.pts or 0,
            rate=Fraction(stream.average_rate) if stream.average_rate else None,
            duration=_stated_duration(stream),
            sar=(1 / sar if turn.transpose else sar) if sar > 0 else Fraction(1),
            color=read_color_space(frame),
            bits=max(part.bits for part in parts),
            alpha=any(part.is_alpha for part in parts),
        )


def _decode_frames(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Frames of a stream that may begin with broken packets."""
    context = video_decoder(stream)
    for packet in _readable_packets(container, stream):
        try:
            yield from context.decode(packet if packet.size else None)
        except av.FFmpegError:
            continue


def _readable_packets(container: InputContainer, stream: av.stream.Stream) -> Iterator[av.Packet[Any]]:
    """Packets of a stream, as far as the file goes."""
    try:
        yield from demux_packets(container, stream)
    except (av.FFmpegError, OSError):
        return


def _probe_audio(path: Path, index: int, number: int) -> AudioTrack | None:
    with open_media(path) as container:
        stream = container.streams[index]
        assert isinstance(stream, av.AudioStream)
        frame = None
        for packet in _readable_packets(container, stream):
            try:
                frame = next(iter(packet.decode()), None)
            except av.FFmpegError:
                continue
            if frame is not None:
                break
        if frame is None:
            return None
        assert isinstance(frame, av.AudioFrame)
        if frame.layout.nb_channels > MAX_CHANNELS:
            raise UserError(
                f"{path}: its sound of {frame.layout.nb_channels} channels has more than {MAX_CHANNELS}"
            )
        base = Fraction(stream.time_base or Fraction(1, frame.sample_rate))
        return AudioTrack(
            index=index,
            number=number,
            codec=stream.codec_context.name,
            rate=frame.sample_rate,
            channels=frame.layout.nb_channels,
            layout=frame.layout.name,
            time_base=base,
            start=(frame.pts or 0) * base,
            duration=_stated_duration(stream) if container.format.name.startswith("mov") else None,
            language=None if stream.language in NO_LANGUAGE else stream.language,
            # FFmpeg's MP4 reader calls a track's title its name, and its writer reads it as the title.
            title=stream.metadata.get("title") or stream.metadata.get("name") or None,
            dispositions=tuple(role.name for role in Disposition if role in stream.disposition and role.name),
        )


def _probe_subtitle(stream: av.stream.Stream) -> SubtitleTrack:
    context = stream.codec_context
    codec = context.name if context is not None else "unknown"
    return SubtitleTrack(stream.index, codec, codec in TEXT_SUBTITLES, stream.language)


TEXT_SUBTITLES = {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"}


def _stated_duration(stream: av.stream.Stream) -> Fraction | None:
    """Seconds that a header gives for a stream: a number, or in Matroska a tag with its end."""
    if not stream.time_base:
        return None
    base = Fraction(stream.time_base)
    if stream.duration:
        return stream.duration * base
    tag = DURATION_TAG.fullmatch(stream.metadata.get("DURATION", ""))
    if tag is None:
        return None
    end = int(tag[1]) * 3600 + int(tag[2]) * 60 + Fraction(tag[3])
    return end - (stream.start_time or 0) * base


@dataclass(frozen=True, slots=True)
class Orientation:
    """Any of the eight ways to lay a rectangle: transposed first, then mirrored."""

    transpose: bool = False
    flip_horizontal: bool = False
    flip_vertical: bool = False

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """Lay coded pixels [row, column, 3] as they are shown."""
        if self == UPRIGHT:
            return rgb
        if self.transpose:
            rgb = rgb.swapaxes(0, 1)
        if self.flip_horizontal:
            rgb = rgb[:, ::-1]
        if self.flip_vertical:
            rgb = rgb[::-1]
        return np.ascontiguousarray(rgb)

    @property
    def degrees(self) -> int:
        """Clockwise rotation from coded to shown, of the nearest one without a mirror."""
        if self.transpose:
            return 90 if self.flip_horizontal else 270
        return 180 if self.flip_vertical else 0


UPRIGHT = Orientation()


def read_orientation(frame: av.VideoFrame) -> Orientation:
    """Read a frame's display matrix.

    It maps coded to shown places, (x, y) -> (a x + c y, b x + d y) with y downwards; numbers a, b,
    c, d are the first, second, fourth and fifth of its nine. Turns other than quarters are taken as
    the nearest.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix)[:36])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transpose=True, flip_horizontal=c < 0, flip_vertical=b < 0)
    return Orientation(flip_horizontal=a < 0, flip_vertical=d < 0)
