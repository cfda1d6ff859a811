"""A film, and everything known about it before it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition

from mmdream.errors import UserError
from mmdream.film.colour import Colour, colour_of
from mmdream.film.opened import decoder, opened, packets
from mmdream.film.turn import Turn, turn_of

LARGEST_SIDE = 16384
LARGEST_PICTURE = 2**28
"""Pixels; larger pictures are refused before anything of their size is allocated."""
MOST_CHANNELS = 64
"""Of a sound; FFmpeg's resampler, which turns integers into floats, takes no more."""
LATEST_START = 10
"""Seconds; a film whose clock begins later is a piece of a longer one, and a player begins it at
0."""
UNSAID = {None, "", "und"}
"""Languages that are none."""
ENDS = re.compile(r"(\d{1,6}):(\d{1,2}):(\d{1,2}(?:\.\d{1,12})?)")
"""Matroska's tag of a stream's end. A fraction of text takes powers of ten too, of any size."""
RUNNING_CLOCKS = {"mpegts", "mpeg", "h264", "hevc"}
"""Formats whose clock begins anywhere: the first picture or sound is 0."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture stream of a film."""

    index: int
    codec: str
    width: int
    height: int
    """As shown: after rotation, before the sample aspect ratio is applied."""
    turn: Turn
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
    colour: Colour
    bits: int
    alpha: bool

    @property
    def n_frames(self) -> int | None:
        """An estimate; films lie about it."""
        if self.rate is None or self.duration is None:
            return None
        return round(self.rate * self.duration)


@dataclass(frozen=True, slots=True)
class Sound:
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
    """Seconds from `Film.start` to the first sample."""
    duration: Fraction | None
    """Seconds of this stream, if the film says so exactly."""
    language: str | None
    """As the container writes it, e.g. `fra` or `en-US`; None: it does not say."""
    title: str | None
    roles: tuple[str, ...]
    """FFmpeg's dispositions, e.g. `default` or `comment`."""


@dataclass(frozen=True, slots=True)
class Subtitle:
    """A subtitle stream of a film."""

    index: int
    codec: str
    is_text: bool
    language: str | None


@dataclass(frozen=True, slots=True)
class Film:
    """A file with a picture, a sound or both."""

    path: Path
    form: str
    """FFmpeg's name of the container format."""
    start: Fraction
    """Seconds on the streams' clocks at which a player's clock is 0."""
    duration: Fraction | None
    """Seconds from `start` to the end of the longest stream, as the header says."""
    picture: Picture | None
    sounds: tuple[Sound, ...]
    """Those that can be decoded."""
    mute: tuple[int, ...]
    """Numbers of the sound tracks of which nothing can be decoded."""
    subtitles: tuple[Subtitle, ...]


def probe(path: Path) -> Film:
    """Look at a film: its header, and the first frame of each stream for rotation and depth.

    Raises:
        UserError: the file cannot be read, or holds neither picture nor sound that can be decoded.
    """
    with opened(path) as container:
        form = container.format.name
        if form == "tty":  # FFmpeg takes a text for a picture of letters.
            raise UserError(f"{path}: is a text, and no film or sound")
        if form.endswith("_pipe") or form == "image2":
            raise UserError(f"{path}: is a single picture; use `mmdream image`")
        videos = [s.index for s in container.streams.video if not _is_cover(s)]
        audios = [(s.index, s.codec_context is not None) for s in container.streams.audio]
        subtitles = tuple(_subtitle(s) for s in container.streams.subtitles)
        beginning, length = container.start_time, container.duration
    picture = next((p for v in videos if (p := _picture(path, v)) is not None), None)
    tried = {n: _sound(path, index, n) if known else None for n, (index, known) in enumerate(audios, 1)}
    heard = [sound for sound in tried.values() if sound is not None]
    if picture is None and audios and not heard:
        raise UserError(f"{path}: nothing in it can be heard; it has no samples, or is damaged")
    if picture is None and not heard:
        raise UserError(f"{path}: has neither a picture nor a sound that can be decoded")

    firsts = [s.start for s in heard] + ([] if picture is None else [picture.first * picture.time_base])
    start = _clock(form, min(firsts))
    duration = None
    if length:
        duration = Fraction(length + (beginning or 0), av.time_base) - start
    sounds = tuple(replace(sound, start=sound.start - start) for sound in heard)
    mute = tuple(number for number, sound in tried.items() if sound is None)
    return Film(path, form, start, duration, picture, sounds, mute, subtitles)


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _clock(form: str, first: Fraction) -> Fraction:
    """Where a player's clock is 0: at the file's own 0, so that what starts late stays late.

    Unless something lies before it, or the clock began elsewhere.
    """
    if first < 0 or first > LATEST_START or form in RUNNING_CLOCKS:
        return first
    return Fraction(0)


