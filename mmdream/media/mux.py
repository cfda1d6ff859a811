"""Picture and sound laid together on the source's clock, with all else that the source holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any

import ffmpeg

from mmdream.media import video_reader
from mmdream.media.formats import VideoFormat, video_format
from mmdream.media.open import merge_audio_video, run_ffmpeg
from mmdream.media.probe import MediaFile, SubtitleTrack
from mmdream.media.tracks import (
    OutputAudioTrack,
    describe_track,
    first_frame_time,
    last_frame_duration,
    plan_audio_tracks,
    read_file_start,
    read_origin,
)
from mmdream.media.video_writer import VideoWriter

NO_STREAM = "s:999?"
"""Maps nothing: ffmpeg-python leaves out an input of which nothing may be mapped, and tags come
from one."""
ALAC_DURATION_FILTER = "setts=duration='if(gt(DURATION,0),DURATION,4096/SR/TB)'"
"""Matroska does not say how long ALAC's packets last, and without a length MP4 leaves the last one out."""
MAX_TICK_RATE = 2**31 - 1
"""MP4 holds ticks a second in 32 bits."""
AAC_RATES = {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}


def mux_video(
    film: MediaFile,
    picture: Path | None,
    dream: OutputAudioTrack | None,
    out: Path,
    *,
    start: Fraction | None,
    end: Fraction | None,
    keep_picture: bool,
    work: Path,
    on_warning: Callable[[str], None],
) -> tuple[OutputAudioTrack, ...]:
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
        start: seconds since `MediaFile.start` at which an excerpt begins; None: the film's beginning.
        end: seconds since `MediaFile.start` at which it ends; None: the film's end.
        keep_picture: copy the source's picture, or encode it where the container demands it or an
            excerpt cuts it.
        work: a folder for files on the way.
        on_warning: told in one line what could not be kept as it is.

    Returns:
        The sound tracks of the result, in order.

    Raises:
        UserError: an unknown suffix, or a full disk.
    """
    kind = video_format(out)
    if keep_picture and film.video is not None and not _can_copy_video(film, kind, start, end):
        on_warning(f"{film.path}: its picture is encoded anew, as an excerpt or as {out.suffix} demands")
        picture = work / f"kept{kind.middle}"
        _encode_video(film, picture, out.suffix.lower(), start, end)
    zero = film.start + (start or 0)
    source = _source_input(film, zero, start)
    sounds = plan_audio_tracks(film, dream, out, kind, (start, end), work, on_warning)
    merged = None
    if picture is not None and dream is not None and dream in sounds:
        assert dream.wave is not None
        merged = work / f"merged{kind.middle}"
        merge_audio_video(picture, dream.wave, merged, kind.sound)

    streams = _video_streams(film, picture, merged, source, zero, keep_picture)
    for track in sounds:
        _warn_resampled(track, kind, on_warning)
        ready = merged if track == dream else None
        streams.append(_audio_stream(film, track, ready, kind, source, zero, cut=start is not None))
    for subtitle in film.subtitles:
        text = _subtitle_codec(subtitle, kind)
        if text is not None:
            cut = start is not None
            streams.append(_OutputStream(source[str(subtitle.index)], "s", subtitle.index, text, cut))
        else:
            left = f"{film.path}: subtitles ({subtitle.codec}) are left out"
            on_warning(f"{left}: {out.suffix} cannot hold them")

    options = _output_options(film, kind, streams, source)
    if end is not None:
        options["t"] = _format_seconds(end - (start or 0))
    if picture is not None and film.video is not None and film.video.sar != 1 and not kind.is_mp4:
        # Matroska keeps the shape of the picture as a whole, which PyAV does not write.
        shape = film.video.sar * film.video.width / film.video.height
        options["aspect:v:0"] = f"{shape.numerator}:{shape.denominator}"
    last = last_frame_duration(film, picture, zero)
    if last is not None:
        at, seconds = last
        options["bsf:v:0"] = f"setts=duration='if(gte(PTS*TB,{at}),{seconds}/TB,DURATION)'"
    run_ffmpeg(
        ffmpeg.output(*(s.stream for s in streams), source[NO_STREAM], str(out), **options),
        out,
    )
    return sounds


@dataclass(frozen=True, slots=True)
class _OutputStream:
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
    dispositions: tuple[str, ...] | None = None
    """Dispositions; None: as they come."""
    title: str | None = None
    """Besides those tags, as not every container calls it so."""
    filters: tuple[str, ...] = ()
    """Of its packets."""


def _video_streams(
    film: MediaFile, picture: Path | None, merged: Path | None, source: Any, zero: Fraction, keep: bool
) -> list[_OutputStream]:
    """The picture, from where it lies: joined with a sound, alone, or in the source."""
    if film.video is None:
        return []
    index = film.video.index
    if merged is not None:
        return [_OutputStream(_input_at(merged, first_frame_time(film, picture, zero))["v:0"], "v", index)]
    if picture is not None:
        return [_OutputStream(_input_at(picture, read_origin(picture) - zero)["v:0"], "v", index)]
    return [_OutputStream(source[str(index)], "v", index)] if keep else []


def _audio_stream(
    film: MediaFile,
    track: OutputAudioTrack,
    merged: Path | None,
    kind: VideoFormat,
    source: Any,
    zero: Fraction,
    cut: bool,
) -> _OutputStream:
    """A sound track, from where it lies: joined with the picture, in a wave file, or in the source."""
    sound, codec = track.sound, "copy"
    if track.wave is None:
        stream = source[str(sound.index)]
    else:
        assert track.wave_span is not None
        at, cut = film.start + track.wave_span.start - zero, False
        stream = _input_at(merged or track.wave, at)["a:0"]
        codec = "copy" if merged is not None else track.encoder or kind.sound
    filters = (ALAC_DURATION_FILTER,) if codec == "copy" and sound.codec == "alac" and kind.is_mp4 else ()
    return _OutputStream(stream, "a", sound.index, codec, cut, sound.dispositions, sound.title, filters)


def _output_options(
    film: MediaFile, kind: VideoFormat, streams: list[_OutputStream], source: Any
) -> dict[str, Any]:
    """Output options: the container's, and those of each stream, which ffmpeg counts by medium."""
    options: dict[str, Any] = {"format": kind.muxer}
    if kind.is_mp4:
        options["movflags"] = "+faststart"
        options |= _timescales(film)
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
        if stream.dispositions is not None:
            # Said of each: ffmpeg takes the first track for the default where nothing is said.
            options[f"disposition:{spec}"] = "+".join(stream.dispositions) or "0"
        if stream.title is not None:
            options[f"metadata:s:{spec}"] = f"title={stream.title}"
        filters = list(stream.filters)
        if stream.cut and (stream.codec == "copy" or stream.medium == "s"):
            filters.insert(0, "noise=drop='lt(pts*tb,0)'")
        if filters:
            options[f"bsf:{spec}"] = ",".join(filters)
    return options


