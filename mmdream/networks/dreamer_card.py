"""The dreamers there are: for which network each was taught, what it was taught, and where its weights lie.

A dreamer has a folder ``NAME.dreamer`` with a card, its weights and the report of its teaching: in
``models/`` of the package, or beside the networks that were trained. The user's go before the package's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import msgspec
import tomli_w

from mmdream.core.errors import UserError
from mmdream.core.files import hash_file
from mmdream.networks.card import MODELS_FOLDER, NetworkCard
from mmdream.networks.registry import trained_folder

DREAMER_CARD, DREAMER_WEIGHTS = "dreamer.toml", "weights.npz"
ENDING = ".dreamer"
"""Of a dreamer's folder."""


@dataclass(frozen=True)
class DreamerCard:
    """Everything about a dreamer but its weights; fields are keys of its file."""

    network: str
    """Name of the network whose dreams it makes."""
    network_sha256: str
    """Of that network's weights file."""
    layers: tuple[str, ...]
    """Whose channels it was taught to weigh, in its input's order."""
    depths: tuple[float, float]
    """Least and greatest depth of the dreams it was taught."""
    motifs: tuple[str, ...]
    """Those it was taught; none: the dream without any that is named."""
    sha256: str
    """Of its weights file."""
    about: str = ""
    licence: str = ""
    credits: str = ""
    facts: dict[str, str | int | float] = field(default_factory=dict, compare=False)
    home: Path = field(default=MODELS_FOLDER, compare=False)
    """Its folder."""

    @property
    def weights(self) -> Path:
        """The file of its weights."""
        return self.home / DREAMER_WEIGHTS

    def was_taught(self, motifs: Collection[str], depths: Collection[float]) -> bool:
        """Whether it can dream these motifs, or without any these depths."""
        if motifs:
            return set(motifs) <= set(self.motifs)
        return not self.motifs and self.depths[0] <= min(depths) and max(depths) <= self.depths[1]

    def describe_teaching(self) -> str:
        """What it was taught, for a person."""
        named = f"the motifs {', '.join(self.motifs)}" if self.motifs else "the dream without motifs"
        return f"{named} at depths {self.depths[0]:.2g} to {self.depths[1]:.2g}"


def dreamer_folder(network: str, motifs: tuple[str, ...]) -> Path:
    """Where a dreamer that is to be taught will lie."""
    name = "-".join((network.replace(":", "-"), *motifs))
    return trained_folder() / f"{name}{ENDING}"


def list_dreamers(network: str) -> Iterator[DreamerCard]:
    """The dreamers of a network, the user's own first; a damaged card is a `UserError`."""
    for folder in (trained_folder(), MODELS_FOLDER):
        for file in sorted(folder.glob(f"*{ENDING}/{DREAMER_CARD}")):
            card = read_dreamer_card(file)
            if card.network == network:
                yield card


def find_dreamers(card: NetworkCard, weights: Path | None) -> tuple[DreamerCard, ...]:
    """The dreamers of a network with a weights file (None: random weights); `UserError`: it has none."""
    taught = tuple(list_dreamers(card.name))
    digest = None if weights is None else hash_file(weights)
    fitting = tuple(each for each in taught if each.network_sha256 == digest)
    if not fitting:
        why = "was taught with other weights" if taught else "was never taught"
        raise UserError(
            f"--engine feedforward: a dreamer of {card.name} {why}; teach one with `mmdream train dreamer "
            f"--net {card.name}`, or take --engine ascent"
        )
    return fitting


def read_dreamer_card(file: Path) -> DreamerCard:
    """A dreamer's card; `UserError`: it is damaged."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return replace(msgspec.convert(content, DreamerCard), home=file.parent)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file}: is damaged ({error}); teach the dreamer again or delete its folder"
        ) from error


def dreamer_card_to_toml(card: DreamerCard) -> str:
    """TOML from which `read_dreamer_card` makes the same card again."""
    content = {key: value for key, value in asdict(card).items() if key != "home"}
    return tomli_w.dumps(content)
