"""Decide what becomes of each of the source's audio tracks in a result.

One may be replaced by a dream; the others are copied packet by packet, or encoded anew where the container
refuses them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import ffmpeg
import numpy as np

from mmdream.core.errors import UserError
from mmdream.media.audio_files import DecodedSpan, extract_audio, write_channel_mask
from mmdream.media.formats import VideoFormat
from mmdream.media.open import demux_packets, open_media, run_ffmpeg
from mmdream.media.probe import AudioTrack, MediaFile, VideoTrack
from mmdream.settings.recipe import Selection

OPUS_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
"""The layouts that libopus takes, by the count of channels. Beside and behind are one to it: it refuses the
"5.1(side)" of most films with surround sound, whose channels have the same order."""


@dataclass(frozen=True, slots=True)
class OutputAudioTrack:
    """An audio track of a result."""

    source: AudioTrack
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
    video_format: VideoFormat,
    span: tuple[Fraction | None, Fraction | None],
    work: Path,
    on_warning: Callable[[str], None],
) -> tuple[OutputAudioTrack, ...]:
    """The audio tracks of a result, in the source's order; those that cannot be copied are decoded here.

    Args:
        film: the source.
        dream: the track that replaces one of its own; None: all are kept.
        out: the result.
        video_format: of the result.
        span: start and end of the excerpt, seconds since `MediaFile.start`; None: the film's own.
        work: a folder for the waves of tracks that are encoded anew.
        on_warning: called with one line about what is left out or encoded anew.

    Raises:
        UserError: the disk is full.
    """
    for number in film.undecodable_audio:
        on_warning(f"{film.path}: sound track {number} is left out: nothing of it can be decoded")
    replaced = None if dream is None else dream.source.number
    kept = [track.index for track in film.audio_tracks if track.number != replaced]
    times = {} if span == (None, None) else read_packet_times(film.path, kept)
    planned = []
    for track in film.audio_tracks:
        wave = work / f"kept{track.number}.wav"
        if dream is not None and track.number == replaced:
            output = dream
        elif track.index in times and not len(select_times(film, times[track.index], *span)):
            output = OutputAudioTrack(track, wave_span=DecodedSpan(track.start, 0))
        elif _is_pcm_with_gaps(film, track, video_format):
            output = OutputAudioTrack(track, wave, extract_audio(film, track, wave, *span), track.codec)
        elif _can_copy_audio(film, track, video_format, work):
            output = OutputAudioTrack(track)
        else:
            on_warning(f"{film.path}: {describe_track(track)} is encoded anew, as {out.suffix} demands")
            output = OutputAudioTrack(track, wave, extract_audio(film, track, wave, *span))
        if output.wave_span is not None and not output.wave_span.n_samples:
            on_warning(f"{film.path}: {describe_track(track)} is left out: the excerpt has nothing of it")
            continue
        if output.wave is not None and video_format.audio_encoder == "libopus":
            _set_opus_layout(output.wave, track)
        planned.append(output)
    return tuple(planned)


def _is_pcm_with_gaps(film: MediaFile, track: AudioTrack, video_format: VideoFormat) -> bool:
    """Whether a track is PCM that a copy would push together: QuickTime has no gaps between its packets.

    Encoded anew, it has the same samples, with silence in the gaps.
    """
    is_mov = video_format.muxer == "mov" and track.codec in (video_format.copyable_audio or ())
    return is_mov and track.codec.startswith("pcm") and not film.container_format.startswith("mov")


def _can_copy_audio(film: MediaFile, track: AudioTrack, video_format: VideoFormat, work: Path) -> bool:
    """Whether a container takes a track's packets as they are; Matroska is tried, as it takes most."""
    if video_format.copyable_audio is not None:
        return track.codec in video_format.copyable_audio
    trial = work / f"trial{video_format.intermediate_suffix}"
    stream = ffmpeg.input(str(film.path.resolve()))[str(track.index)]
    options = {"format": video_format.muxer, "c": "copy", "frames:a": 1}
    try:
        run_ffmpeg(ffmpeg.output(stream, str(trial), **options), trial)
    except RuntimeError:
        return False
    finally:
        trial.unlink(missing_ok=True)
    return True