def _timescales(film: MediaFile) -> dict[str, int]:
    """MP4's clocks: fine enough for the picture's stamps, and for a start at any sample."""
    if film.video is None:
        return {}
    ticks = film.video.time_base.denominator
    ticks *= -(-10_000 // ticks)
    common = ticks
    for sound in film.audio_tracks:
        finer = lcm(common, sound.rate)
        common = finer if finer <= MAX_TICK_RATE else common
    return {"video_track_timescale": ticks, "movie_timescale": common}


def _source_input(film: MediaFile, zero: Fraction, start: Fraction | None) -> Any:
    """The source as an input whose second `zero` is second 0."""
    earliest = read_file_start(film.path)
    if start is not None and zero > earliest:
        return ffmpeg.input(str(film.path.resolve()), ss=_format_seconds(zero - earliest))
    return ffmpeg.input(str(film.path.resolve()), itsoffset=_format_seconds(earliest - zero))


def _input_at(path: Path, at: Fraction) -> Any:
    """A file on the way as an input, whose second 0 becomes second `at`."""
    return ffmpeg.input(str(path), itsoffset=_format_seconds(at + read_file_start(path)))


def _can_copy_video(film: MediaFile, kind: VideoFormat, start: Fraction | None, end: Fraction | None) -> bool:
    assert film.video is not None
    whole = start is None and end is None
    return whole and (kind.pictures is None or film.video.codec in kind.pictures)


def _encode_video(
    film: MediaFile, path: Path, suffix: str, start: Fraction | None, end: Fraction | None
) -> None:
    assert film.video is not None
    with VideoWriter(path, film.video, suffix, film.video.time_base) as writer:
        for frame in video_reader.read_frames(film, start, end):
            writer.write(frame.rgb, frame.pts)


def _warn_resampled(track: OutputAudioTrack, kind: VideoFormat, on_warning: Callable[[str], None]) -> None:
    rate = track.sound.rate
    if track.wave is None:
        return
    if kind.sound == "libopus" and rate != 48000:
        on_warning(f"{describe_track(track.sound)} is written at 48000 Hz instead of {rate}: Opus demands it")
    if kind.sound == "aac" and rate not in AAC_RATES:
        on_warning(
            f"{describe_track(track.sound)} is written at another rate than its {rate} Hz, "
            "which AAC does not know"
        )


def _subtitle_codec(subtitle: SubtitleTrack, kind: VideoFormat) -> str | None:
    if kind.copyable_subtitles is None:
        return "copy" if subtitle.codec != "mov_text" else kind.subtitles
    if subtitle.codec in kind.copyable_subtitles:
        return "copy"
    return kind.subtitles if subtitle.is_text else None


def _format_seconds(seconds: Fraction) -> str:
    """Seconds as ffmpeg reads them, to its microsecond."""
    return f"{float(seconds):.6f}"
