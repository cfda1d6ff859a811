"""Cards of data sets: classes, licence, addresses, layout and counts, one TOML file a set.

What could not be verified at a source is empty or 0 in the card, and `DatasetCard.not_verified` says so.
"""

from __future__ import annotations

import difflib
import tomllib
import urllib.parse
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from mmdream.core.errors import UserError

_PACKAGED_CARDS = Path(__file__).parent / "cards"
CARDS_FOLDER = _PACKAGED_CARDS if _PACKAGED_CARDS.is_dir() else Path(__file__).parents[2] / "datasets"
"""Where the cards lie: inside the wheel, or beside the package in a checkout."""

NOT_VERIFIED = "not verified"

Medium = Literal["picture", "sound"]
SplitKind = Literal["fold", "speaker", "source", "publisher", "file"]
"""What keeps training and test apart: the publisher's folds, speakers, recordings, its own parts, files."""


@dataclass(frozen=True)
class DatasetClass:
    """One class of a set."""

    name: str
    """Of its folder, and in a network's head."""
    label: str = ""
    """What the publisher calls it, for example a WordNet id; empty: as the name."""
    words: str = ""
    """Its whole name, where the folder has a part of it."""
    files: int = 0
    """How many there should be."""
    only: str = ""
    """The variant that it belongs to; empty: to all."""


@dataclass(frozen=True)
class DatasetArchive:
    """One file of the publisher's."""

    address: str
    bytes: int = 0
    checksum: str = ""
    """``sha256:...``, ``sha1:...`` or ``md5:...``."""
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
class DatasetVariant:
    """Another choice of a set's files."""

    name: str
    about: str
    drop: tuple[str, ...] = ()
    """Classes that it does without."""
    seconds: float | None = None
    """The length that a sound must have to be kept, to a hundredth."""
    files: int = 0


@dataclass(frozen=True)
class DatasetCard:
    """A data set without its files."""

    name: str
    medium: Medium
    about: str
    layout: str
    """The reader ``read_LAYOUT`` of `mmdream.datasets.layouts`."""
    laid_out: str
    """How the publisher lays the files out."""
    licence: str
    licence_source: str
    citation: str
    publisher: str
    """Its page."""
    split: SplitKind
    classes: tuple[DatasetClass, ...]
    facts_source: str
    """Where counts, addresses and checksums were read."""
    archives: tuple[DatasetArchive, ...] = ()
    """What `prepare --download` fetches; empty: the publisher wants an account, or no address is verified."""
    inside: tuple[str, ...] = ()
    """Patterns of archives that are unpacked where they lie in a given folder, with * and ?."""
    files: int = 0
    side: int | None = None
    """Pictures are cut to squares of so many px; None: they stay as they are."""
    variants: tuple[DatasetVariant, ...] = ()
    not_verified: tuple[str, ...] = ()
    """What could not be verified, in words."""

    def find_variant(self, name: str | None) -> DatasetVariant:
        """The variant of a name; None: the set as the card has it. A UserError names those there are."""
        variants = {variant.name: variant for variant in self.variants}
        if name is not None and name not in variants:
            raise UserError(f'{self.name} has no variant "{name}"; it has {", ".join(variants) or "none"}')
        return DatasetVariant("", self.about) if name is None else variants[name]

    def variant_classes(self, variant: DatasetVariant) -> tuple[DatasetClass, ...]:
        """Those of the variant."""
        return tuple(
            each for each in self.classes if each.only in ("", variant.name) and each.name not in variant.drop
        )


def dataset_names() -> list[str]:
    """The sets that have cards, sorted."""
    return sorted(file.stem for file in CARDS_FOLDER.glob("*.toml"))


@cache
def read_dataset_card(name: str) -> DatasetCard:
    """Read a set's card; if there is no such set, a UserError names the nearest ones."""
    names = dataset_names()
    if name not in names:
        near = difflib.get_close_matches(name.lower(), names, 3, 0.4) or names
        raise UserError(f'no dataset "{name}"; nearest: {", ".join(near)} (see `mmdream data list`)')
    content = tomllib.loads((CARDS_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return msgspec.convert({"name": name, **content}, DatasetCard)
