"""What one network can dream, and by which words, definitions and vectors it is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from mmdream.networks.card import NetworkCard
from mmdream.networks.registry import load_card
from mmdream.prompts.lexicon import (
    Phrase,
    list_phrases,
    load_descriptions,
    load_lexicon,
    split_commas,
    to_phrase,
)
from mmdream.prompts.words import load_definitions, load_kinds, load_words, singularize, split_words

NAMED = 1.0
"""Likeness of a thing to its own name."""
SAME, LIKE, PART, MOOD = 0.95, 0.8, 0.7, 0.5
"""Likeness of a thing to what the lexicon says that it is, resembles, is part of, or comes nearest to."""
KIND, MOST_OF_A_KIND = 0.85, 0.12
"""Likeness of a class to a word for its kind that the lexicon does not have; and the share of all classes
that are of that kind, from which it says too little."""
UNLIKE = 0.35
"""Likeness (cosine) of two words from which on they have something in common."""
LONGEST = 5
"""Words of a phrase."""


@dataclass(frozen=True, slots=True)
class Sense:
    """What a phrase asks for."""

    things: tuple[str, ...]
    """Of one network, the likeliest first; none: it asks for nothing."""
    likeness: float
    """Of the things to what was said, 0..1."""


NOTHING, QUALITY = Sense((), 0.0), Sense((), 0.0)
"""What is asked for by words that tell nothing, and by those that only describe; compared by `is`."""


@dataclass(frozen=True, slots=True)
class Description:
    """How a class is told of."""

    thing: str
    kinds: frozenset[str]
    """Words for what it is a kind of."""
    words: frozenset[str]
    """Those and words for its look, doings and places."""


@dataclass(frozen=True)
class Descriptions:
    """How the classes of a network are told of."""

    each: tuple[Description, ...]
    starts: np.ndarray
    """int [class]: the first of its vectors; each has one at least."""
    vectors: np.ndarray
    """float32 [word of any description, dimension], each of length 1."""

    def rank(self, asked: Sequence[str]) -> list[tuple[Description, float]]:
        """Classes with the share of some words, 0..1, that their descriptions hold; the best first.

        A word that is not there counts by the one that is nearest.
        """
        table = load_words()
        rows = [row for row in map(table.find, asked) if row is not None]
        if not rows or not self.each:
            return []
        unit = table.vectors[rows] / np.linalg.norm(table.vectors[rows], axis=1, keepdims=True)
        best = np.maximum.reduceat(self.vectors @ unit.T, self.starts, axis=0)
        shares = (
            np.maximum(best - UNLIKE, 0.0) / (1 - UNLIKE) @ table.weights[rows] / table.weights[rows].sum()
        )
        return sorted(zip(self.each, shares.tolist(), strict=True), key=lambda found: -found[1])


@dataclass(frozen=True)
class Vocabulary:
    """What one network can dream."""

    phrases: Mapping[Phrase, Sense]
    meanings: Mapping[int, Sense]
    """By the meaning of a phrase of one word, see `Kinds`."""
    descriptions: Descriptions
    anchors: tuple[Sense, ...]
    vectors: np.ndarray
    """float32 [anchor, dimension], each of length 1: of the phrase that asks for it."""
    is_word: np.ndarray
    """bool [anchor]: whether that is one word."""

    def find(self, words: Sequence[str]) -> Sense | None:
        """What some words ask for, one or more of a thing; None: they are no phrase."""
        forms = product(*((word, *singularize(word)) for word in words))
        return next((self.phrases[phrase] for phrase in forms if phrase in self.phrases), None)

    def rank(self, asked: np.ndarray) -> list[tuple[str, float]]:
        """Everything with its likeness to a vector of length 1, the nearest first."""
        near = self.vectors @ asked
        best: dict[str, float] = {}
        for anchor, likeness in zip(self.anchors, near.tolist(), strict=True):
            for thing in anchor.things:
                best[thing] = max(best.get(thing, -1.0), likeness * anchor.likeness)
        return sorted(best.items(), key=lambda found: -found[1])


def name_dreams(card: NetworkCard) -> Iterator[tuple[str, str]]:
    """What a network can dream, and each of the ways in which that is called."""
    taken = {}
    for motif, meaning in card.motifs.items():
        yield motif, motif
        if meaning.startswith("="):
            taken[card.find_class(meaning[1:])] = motif
    for number, (name, called) in enumerate(zip(card.primary_names(), card.class_names(), strict=True)):
        if number in taken or name not in card.motifs:
            for each in dict.fromkeys((name, *called[0 if card.class_file is None else 1 :])):
                yield taken.get(number, name), each


@cache
def load_vocabulary(name: str) -> Vocabulary:
    """What the network of this name can dream."""
    card, table = load_card(name), load_words()
    phrases = _find_phrases(card)
    kinds, meanings = load_kinds(), dict[int, Sense]()
    for phrase, sense in phrases.items():
        chain = kinds.climb(table.places.get(phrase[0])) if len(phrase) == 1 else []
        if chain and sense.things and sense.likeness > MOOD:
            meanings.setdefault(chain[0], sense)
    asked = {phrase: sense for phrase, sense in phrases.items() if sense.things}
    embedded = [(phrase, sense, table.embed(phrase)) for phrase, sense in asked.items()]
    known = [(phrase, sense, vector) for phrase, sense, vector in embedded if vector is not None]
    vectors = np.array([vector for _, _, vector in known], np.float32)
    vectors = vectors.reshape(len(known), table.vectors.shape[1])
    anchors = tuple(sense for _, sense, _ in known)
    is_word = np.array([len(phrase) == 1 for phrase, _, _ in known], bool)
    return Vocabulary(phrases, meanings, describe_classes(card), anchors, vectors, is_word)


def _find_phrases(card: NetworkCard) -> dict[Phrase, Sense]:
    """What the lexicon, the names of a network's things and the kinds of its classes ask for."""
    called: dict[Phrase, tuple[str, ...]] = {}
    for thing, name in name_dreams(card):
        called[to_phrase(name)] = tuple(dict.fromkeys((*called.get(to_phrase(name), ()), thing)))
    called.pop((), None)
    of_kind: dict[Phrase, list[str]] = {}
    classes = list(_name_classes(card))
    for thing, called_so in classes:
        for kind in load_definitions().get(called_so[0], ((), ""))[0]:
            of_kind.setdefault((kind,), []).append(thing)
    lexicon = load_lexicon()
    for vague in map(to_phrase, split_commas(lexicon.vague)):
        of_kind.pop(vague, None)
    usual = {kind: things for kind, things in of_kind.items() if len(things) <= MOST_OF_A_KIND * len(classes)}
    phrases = {phrase: NOTHING for phrase in map(to_phrase, split_commas(lexicon.none))}
    phrases |= {phrase: QUALITY for phrase in map(to_phrase, split_commas(lexicon.qualities))}
    sections = (lexicon.same, SAME), (lexicon.like, LIKE), (lexicon.part, PART), (lexicon.mood, MOOD)
    for section, likeness in sections:
        for phrase, choices in list_phrases(section):
            chosen = (next((called[each] for each in choice if each in called), ()) for choice in choices)
            things = dict.fromkeys(thing for each in chosen for thing in each)
            own = tuple(thing for thing in called.get(phrase, ()) if thing in things)
            if own:
                phrases[phrase] = Sense(own, NAMED)
            elif phrase not in phrases:
                kin = () if things or likeness < LIKE else tuple(usual.get(phrase, ()))
                phrases[phrase] = Sense(tuple(things) or kin, likeness)
    for phrase, things_of_name in called.items():
        phrases.setdefault(phrase, Sense(things_of_name, NAMED))
    # What another network knows is one phrase here, too: a sewing machine is no machine that is heard.
    for phrase in map(to_phrase, load_descriptions()):
        phrases.setdefault(phrase, Sense((), NAMED))
    for phrase, things_of_kind in usual.items():
        phrases.setdefault(phrase, Sense(tuple(things_of_kind), KIND))
    return phrases


def _name_classes(card: NetworkCard) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each class as it is asked for, by its name or that of its motif, and all that it is called."""
    motifs = {
        card.find_class(meaning[1:]): motif for motif, meaning in card.motifs.items() if meaning[0] == "="
    }
    for number, (name, called) in enumerate(zip(card.primary_names(), card.class_names(), strict=True)):
        yield motifs.get(number, name), called


def describe_classes(card: NetworkCard) -> Descriptions:
    """What is told of a network's classes by us, and by WordNet where they are called by its ids."""
    table, own, definitions = load_words(), load_descriptions(), load_definitions()
    found, starts, rows = list[Description](), list[int](), list[int]()
    for thing, called in _name_classes(card):
        kinds, definition = definitions.get(called[0], (frozenset[str](), ""))
        texts = [own.get(name, "") for name in called] + [definition]
        words = {*kinds, *(word for text in texts for word in split_words(text))}
        known = [row for row in map(table.find, sorted(words)) if row is not None]
        if known:
            found.append(Description(thing, kinds, frozenset(words)))
            starts.append(len(rows))
            rows += known
    vectors = table.vectors[rows]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return Descriptions(tuple(found), np.array(starts, int), vectors / np.maximum(lengths, 1e-9))
