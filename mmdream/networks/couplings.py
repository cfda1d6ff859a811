"""Which sounds and which motifs belong together, by ``models/couplings/table.toml`` and by names."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec

from mmdream.core.errors import UserError
from mmdream.networks.card import MODELS_FOLDER, NetworkCard
from mmdream.networks.registry import load_card

TABLE = MODELS_FOLDER / "couplings" / "table.toml"


class Coupling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A class of a sound network, and motifs of picture networks."""

    sound: str
    motifs: tuple[str, ...]
    why: str


@cache
def read_couplings(file: Path = TABLE) -> tuple[Coupling, ...]:
    """The table; `UserError`: it is missing or damaged."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return msgspec.convert(content["coupling"], tuple[Coupling, ...])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{file}: missing or damaged ({error}); install mmdream again") from error


def find_couplings(picture: NetworkCard, sound: NetworkCard) -> dict[str, tuple[str, ...]]:
    """The motifs that belong to each class of a sound network; classes that have none are left out."""
    table = {coupling.sound: coupling.motifs for coupling in read_couplings()}
    found = {}
    for name in sound.primary_names():
        motifs = tuple(motif for motif in table.get(name, ()) if motif in picture.motifs)
        if own := motifs or tuple(motif for motif in picture.motifs if motif == name):
            found[name] = own
    return found


def match_kinds(picture: NetworkCard, sound: NetworkCard, kinds: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The motifs that belong to kinds of sounds; kinds that have none are left out.

    A kind is named as a class of the sound network, by any of its names, or as a motif: then it is its own.
    """
    couplings = find_couplings(picture, sound)
    classes = {sound.find_class(name): motifs for name, motifs in couplings.items()}
    found = {}
    for kind in kinds:
        number = None if kind in picture.hints and kind not in couplings else sound.find_class(kind)
        if number in classes:
            found[kind] = classes[number]
        elif kind in picture.hints:
            found[kind] = (kind,)
    return found


def choose_motif_network(cards: Iterable[NetworkCard], sound: NetworkCard) -> NetworkCard:
    """The card of what looks for motifs that sound: the first of some that knows them, else dreamnet."""
    able = (card for card in cards if card.hints and find_couplings(card, sound))
    return next(able, None) or load_card("dreamnet")
