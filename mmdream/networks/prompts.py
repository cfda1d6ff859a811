"""What a prompt asks of networks: words to weights over the motifs and the classes that they can dream.

A prompt is taken in pieces, runs of one to three words: a thing that can be dreamed is as near to it as to
the piece that is nearest. And it is taken as a whole: "a tower with a light that warns ships" names a tower
and ships, and means something that it does not name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby

import numpy as np

from mmdream.core.errors import UserError
from mmdream.networks.card import NetworkCard
from mmdream.networks.registry import load_card
from mmdream.networks.words import WordTable, load_words, split_words
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import MotifCurve
from mmdream.settings.targets import Term, split_weight

MAX_WORDS = 60
"""Of a prompt."""
NEAR = 0.6
"""Likeness from which a thing is what a piece of a prompt asks for."""
RELATED = 0.85
"""Share of the nearest thing's likeness that others must have to be dreamed with it."""
MEANT_ALONE, MEANT_BESIDE, LEAST_MEANING_WORDS = 0.57, 0.57, 3
"""Likeness from which a thing is what a whole prompt means, that names nothing, or names other things; and
how many telling words such a prompt has at least."""
MEANT_SHARE = 0.75
"""Of the dream, for what is meant and not named; the others share the rest. A second guess at what is meant
would cost more hits of the first than it brings (see scripts/judge_prompts.py)."""
MOST_OF_A_PIECE, MOST_IN_ALL = 2, 4
"""Things that one piece of a prompt asks for at most, and all of it."""
SHARPNESS, NAMED = 6.0, 0.8
"""By how much a nearer thing weighs more: weights go with exp(sharpness * likeness); and the likeness from
which on a thing is as good as named."""
SLOTS = 12
"""Parts into which the weights of motifs are rounded: in a schedule a name stands as often as it weighs."""
LEAST_WORD_WEIGHT = 0.35
"""Of the heaviest word, under which a word is no piece of its own: "of", "big"."""


@dataclass(frozen=True, slots=True)
class Match:
    """Something that can be dreamed, and the words that asked for it."""

    piece: str
    name: str
    likeness: float
    """-1..1."""
    is_meant: bool = False
    """By the whole prompt, which does not name it."""


@dataclass(frozen=True)
class Vocabulary:
    """What one network can dream, as vectors."""

    names: tuple[str, ...]
    """Motifs and classes; one that is called in several ways stands several times."""
    vectors: np.ndarray
    """float32 [name, dimension], each of length 1."""

    def rank(self, asked: np.ndarray) -> list[tuple[str, float]]:
        """Every name with its likeness to a vector of length 1, the nearest first."""
        likeness = self.vectors @ asked
        order = np.argsort(-likeness, kind="stable")
        best: dict[str, float] = {}
        for row in order.tolist():
            best.setdefault(self.names[row], float(likeness[row]))
        return list(best.items())


def name_dreams(card: NetworkCard) -> Iterator[tuple[str, str]]:
    """What a network can dream, and each of the ways in which that is called."""
    taken = set()
    for motif, meaning in card.motifs.items():
        yield motif, motif
        if meaning.startswith("="):
            taken.add(card.find_class(meaning[1:]))
            yield motif, meaning[1:]
    for number, (name, called) in enumerate(zip(card.primary_names(), card.class_names(), strict=True)):
        if number not in taken and name not in card.motifs:
            for each in dict.fromkeys((name, *called[0 if card.class_file is None else 1 :])):
                yield name, each


@cache
def load_vocabulary(name: str) -> Vocabulary:
    """What the network of this name can dream, as far as the table of words knows what it is called."""
    table, names, vectors = load_words(), list[str](), list[np.ndarray]()
    for thing, called in name_dreams(load_card(name)):
        words = split_words(called)
        # "sea crawfish" is no sea, if "crawfish" is no known word.
        vector = table.embed(words) if all(table.find(word) is not None for word in words) else None
        if vector is not None:
            names.append(thing)
            vectors.append(vector)
    shape = len(vectors), table.vectors.shape[1]
    return Vocabulary(tuple(names), np.array(vectors, np.float32).reshape(shape))


def find_known(text: str) -> list[str]:
    """The words of a prompt that the table knows; errors are as of `match_prompt`."""
    table, words = load_words(), split_words(text)
    known = [word for word in words if table.find(word) is not None]
    if not words:
        raise UserError(f"prompt {_quote(text)}: has no words; say in English what is to be dreamed")
    if len(words) > MAX_WORDS:
        raise UserError(f"prompt {_quote(text)}: has {len(words)} words; say it in {MAX_WORDS} at most")
    if not known:
        raise UserError(
            f"prompt {_quote(text)}: none of its words is known; say in plain English what is to be dreamed"
        )
    return known


def rank_dreams(text: str, card: NetworkCard) -> list[tuple[str, float]]:
    """All that a network can dream, with its likeness to the nearest piece of a text, the nearest first."""
    table, best = load_words(), dict[str, float]()
    vocabulary = load_vocabulary(card.name)
    telling = _find_telling(find_known(text), table)
    for piece in dict.fromkeys((*_cut_pieces(telling), " ".join(telling))):
        for name, likeness in _rank(piece, vocabulary, table):
            best[name] = max(likeness, best.get(name, -1.0))
    return sorted(best.items(), key=lambda found: -found[1])


