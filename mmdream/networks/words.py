"""The table of English words as vectors, by which a prompt finds what networks can dream.

`scripts/make_words.py` makes the table; its card, ``models/words/card.toml``, names what it was made from.
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

TABLE = MODELS_FOLDER / "words" / "words.npz"
LETTERS = re.compile(r"[^\W\d_]+")
"""A word of a text, in any script."""
DOUBLED_ENDINGS = "ing", "ed"
"""Before which a last letter may stand twice, and a silent e is left out."""


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


def uninflect(word: str) -> Iterator[str]:
    """What an English word may be a form of, the likeliest first: "ponies" of "pony", "stopped" of "stop"."""
    if word.endswith(("ies", "ied")) and len(word) > 4:
        yield word[:-3] + "y"
    if word.endswith("es") and len(word) > 3:
        yield word[:-2]
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        yield word[:-1]
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
