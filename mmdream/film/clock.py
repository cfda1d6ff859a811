"""Where files begin on their clocks, and how long their last frame is shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from mmdream.film.opened import demux_packets, open_media
from mmdream.film.source import MediaFile
from mmdream.film.writer import ORIGIN_TAG

MATROSKA_TICK = Fraction(1, 1000)
"""Matroska's clock."""
FAR_PTS = 2**42
"""Ticks behind the end of any film; a jump there finds the last keyframe."""


def read_file_start(path: Path) -> Fraction:
    """Second of a file's clock that ffmpeg moves to 0; decoders may need what lies before it."""
    with open_media(path) as container:
        return Fraction(container.start_time or 0, av.time_base)


def first_frame_time(film: MediaFile, picture: Path | None, zero: Fraction) -> Fraction:
    """Second of the result at which its first frame is shown."""
    if picture is None:
        if film.video is None:
            return film.audio_tracks[0].start + film.start - zero
        return film.video.first * film.video.time_base - zero
    with open_media(picture) as container:
        stream = container.streams.video[0]
        assert stream.start_time is not None
        assert stream.time_base is not None
        return stream.start_time * Fraction(stream.time_base) + read_origin(picture) - zero


def read_origin(picture: Path) -> Fraction:
    """Second of the source's clock at which a file written by `Writer` is at 0."""
    with open_media(picture) as container:
        return next(Fraction(v) for key, v in container.metadata.items() if key.lower() == ORIGIN_TAG)


def last_frame_duration(film: MediaFile, picture: Path | None, zero: Fraction) -> tuple[float, float] | None:
    """How long the last frame is shown, which a copy cannot know: no frame lies behind it.

    Args:
        film: the source.
        picture: frames written by `Writer`; None: they are the source's own packets.
        zero: second of the source's clock that becomes 0.

    Returns:
        Second of the result just before the last frame, and its seconds; None where the source
        does not say.
    """
    if picture is None or film.video is None:
        return None
    with open_media(picture) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        container.seek(FAR_PTS, stream=stream)
        stamps = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
        if not stamps:
            return None
        seconds = max(stamps) * Fraction(stream.time_base) + read_origin(picture)
    lasts = _source_frame_duration(film, seconds)
    return None if lasts is None else (float(seconds - zero) - float(MATROSKA_TICK) * 0.6, float(lasts))


def _source_frame_duration(film: MediaFile, seconds: Fraction) -> Fraction | None:
    """Seconds from a frame of the source to the next, or to the source's end."""
    picture = film.video
    assert picture is not None
    base = picture.time_base
    wanted = round(seconds / base)
    near = max(1, round(MATROSKA_TICK / base / 2))
    own, following = None, None
    with open_media(film.path) as container:
        stream = container.streams[picture.index]
        try:
            container.seek(wanted, stream=stream)
            for packet in demux_packets(container, stream):
                if packet.pts is None:
                    continue
                if abs(packet.pts - wanted) <= near:
                    own = packet.duration or None
                elif packet.pts > wanted and (following is None or packet.pts < following):
                    following = packet.pts
                if following is not None and packet.dts is not None and packet.dts > following:
                    break  # What comes later is shown later.
        except (av.FFmpegError, OSError):
            pass
    if following is not None:
        return (following - wanted) * base
    if picture.duration is not None:
        rest = picture.first * base + picture.duration - seconds
        return rest if rest > 0 else None
    return None if own is None else own * base
