"""Picture and sound laid together on the source's clock, with all else that the source holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any

import ffmpeg
import soundfile

from mmdream.film import frames
from mmdream.film.binary import merge, run
from mmdream.film.clock import begins, first_seconds, last_frame, origin_of
from mmdream.film.codecs import Form, form
from mmdream.film.source import Film, Subtitle

UNMATCHED = "s:999?"
"""Maps nothing: ffmpeg-python leaves out an input of which nothing may be mapped, and tags come
from one."""
LARGEST_TICK_RATE = 2**31 - 1
"""MP4 holds ticks a second in 32 bits."""
AAC_RATES = {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}


def join(
    film: Film,
    picture: Path | None,
    sound: Path | None,
    out: Path,
    *,
    start: Fraction | None,
    end: Fraction | None,
    lead: Fraction,
    keep_picture: bool,
    keep_sound: bool,
    work: Path,
    on_warning: Callable[[str], None],
) -> None:
    """Make the final film.

    moviepy joins the finished picture and sound, both begun at zero. A last stream copy then gives
    each its place, and adds the source's further sounds, subtitles, chapters and tags. Second
    `start` of the source is second 0 of the result.

    Args:
        film: the source.
        picture: frames written by `Writer`; None: none, or the source's are kept.
        sound: a wave file; None: none, or the source's is kept.
        out: the name of the result, which should lie in `work`.
        start: seconds since `Film.start` at which an excerpt begins; None: the film's beginning.
        end: seconds since `Film.start` at which it ends; None: the film's end.
        lead: seconds from the sound's first sample to the first frame.
        keep_picture: copy the source's picture, or encode it where the container demands it or an
            excerpt cuts it.
        keep_sound: copy the source's sound, or encode it where the container demands it.
        work: a folder for files on the way.
        on_warning: told in one line what could not be kept as it is.

    Raises:
        UserError: an unknown suffix, or a full disk.
    """
    kind = form(out)
    if sound is not None and soundfile.info(sound).frames == 0:
        sound = None
    if keep_picture and film.picture is not None and not _copies_picture(film, kind, start, end):
        on_warning(f"{film.path}: its picture is encoded anew, as an excerpt or as {out.suffix} demands")
        picture = work / f"kept{kind.middle}"
        _encode(film, picture, out.suffix.lower(), start, end)
    zero = film.start + (start or 0)
    source = _source(film, zero, start)
    first = first_seconds(film, picture, zero)
    if sound is not None:
        _announce(sound, kind, on_warning)
    if picture is not None and sound is not None:
        merged = work / f"merged{kind.middle}"
        merge(picture, sound, merged, kind.sound)
        tracks = [
            _Track(_placed(merged, first)["v:0"], "v", _picture_index(film)),
            _Track(_placed(merged, first - lead)["a:0"], "a", _sound_index(film)),
        ]
    else:
        tracks = _alone(film, kind, picture, sound, source, zero, first - lead, keep_picture)
    cut = start is not None
    for track in film.sounds[0 if keep_sound else 1 :]:
        copied = kind.sounds is None or track.codec in kind.sounds
        codec = "copy" if copied else kind.sound
        if not copied:
            on_warning(f"{film.path}: a sound track ({track.codec}) is encoded anew, as {out.suffix} demands")
        tracks.append(_Track(source[str(track.index)], "a", track.index, codec, cut))
    for subtitle in film.subtitles:
        text = _subtitle_codec(subtitle, kind)
        if text is not None:
            tracks.append(_Track(source[str(subtitle.index)], "s", subtitle.index, text, cut))
        else:
            left = f"{film.path}: subtitles ({subtitle.codec}) are left out"
            on_warning(f"{left}: {out.suffix} cannot hold them")

    options = _options(film, kind, tracks, source)
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
        ffmpeg.output(*(t.stream for t in tracks), source[UNMATCHED], str(out), **options),
        out,
    )


@dataclass(frozen=True, slots=True)
class _Track:
    """One stream of the result."""

    stream: Any
    """ffmpeg-python's."""
    medium: str
    """v, a or s."""
    index: int | None
    """The source's stream that its tags come from."""
    codec: str = "copy"
    cut: bool = False
    """Packets before the excerpt must be dropped."""


