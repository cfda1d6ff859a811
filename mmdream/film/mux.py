"""Picture and sound laid together on the source's clock, with all else that the source holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any

import ffmpeg

from mmdream.film import frames
from mmdream.film.binary import merge, run
from mmdream.film.clock import begins, first_seconds, last_frame, origin_of
from mmdream.film.codecs import Form, form
from mmdream.film.source import Film, Subtitle
from mmdream.film.tracks import SoundTrack, named, sound_tracks
from mmdream.film.writer import Writer

UNMATCHED = "s:999?"
"""Maps nothing: ffmpeg-python leaves out an input of which nothing may be mapped, and tags come
from one."""
LAST_ALAC = "setts=duration='if(gt(DURATION,0),DURATION,4096/SR/TB)'"
"""Matroska does not say how long ALAC's packets last, and without a length MP4 leaves the last one out."""
LARGEST_TICK_RATE = 2**31 - 1
"""MP4 holds ticks a second in 32 bits."""
AAC_RATES = {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}


def join(
    film: Film,
    picture: Path | None,
    dream: SoundTrack | None,
    out: Path,
    *,
    start: Fraction | None,
    end: Fraction | None,
    keep_picture: bool,
    work: Path,
    on_warning: Callable[[str], None],
) -> tuple[SoundTrack, ...]:
    """Make the final film.

    moviepy joins the finished picture and sound, both begun at zero. A last stream copy then gives
    each its place, and adds the source's other sounds, subtitles, chapters and tags. Second
    `start` of the source is second 0 of the result.

    Args:
        film: the source.
        picture: frames written by `Writer`; None: none, or the source's are kept.
        dream: the dreamed sound, which takes its track's place among the source's; None: they are all
            kept.
        out: the name of the result, which should lie in `work`.
        start: seconds since `Film.start` at which an excerpt begins; None: the film's beginning.
        end: seconds since `Film.start` at which it ends; None: the film's end.
        keep_picture: copy the source's picture, or encode it where the container demands it or an
            excerpt cuts it.
        work: a folder for files on the way.
        on_warning: told in one line what could not be kept as it is.

    Returns:
        The sound tracks of the result, in order.

    Raises:
        UserError: an unknown suffix, or a full disk.
    """
    kind = form(out)
    if keep_picture and film.picture is not None and not _copies_picture(film, kind, start, end):
        on_warning(f"{film.path}: its picture is encoded anew, as an excerpt or as {out.suffix} demands")
        picture = work / f"kept{kind.middle}"
        _encode(film, picture, out.suffix.lower(), start, end)
    zero = film.start + (start or 0)
    source = _source(film, zero, start)
    sounds = sound_tracks(film, dream, out, kind, (start, end), work, on_warning)
    merged = None
    if picture is not None and dream is not None and dream in sounds:
        assert dream.wave is not None
        merged = work / f"merged{kind.middle}"
        merge(picture, dream.wave, merged, kind.sound)

    streams = _pictures(film, picture, merged, source, zero, keep_picture)
    for track in sounds:
        _announce(track, kind, on_warning)
        ready = merged if track == dream else None
        streams.append(_sound(film, track, ready, kind, source, zero, cut=start is not None))
    for subtitle in film.subtitles:
        text = _subtitle_codec(subtitle, kind)
        if text is not None:
            cut = start is not None
            streams.append(_Stream(source[str(subtitle.index)], "s", subtitle.index, text, cut))
        else:
            left = f"{film.path}: subtitles ({subtitle.codec}) are left out"
            on_warning(f"{left}: {out.suffix} cannot hold them")

    options = _options(film, kind, streams, source)
    if end is not None:
        options["t"] = _decimal(end - (start or 0))
    if picture is not None and film.picture is not None and film.picture.sar != 1 and not kind.is_mp4:
        # Matroska keeps the shape of the picture as a whole, which PyAV does not write.
        shape = film.picture.sar * film.picture.width / film.picture.height
        options["aspect:v:0"] = f"{shape.numerator}:{shape.denominator}"
    last = last_frame(film, picture, zero)
    if last is not None:
        at, seconds = last
        options["bsf:v:0"] = f"setts=duration='if(gte(PTS*TB,{at}),{seconds}/TB,DURATION)'"
    run(
        ffmpeg.output(*(s.stream for s in streams), source[UNMATCHED], str(out), **options),
        out,
    )
    return sounds


@dataclass(frozen=True, slots=True)
class _Stream:
    """One stream of the result."""

    stream: Any
    """ffmpeg-python's."""
    medium: str
    """v, a or s."""
    index: int
    """The source's stream that its tags come from."""
    codec: str = "copy"
    cut: bool = False
    """Packets before the excerpt must be dropped."""
    roles: tuple[str, ...] | None = None
    """Dispositions; None: as they come."""
    title: str | None = None
    """Besides those tags, as not every container calls it so."""
    filters: tuple[str, ...] = ()
    """Of its packets."""


