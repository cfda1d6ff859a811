"""One sound dreamed: an audio file, or the sound track of a film."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import soundfile

from mmdream.errors import Interrupted, UserError
from mmdream.film.source import Film, Sound, probe
from mmdream.film.waves import Extract, create, extract
from mmdream.jobs.output import destination, workshop
from mmdream.listen import Listener
from mmdream.networks.card import card
from mmdream.networks.network import Network, load
from mmdream.recipe import Recipe
from mmdream.report import Report, changes
from mmdream.sound.dream import SoundReport, dream_sound
from mmdream.sound.source import FileSource


def dream_track(
    film: Film,
    sound: Sound,
    span: tuple[Fraction | None, Fraction | None],
    network: Network,
    recipe: Recipe,
    listener: Listener,
    work: Path,
    stopped: Callable[[], bool],
) -> tuple[Extract, SoundReport]:
    """Dream one sound track into ``work/sound.wav``, float32 at its own rate.

    Args:
        film: its file.
        sound: the track.
        span: start and end in seconds of the source; None: its own.
        network: a sound network.
        recipe: how to dream.
        listener: told about progress, in seconds.
        work: where the decoded and the dreamed sound go.
        stopped: asked now and then; True ends the dream.

    Returns:
        Where the sound starts and how long it is, and what was done to it.
    """
    laid = extract(film, sound, work / "source.wav", *span)
    seconds = laid.n_samples / sound.rate
    with (
        soundfile.SoundFile(work / "source.wav") as file,
        create(work / "sound.wav", sound.rate, sound.channels) as writer,
    ):
        report = dream_sound(
            FileSource(file, sound.layout),
            writer.write,
            network,
            recipe.schedule,
            recipe.seed,
            start_seconds=laid.start,
            folder=work,
            progress=lambda share: listener.progress("sound", share * seconds, seconds),
            stop=stopped,
        )
    (work / "source.wav").unlink()
    return laid, report
