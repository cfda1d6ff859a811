"""Choose the tracks that are dreamed, and decide what becomes of each audio track in a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import ffmpeg
import numpy as np

from mmdream.core.errors import UserError
from mmdream.media.audio_files import DecodedSpan, extract_audio, write_channel_mask
from mmdream.media.formats import VideoFormat, run_ffmpeg, video_format
from mmdream.media.probe import DEMUX_END_ERROR, AudioTrack, MediaFile, VideoTrack, open_media
from mmdream.settings.recipe import Selection

OPUS_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
"""The layouts that libopus takes, by the count of channels. Beside and behind are one to it: it refuses the
"5.1(side)" of most films with surround sound, whose channels have the same order."""


ADDED_RATE = 48_000
"""Samples a second of a sound that is made for a silent film."""

Excerpt = tuple[Fraction | None, Fraction | None]
"""Start and end, seconds since `MediaFile.start`; None: the film's own."""


@dataclass(frozen=True, slots=True)
class OutputAudioTrack:
    """An audio track of a result."""

    source: AudioTrack
    """The source's that it is or comes from."""
    wave: Path | None = None
    """What is encoded in place of the source's packets; None: they are copied."""
    wave_span: DecodedSpan | None = None
    encoder: str | None = None
    """FFmpeg's, for the wave; None: the container's usual one."""


def find_sound_track(film: MediaFile, choice: int | str | None) -> AudioTrack:
    """The sound track of this number, from 1 as players count, or language; None: the first."""
    if not film.audio_tracks:
        undecodable = " that can be decoded" if film.undecodable_audio else ""
        raise UserError(f"{film.path}: has no sound{undecodable}")
    if choice is None:
        return film.audio_tracks[0]
    name = str(choice).strip().casefold()
    for track in film.audio_tracks:
        if name in (str(track.number), track.language and track.language.casefold()):
            return track
    words = {t.number: (t.language, t.title and repr(t.title), t.layout) for t in film.audio_tracks}
    known = ", ".join(f"{number} ({', '.join(filter(None, each))})" for number, each in words.items())
    if name in map(str, film.undecodable_audio):
        raise UserError(f"{film.path}: its sound track {name} cannot be decoded; there is {known}")
    raise UserError(f"{film.path}: has no sound track {name!r}; there is {known}")


def resolve_tracks(film: MediaFile, order: Selection) -> tuple[VideoTrack, AudioTrack | None]:
    """The film's video, and the audio track that is dreamed, if one is; a `UserError` if nothing can be."""
    if film.video is None:
        raise UserError(f"{film.path}: has no picture; use `mmdream audio` for its sound")
    if order.add_sound:
        _check_added_sound(film, order)
    if order.keep_sound and order.sound_track is not None:
        raise UserError("--sound-track chooses what is dreamed; drop it or --keep-sound")
    track: AudioTrack | None
    if order.add_sound:
        track = describe_added_track(film.video)
    else:
        is_silent = order.keep_sound or (not film.audio_tracks and order.sound_track is None)
        track = None if is_silent else find_sound_track(film, order.sound_track)
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


def _check_added_sound(film: MediaFile, order: Selection) -> None:
    if film.audio_tracks or film.undecodable_audio:
        raise UserError(f"{film.path}: has a sound, and --add-sound is for films without; leave it out")
    for name, given in (("--keep-sound", order.keep_sound), ("--sound-style", order.sound_style)):
        if given:
            raise UserError(f"{name} is about the film's own sound, and --add-sound is for films without")


def describe_added_track(video: VideoTrack) -> AudioTrack:
    """The track that a silent film will have; its tags are those of the picture."""
    clock = Fraction(1, ADDED_RATE), Fraction(0), None
    return AudioTrack(video.index, 1, "pcm_f32le", ADDED_RATE, 2, "stereo", *clock, None, None, ())


def describe_track(track: AudioTrack) -> str:
    """An audio track for a person: its number, language and codec."""
    details = ", ".join(word for word in (track.language, track.codec) if word)
    return f"sound track {track.number} ({details})"


