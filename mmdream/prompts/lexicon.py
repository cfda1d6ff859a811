"""What the things that networks dream can stand for: the lines of ``models/words/lexicon.toml``, by hand."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from mmdream.core.errors import UserError
from mmdream.prompts.words import FOLDER, split_words

LEXICON, DESCRIPTIONS = FOLDER / "lexicon.toml", FOLDER / "descriptions.toml"
T = TypeVar("T")
Phrase = tuple[str, ...]
"""Words in small letters."""


class Lexicon(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"same": "is"}):
    """Words and phrases, divided by commas, to things that can be dreamed, the likeliest first.

    Of things that "|" divides the first is meant that a network knows.
    """

    none: str
    """Words that ask for nothing."""
    qualities: str
    """Words that ask for nothing, though descriptions tell of them."""
    vague: str
    """Kinds of things that ask for nothing, though a description may begin with them."""
    breaks: str
    """Words that end what a description begins with."""
    anything: str
    """Words that a description may begin with, whatever it is of."""
    same: Mapping[str, str]
    """Other names of a thing."""
    like: Mapping[str, str]
    """What the thing resembles."""
    part: Mapping[str, str]
    """Scenes that the thing is part of."""
    mood: Mapping[str, str]
    """What nothing shows, though the thing comes nearest."""


def split_commas(text: str) -> list[str]:
    """What commas divide."""
    return [part.strip() for part in text.split(",") if part.strip()]


def to_phrase(text: str) -> Phrase:
    """Its words, see `split_words`."""
    return tuple(split_words(text))


def list_phrases(section: Mapping[str, str]) -> list[tuple[Phrase, list[list[Phrase]]]]:
    """Every phrase of a section, and the things that it asks for, each with what replaces it."""
    found = []
    for phrases, things in section.items():
        choices = [[to_phrase(thing) for thing in each.split("|")] for each in split_commas(things)]
        found += [(to_phrase(phrase), choices) for phrase in split_commas(phrases)]
    return found


@cache
def load_lexicon(file: Path = LEXICON) -> Lexicon:
    """The table that mmdream brings; `UserError`: it is missing or damaged."""
    return _read(file, Lexicon)


@cache
def list_words(file: Path = LEXICON) -> frozenset[str]:
    """Every word of the phrases."""
    lexicon = load_lexicon(file)
    sections = lexicon.same, lexicon.like, lexicon.part, lexicon.mood
    return frozenset(word for section in sections for phrases in section for word in split_words(phrases))


@cache
def list_nothing() -> frozenset[str]:
    """See `Lexicon.none`."""
    return frozenset(split_commas(load_lexicon().none))


@cache
def list_breaks() -> frozenset[str]:
    """See `Lexicon.breaks`."""
    return frozenset(split_commas(load_lexicon().breaks))


@cache
def list_anything() -> frozenset[str]:
    """See `Lexicon.anything`."""
    return frozenset(split_commas(load_lexicon().anything))


@cache
def load_descriptions(file: Path = DESCRIPTIONS) -> Mapping[str, str]:
    """By the name of a class: words by which it is told of; errors are as of `load_lexicon`."""
    return _read(file, dict[str, str])


def _read(file: Path, kind: type[T]) -> T:
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), kind)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UserError(f"{file}: missing or damaged ({error}); install mmdream again") from error
