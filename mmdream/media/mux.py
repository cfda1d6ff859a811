"""Join video and audio on the source's clock into the final film, with all else that the source holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any

import av
import ffmpeg

from mmdream.media.formats import (
    AAC_RATES,
    VideoFormat,
    comment_option,
    merge_audio_video,
    run_ffmpeg,
    video_format,
)
from mmdream.media.probe import DEMUX_END_ERROR, AudioTrack, MediaFile, SubtitleTrack, open_media, read_tags
from mmdream.media.tracks import OutputAudioTrack, describe_track, plan_audio_tracks
from mmdream.media.video_reader import read_frames
from mmdream.media.video_writer import VideoWriter, read_origin

NO_STREAM = "s:999?"
"""Maps nothing: ffmpeg-python leaves out an input of which nothing may be mapped, and tags come from one."""
CUT_FILTER = "noise=drop='lt(pts*tb,0)'"
"""Drops packets before an excerpt."""
ALAC_DURATION_FILTER = "setts=duration='if(gt(DURATION,0),DURATION,4096/SR/TB)'"
"""Matroska does not say how long ALAC's packets last, and without a length MP4 leaves the last one out."""
MAX_TICK_RATE = 2**31 - 1
"""MP4 holds ticks a second in 32 bits."""
MATROSKA_TICK = Fraction(1, 1000)
TEXT_SUBTITLES = {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"}
FAR_PTS = 2**42
"""Ticks behind the end of any film; a jump there finds the last keyframe."""


def mux_video(
    film: MediaFile,
    video: Path | None,
    dream: OutputAudioTrack | None,
    out: Path,
    *,
    start: Fraction | None = None,
    end: Fraction | None = None,
    credits_: Sequence[str] = (),
    on_warning: Callable[[str], None],
) -> tuple[OutputAudioTrack, ...]:
    """Make the final film; returns its audio tracks in order.

    moviepy joins the finished video and audio, both begun at zero. A last stream copy then gives each its
    place, and adds the source's other audio tracks, subtitles, chapters and tags. An unknown suffix or a full
    disk is a `UserError`.

    Args:
        film: the source.
        video: frames written by `VideoWriter`; None: the source's are copied, or encoded where the container
            demands it or an excerpt cuts them.
        dream: the dreamed sound, which replaces its track; None: all of the source's are kept.
        out: the result; intermediate files lie beside it.
        start: seconds since `MediaFile.start` that become second 0 of the result; None: the film's beginning.
        end: seconds since `MediaFile.start`; None: the film's end.
        credits_: who is to be named for what the dreamed sound has in it; the result's comment tells.
        on_warning: called with one line about what could not be kept as it is.
    """
    kind = video_format(out)
    if video is None and film.video is not None:
        is_excerpt = start is not None or end is not None
        if is_excerpt or (kind.copyable_video is not None and film.video.codec not in kind.copyable_video):
            on_warning(f"{film.path}: its picture is encoded anew, as an excerpt or as {out.suffix} demands")
            video = out.with_name(f"kept{kind.intermediate_suffix}")
            with VideoWriter(video, film.video, out.suffix.lower(), film.video.time_base) as writer:
                for frame in read_frames(film, start, end):
                    writer.write(frame.rgb, frame.pts)
    zero = film.start + (start or 0)
    source = _source_input(film, zero, is_excerpt=start is not None)
    cut = () if start is None else (CUT_FILTER,)
    tracks = plan_audio_tracks(film, dream, out, (start, end), on_warning)
    merged = None
    if video is not None and dream is not None and dream in tracks:
        assert dream.wave is not None
        merged = out.with_name(f"merged{kind.intermediate_suffix}")
        merge_audio_video(video, dream.wave, merged, kind.audio_encoder)

    streams = []
    if film.video is not None:
        index = film.video.index
        stream = source[str(index)] if video is None else _video_input(video, merged, zero)["v:0"]
        streams.append(_OutputStream(stream, "v", index))
    for track in tracks:
        _warn_resampled(track, kind, on_warning)
        ready = merged if track == dream else None
        streams.append(_audio_stream(film, track, ready, kind, source, zero, cut))
    for subtitle in film.subtitles:
        codec = _subtitle_codec(subtitle, kind)
        if codec is None:
            on_warning(
                f"{film.path}: subtitles ({subtitle.codec}) are left out: {out.suffix} cannot hold them"
            )
            continue
        streams.append(_OutputStream(source[str(subtitle.index)], "s", subtitle.index, codec, cut))

    options = _output_options(film, kind, streams, source)
    if credits_:
        options |= comment_option(read_tags(film.path).get("comment", ""), credits_)
    if end is not None:
        options["t"] = _format_seconds(end - (start or 0))
    if video is not None and film.video is not None:
        if film.video.sar != 1 and not kind.is_mp4:
            # Matroska keeps the shape of the picture as a whole, which PyAV does not write.
            shape = film.video.sar * film.video.width / film.video.height
            options["aspect:v:0"] = f"{shape.numerator}:{shape.denominator}"
        options |= _last_frame_duration(film, video, zero)
    graph = ffmpeg.output(*(s.stream for s in streams), source[NO_STREAM], str(out), **options)
    run_ffmpeg(graph, out)
    return tracks


@dataclass(frozen=True, slots=True)
class _OutputStream:
    """One stream of the result: ffmpeg-python's, its medium (v, a or s), its codec and filters of packets."""

    stream: Any
    medium: str
    index: int
    """The source's stream that its tags come from."""
    codec: str = "copy"
    filters: tuple[str, ...] = ()
    audio: AudioTrack | None = None
    """The source's, of a sound."""


def _source_input(film: MediaFile, zero: Fraction, is_excerpt: bool) -> Any:
    """The source as an input whose second `zero` is second 0."""
    first = _file_start(film.path)
    if is_excerpt and zero > first:
        return ffmpeg.input(str(film.path.resolve()), ss=_format_seconds(zero - first))
    return ffmpeg.input(str(film.path.resolve()), itsoffset=_format_seconds(first - zero))


def _input_at(path: Path, at: Fraction) -> Any:
    """An intermediate file as an input, whose second 0 becomes second `at`."""
    return ffmpeg.input(str(path), itsoffset=_format_seconds(at + _file_start(path)))


def _file_start(path: Path) -> Fraction:
    """Second of a file's clock that ffmpeg moves to 0; decoders may need what lies before it."""
    with open_media(path) as container:
        return Fraction(container.start_time or 0, av.time_base)


def _video_input(video: Path, merged: Path | None, zero: Fraction) -> Any:
    """Frames of `VideoWriter` as an input on the result's clock: merged with the dreamed sound, or alone."""
    start = read_origin(video) - zero
    if merged is not None:  # moviepy has moved its first frame to 0.
        with open_media(video) as container:
            stream = container.streams.video[0]
            assert stream.start_time is not None
            assert stream.time_base is not None
            start += stream.start_time * Fraction(stream.time_base)
    return _input_at(merged or video, start)


def _audio_stream(
    film: MediaFile,
    track: OutputAudioTrack,
    merged: Path | None,
    kind: VideoFormat,
    source: Any,
    zero: Fraction,
    cut: tuple[str, ...],
) -> _OutputStream:
    """An audio track, from where it lies: merged with the video, in a wave file, or in the source."""
    audio, codec, filters = track.source, "copy", cut
    if track.wave is None:
        stream = source[str(audio.index)]
    else:
        assert track.wave_span is not None
        stream = _input_at(merged or track.wave, film.start + track.wave_span.start - zero)["a:0"]
        codec, filters = "copy" if merged is not None else track.encoder or kind.audio_encoder, ()
    if codec == "copy" and audio.codec == "alac" and kind.is_mp4:
        filters = (*filters, ALAC_DURATION_FILTER)
    return _OutputStream(stream, "a", audio.index, codec, filters, audio)


def _warn_resampled(track: OutputAudioTrack, kind: VideoFormat, on_warning: Callable[[str], None]) -> None:
    name, rate = describe_track(track.source), track.source.rate
    if track.wave is not None and kind.audio_encoder == "libopus" and rate != 48000:
        on_warning(f"{name} is written at 48000 Hz instead of {rate}: Opus demands it")
    if track.wave is not None and kind.audio_encoder == "aac" and rate not in AAC_RATES:
        on_warning(f"{name} is written at another rate than its {rate} Hz, which AAC does not know")


def _subtitle_codec(subtitle: SubtitleTrack, kind: VideoFormat) -> str | None:
    """How subtitles are written; None: the container cannot hold them."""
    if kind.copyable_subtitles is None:
        return "copy" if subtitle.codec != "mov_text" else kind.subtitle_encoder
    if subtitle.codec in kind.copyable_subtitles:
        return "copy"
    return kind.subtitle_encoder if subtitle.codec in TEXT_SUBTITLES else None


def _output_options(
    film: MediaFile, kind: VideoFormat, streams: list[_OutputStream], source: Any
) -> dict[str, Any]:
    """The container's options, and those of each stream, which ffmpeg counts by medium."""
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
        if stream.audio is not None:
            # Said of each: ffmpeg takes the first track for the default where nothing is said.
            options[f"disposition:{spec}"] = "+".join(stream.audio.dispositions) or "0"
            if stream.audio.title is not None:  # Not every container calls it so among its tags.
                options[f"metadata:s:{spec}"] = f"title={stream.audio.title}"
        if stream.filters:
            options[f"bsf:{spec}"] = ",".join(stream.filters)
    return options


def _timescales(film: MediaFile) -> dict[str, int]:
    """MP4's clocks: fine enough for the video's time stamps, and for a start at any sample."""
    if film.video is None:
        return {}
    ticks = film.video.time_base.denominator
    ticks *= -(-10_000 // ticks)
    common = ticks
    for track in film.audio_tracks:
        finer = lcm(common, track.rate)
        common = finer if finer <= MAX_TICK_RATE else common
    return {"video_track_timescale": ticks, "movie_timescale": common}


def _last_frame_duration(film: MediaFile, video: Path, zero: Fraction) -> dict[str, str]:
    """Options that say how long the last frame is shown, as no frame behind it tells a copy."""
    with open_media(video) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        container.seek(FAR_PTS, stream=stream)
        stamps = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
        if not stamps:
            return {}
        last = max(stamps) * Fraction(stream.time_base) + read_origin(video)
    duration = _source_frame_duration(film, last)
    if duration is None:
        return {}
    just_before = float(last - zero) - float(MATROSKA_TICK) * 0.6
    setts = f"setts=duration='if(gte(PTS*TB,{just_before}),{float(duration)}/TB,DURATION)'"
    return {"bsf:v:0": setts}


def _source_frame_duration(film: MediaFile, seconds: Fraction) -> Fraction | None:
    """Seconds from a frame of the source to the next, or to the source's end; None: it does not say."""
    video = film.video
    assert video is not None
    time_base = video.time_base
    pts = round(seconds / time_base)
    tolerance = max(1, round(MATROSKA_TICK / time_base / 2))
    own, following = None, None
    with open_media(film.path) as container:
        stream = container.streams[video.index]
        with suppress(av.FFmpegError, OSError, DEMUX_END_ERROR):
            container.seek(pts, stream=stream)
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                if abs(packet.pts - pts) <= tolerance:
                    own = packet.duration or None
                elif packet.pts > pts and (following is None or packet.pts < following):
                    following = packet.pts
                if following is not None and packet.dts is not None and packet.dts > following:
                    break  # What comes later is shown later.
    if following is not None:
        return (following - pts) * time_base
    if video.duration is not None:
        rest = video.first_pts * time_base + video.duration - seconds
        return rest if rest > 0 else None
    return None if own is None else own * time_base


def _format_seconds(seconds: Fraction) -> str:
    """Seconds as ffmpeg reads them, to its microsecond."""
    return f"{float(seconds):.6f}"
