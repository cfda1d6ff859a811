"""Real sounds, and their dreams with the gain that made them, for the scripts that measure and judge sounds.

Settings are given as NAME=VALUE, where NAME is a setting of the schedule (steps=6), of the sound's manner
(invent=0.5) or seed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import numpy as np
from esc10 import read_clip
from measure_sound import loudness, read_sound

from mmdream.audio.canvas import BAND_EDGES
from mmdream.audio.chunks import AudioDreamSettings, DreamHooks
from mmdream.audio.dream import AudioDreamReport, dream_source
from mmdream.audio.source import ArraySource
from mmdream.audio.spectra import (
    HALF_WINDOW_HOPS,
    inverse_stft,
    make_band_interpolation,
    make_stft,
    read_spectra,
)
from mmdream.core.events import EventSink
from mmdream.networks.network import Network
from mmdream.render.atoms import load_atoms
from mmdream.settings.recipe import AudioOptions, Recipe
from mmdream.settings.schedule import SCHEDULE_LIMITS, Schedule
from mmdream.settings.targets import Targets, parse_target

FIRST = 1 - HALF_WINDOW_HOPS
"""The hop that the first row of a dream's gain belongs to."""
CLIPS = {
    "dog": "001 - Dog bark/5-203128-A.ogg",
    "rain": "002 - Rain/5-181766-A.ogg",
    "sea": "003 - Sea waves/5-200461-A.ogg",
    "baby": "004 - Baby cry/5-151085-A.ogg",
    "clock": "005 - Clock tick/5-201194-A.ogg",
    "sneeze": "006 - Person sneeze/5-187979-A.ogg",
    "helicopter": "007 - Helicopter/5-177957-A.ogg",
    "chainsaw": "008 - Chainsaw/5-170338-A.ogg",
    "rooster": "009 - Rooster/5-194930-A.ogg",
    "fire": "010 - Fire crackling/5-186924-A.ogg",
}
"""The first clip of each class in fold 5, which neither melnet nor the judge has heard."""
FILES = {
    "voice": "sounds/voice.ogg",
    "strings": "sounds/strings.ogg",
    "vibe_ace": "sounds/vibe_ace.ogg",
    "trumpet": "sounds/trumpet.ogg",
    "humpback": "sounds/humpback.ogg",
    "chaplin": "films/chaplin.mp4",
    "bunny": "films/big_buck_bunny_0_30.webm",
}


@dataclass(frozen=True)
class Dream:
    """A dream and what made it."""

    sound: ArraySource
    gain: np.ndarray
    """Log gain as it was applied, nepers, float32 [hop, band], from hop `FIRST` on."""
    report: AudioDreamReport


def load_sound(data: Path, name: str) -> ArraySource:
    """A sound by its name in `CLIPS` or `FILES`, or by the path of any file."""
    if name in CLIPS:
        return read_clip(data / "esc10.tar", CLIPS[name])
    return read_sound(data / FILES.get(name, name))


def fit_length(source: ArraySource, seconds: float) -> ArraySource:
    """A sound over and over, or its beginning."""
    n = round(seconds * source.rate)
    again = np.tile(source.samples, -(-n // source.n_samples))[:, :n]
    return ArraySource(again, source.rate, source.layout)


def build_recipe(targets: list[str], settings: list[str]) -> Recipe:
    """How to dream classes, written CLASS or CLASS=weight; none: as the depth says.

    Args:
        targets: the classes.
        settings: NAME=VALUE each.
    """
    given = dict(pair.split("=", 1) for pair in settings)
    manners = {field.name: str(field.type) for field in fields(AudioOptions)}
    known = [*SCHEDULE_LIMITS, *manners, "seed"]
    if unknown := given.keys() - set(known):
        raise SystemExit(f"no setting {', '.join(unknown)}; there are {', '.join(known)}")
    schedule = Schedule(**{name: float(value) for name, value in given.items() if name in SCHEDULE_LIMITS})
    manner = {n: float(v) if manners[n] == "float" else v for n, v in given.items() if n in manners}
    return Recipe(
        schedule=schedule,
        sound_wishes=Targets(tuple(map(parse_target, targets))),
        sound_manner=AudioOptions(**manner),
        seed=int(given.get("seed", 0)),
    )


def dream_sound(source: ArraySource, network: Network, how: Recipe, start_hop: int = 0) -> Dream:
    """Dream a sound whose first sample lies at a hop of the absolute clock."""
    blocks: list[np.ndarray] = []
    gains: list[np.ndarray] = []
    start = Fraction(start_hop * make_stft(source.rate).hop, source.rate)
    report = dream_source(
        source, blocks.append, network,
        AudioDreamSettings.from_recipe(how, atoms=load_atoms(how, network, EventSink())),
        start_seconds=start, hooks=DreamHooks(on_gain=gains.append),
    )  # fmt: skip
    made = ArraySource(np.concatenate(blocks, axis=1), source.rate, source.layout)
    return Dream(made, np.concatenate(gains), report)


def gain_in_bins(gain: np.ndarray, rate: int) -> np.ndarray:
    """A gain as it acts on the bins of the transform, 1 bin : 1 hop, float32 [hop, bin]."""
    return np.asarray(gain @ make_band_interpolation(BAND_EDGES, make_stft(rate)), np.float32)


def apply_gain(source: ArraySource, gain: np.ndarray) -> ArraySource:
    """A sound under a gain as `Dream` has it, made as loud as it was."""
    stft = make_stft(source.rate)
    change = read_spectra(source, stft, FIRST, FIRST + len(gain)) * np.expm1(gain_in_bins(gain, source.rate))
    samples = source.samples + inverse_stft(change, stft)[:, : source.n_samples]
    more = loudness(source) - loudness(ArraySource(samples, source.rate, source.layout))
    return ArraySource(np.asarray(samples * 10 ** (more / 20), np.float32), source.rate, source.layout)