def plan_audio_tracks(
    film: MediaFile,
    dream: OutputAudioTrack | None,
    out: Path,
    excerpt: Excerpt,
    on_warning: Callable[[str], None],
) -> tuple[OutputAudioTrack, ...]:
    """The audio tracks of a result, in the source's order.

    `dream` replaces one of them. The others are copied packet by packet, or decoded beside the result to be
    encoded anew, where its container demands it; `on_warning` is told of these and of what is left out.
    """
    kind = video_format(out)
    for number in film.undecodable_audio:
        on_warning(f"{film.path}: sound track {number} is left out: nothing of it can be decoded")
    replaced = None if dream is None else dream.source.number
    kept = [track.index for track in film.audio_tracks if track.number != replaced]
    times = {} if excerpt == (None, None) else read_packet_times(film.path, kept)
    is_new_to_mov = kind.muxer == "mov" and not film.container_format.startswith("mov")
    planned = []
    for track in film.audio_tracks:
        name = f"{film.path}: {describe_track(track)}"
        wave = out.with_name(f"kept{track.number}.wav")
        if dream is not None and track.number == replaced:
            output = dream
        elif track.index in times and not len(select_times(film, times[track.index], *excerpt)):
            output = OutputAudioTrack(track, wave_span=DecodedSpan(track.start, 0))
        elif is_new_to_mov and track.codec.startswith("pcm") and track.codec in (kind.copyable_audio or ()):
            # QuickTime has no gaps between packets, so a copy would close them; decoded, they become silence.
            output = OutputAudioTrack(track, wave, extract_audio(film, track, wave, *excerpt), track.codec)
        elif _can_copy_audio(film, track, kind, out.with_name(f"trial{kind.intermediate_suffix}")):
            output = OutputAudioTrack(track)
        else:
            on_warning(f"{name} is encoded anew, as {out.suffix} demands")
            output = OutputAudioTrack(track, wave, extract_audio(film, track, wave, *excerpt))
        if output.wave_span is not None and not output.wave_span.n_samples:
            on_warning(f"{name} is left out: the excerpt has nothing of it")
            continue
        is_opus = kind.audio_encoder == "libopus" and track.channels <= len(OPUS_LAYOUTS)
        if output.wave is not None and is_opus and track.layout not in OPUS_LAYOUTS:
            write_channel_mask(output.wave, OPUS_LAYOUTS[track.channels - 1])
        planned.append(output)
    return tuple(planned)


def _can_copy_audio(film: MediaFile, track: AudioTrack, kind: VideoFormat, trial: Path) -> bool:
    """Whether a container takes a track's packets as they are; Matroska is tried, as it takes most."""
    if kind.copyable_audio is not None:
        return track.codec in kind.copyable_audio
    stream = ffmpeg.input(str(film.path.resolve()))[str(track.index)]
    options = {"format": kind.muxer, "c": "copy", "frames:a": 1}
    try:
        run_ffmpeg(ffmpeg.output(stream, str(trial), **options), trial)
    except RuntimeError:
        return False
    finally:
        trial.unlink(missing_ok=True)
    return True


def read_packet_times(path: Path, streams: Sequence[int]) -> dict[int, np.ndarray]:
    """Seconds on a file's clock of each packet of these streams: stream to float64 [packet], ascending."""
    times: dict[int, list[float]] = {index: [] for index in streams}
    if streams:
        with open_media(path) as container, suppress(DEMUX_END_ERROR):
            for packet in container.demux([container.streams[index] for index in streams]):
                if packet.pts is not None and packet.time_base is not None:
                    times[packet.stream_index].append(float(packet.pts * Fraction(packet.time_base)))
    return {index: np.sort(np.asarray(each, dtype=np.float64)) for index, each in times.items()}


def select_times(
    film: MediaFile, times: np.ndarray, start: Fraction | None, end: Fraction | None, margin: float = 0.0
) -> np.ndarray:
    """Those of a source's times that lie in an excerpt, on its clock; float64 [packet], seconds.

    It is `margin` seconds wider at both ends than from `start` to `end`, seconds since `MediaFile.start`.
    """
    times = times - float(film.start + (start or 0))
    low = -np.inf if start is None else -margin
    high = np.inf if end is None else float(end - (start or 0)) + margin
    return times[(times >= low) & (times < high)]
