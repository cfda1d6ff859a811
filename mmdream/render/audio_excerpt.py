"""Some seconds of a film's sound dreamed before the film is."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from mmdream.audio.chunks import DreamHooks
from mmdream.core.events import EventSink
from mmdream.media.audio_files import DecodedSpan
from mmdream.media.probe import MediaFile
from mmdream.media.tracks import find_sound_track
from mmdream.render.audio import InputTrack, render_audio_track
from mmdream.render.models import load_audio_network
from mmdream.settings.recipe import Recipe


def dream_sound_around(
    film: MediaFile,
    choice: int | str | None,
    span: tuple[Fraction, Fraction],
    recipe: Recipe,
    work: Path,
    is_stopped: Callable[[], bool],
) -> DecodedSpan:
    """Some seconds of a film's sound track dreamed: ``source.wav`` and ``sound.wav`` in the folder `work`.

    Drives are followed already. `Interrupted` is raised when `is_stopped` says so; `UserError`: no such
    track.
    """
    audio = InputTrack(film, find_sound_track(film, choice), span)
    network = load_audio_network(recipe, EventSink())
    made, _ = render_audio_track(
        audio, network, recipe, EventSink(), work, DreamHooks(should_stop=is_stopped)
    )
    return made
