"""A film laid together again from its own frames and samples: what a dream of strength 0 does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from mmdream.film import frames, mux, waves
from mmdream.film.source import Film, probe


@dataclass
class Copy:
    """A source, what was read of it, and the result."""

    source: Film
    read: list[frames.Frame]
    sound: np.ndarray | None
    sound_start: Fraction
    result: Film
    warnings: list[str]

    @property
    def seconds(self) -> list[Fraction]:
        return [frame.seconds for frame in self.read]


def seconds_of(film: Film) -> list[Fraction]:
    """Seconds of the file's own clock at which each frame is shown."""
    return [frame.seconds + film.start for frame in frames.read(film)]


def samples_of(film: Film, folder: Path, number: int = 0) -> tuple[Fraction, np.ndarray]:
    """Second of the file's own clock at which a sound begins, and its samples [channel, sample]."""
    path = folder / "samples.wav"
    found = waves.extract(film, film.sounds[number], path)
    return found.start + film.start, soundfile.read(path, dtype="float32", always_2d=True)[0].T


def again(
    path: Path,
    suffix: str,
    folder: Path,
    start: Fraction | None = None,
    end: Fraction | None = None,
    keep_picture: bool = False,
    keep_sound: bool = False,
) -> Copy:
    """Read, write and join."""
    source = probe(path)
    warnings: list[str] = []
    assert source.picture is not None
    read = list(frames.read(source, start, end, on_warning=warnings.append))
    picture = wave = None
    if not keep_picture:
        picture = folder / "picture"
        with frames.Writer(picture, source.picture, suffix, source.picture.time_base) as writer:
            for frame in read:
                writer.write(frame.rgb, frame.pts)
    sound, sound_start, lead = None, Fraction(0), Fraction(0)
    if source.sounds and not keep_sound:
        wave = folder / "sound.wav"
        found = waves.extract(source, source.sounds[0], wave, start, end)
        sound_start, lead = found.start, read[0].seconds - found.start
        sound = soundfile.read(wave, dtype="float32", always_2d=True)[0].T
    out = folder / f"again{suffix}"
    mux.join(
        source,
        picture,
        wave,
        out,
        start=start,
        end=end,
        lead=lead,
        keep_picture=keep_picture,
        keep_sound=keep_sound,
        work=folder,
        on_warning=warnings.append,
    )
    return Copy(source, read, sound, sound_start, probe(out), warnings)
