"""The sound tracks of a result: all of the source's, in its order.

One may be dreamed; the others are copied packet by packet, or encoded anew where the container refuses
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import ffmpeg
import numpy as np

from mmdream.media.audio_files import DecodedSpan, extract_audio, write_channel_mask
from mmdream.media.formats import VideoFormat
from mmdream.media.open import demux_packets, open_media, run_ffmpeg
from mmdream.media.probe import AudioTrack, MediaFile
from mmdream.media.video_writer import ORIGIN_TAG

OPUS_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
"""The layouts that libopus takes, by the count of channels. Beside and behind are one to it: it refuses the
"5.1(side)" of most films with surround sound, whose channels have the same order."""


@dataclass(frozen=True, slots=True)
class OutputAudioTrack:
    """A sound track of a result."""

    sound: AudioTrack
    """The source's that it is or comes from."""
    wave: Path | None = None
    """What is encoded in place of the source's packets; None: they are copied."""
    wave_span: DecodedSpan | None = None
    """Where the wave lies."""
    encoder: str | None = None
    """FFmpeg's, for the wave; None: the container's usual one."""


def plan_audio_tracks(
    film: MediaFile,
    dream: OutputAudioTrack | None,
    out: Path,
    kind: VideoFormat,
    span: tuple[Fraction | None, Fraction | None],
    work: Path,
    on_warning: Callable[[str], None],
) -> tuple[OutputAudioTrack, ...]:
    """What becomes of each sound track of a source.

    Args:
        film: the source.
        dream: the track that is dreamed, if one is.
        out: the result.
        kind: its container.
        span: start and end of the excerpt, seconds since `MediaFile.start`; None: the film's own.
        work: a folder for the waves of tracks that are encoded anew.
        on_warning: told in one line what is left out or encoded anew.

    Raises:
        UserError: the disk is full.
    """
    for number in film.undecodable_audio:
        on_warning(f"{film.path}: sound track {number} is left out: nothing of it can be decoded")
    chosen = None if dream is None else dream.sound.number
    others = [sound for sound in film.audio_tracks if sound.number != chosen]
    times = {} if span == (None, None) else read_packet_times(film.path, [sound.index for sound in others])
    tracks = []
    for sound in film.audio_tracks:
        if dream is not None and sound.number == chosen:
            track = dream
        elif sound.index in times and not len(select_times(film, times[sound.index], *span)):
            track = OutputAudioTrack(sound, wave_span=DecodedSpan(sound.start, 0))
        elif _is_pcm_with_gaps(film, sound, kind):
            wave = work / f"kept{sound.number}.wav"
            track = OutputAudioTrack(sound, wave, extract_audio(film, sound, wave, *span), sound.codec)
        elif _can_copy_audio(film, sound, kind, work):
            track = OutputAudioTrack(sound)
        else:
            on_warning(f"{film.path}: {describe_track(sound)} is encoded anew, as {out.suffix} demands")
            wave = work / f"kept{sound.number}.wav"
            track = OutputAudioTrack(sound, wave, extract_audio(film, sound, wave, *span))
        if track.wave_span is not None and not track.wave_span.n_samples:
            on_warning(f"{film.path}: {describe_track(sound)} is left out: the excerpt has nothing of it")
        else:
            if track.wave is not None and kind.sound == "libopus":
                _set_opus_layout(track.wave, sound)
            tracks.append(track)
    return tuple(tracks)


def _set_opus_layout(wave: Path, sound: AudioTrack) -> None:
    if sound.channels <= len(OPUS_LAYOUTS) and sound.layout not in OPUS_LAYOUTS:
        write_channel_mask(wave, OPUS_LAYOUTS[sound.channels - 1])


def read_packet_times(path: Path, streams: Sequence[int]) -> dict[int, np.ndarray]:
    """Seconds on a file's clock of each packet of these streams: stream to float64 [packet], ascending."""
    found: dict[int, list[float]] = {index: [] for index in streams}
    if streams:
        with open_media(path) as container:
            for packet in demux_packets(container, [container.streams[index] for index in streams]):
                if packet.pts is not None and packet.time_base is not None:
                    found[packet.stream_index].append(float(packet.pts * Fraction(packet.time_base)))
    return {index: np.sort(np.asarray(times, dtype=np.float64)) for index, times in found.items()}


def select_times(
    film: MediaFile, times: np.ndarray, start: Fraction | None, end: Fraction | None, margin: float = 0.0
) -> np.ndarray:
    """Those of a source's times that lie in an excerpt, on the excerpt's clock.

    Args:
        film: the source.
        times: seconds on its clock, float64 [packet].
        start: seconds since `MediaFile.start` at which the excerpt begins; None: the film's beginning.
        end: seconds since `MediaFile.start` at which it ends; None: the film's end.
        margin: seconds that it is wider at both ends.
    """
    times = times - float(film.start + (start or 0))
    low = -np.inf if start is None else -margin
    high = np.inf if end is None else float(end - (start or 0)) + margin
    return times[(times >= low) & (times < high)]


def _is_pcm_with_gaps(film: MediaFile, sound: AudioTrack, kind: VideoFormat) -> bool:
    """Whether a track is plain samples that a copy would push together: QuickTime has no holes between them.

    Written anew they are the same samples, with silence in the holes.
    """
    plain = kind.muxer == "mov" and kind.audio_tracks is not None and sound.codec in kind.audio_tracks
    return plain and sound.codec.startswith("pcm") and not film.container_format.startswith("mov")


def _can_copy_audio(film: MediaFile, sound: AudioTrack, kind: VideoFormat, work: Path) -> bool:
    """Whether a container takes a track's packets as they are; Matroska is asked, as it takes most."""
    if kind.audio_tracks is not None:
        return sound.codec in kind.audio_tracks
    trial = work / f"trial{kind.middle}"
    stream = ffmpeg.input(str(film.path.resolve()))[str(sound.index)]
    try:
        run_ffmpeg(ffmpeg.output(stream, str(trial), format=kind.muxer, c="copy", **{"frames:a": 1}), trial)
    except RuntimeError:
        return False
    finally:
        trial.unlink(missing_ok=True)
    return True


def describe_track(sound: AudioTrack) -> str:
    """A sound track for a person."""
    told = ", ".join(word for word in (sound.language, sound.codec) if word)
    return f"sound track {sound.number} ({told})"


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
