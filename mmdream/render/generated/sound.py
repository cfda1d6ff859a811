"""What a sound's dream begins on: a file, a signal, or events of a generator that follow each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.mastering import PEAK_CEILING
from mmdream.audio.synthesis import (
    MAX_SECONDS,
    MIN_SECONDS,
    SIGNAL_LUFS,
    SIGNAL_RATE,
    SignalSpec,
    generate_signal,
    parse_signal,
)
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.rng import rng_for
from mmdream.networks.generator_card import GeneratorCard, find_generator
from mmdream.networks.registry import load_card
from mmdream.render.generated.events import event_rate, make_events
from mmdream.render.start import share_classes
from mmdream.settings.recipe import GENERATOR_PREFIX, Recipe
from mmdream.settings.targets import Term

FIRST_SECONDS = 0.1
"""Of silence before the first event."""
PAUSE_SECONDS = 0.1, 0.7
"""From an event's end to the next one's beginning."""
SOFTEST_DB = -8.0
"""Of an event beside the loudest."""
MAX_EVENTS = 48
"""Different ones; a longer sound has them again."""


@dataclass(frozen=True)
class GeneratedSound:
    """Some seconds of a generator's events."""

    generator: GeneratorCard
    shares: tuple[tuple[str, float], ...]
    """How often an event is of which class; they sum to 1."""
    seconds: float

    def __post_init__(self) -> None:
        if not MIN_SECONDS <= self.seconds <= MAX_SECONDS:
            raise UserError(
                f"--seconds is {self.seconds:g}; choose between {MIN_SECONDS:g} and {MAX_SECONDS:g}"
            )

    @property
    def kind(self) -> str:
        """What a file of it is called."""
        return "-".join((self.generator.name, *(name for name, _ in self.shares))).replace(" ", "-")

    @property
    def rate(self) -> int:
        """Samples a second."""
        return event_rate(self.generator)


MadeSound = SignalSpec | GeneratedSound
"""A sound to dream on that is no file."""
SoundStart = Path | MadeSound


def parse_sound_start(text: str, terms: tuple[Term, ...], seconds: float) -> MadeSound:
    """Read a signal, or "generator:NAME": its events are of the targets among the terms, by weight.

    UserError: neither of the two, no such generator, none of its classes, or a length out of range.
    """
    if not text.startswith(GENERATOR_PREFIX):
        return parse_signal(text, seconds)
    card = find_generator(text.removeprefix(GENERATOR_PREFIX), "sound")
    return GeneratedSound(card, share_classes(card, terms), seconds)


def drop_unheard_targets(recipe: Recipe, sink: EventSink) -> Recipe:
    """A recipe less the classes that its sound network does not know: the events are of them already."""
    card = load_card(recipe.sound_net, "sound")
    terms = recipe.sound_wishes.terms
    unheard = [term for term in terms if term.kind == "target" and not card.has_class(term.name)]
    for term in unheard:
        sink.say(f"{card.name} knows no {term.name}: the sound has it, and is dreamed without")
    kept = tuple(term for term in terms if term not in unheard)
    return replace(recipe, sound_wishes=replace(recipe.sound_wishes, terms=kept))


def make_samples(sound: MadeSound, seed: int) -> tuple[int, Iterator[np.ndarray]]:
    """Samples a second, and a made sound in order, float32 [1, sample], at `SIGNAL_LUFS`."""
    if isinstance(sound, SignalSpec):
        return SIGNAL_RATE, generate_signal(sound, seed)
    return sound.rate, iter([_place_events(sound, seed)])


def _place_events(sound: GeneratedSound, seed: int) -> np.ndarray:
    """Events one after another, a pause between them, each louder or softer: float32 [1, sample]."""
    rng, total = rng_for(seed, "generated", "places"), round(sound.seconds * sound.rate)
    names, shares = zip(*sound.shares, strict=True)
    count = min(MAX_EVENTS, 1 + int(sound.seconds / PAUSE_SECONDS[1]))
    chosen = rng.choice(len(names), count, p=np.array(shares) / sum(shares))
    events = make_events(sound.generator, [names[number] for number in chosen], seed)
    result, start, place = np.zeros(total, np.float32), round(FIRST_SECONDS * sound.rate), 0
    while start < total:
        samples = events[place % len(events)].samples[: total - start]
        result[start : start + len(samples)] += samples * np.float32(10 ** (rng.uniform(SOFTEST_DB, 0) / 20))
        start += len(samples) + round(rng.uniform(*PAUSE_SECONDS) * sound.rate)
        place += 1
    meter = LoudnessMeter(sound.rate, 1)
    meter.feed(result[None])
    gain = min(10 ** ((SIGNAL_LUFS - meter.loudness()) / 20), PEAK_CEILING / np.abs(result).max())
    return result[None] * np.float32(gain)
