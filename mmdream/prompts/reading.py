"""What a prompt asks of one network: its words to the motifs and classes that stand for them.

A prompt is taken in phrases, the longest that are known, see `load_vocabulary`; another noun is taken for the
nearest known thing that it is a kind of. And it is taken as a whole: "a tower with a light that warns ships"
names a tower and ships, and means something that it does not name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmdream.core.errors import UserError
from mmdream.networks.card import NetworkCard
from mmdream.prompts.lexicon import list_anything, list_breaks, list_nothing, list_words
from mmdream.prompts.vocabulary import (
    LONGEST,
    NAMED,
    NOTHING,
    QUALITY,
    SAME,
    Sense,
    Vocabulary,
    load_vocabulary,
)
from mmdream.prompts.words import load_kinds, load_words, singularize, split_words

MAX_WORDS = 60
"""Of a prompt."""
NEAR = 0.65
"""Likeness from which a thing is what a phrase asks for."""
FURTHER = 0.95
"""Factor of the likeness for each step from a noun to what it is a kind of."""
ALIKE = 0.75
"""Likeness (cosine) of a noun's vector to a phrase's, from which it asks for the same."""
MEANT, MEANT_BESIDE, MEANT_ALONE = 0.5, 0.75, 0.75
"""Share of a prompt's words that tell of a class, from which it is meant where the prompt begins with its
kind; from which it is where it begins with something else, or what can be dreamed itself; and from which
nothing else is dreamed."""
LEAST_KIND_WORDS, LEAST_TOLD_WORDS = 2, 3
"""Telling words that a prompt has which means a class: if it begins with its kind, or with something else."""
TOLD, LEAST = 0.9, 0.49
"""Likeness of a class to words that all tell of it; most of what is only near to all the words, besides
something that one of them asks for."""
LEAST_LEAD = 0.03
"""Of that share over the next one's: what many classes are told by describes none."""
MOST_OF_A_PHRASE, MOST_IN_ALL = 2, 4
"""Things that one phrase of a prompt asks for at most, and all of it."""
MOST_NEAREST = 3
"""Things of each network that are told as nearest."""
LEFT_OUT = ("without",), ("no",), ("size", "of"), ("than",), ("instead", "of"), ("not",)
"""Behind which the next thing is not asked for."""


@dataclass(frozen=True, slots=True)
class Match:
    """Something that can be dreamed, and the words that asked for it."""

    piece: str
    name: str
    likeness: float
    """-1..1."""
    is_meant: bool = False
    """By the whole prompt, which does not name it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one network finds in a prompt."""

    matches: tuple[Match, ...]
    """What is dreamed, the nearest first."""
    nearest: tuple[str, ...]
    """What else would be, were it nearer."""
    missed: tuple[str, ...]
    """Nouns that ask for nothing that it can dream."""


def find_known(text: str) -> list[str]:
    """The words of a prompt, compounds divided; errors are as of `match_prompt`."""
    table, words = load_words(), split_words(text)
    if not words:
        raise UserError(f"prompt {quote_prompt(text)}: has no words; say in English what is to be dreamed")
    if len(words) > MAX_WORDS:
        raise UserError(f"prompt {quote_prompt(text)}: has {len(words)} words; say it in {MAX_WORDS} at most")
    own = list_words()
    parts = [
        part
        for word in words
        for part in ([word] if own.intersection((word, *singularize(word))) else table.split_compound(word))
    ]
    if not any(part in own or table.find(part) is not None for part in parts):
        why = "none of its words is known; say in plain English what is to be dreamed"
        raise UserError(f"prompt {quote_prompt(text)}: {why}")
    if list_nothing().issuperset(parts):
        why = "none of its words is for what is seen or heard; say in plain English what is to be dreamed"
        raise UserError(f"prompt {quote_prompt(text)}: {why}")
    return parts


def rank_dreams(text: str, card: NetworkCard) -> list[tuple[str, float]]:
    """All that a network can dream, with its likeness to what a text asks for, the nearest first."""
    vocabulary, words = load_vocabulary(card.name), find_known(text)
    best = dict(_rank(list(_read_phrases(words, vocabulary)), words, vocabulary))
    for described, share in vocabulary.descriptions.rank(_find_telling(words, vocabulary)):
        if share >= MEANT:
            best[described.thing] = max(TOLD * share, best.get(described.thing, 0.0))
    return sorted(best.items(), key=lambda found: -found[1])