def match_prompt(text: str, vocabulary: Vocabulary) -> tuple[list[Match], list[Match]]:
    """What a prompt asks for, the nearest first, and if that is nothing what would be nearest.

    Raises:
        UserError: no word, none that is known, or too many.
    """
    table, known = load_words(), find_known(text)
    found: dict[str, Match] = {}
    nearest: dict[str, Match] = {}
    telling = _find_telling(known, table)
    for piece in _cut_pieces(telling):
        ranked = _rank(piece, vocabulary, table)
        for name, likeness in ranked[:MOST_OF_A_PIECE]:
            match = Match(piece, name, likeness)
            _keep_nearer(nearest, match)
            if likeness >= max(NEAR, RELATED * ranked[0][1]):
                _keep_nearer(found, match)
    named = {name: match for name, match in found.items() if match.likeness >= NAMED}
    if len(telling) < LEAST_MEANING_WORDS:
        return _choose(found), _choose(nearest)
    meant = _find_meant(_rank(" ".join(known), vocabulary, table), " ".join(telling), named)
    return ([*meant, *_choose(named)][:MOST_IN_ALL] if meant else _choose(found)), _choose(nearest)


def _find_meant(ranked: Sequence[tuple[str, float]], piece: str, named: Collection[str]) -> list[Match]:
    """What a whole prompt means, if that is nothing that it names."""
    (first, best), least = ranked[0], MEANT_BESIDE if named else MEANT_ALONE
    if first in named or best < least:
        return []
    return [Match(piece, first, best, is_meant=True)]


def _rank(piece: str, vocabulary: Vocabulary, table: WordTable) -> list[tuple[str, float]]:
    vector = table.embed(piece.split())
    return [] if vector is None else vocabulary.rank(vector)


def _keep_nearer(kept: dict[str, Match], match: Match) -> None:
    before = kept.get(match.name)
    if before is None or match.likeness > before.likeness:
        kept[match.name] = match


def _choose(found: dict[str, Match]) -> list[Match]:
    return sorted(found.values(), key=lambda match: -match.likeness)[:MOST_IN_ALL]


def _find_telling(words: Sequence[str], table: WordTable) -> list[str]:
    """The words that say something."""
    rows = [table.find(word) for word in words]
    weights = [0.0 if row is None else float(table.weights[row]) for row in rows]
    heavy = LEAST_WORD_WEIGHT * max(weights)
    return [word for word, weight in zip(words, weights, strict=True) if weight >= heavy]


def _cut_pieces(words: Sequence[str]) -> Iterator[str]:
    """Runs of one to three words, each once."""
    lengths = range(1, min(len(words), 3) + 1)
    runs = (words[start : start + n] for n in lengths for start in range(len(words) - n + 1))
    yield from dict.fromkeys(" ".join(run) for run in runs)


def weigh_matches(matches: Sequence[Match]) -> dict[str, float]:
    """The weight of each name, summing to 1."""
    weights = np.array([math.exp(SHARPNESS * min(match.likeness, NAMED)) for match in matches])
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
) -> tuple[list[Match], list[Match]]:
    """What of a prompt the picture's network and the sound's can dream."""
    found: list[list[Match]] = []
    nearest: list[str] = []
    for name, asked in ((recipe.net, picture), (recipe.sound_net, sound)):
        matches, near = match_prompt(text, load_vocabulary(name)) if asked else ([], [])
        found.append(matches)
        nearest += [match.name for match in near[:3]] if asked else []
    seen, heard = found
    if not seen and not heard:
        raise UserError(
            f"prompt {_quote(text)}: is nothing that can be dreamed; nearest: {', '.join(nearest)}"
        )
    say(f"prompt {_quote(text)}: {describe_matches(seen, heard)}")
    return seen, heard


def describe_matches(seen: Sequence[Match], heard: Sequence[Match]) -> str:
    """What was understood: "lighthouse: beacon .92, tower .61"."""
    told = []
    for kind, matches in (("", seen), ("sound of ", heard)):
        for piece, own in groupby(matches, key=lambda match: match.piece):
            names = ", ".join(
                f"{kind}{match.name} {match.likeness:.2f}".replace(" 0.", " .") for match in own
            )
            told.append(f"{piece}: {names}")
    return "; ".join(told)


def spread_slots(shares: dict[str, float]) -> tuple[str, ...]:
    """Names, each as often as its share of `SLOTS`, at least once."""
    total = sum(shares.values())
    counts = {name: max(1, round(SLOTS * share / total)) for name, share in shares.items()}
    divisor = math.gcd(*counts.values())
    return tuple(name for name, count in counts.items() for _ in range(count // divisor))


def _quote(text: str) -> str:
    shown = " ".join(text.split())
    return f'"{shown if len(shown) <= 60 else shown[:57] + "..."}"'
