"""What is known of a data set without having it: its classes, its terms, where it is and how it is laid out.

One TOML file a set, in ``datasets/``. What could not be verified at a source is empty there, and the card
says so; nothing is recalled from memory.
"""

from __future__ import annotations

import difflib
import tomllib
import urllib.parse
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from mmdream.errors import UserError

_PACKAGED = Path(__file__).parents[1] / "datasets"
DATASETS = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2] / "datasets"
"""Where the cards lie: inside the wheel, or beside the package in a checkout."""

NOT_VERIFIED = "not verified"

Medium = Literal["picture", "sound"]
Split = Literal["fold", "speaker", "source", "publisher", "file"]
"""What keeps training and test apart: the publisher's folds, speakers, recordings, or its own parts; or each
file stands alone."""


@dataclass(frozen=True)
class Class:
    """One class of a set."""

    name: str
    """Of its folder, and of the class in a network's head."""
    label: str = ""
    """What the publisher calls it, for example a WordNet id; empty: as the name."""
    words: str = ""
    """Its whole name, where the folder has a part of it."""
    files: int = 0
    """How many there should be; 0: not verified."""
    only: str = ""
    """The variant that it belongs to; empty: to all."""


@dataclass(frozen=True)
class Archive:
    """One file of the publisher's."""

    address: str
    bytes: int = 0
    """0: not verified."""
    checksum: str = ""
    """``sha256:...``, ``sha1:...`` or ``md5:...``; empty: not verified."""
    name: str = ""
    """Of the file, where the address does not end in it."""

    @property
    def file(self) -> str:
        """Its name on this machine."""
        return self.name or Path(urllib.parse.unquote(urllib.parse.urlsplit(self.address).path)).name

    @property
    def size(self) -> str:
        """How large it is, for a person."""
        return f"{self.bytes / 1e6:,.0f} MB" if self.bytes else NOT_VERIFIED


@dataclass(frozen=True)
class Variant:
    """Another choice of a set's files."""

    name: str
    about: str
    drop: tuple[str, ...] = ()
    """Classes that it does without."""
    seconds: float | None = None
    """The length that a sound must have to be kept, to a hundredth."""
    files: int = 0
    """How many there should be in all; 0: not verified."""


@dataclass(frozen=True)
class Card:
    """Everything about a set but its files."""

    name: str
    medium: Medium
    about: str
    layout: str
    """The reader of `mmdream.data.layouts`."""
    laid_out: str
    """How the publisher lays the files out."""
    licence: str
    licence_source: str
    """Where the licence is stated."""
    citation: str
    publisher: str
    """Its page."""
    split: Split
    classes: tuple[Class, ...]
    facts_source: str
    """Where counts, addresses and checksums were read."""
    archives: tuple[Archive, ...] = ()
    """What `prepare --download` fetches; empty: the publisher wants an account, or no address is verified."""
    inside: tuple[str, ...] = ()
    """Names of archives that are unpacked where they lie in a folder that is given, with * and ?."""
    files: int = 0
    """How many there should be in all; 0: not verified."""
    side: int | None = None
    """Pictures are cut to squares of so many px; None: they stay as they are."""
    variants: tuple[Variant, ...] = ()
    not_verified: tuple[str, ...] = ()
    """What could not be verified, in words."""

    def variant(self, name: str | None) -> Variant:
        """One of the variants; None: the set as the card has it.

        Raises:
            UserError: there is no such variant; names those there are.
        """
        if name is None:
            return Variant("", self.about)
        for each in self.variants:
            if each.name == name:
                return each
        having = ", ".join(each.name for each in self.variants)
        raise UserError(
            f'{self.name} has no variant "{name}"; ' + (f"it has {having}" if having else "it has none")
        )

    def chosen(self, variant: Variant) -> tuple[Class, ...]:
        """The classes of a variant."""
        return tuple(
            each for each in self.classes if each.only in ("", variant.name) and each.name not in variant.drop
        )


def names() -> list[str]:
    """The sets that have cards, sorted."""
    return sorted(file.stem for file in DATASETS.glob("*.toml"))


@cache
def card(name: str) -> Card:
    """Read a card.

    Raises:
        UserError: there is no such set; names the nearest ones.
    """
    every = names()
    if name not in every:
        near = difflib.get_close_matches(name.lower(), every, 3, 0.4) or every
        raise UserError(f'no dataset "{name}"; nearest: {", ".join(near)} (see `mmdream data list`)')
    return _parse(name, tomllib.loads((DATASETS / f"{name}.toml").read_text(encoding="utf-8")))


def _parse(name: str, text: dict[str, Any]) -> Card:
    """A card from its TOML; an unknown or missing key is a bug in the card and a TypeError."""
    given = _tuples(text)
    return Card(
        name=name,
        classes=tuple(Class(**each) for each in given.pop("classes")),
        archives=tuple(Archive(**each) for each in given.pop("archives", ())),
        variants=tuple(Variant(**_tuples(each)) for each in given.pop("variants", ())),
        **given,
    )


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    """A table whose lists are tuples, as frozen things hold them."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