def _set_opus_layout(wave: Path, track: AudioTrack) -> None:
    if track.channels <= len(OPUS_LAYOUTS) and track.layout not in OPUS_LAYOUTS:
        write_channel_mask(wave, OPUS_LAYOUTS[track.channels - 1])


def read_packet_times(path: Path, streams: Sequence[int]) -> dict[int, np.ndarray]:
    """Seconds on a file's clock of each packet of these streams: stream to float64 [packet], ascending."""
    times: dict[int, list[float]] = {index: [] for index in streams}
    if streams:
        with open_media(path) as container:
            for packet in demux_packets(container, [container.streams[index] for index in streams]):
                if packet.pts is not None and packet.time_base is not None:
                    times[packet.stream_index].append(float(packet.pts * Fraction(packet.time_base)))
    return {index: np.sort(np.asarray(each, dtype=np.float64)) for index, each in times.items()}


def select_times(
    film: MediaFile, times: np.ndarray, start: Fraction | None, end: Fraction | None, margin: float = 0.0
) -> np.ndarray:
    """Those of a source's times that lie in an excerpt, on the excerpt's clock; float64 [packet], seconds.

    The excerpt is `margin` seconds wider at both ends than from `start` to `end`, seconds since
    `MediaFile.start`.
    """
    times = times - float(film.start + (start or 0))
    low = -np.inf if start is None else -margin
    high = np.inf if end is None else float(end - (start or 0)) + margin
    return times[(times >= low) & (times < high)]


def describe_track(track: AudioTrack) -> str:
    """An audio track for a person: its number, language and codec."""
    details = ", ".join(word for word in (track.language, track.codec) if word)
    return f"sound track {track.number} ({details})"


def find_sound_track(film: MediaFile, wish: int | str | None) -> AudioTrack:
    """The sound track that is asked for.

    Args:
        film: a film or a sound.
        wish: its number, from 1 as players count, or its language as the film tells it; None: the first.

    Raises:
        UserError: there is no such track.
    """
    if not film.audio_tracks:
        raise UserError(
            f"{film.path}: has no sound" + (" that can be decoded" if film.undecodable_audio else "")
        )
    if wish is None:
        return film.audio_tracks[0]
    asked = str(wish).strip().casefold()
    for sound in film.audio_tracks:
        if asked in (str(sound.number), sound.language and sound.language.casefold()):
            return sound
    there = ", ".join(_format_track(sound) for sound in film.audio_tracks)
    if asked in map(str, film.undecodable_audio):
        raise UserError(f"{film.path}: its sound track {asked} cannot be decoded; there is {there}")
    raise UserError(f"{film.path}: has no sound track {asked!r}; there is {there}")


def _format_track(sound: AudioTrack) -> str:
    words = (sound.language, sound.title and repr(sound.title), sound.layout)
    return f"{sound.number} ({', '.join(word for word in words if word)})"


def resolve_tracks(film: MediaFile, order: Selection) -> tuple[VideoTrack, AudioTrack | None]:
    """The film's picture, and the sound track that is to be dreamed, if one is.

    Raises:
        UserError: the film has no picture, nothing is left to dream, or the excerpt lies outside it.
    """
    if film.video is None:
        raise UserError(f"{film.path}: has no picture; use `mmdream audio` for its sound")
    if order.keep_sound and order.sound_track is not None:
        raise UserError("--sound-track chooses what is dreamed; drop it or --keep-sound")
    none = order.keep_sound or (not film.audio_tracks and order.sound_track is None)
    track = None if none else find_sound_track(film, order.sound_track)
    if order.sound_style is not None and track is None:
        raise UserError(f"{film.path}: has no sound to style; drop --sound-style")
    if order.keep_picture and track is None:
        raise UserError(f"{film.path}: nothing is left to dream; drop --keep-picture or --keep-sound")
    start, end = order.start or Fraction(0), order.end
    if start < 0 or (end is not None and end <= start):
        raise UserError(f"start is {float(start):g} and end {float(end or 0):g}; choose 0 <= start < end")
    if film.duration is not None and start >= film.duration:
        raise UserError(f"start is {float(start):g}, but the film lasts {float(film.duration):.2f} seconds")
    return film.video, track
