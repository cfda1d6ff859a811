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

from mmdream.film.binary import run
from mmdream.film.codecs import Form
from mmdream.film.opened import opened, packets
from mmdream.film.source import Film, Sound
from mmdream.film.waves import Extract, extract, place

OPUS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
"""The layouts that libopus takes, by the count of channels. Beside and behind are one to it: it refuses the
"5.1(side)" of most films with surround sound, whose channels have the same order."""


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """A sound track of a result."""

    sound: Sound
    """The source's that it is or comes from."""
    wave: Path | None = None
    """What is encoded in place of the source's packets; None: they are copied."""
    laid: Extract | None = None
    """Where the wave lies."""
    encoder: str | None = None
    """FFmpeg's, for the wave; None: the container's usual one."""


def sound_tracks(
    film: Film,
    dream: SoundTrack | None,
    out: Path,
    kind: Form,
    span: tuple[Fraction | None, Fraction | None],
    work: Path,
    on_warning: Callable[[str], None],
) -> tuple[SoundTrack, ...]:
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
    for number in film.mute:
        on_warning(f"{film.path}: sound track {number} is left out: nothing of it can be decoded")
    chosen = None if dream is None else dream.sound.number
    others = [sound for sound in film.sounds if sound.number != chosen]
    times = {} if span == (None, None) else packet_times(film.path, [sound.index for sound in others])
    tracks = []
    for sound in film.sounds:
        if dream is not None and sound.number == chosen:
            track = dream
        elif sound.index in times and not len(within(film, times[sound.index], *span)):
            track = SoundTrack(sound, laid=Extract(sound.start, 0))
        elif _is_plain(film, sound, kind):
            wave = work / f"kept{sound.number}.wav"
            track = SoundTrack(sound, wave, extract(film, sound, wave, *span), sound.codec)
        elif _is_held(film, sound, kind, work):
            track = SoundTrack(sound)
        else:
            on_warning(f"{film.path}: {named(sound)} is encoded anew, as {out.suffix} demands")
            wave = work / f"kept{sound.number}.wav"
            track = SoundTrack(sound, wave, extract(film, sound, wave, *span))
        if track.laid is not None and not track.laid.n_samples:
            on_warning(f"{film.path}: {named(sound)} is left out: the excerpt has nothing of it")
        else:
            if track.wave is not None and kind.sound == "libopus":
                _place_for_opus(track.wave, sound)
            tracks.append(track)
    return tuple(tracks)


def _place_for_opus(wave: Path, sound: Sound) -> None:
    if sound.channels <= len(OPUS) and sound.layout not in OPUS:
        place(wave, OPUS[sound.channels - 1])


def packet_times(path: Path, streams: Sequence[int]) -> dict[int, np.ndarray]:
    """Seconds on a file's clock of each packet of these streams: stream to float64 [packet], ascending."""
    found: dict[int, list[float]] = {index: [] for index in streams}
    if streams:
        with opened(path) as container:
            for packet in packets(container, [container.streams[index] for index in streams]):
                if packet.pts is not None and packet.time_base is not None:
                    found[packet.stream_index].append(float(packet.pts * Fraction(packet.time_base)))
    return {index: np.sort(np.asarray(times, dtype=np.float64)) for index, times in found.items()}


def within(
    film: Film, times: np.ndarray, start: Fraction | None, end: Fraction | None, margin: float = 0.0
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


def _is_plain(film: Film, sound: Sound, kind: Form) -> bool:
    """Whether a track is plain samples that a copy would push together: QuickTime has no holes between them.

    Written anew they are the same samples, with silence in the holes.
    """
    plain = kind.muxer == "mov" and kind.sounds is not None and sound.codec in kind.sounds
    return plain and sound.codec.startswith("pcm") and not film.form.startswith("mov")


def _is_held(film: Film, sound: Sound, kind: Form, work: Path) -> bool:
    """Whether a container takes a track's packets as they are; Matroska is asked, as it takes most."""
    if kind.sounds is not None:
        return sound.codec in kind.sounds
    trial = work / f"trial{kind.middle}"
    stream = ffmpeg.input(str(film.path.resolve()))[str(sound.index)]
    try:
        run(ffmpeg.output(stream, str(trial), format=kind.muxer, c="copy", **{"frames:a": 1}), trial)
    except RuntimeError:
        return False
    finally:
        trial.unlink(missing_ok=True)
    return True


def named(sound: Sound) -> str:
    """A sound track for a person."""
    told = ", ".join(word for word in (sound.language, sound.codec) if word)
    return f"sound track {sound.number} ({told})"
