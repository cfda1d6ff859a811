"""The sound tracks of a result: all of the source's, in its order.

One may be dreamed; the others are copied packet by packet, or encoded anew where the container refuses
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import ffmpeg
import numpy as np

from mmdream.film.binary import run_ffmpeg
from mmdream.film.codecs import VideoFormat
from mmdream.film.opened import demux_packets, open_media
from mmdream.film.source import AudioTrack, MediaFile
from mmdream.film.waves import DecodedSpan, extract_audio, write_channel_mask

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
        span: start and end of the excerpt, seconds since `Film.start`; None: the film's own.
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
        start: seconds since `Film.start` at which the excerpt begins; None: the film's beginning.
        end: seconds since `Film.start` at which it ends; None: the film's end.
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
