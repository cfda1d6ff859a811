"""What a prompt asks of networks: words to weights over the motifs and the classes that they can dream."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from mmdream.core.errors import UserError
from mmdream.prompts.reading import MOST_NEAREST, Match, Reading, match_prompt, quote_prompt
from mmdream.prompts.vocabulary import load_vocabulary
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import MotifCurve
from mmdream.settings.targets import Term, split_weight

MEANT_SHARE = 0.75
"""Of the dream, for what is meant and not named; the others share the rest. A second guess at what is meant
would cost more hits of the first than it brings (see scripts/judge_prompts.py)."""
SHARPNESS, NEAREST = 6.0, 0.8
"""By how much a nearer thing weighs more: weights go with exp(sharpness * likeness); and the likeness from
which on it is as good as any."""
SLOTS = 12
"""Parts into which the weights of motifs are rounded: in a schedule a name stands as often as it weighs."""


def weigh_matches(matches: Sequence[Match]) -> dict[str, float]:
    """The weight of each name, summing to 1."""
    weights = np.array([math.exp(SHARPNESS * min(match.likeness, NEAREST)) for match in matches])
    meant = np.array([match.is_meant for match in matches])
    if meant.any() and not meant.all():
        rest = weights[~meant].sum()
        weights[meant] *= rest * MEANT_SHARE / (1 - MEANT_SHARE) / weights[meant].sum()
    return {match.name: float(w) for match, w in zip(matches, weights / weights.sum(), strict=True)}


def resolve_prompts(
    recipe: Recipe, say: Callable[[str], None], picture: bool = True, sound: bool = True
) -> Recipe:
    """A recipe whose prompts have become motifs of the picture and classes of the sound.

    Args:
        recipe: with prompts in its schedule, or without; then it is given back.
        say: told what was understood, a line for each prompt.
        picture: whether a picture is dreamed.
        sound: whether a sound is.

    Raises:
        UserError: a prompt besides motifs; one that names nothing that can be dreamed, with what is nearest.
    """
    prompts = recipe.schedule.prompt
    if not prompts:
        return recipe
    assert not isinstance(prompts, str)
    if recipe.schedule.motif_curve.names:
        raise UserError("a prompt and a motif both say what is dreamed: give one of them")
    keys: list[tuple[float, tuple[str, ...]]] = []
    sounds: dict[str, float] = {}
    for when, group in groupby(prompts, key=lambda each: each[0]):
        asked = [split_weight(text) if "=" in text else (text, 1.0) for _, text in group]
        shares: dict[str, float] = {}
        for text, weight in asked:
            seen, heard = _understand(text, recipe, say, picture, sound)
            _add(shares, weigh_matches(seen) if seen else {}, weight)
            _add(sounds, weigh_matches(heard) if heard else {}, weight)
        if shares:
            keys.append((when, spread_slots(shares)))
    schedule = replace(recipe.schedule, prompt=())
    if keys:
        schedule = replace(schedule, motif=MotifCurve(tuple(keys)))
    wishes = recipe.sound_wishes
    if sounds and not wishes.terms and wishes.guide is None:
        total = sum(sounds.values())
        terms = tuple(Term("target", name, weight=round(w / total, 3)) for name, w in sounds.items())
        wishes = replace(wishes, terms=terms)
    return replace(recipe, schedule=schedule, sound_wishes=wishes)


def _add(total: dict[str, float], weights: dict[str, float], factor: float) -> None:
    for name, weight in weights.items():
        total[name] = total.get(name, 0.0) + factor * weight


def _understand(
    text: str, recipe: Recipe, say: Callable[[str], None], picture: bool, sound: bool
) -> tuple[Sequence[Match], Sequence[Match]]:
    """What of a prompt the picture's network and the sound's can dream."""
    nets = (recipe.net, picture), (recipe.sound_net, sound)
    seen, heard = (
        match_prompt(text, load_vocabulary(name)) if asked else Reading((), (), ()) for name, asked in nets
    )
    if not seen.matches and not heard.matches:
        nearest = ", ".join((*seen.nearest, *heard.nearest)[:MOST_NEAREST])
        raise UserError(f"prompt {quote_prompt(text)}: is nothing that can be dreamed; nearest: {nearest}")
    say(f"prompt {quote_prompt(text)}: {describe_readings(seen, heard)}")
    return seen.matches, heard.matches


def describe_readings(seen: Reading, heard: Reading) -> str:
    """What was understood: "lighthouse: beacon .92, tower .61; left out: fog"."""
    told = []
    for kind, reading in (("", seen), ("sound of ", heard)):
        for piece in dict.fromkeys(match.piece for match in reading.matches):
            own = (match for match in reading.matches if match.piece == piece)
            names = (f"{kind}{match.name} {match.likeness:.2f}".replace(" 0.", " .") for match in own)
            told.append(f"{piece}: {', '.join(names)}")
    taken = {match.piece for match in heard.matches}
    if missed := [piece for piece in seen.missed if piece not in taken]:
        told.append(f"left out: {', '.join(missed)}")
    return "; ".join(told)


def spread_slots(shares: dict[str, float]) -> tuple[str, ...]:
    """Names, each as often as its share of `SLOTS`, at least once."""
    total = sum(shares.values())
    counts = {name: max(1, round(SLOTS * share / total)) for name, share in shares.items()}
    divisor = math.gcd(*counts.values())
    return tuple(name for name, count in counts.items() for _ in range(count // divisor))