def match_prompt(text: str, vocabulary: Vocabulary) -> Reading:
    """What a prompt asks of a network.

    Raises:
        UserError: no word, none that is known, or too many.
    """
    words = find_known(text)
    read = list(_read_phrases(words, vocabulary))
    asked = [(piece, sense) for piece, sense in read if sense.likeness >= NEAR and sense.things]
    most = max(1, min(MOST_OF_A_PHRASE, MOST_IN_ALL // max(len(asked), 1)))
    found: dict[str, Match] = {}
    for piece, sense in sorted(asked, key=lambda each: -each[1].likeness):
        for name in sense.things[:most]:
            found.setdefault(name, Match(piece, name, sense.likeness))
    missed = [piece for piece, sense in read if (piece, sense) not in asked]
    meant = _find_meant(words, read, vocabulary)
    for match in meant:
        found.pop(match.name, None)
        if match.likeness >= MEANT_ALONE:
            found.clear()
            missed.clear()
    ranked = _rank(read, words, vocabulary)
    return Reading(
        (*meant, *found.values())[:MOST_IN_ALL],
        tuple(name for name, _ in ranked[:MOST_NEAREST]),
        tuple(missed),
    )


def _read_phrases(words: Sequence[str], vocabulary: Vocabulary) -> Iterator[tuple[str, Sense]]:
    """The phrases of a prompt and what they ask for; of other nouns what they are nearest to, or nothing."""
    at, is_left_out = 0, False
    while at < len(words):
        if length := next((len(each) for each in LEFT_OUT if tuple(words[at : at + len(each)]) == each), 0):
            at, is_left_out = at + length, True
            continue
        lengths = range(min(LONGEST, len(words) - at), 0, -1)
        found = ((words[at : at + n], vocabulary.find(words[at : at + n])) for n in lengths)
        phrase, sense = next((each for each in found if each[1] is not None), ([words[at]], None))
        at += len(phrase)
        if sense is None:
            sense = _find_kindred(phrase[0], vocabulary)
        elif sense is NOTHING or sense is QUALITY:
            continue
        if sense is not None and not is_left_out:
            yield " ".join(phrase), sense
        is_left_out = is_left_out and sense is None


def _find_kindred(word: str, vocabulary: Vocabulary) -> Sense | None:
    """What a noun is nearest to: something of which it is a kind, or that means much the same."""
    table = load_words()
    chain = load_kinds().climb(table.find(word))
    for steps, meaning in enumerate(chain):
        if meaning in vocabulary.meanings:
            sense = vocabulary.meanings[meaning]
            return replace(sense, likeness=sense.likeness * FURTHER**steps)
    vector = table.embed([word])
    if not chain or vector is None:
        return None
    near = np.where(vocabulary.is_word, vocabulary.vectors @ vector, -1.0)
    best = int(near.argmax())
    if near[best] < ALIKE:
        return Sense((), 0.0)
    return replace(vocabulary.anchors[best], likeness=float(near[best]) * vocabulary.anchors[best].likeness)


def _find_meant(
    words: Sequence[str], read: Sequence[tuple[str, Sense]], vocabulary: Vocabulary
) -> list[Match]:
    """The class that a whole prompt describes, if it begins with its kind: "an insect with wings"."""
    telling, breaks, anything = _find_telling(words, vocabulary), list_breaks(), list_anything()
    if len(telling) < LEAST_KIND_WORDS:
        return []
    start = next((at for at, word in enumerate(words) if word not in breaks), len(words))
    stop = next((at for at in range(start, len(words)) if words[at] in breaks), len(words))
    ranked, senses = vocabulary.descriptions.rank(telling), dict(read)
    # Of a phrase the last word tells the kind: a big cat is a cat, a rope bridge no rope.
    named = {word for piece, _ in read for word in piece.split()[:-1]}
    senses |= {piece.split()[-1]: sense for piece, sense in read}
    begun = [each for each in reversed(words[start:stop]) if each in {*telling, *anything} - named]
    for word in [*begun, *({words[0]} & anything)]:
        forms = {word, *singularize(word)}
        is_plain = word not in senses or senses[word].likeness < SAME
        for place, (described, share) in enumerate(ranked):
            is_kind = word in anything or not forms.isdisjoint(described.kinds)
            if share < (MEANT if is_kind and is_plain else MEANT_BESIDE):
                break
            if is_kind or (len(telling) >= LEAST_TOLD_WORDS and not forms.isdisjoint(described.words)):
                rivals = (each for each in ranked[place + 1 :] if not forms.isdisjoint(each[0].words))
                is_clear = share - next((rival for _, rival in rivals), 0.0) >= LEAST_LEAD
                is_named = any(
                    sense.likeness >= NAMED and described.thing in sense.things for _, sense in read
                )
                return (
                    [Match(" ".join(words), described.thing, share, True)]
                    if is_clear and not is_named
                    else []
                )
    return []


def _find_telling(words: Sequence[str], vocabulary: Vocabulary) -> list[str]:
    """The words that say something of what is seen."""
    return [word for word in words if vocabulary.find([word]) is not NOTHING]


def _rank(
    read: Sequence[tuple[str, Sense]], words: Sequence[str], vocabulary: Vocabulary
) -> list[tuple[str, float]]:
    """All that a network can dream: what the phrases ask for first, then what is near to all the words."""
    best: dict[str, float] = {}
    for _, sense in read:
        for name in sense.things:
            best[name] = max(sense.likeness, best.get(name, -1.0))
    best_of_words = bool(best)
    vector = load_words().embed(words)
    for name, likeness in [] if vector is None else vocabulary.rank(vector):
        best.setdefault(name, min(likeness, LEAST) if best_of_words else likeness)
    return sorted(best.items(), key=lambda found: -found[1])


def quote_prompt(text: str) -> str:
    """A prompt as messages show it, cut if it is long."""
    shown = " ".join(text.split())
    return f'"{shown if len(shown) <= 60 else shown[:57] + "..."}"'
