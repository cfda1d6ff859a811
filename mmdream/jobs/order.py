"""What is wanted of a film besides its recipe, held against what the film has."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.film.source import AudioTrack, MediaFile, VideoTrack


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted of a film, besides its recipe."""

    start: Fraction | None = None
    end: Fraction | None = None
    """Seconds of the source; None: its own start and end."""
    keep_picture: bool = False
    keep_sound: bool = False
    strict: bool = False
    """Stop at a broken frame or an early end instead of going on."""
    sound_track: int | None = None
    """Number of the sound track to dream, from 1; None: the first."""
    sound_style: Path | None = None
    """A sound whose texture the track is given, in place of a dream."""


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