def _pictures(
    film: Film, picture: Path | None, merged: Path | None, source: Any, zero: Fraction, keep: bool
) -> list[_Stream]:
    """The picture, from where it lies: joined with a sound, alone, or in the source."""
    if film.picture is None:
        return []
    index = film.picture.index
    if merged is not None:
        return [_Stream(_placed(merged, first_seconds(film, picture, zero))["v:0"], "v", index)]
    if picture is not None:
        return [_Stream(_placed(picture, origin_of(picture) - zero)["v:0"], "v", index)]
    return [_Stream(source[str(index)], "v", index)] if keep else []


def _sound(
    film: Film, track: SoundTrack, merged: Path | None, kind: Form, source: Any, zero: Fraction, cut: bool
) -> _Stream:
    """A sound track, from where it lies: joined with the picture, in a wave file, or in the source."""
    sound, codec = track.sound, "copy"
    if track.wave is None:
        stream = source[str(sound.index)]
    else:
        assert track.laid is not None
        at, cut = film.start + track.laid.start - zero, False
        stream = _placed(merged or track.wave, at)["a:0"]
        codec = "copy" if merged is not None else track.encoder or kind.sound
    filters = (LAST_ALAC,) if codec == "copy" and sound.codec == "alac" and kind.is_mp4 else ()
    return _Stream(stream, "a", sound.index, codec, cut, sound.roles, sound.title, filters)


def _options(film: Film, kind: Form, streams: list[_Stream], source: Any) -> dict[str, Any]:
    """Output options: the container's, and those of each stream, which ffmpeg counts by medium."""
    options: dict[str, Any] = {"format": kind.muxer}
    if kind.is_mp4:
        options["movflags"] = "+faststart"
        options |= _tick_rates(film)
    inputs = list(dict.fromkeys([*(s.stream.node for s in streams), source.node]))
    origin = inputs.index(source.node)
    options["map_metadata"] = options["map_chapters"] = origin
    counts: dict[str, int] = {}
    for stream in streams:
        number = counts.get(stream.medium, 0)
        counts[stream.medium] = number + 1
        spec = f"{stream.medium}:{number}"
        options[f"c:{spec}"] = stream.codec
        options[f"map_metadata:s:{spec}"] = f"{origin}:s:{stream.index}"
        if stream.roles is not None:
            # Said of each: ffmpeg takes the first track for the default where nothing is said.
            options[f"disposition:{spec}"] = "+".join(stream.roles) or "0"
        if stream.title is not None:
            options[f"metadata:s:{spec}"] = f"title={stream.title}"
        filters = list(stream.filters)
        if stream.cut and (stream.codec == "copy" or stream.medium == "s"):
            filters.insert(0, "noise=drop='lt(pts*tb,0)'")
        if filters:
            options[f"bsf:{spec}"] = ",".join(filters)
    return options


def _tick_rates(film: Film) -> dict[str, int]:
    """MP4's clocks: fine enough for the picture's stamps, and for a start at any sample."""
    if film.picture is None:
        return {}
    ticks = film.picture.time_base.denominator
    ticks *= -(-10_000 // ticks)
    common = ticks
    for sound in film.sounds:
        finer = lcm(common, sound.rate)
        common = finer if finer <= LARGEST_TICK_RATE else common
    return {"video_track_timescale": ticks, "movie_timescale": common}


def _source(film: Film, zero: Fraction, start: Fraction | None) -> Any:
    """The source as an input whose second `zero` is second 0."""
    earliest = begins(film.path)
    if start is not None and zero > earliest:
        return ffmpeg.input(str(film.path.resolve()), ss=_decimal(zero - earliest))
    return ffmpeg.input(str(film.path.resolve()), itsoffset=_decimal(earliest - zero))


def _placed(path: Path, at: Fraction) -> Any:
    """A file on the way as an input, whose second 0 becomes second `at`."""
    return ffmpeg.input(str(path), itsoffset=_decimal(at + begins(path)))


def _copies_picture(film: Film, kind: Form, start: Fraction | None, end: Fraction | None) -> bool:
    assert film.picture is not None
    whole = start is None and end is None
    return whole and (kind.pictures is None or film.picture.codec in kind.pictures)


def _encode(film: Film, path: Path, suffix: str, start: Fraction | None, end: Fraction | None) -> None:
    assert film.picture is not None
    with Writer(path, film.picture, suffix, film.picture.time_base) as writer:
        for frame in frames.read(film, start, end):
            writer.write(frame.rgb, frame.pts)


def _announce(track: SoundTrack, kind: Form, on_warning: Callable[[str], None]) -> None:
    rate = track.sound.rate
    if track.wave is None:
        return
    if kind.sound == "libopus" and rate != 48000:
        on_warning(f"{named(track.sound)} is written at 48000 Hz instead of {rate}: Opus demands it")
    if kind.sound == "aac" and rate not in AAC_RATES:
        on_warning(
            f"{named(track.sound)} is written at another rate than its {rate} Hz, which AAC does not know"
        )


def _subtitle_codec(subtitle: Subtitle, kind: Form) -> str | None:
    if kind.texts is None:
        return "copy" if subtitle.codec != "mov_text" else kind.subtitles
    if subtitle.codec in kind.texts:
        return "copy"
    return kind.subtitles if subtitle.is_text else None


def _decimal(seconds: Fraction) -> str:
    """Seconds as ffmpeg reads them, to its microsecond."""
    return f"{float(seconds):.6f}"