def _picture(path: Path, index: int) -> Picture | None:
    with opened(path) as container:
        stream = container.streams[index]
        assert isinstance(stream, av.VideoStream)
        if stream.codec_context is None:
            return None
        width, height = stream.codec_context.width, stream.codec_context.height
        if max(width, height) > LARGEST_SIDE or width * height >= LARGEST_PICTURE:
            raise UserError(f"{path}: its picture of {width}x{height} is larger than {LARGEST_SIDE} px allow")
        frame = next(_frames(container, stream), None)
        if frame is None:
            return None
        turn = turn_of(frame)
        sar = Fraction(stream.sample_aspect_ratio or 1)
        shown = (frame.width, frame.height)
        parts = frame.format.components
        return Picture(
            index=index,
            codec=stream.codec_context.name,
            width=shown[1] if turn.transpose else shown[0],
            height=shown[0] if turn.transpose else shown[1],
            turn=turn,
            time_base=Fraction(stream.time_base or Fraction(1, 1000)),
            first=frame.pts or 0,
            rate=Fraction(stream.average_rate) if stream.average_rate else None,
            duration=_stated(stream),
            sar=(1 / sar if turn.transpose else sar) if sar > 0 else Fraction(1),
            colour=colour_of(frame),
            bits=max(part.bits for part in parts),
            alpha=any(part.is_alpha for part in parts),
        )


def _frames(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Frames of a stream that may begin with broken packets."""
    context = decoder(stream)
    for packet in _packets(container, stream):
        try:
            yield from context.decode(packet if packet.size else None)
        except av.FFmpegError:
            continue


def _packets(container: InputContainer, stream: av.stream.Stream) -> Iterator[av.Packet[Any]]:
    """Packets of a stream, as far as the file goes."""
    try:
        yield from packets(container, stream)
    except (av.FFmpegError, OSError):
        return


def _sound(path: Path, index: int, number: int) -> Sound | None:
    with opened(path) as container:
        stream = container.streams[index]
        assert isinstance(stream, av.AudioStream)
        frame = None
        for packet in _packets(container, stream):
            try:
                frame = next(iter(packet.decode()), None)
            except av.FFmpegError:
                continue
            if frame is not None:
                break
        if frame is None:
            return None
        assert isinstance(frame, av.AudioFrame)
        if frame.layout.nb_channels > MOST_CHANNELS:
            raise UserError(
                f"{path}: its sound of {frame.layout.nb_channels} channels has more than {MOST_CHANNELS}"
            )
        base = Fraction(stream.time_base or Fraction(1, frame.sample_rate))
        return Sound(
            index=index,
            number=number,
            codec=stream.codec_context.name,
            rate=frame.sample_rate,
            channels=frame.layout.nb_channels,
            layout=frame.layout.name,
            time_base=base,
            start=(frame.pts or 0) * base,
            duration=_stated(stream) if container.format.name.startswith("mov") else None,
            language=None if stream.language in UNSAID else stream.language,
            # FFmpeg's MP4 reader calls a track's title its name, and its writer reads it as the title.
            title=stream.metadata.get("title") or stream.metadata.get("name") or None,
            roles=tuple(role.name for role in Disposition if role in stream.disposition and role.name),
        )


def _subtitle(stream: av.stream.Stream) -> Subtitle:
    context = stream.codec_context
    codec = context.name if context is not None else "unknown"
    return Subtitle(stream.index, codec, codec in TEXT_SUBTITLES, stream.language)


TEXT_SUBTITLES = {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"}


def _stated(stream: av.stream.Stream) -> Fraction | None:
    """Seconds that a header gives for a stream: a number, or in Matroska a tag with its end."""
    if not stream.time_base:
        return None
    base = Fraction(stream.time_base)
    if stream.duration:
        return stream.duration * base
    tag = ENDS.fullmatch(stream.metadata.get("DURATION", ""))
    if tag is None:
        return None
    end = int(tag[1]) * 3600 + int(tag[2]) * 60 + Fraction(tag[3])
    return end - (stream.start_time or 0) * base