def _alone(
    film: Film,
    kind: Form,
    picture: Path | None,
    sound: Path | None,
    source: Any,
    zero: Fraction,
    sound_at: Fraction,
    keep_picture: bool,
) -> list[_Track]:
    """The main tracks where only one of them is new: there is nothing to merge."""
    tracks: list[_Track] = []
    if picture is not None:
        stream = _placed(picture, origin_of(picture) - zero)["v:0"]
        tracks.append(_Track(stream, "v", _picture_index(film)))
    elif keep_picture and film.picture is not None:
        tracks.append(_Track(source[str(film.picture.index)], "v", film.picture.index))
    if sound is not None:
        stream = _placed(sound, sound_at)["a:0"]
        tracks.append(_Track(stream, "a", _sound_index(film), kind.sound))
    return tracks


def _options(film: Film, kind: Form, tracks: list[_Track], source: Any) -> dict[str, Any]:
    """Output options: the container's, and those of each track, which ffmpeg counts by medium."""
    options: dict[str, Any] = {"format": kind.muxer}
    if kind.is_mp4:
        options["movflags"] = "+faststart"
        options |= _tick_rates(film)
    inputs = list(dict.fromkeys([*(t.stream.node for t in tracks), source.node]))
    origin = inputs.index(source.node)
    options["map_metadata"] = options["map_chapters"] = origin
    counts: dict[str, int] = {}
    for track in tracks:
        number = counts.get(track.medium, 0)
        counts[track.medium] = number + 1
        spec = f"{track.medium}:{number}"
        options[f"c:{spec}"] = track.codec
        if track.index is not None:
            options[f"map_metadata:s:{spec}"] = f"{origin}:s:{track.index}"
        if track.cut and (track.codec == "copy" or track.medium == "s"):
            options[f"bsf:{spec}"] = "noise=drop='lt(pts*tb,0)'"
    return options


def _tick_rates(film: Film) -> dict[str, int]:
    """MP4's clocks: fine enough for the picture's stamps, and for a start at any sample."""
    if film.picture is None:
        return {}
    ticks = film.picture.time_base.denominator
    ticks *= -(-10_000 // ticks)
    common = lcm(ticks, *(sound.rate for sound in film.sounds[:1]))
    return {
        "video_track_timescale": ticks,
        "movie_timescale": common if common <= LARGEST_TICK_RATE else ticks,
    }


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
    with frames.Writer(path, film.picture, suffix, film.picture.time_base) as writer:
        for frame in frames.read(film, start, end):
            writer.write(frame.rgb, frame.pts)


def _announce(sound: Path, kind: Form, on_warning: Callable[[str], None]) -> None:
    rate = soundfile.info(sound).samplerate
    if kind.sound == "libopus" and rate != 48000:
        on_warning(f"the sound is written at 48000 Hz instead of {rate}: Opus demands it")
    if kind.sound == "aac" and rate not in AAC_RATES:
        on_warning(f"the sound is written at another rate than its {rate} Hz, which AAC does not know")


def _picture_index(film: Film) -> int | None:
    return None if film.picture is None else film.picture.index


def _sound_index(film: Film) -> int | None:
    return film.sounds[0].index if film.sounds else None


def _subtitle_codec(subtitle: Subtitle, kind: Form) -> str | None:
    if kind.texts is None:
        return "copy" if subtitle.codec != "mov_text" else kind.subtitles
    if subtitle.codec in kind.texts:
        return "copy"
    return kind.subtitles if subtitle.is_text else None


def _decimal(seconds: Fraction) -> str:
    """Seconds as ffmpeg reads them, to its microsecond."""
    return f"{float(seconds):.6f}"
