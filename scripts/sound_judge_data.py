"""What the judge of sound dreams learns from and is tested with, as it hears it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure_sound import read_sound
from sound_judge import mel_power

from mmdream import Recipe, Schedule, dream_audio

EVENTS = ("dog bark", "baby cry", "clock tick", "person sneeze", "rooster")
"""Classes that begin and end; the others stand, or are showers of events too short for the judge's frames."""
DIRECTED = ("dog bark", "clock tick", "person sneeze", "rooster")
"""Events that are none when they are played backwards. A baby's cry swells as it dies away: taught its
direction, the judge told 5 clips of 8 right, and believed all of them half."""
OTHERS = ("sounds/trumpet.ogg", "sounds/humpback.ogg", "films/chaplin.mp4",
          "films/big_buck_bunny_0_30.webm")  # fmt: skip
"""Sounds of none of the classes, to learn what is no event; two more are left for the test."""
HELD_OUT = ("sounds/strings.ogg", "sounds/vibe_ace.ogg")
DREAMS = 2
"""Of each of these, with different seeds."""
SPEECH = "sounds/voice.ogg"
"""Learnt from up to its middle, and tested behind it."""


@dataclass(frozen=True)
class Clip:
    """A recording as the judge hears it."""

    label: int
    """-1: none of the classes."""
    fold: int
    """0: not of ESC-10."""
    origin: str
    """Recording that it was cut from."""
    power: np.ndarray
    """float32 [frame, band]."""


def read_others(data: Path, files: tuple[str, ...]) -> list[Clip]:
    """Sounds of none of the classes."""
    sounds = [read_sound(data / name) for name in files]
    return [Clip(-1, 0, "", mel_power(sound.samples, sound.rate)) for sound in sounds]


def dream_others(data: Path) -> list[Clip]:
    """Dreams of `OTHERS` and of the speech's first half, without grains: gains alone."""
    sounds = [read_sound(data / name) for name in OTHERS]
    speech = read_sound(data / SPEECH)
    cut = speech.samples.shape[1] // 2
    given = [*((sound.samples, sound.rate) for sound in sounds), (speech.samples[:, :cut], speech.rate)]
    recipes = [Recipe(schedule=Schedule(grains=0.0), seed=seed) for seed in range(DREAMS)]
    return [
        Clip(-1, 0, "", mel_power(dream_audio(samples, rate, recipe), rate))
        for samples, rate in given
        for recipe in recipes
    ]


def read_speech(data: Path, half: int) -> Clip:
    """The half that teaches, 0, or the one that tests, 1."""
    sound = read_sound(data / SPEECH)
    power = mel_power(sound.samples, sound.rate)
    return Clip(-1, 0, "", np.array_split(power, 2)[half])
