"""English words by which a prompt finds what networks can dream: as vectors, and what each is a kind of.

`scripts/make_words.py` and `make_kinds.py` make the tables; ``models/words/README.md`` names what of.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from mmdream.core.errors import UserError
from mmdream.networks.card import MODELS_FOLDER

FOLDER = MODELS_FOLDER / "words"
TABLE, KINDS, CLASSES = FOLDER / "words.npz", FOLDER / "kinds.npz", FOLDER / "classes.tsv"
NO_KIND = 0xFFFF
"""In place of a meaning, in `KINDS`."""
LETTERS = re.compile(r"[^\W\d_]+")
"""A word of a text, in any script."""
DOUBLED_ENDINGS = "ing", "ed"
"""Before which a last letter may stand twice, and a silent e is left out."""
LEAST_PART = 3
"""Letters of a part of a compound."""


@dataclass(frozen=True)
class WordTable:
    """Words, each with a vector and how much it says."""

    places: Mapping[str, int]
    """Word -> its row."""
    vectors: np.ndarray
    """float32 [word, dimension]."""
    weights: np.ndarray
    """float32 [word], > 0: of a word in the sum over a text; "the" has little."""

    def find(self, word: str) -> int | None:
        """The row of a word, or of the one that it is a form of; None: neither is known."""
        return next((self.places[each] for each in (word, *uninflect(word)) if each in self.places), None)

    def split_compound(self, word: str) -> tuple[str, ...]:
        """The two known words that a word is made of: "dreamboat" of "dream" and "boat"; else the word."""
        if self.find(word) is None:
            for place in range(len(word) - LEAST_PART, LEAST_PART - 1, -1):
                if word[:place] in self.places and self.find(word[place:]) is not None:
                    return word[:place], word[place:]
        return (word,)

    def embed(self, words: Sequence[str]) -> np.ndarray | None:
        """The weighted sum of the words' vectors, float32 [dimension] of length 1; None: none is known."""
        rows = [row for row in map(self.find, words) if row is not None]
        total = self.weights[rows] @ self.vectors[rows] if rows else np.zeros(1, np.float32)
        length = float(np.linalg.norm(total))
        return np.asarray(total / length) if length > 0 else None


def split_words(text: str) -> list[str]:
    """The words of a text in small letters, without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return LETTERS.findall("".join(each for each in plain if not unicodedata.combining(each)))


def singularize(word: str) -> Iterator[str]:
    """What an English word may be the plural of, the likeliest first: "ponies" of "pony"."""
    if word.endswith("ies") and len(word) > 4:
        yield word[:-3] + "y"
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        yield word[:-1]
    if word.endswith("es") and len(word) > 3:
        yield word[:-2]
    if word.endswith("ves") and len(word) > 4:
        yield word[:-3] + "f"
        yield word[:-3] + "fe"


def uninflect(word: str) -> Iterator[str]:
    """What an English word may be a form of, the likeliest first: "ponies" of "pony", "stopped" of "stop"."""
    yield from singularize(word)
    if word.endswith("ied") and len(word) > 4:
        yield word[:-3] + "y"
    for ending in DOUBLED_ENDINGS:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 2:
            yield stem
            yield stem + "e"
            if stem[-1] == stem[-2]:
                yield stem[:-1]


@cache
def load_words(file: Path = TABLE) -> WordTable:
    """The table that mmdream brings; `UserError`: it is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            words = arrays["words"].tobytes().decode("ascii").split("\n")
            vectors = arrays["vectors"].astype(np.float32) * arrays["scale"]
            weights = arrays["weights"].astype(np.float32) / np.float32(255)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(f"{file}: missing or damaged ({error}); install mmdream again") from error
    return WordTable({word: row for row, word in enumerate(words)}, vectors, weights)


@dataclass(frozen=True)
class Kinds:
    """What nouns are kinds of, in their most usual meanings."""

    meanings: np.ndarray
    """uint16 [word of the table]: its meaning; `NO_KIND`: it is no noun, or more often something else."""
    parents: np.ndarray
    """uint16 [meaning]: of what it is a kind; `NO_KIND`: of nothing."""

    def climb(self, row: int | None) -> list[int]:
        """A word's meaning and all that it is a kind of, the nearest first; of no noun none."""
        chain = list[int]()
        at = NO_KIND if row is None else int(self.meanings[row])
        while at != NO_KIND:
            chain.append(at)
            at = int(self.parents[at])
        return chain


@cache
def load_kinds(file: Path = KINDS) -> Kinds:
    """The table that mmdream brings; `UserError`: it is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return Kinds(arrays["meanings"], arrays["parents"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(f"{file}: missing or damaged ({error}); install mmdream again") from error


@cache
def load_definitions(file: Path = CLASSES) -> Mapping[str, tuple[frozenset[str], str]]:
    """By WordNet id of a class: the words for what it is a kind of, and its definition."""
    lines = (line.split("\t") for line in file.read_text(encoding="utf-8").splitlines())
    return {wnid: (frozenset(kinds.split(", ")), definition) for wnid, kinds, definition in lines}
