"""Events that a generator of sounds makes, each a function of its class, its number and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmdream.core.errors import UserError
from mmdream.networks.generator_card import MAP_RATE, WAVE_RATE, GeneratorCard

if TYPE_CHECKING:
    from mmdream.audio.grains.atoms import Atom

BATCH = 16
"""Events that are made at once."""


def make_events(card: GeneratorCard, classes: Sequence[str], seed: int) -> list[Atom]:
    """An event of each of some classes of a generator, which may be named again; silent ones are left out.

    The n-th event of a class is always the same. A `UserError`: the generator's weights are missing or
    damaged, or all that it makes is silence.
    """
    # After everything that can be checked is checked: these bring TensorFlow in.
    from mmdream.audio.events import decode_maps, make_event
    from mmdream.networks.generator import draw_latent, load_generator

    generator, counts = load_generator(card), dict.fromkeys(card.classes, 0)
    found: list[Atom] = []
    numbered = []
    for name in classes:
        numbered.append((name, counts[name]))
        counts[name] += 1
    credit = f"{card.credits} ({card.licence})" if card.credits else ""
    for first in range(0, len(numbered), BATCH):
        some = numbered[first : first + BATCH]
        latents = np.stack([draw_latent(seed, "event", number) for _, number in some])
        shares = np.zeros((len(some), len(card.classes)), np.float32)
        shares[np.arange(len(some)), [card.classes.index(name) for name, _ in some]] = 1
        made = generator.make_pictures(latents, shares)[..., 0]
        sounds = made if card.form == "wave" else decode_maps(made, seed)
        for (name, number), samples in zip(some, sounds, strict=True):
            about = name, f"{card.name} {name} {number}", credit
            if (event := make_event(samples, event_rate(card), *about)) is not None:
                found.append(event)
    if classes and not found:
        raise UserError(f"generator {card.name} makes nothing but silence; train it longer")
    return found


def event_rate(card: GeneratorCard) -> int:
    """Samples a second of a generator's events."""
    return WAVE_RATE if card.form == "wave" else MAP_RATE
