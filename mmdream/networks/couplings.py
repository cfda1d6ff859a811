"""Which sounds and which motifs belong together: the table that ships, a user's, and equal names."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path

import msgspec

from mmdream.core.errors import UserError
from mmdream.networks.card import MODELS_FOLDER, NetworkCard
from mmdream.networks.registry import load_card

TABLE = MODELS_FOLDER / "couplings" / "table.toml"


class Coupling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A class of a sound network, or a kind of grains, and motifs of picture networks."""

    sound: str
    motifs: tuple[str, ...]
    why: str = ""


Couplings = tuple[Coupling, ...]
"""A table; of several rows about one sound the last one holds."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    coupling: Couplings


def load_couplings(own: Path | None = None) -> Couplings:
    """The table that ships, and a user's behind it; `UserError`: one that is missing or damaged."""
    return _read_shipped() + (() if own is None else read_couplings(own))


@cache
def _read_shipped() -> Couplings:
    return read_couplings(TABLE)


def read_couplings(file: Path) -> Couplings:
    """A table; `UserError`: it cannot be read, or says something else."""
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _Table).coupling
    except OSError as error:
        raise UserError(f"{file}: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UserError(
            f'{file}: {error}; write [[coupling]] with sound = "NAME" and motifs = ["NAME", ...]'
        ) from None


def check_couplings(
    own: Path, pictures: Sequence[NetworkCard], sound: NetworkCard, kinds: Collection[str]
) -> None:
    """Refuse a user's table that names what is not there, with a `UserError`.

    A sound must be a class of the sound network or one of the `kinds` of grains, and a motif one that a
    network of the picture can be asked to favour.
    """
    motifs = list(dict.fromkeys(name for card in pictures for name in card.hints))
    for row in read_couplings(own):
        if sound.find_class(row.sound) is None and row.sound not in kinds:
            known = ", ".join(dict.fromkeys((*sound.primary_names(), *sorted(kinds))))
            raise UserError(f"{own}: no sound network or grains here know {row.sound!r}; they know {known}")
        for motif in row.motifs:
            if motif not in motifs:
                known = ", ".join(motifs)
                raise UserError(f"{own}: no picture network here knows the motif {motif!r}; known: {known}")
        if not row.motifs:
            raise UserError(f"{own}: {row.sound!r} has no motifs; name one or more, or leave it out")


def find_couplings(
    picture: NetworkCard, sound: NetworkCard, table: Couplings | None = None
) -> dict[str, tuple[str, ...]]:
    """The motifs that belong to each sound: classes of the sound network first, then other kinds.

    A class that a motif is called by belongs to it anyway; what has no motif of `picture` is left out. The
    table, None: the one that ships, may call a class by any of its names.
    """
    rows: dict[str | int, tuple[str, Sequence[str]]] = {}
    for name in sound.primary_names():
        rows[_key(sound, name)] = name, (name,)
    for row in load_couplings() if table is None else table:
        key = _key(sound, row.sound)
        rows[key] = rows[key][0] if key in rows else row.sound, row.motifs
    known = {
        name: tuple(motif for motif in motifs if motif in picture.motifs) for name, motifs in rows.values()
    }
    return {name: motifs for name, motifs in known.items() if motifs}


def _key(sound: NetworkCard, name: str) -> str | int:
    number = sound.find_class(name)
    return name if number is None else number


def match_kinds(
    picture: NetworkCard, sound: NetworkCard, kinds: Iterable[str], table: Couplings | None = None
) -> dict[str, tuple[str, ...]]:
    """The motifs that belong to kinds of sounds; kinds that have none are left out.

    A kind is named as a class of the sound network, by any of its names, or as a motif: then it is its own.
    """
    couplings = find_couplings(picture, sound, table)
    rows = {_key(sound, name): motifs for name, motifs in couplings.items()}
    found = {}
    for kind in kinds:
        key = kind if kind in picture.hints and kind not in couplings else _key(sound, kind)
        if motifs := rows.get(key) or ((kind,) if kind in picture.hints else ()):
            found[kind] = motifs
    return found


def choose_motif_network(
    cards: Iterable[NetworkCard], sound: NetworkCard, table: Couplings | None = None
) -> NetworkCard:
    """The card of what looks for motifs that sound: the first of some that knows them, else dreamnet."""
    able = (card for card in cards if card.hints and find_couplings(card, sound, table))
    return next(able, None) or load_card("dreamnet")
