"""What is known of a network without loading it: its ladder, its input, its weights, its terms.

One TOML file a network, in ``models/``. `depth` 0..1 maps onto a network's ladder of rungs here,
and the constants of a medium (the size of a step, the share of steps that a carried frame takes)
stand here, so that nothing else needs to know which network dreams.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmdream.core.errors import UserError
from mmdream.networks import registry
from mmdream.networks.registry import FOREIGN_SUFFIXES, MODELS_FOLDER
from mmdream.networks.weight_sources import WEIGHT_SOURCES, WeightSource
from mmdream.settings.targets import Term, parse_channel

MAX_STYLE_LAYERS = 6
"""Of a network whose card names no layers of style."""


@dataclass(frozen=True)
class Rung:
    """One layer that can be dreamed."""

    layer: str
    step: float
    """RMS of one ascent step: share of the range 0..1 (pictures), nepers (sounds)."""
    away: tuple[str, ...] = ()
    """Channels of it that a picture's dream goes away from, each ``7,12=weight``: what would otherwise fill
    every dream."""


@dataclass(frozen=True)
class ImageInput:
    """How a network wants its pixels: ``order(pixels) * scale - mean``, pixels RGB 0..1."""

    order: Literal["RGB", "BGR"]
    scale: float
    mean: tuple[float, ...]
    """Per channel, in the network's order, after scaling."""
    smallest: int = 32
    """px; a shorter side is prolonged by its edge, or the deepest rung would be empty."""
    side: int = 224
    """px of the pictures that it was taught on, the size at which it names best."""


@dataclass(frozen=True)
class AudioInput:
    """How a network wants its sound: (bands of a spectrogram on a scale - mu) / divisor."""

    kind: Literal["log-mel", "db-mel", "power"]
    """With P the power of a band, of which a sine of amplitude 1 has 1, and p = unit * P + floor: ln p,
    10 log10 p, or p ** exponent of the bins themselves."""
    window_seconds: float
    hop_seconds: float
    bands: int
    low_hz: float
    high_hz: float
    floor: float
    divisor: float
    level_dbfs: float
    """RMS that a file's loud blocks are brought to."""
    mu: tuple[float, ...]
    """Mean over the training data, per band or one for all."""
    decimation: int = 1
    """Columns of the spectrogram to one that the network hears."""
    mel: Literal["htk", "slaney"] = "htk"
    unit: float = 1.0
    """What the publisher's own transform makes of a band with P = 1."""
    exponent: float = 1.0
    transposed: bool = False
    """The network takes [band, column] in place of [column, band]."""


@dataclass(frozen=True)
class NetworkCard:
    """Everything about a network but its weights."""

    name: str
    medium: Literal["picture", "sound"]
    builder: str
    """Function of `networks.pictures` or `networks.sounds` that makes the graph."""
    about: str
    licence: str
    source: str
    credits: str
    rungs: tuple[Rung, ...]
    """Shallow to deep; rung i lies at depth i / (n - 1)."""
    carried: float
    """Share of `steps` that a carried film frame takes."""
    input: ImageInput | AudioInput
    weights: WeightSource
    build: dict[str, Any] = field(default_factory=dict)
    """What the builder is told besides the bands and the number of classes."""
    smoothing: float = 0.9
    """Sigma in px of the smoothing of a carried frame's gradients. Networks that answer to fine detail lose
    what they answer to if it is wide; of others, fine grain would pile up."""
    momentum: float = 0.4
    """Share of a carried frame's change that goes on in the next one; more of it is calmer, and blunter."""
    style: tuple[str, ...] = ()
    """Layers whose statistics are a picture's style; none: up to six of the rungs."""
    content: str | None = None
    """Layer whose features are a picture's content; None: the rung at the middle."""
    head: str | None = None
    """Layer of the class logits."""
    classes: tuple[str, ...] = ()
    class_file: str | None = None
    """In place of `classes`: a table of a WordNet id and synonyms a line, in the order of the logits."""
    synonyms: dict[str, list[str]] = field(default_factory=dict)
    """Other names of some of `classes`, such as those that data sets give them."""
    events: tuple[str, ...] = ()
    """Classes of a melnet that begin and end; see `mmdream.audio.gradient.EVENT_WEIGHT`."""
    pitches: dict[str, float] = field(default_factory=dict)
    """Hz of what is invented for some of `classes`, where the source has no pitch."""
    motifs: dict[str, str] = field(default_factory=dict)
    """What each shows: ``LAYER:7,12`` or ``=class``."""
    facts: dict[str, str | float] = field(default_factory=dict, compare=False)
    """Accuracy or loss, training data and its terms, the command."""
    home: Path = MODELS_FOLDER
    """Folder of the card, and of the files that it names."""
    guesses: tuple[str, ...] = ()
    """What nobody told of a network of the user's own; each a line for the user."""

    def class_names(self) -> tuple[tuple[str, ...], ...]:
        """The names of each class: WordNet id, usual name, synonyms; or the one name there is."""
        if self.class_file is None:
            return tuple((name, *self.synonyms.get(name, ())) for name in self.classes)
        lines = (self.home / self.class_file).read_text(encoding="utf-8").splitlines()
        rows = (line.split("\t") for line in lines)
        return tuple((wnid, *(word.strip() for word in words.split(","))) for wnid, words in rows)

    def primary_names(self) -> tuple[str, ...]:
        """The one name that each class goes by."""
        return tuple(names[0 if self.class_file is None else 1] for names in self.class_names())

    def class_index(self, name: str) -> int:
        """Place among the logits of a class, by any of its names, with blanks or underscores.

        Raises:
            UserError: there is no such class; names the nearest ones.
        """
        if self.head is None:
            raise UserError(f"{self.name} has no classes; others have: `mmdream nets`")
        wanted = _normalize_class_name(name)
        if (place := self._place(wanted)) is not None:
            return place
        known = {_normalize_class_name(word): word for word in self.primary_names()}
        known |= {_normalize_class_name(names[-1]): names[-1] for names in self.class_names()}
        near = difflib.get_close_matches(wanted, list(known), 3, 0.5) or list(known)[:3]
        nearest = ", ".join(known[word] for word in near)
        raise UserError(
            f'{self.name} has no class "{name}"; nearest: {nearest} (see `mmdream nets {self.name}`)'
        )

    def has_class(self, name: str) -> bool:
        """Whether there is a class of this name, see `class_place`."""
        return self.head is not None and self._place(_normalize_class_name(name)) is not None

    def _place(self, wanted: str) -> int | None:
        every = [[_normalize_class_name(each) for each in names] for names in self.class_names()]
        # The usual name goes before a synonym: one class's synonym may be another's name.
        for place in range(max(map(len, every), default=0)):
            for number, names in enumerate(every):
                if place < len(names) and names[place] == wanted:
                    return number
        return None

    def check_classes(self, terms: tuple[Term, ...]) -> None:
        """Refuse classes that the network does not have.

        Raises:
            UserError: names the nearest ones.
        """
        for term in terms:
            if term.kind == "target":
                self.class_index(term.name)

    def motif(self, name: str) -> Term:
        """What a motif stands for.

        Raises:
            UserError: there is no such motif; names the nearest ones.
        """
        if name not in self.motifs:
            if not self.motifs:
                having = [name for name in list_networks(self.medium) if load_card(name).motifs]
                raise UserError(f"{self.name} has no motifs; {' and '.join(having)} have some")
            near = difflib.get_close_matches(name.lower(), self.motifs, 3, 0.5) or list(self.motifs)[:3]
            raise UserError(
                f'{self.name} has no motif "{name}"; nearest: {", ".join(near)}; '
                f"all: `mmdream nets {self.name}`"
            )
        meant = self.motifs[name]
        return Term("target", meant[1:]) if meant.startswith("=") else parse_channel(meant)

    @property
    def style_layers(self) -> tuple[str, ...]:
        """Where textures are told, shallow to deep."""
        places = np.linspace(0, len(self.rungs) - 1, min(len(self.rungs), MAX_STYLE_LAYERS)).round()
        return self.style or tuple(self.rungs[int(place)].layer for place in places)

    @property
    def content_layer(self) -> str:
        """Where a picture's content is told."""
        return self.content or self.rungs[(len(self.rungs) - 1) // 2].layer

    def mix(self, depth: float | np.ndarray) -> np.ndarray:
        """Weights of the two rungs next to `depth` 0..1: float32 [..., rung], summing to 1."""
        place = np.clip(depth, 0, 1) * (len(self.rungs) - 1)
        distance = np.abs(np.arange(len(self.rungs)) - np.asarray(place)[..., None])
        weights: np.ndarray = np.maximum(1 - distance, 0).astype(np.float32)
        return weights

    def step(self, depth: float) -> float:
        """RMS of one ascent step at `depth` 0..1, in between as `mix` blends."""
        return float(self.mix(depth) @ np.array([rung.step for rung in self.rungs]))

    def step_along(self, terms: Sequence[Term], weights: Sequence[float] | np.ndarray) -> float:
        """RMS of one ascent step along terms: the rungs' own, weighted; all else takes the deepest rung's."""
        own = {rung.layer: rung.step for rung in self.rungs}
        shares = np.abs(weights)
        if not shares.any():
            return 0.0
        return float(np.average([own.get(term.name, self.rungs[-1].step) for term in terms], weights=shares))


def list_networks(medium: str | None = None) -> list[str]:
    """The networks there are, of one medium or of both, sorted; without their variants."""
    return [name for name in registry.list_card_names() if medium is None or load_card(name).medium == medium]


def list_variants(name: str) -> list[str]:
    """The other forms of a network, as `load_card` takes them: ``NAME:VARIANT``."""
    return [
        f"{name}:{variant}" for variant in _read_card_toml(registry.find_card_file(name)).get("variants", {})
    ]


def is_user_model(name: str) -> bool:
    """Whether a network's name is that of a Keras file of the user's own."""
    return Path(name).suffix == ".keras"


def card_path(name: str) -> Path | None:
    """The file that a network's card is read from; None: the card of a user's network is all guessed."""
    if not is_user_model(name):
        return registry.find_card_file(name.partition(":")[0])
    told = Path(name).expanduser().with_suffix(".toml")
    return told if told.is_file() else None


def load_card(name: str, medium: str | None = None) -> NetworkCard:
    """Read a card.

    Args:
        name: of the network, or of a variant of it, or a Keras file of the user's own.
        medium: "picture" or "sound", where only one will do.

    Raises:
        UserError: there is no such network, or it is of the other medium; names the nearest ones. A file
            that cannot be a network.
    """
    if is_user_model(name):
        # It reads into this module's forms what this module asks it for.
        from mmdream.networks.user_model import build_user_card

        return build_user_card(Path(name).expanduser(), medium)
    if Path(name).suffix in FOREIGN_SUFFIXES:
        raise UserError(
            f"{name}: a network of your own is a Keras 3 file, NAME.keras; pickled ones are never read, "
            "older Keras files are loaded in Keras and saved anew"
        )
    own = name.partition(":")[0]
    if own not in list_networks() or name not in (own, *list_variants(own)):
        choice = [each for network in list_networks(medium) for each in (network, *list_variants(network))]
        near = difflib.get_close_matches(name.lower(), choice, 2, 0.5) or list_networks(medium)
        raise UserError(f'no network "{name}"; nearest: {", ".join(near)} (see `mmdream nets`)')
    file = registry.find_card_file(own)
    found = _load_cached(name, file, file.stat().st_mtime_ns)
    if medium not in (None, found.medium):
        choice = list_networks(medium)
        raise UserError(f"{name} is a {found.medium} network; {medium} networks: {', '.join(choice)}")
    return found


@cache
def _load_cached(name: str, file: Path, changed: int) -> NetworkCard:
    """The card in a file; its time tells a newly trained network from the one before it."""
    try:
        return parse_card(name, _read_card_toml(file), file.parent)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        if file.parent == MODELS_FOLDER:
            raise
        raise UserError(
            f"{file}: is damaged ({error}); train the network again or delete its folder"
        ) from error


def _normalize_class_name(name: str) -> str:
    """A class's name as it is compared; data sets name folders, which have no blanks."""
    return name.lower().replace("_", " ")


def _read_card_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read as a card ({error})") from error


def parse_card(name: str, text: dict[str, Any], home: Path = MODELS_FOLDER) -> NetworkCard:
    """A card from its TOML; an unknown or missing key is a bug in the card and a TypeError."""
    given = {key: value for key, value in text.items() if key != "variants"}
    if variant := name.partition(":")[2]:
        for key, value in text["variants"][variant].items():
            given[key] = {**given[key], **value} if isinstance(value, dict) and key in given else value
    front: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in given.pop("input").items()
    }
    classes = tuple(given.pop("classes", ()))
    if not all(isinstance(each, str) for each in classes):
        raise TypeError("a class is no name")
    where = dict(given.pop("weights"))
    kind = WEIGHT_SOURCES[where.pop("how")]
    return NetworkCard(
        name=name,
        home=home,
        input=(ImageInput if given["medium"] == "picture" else AudioInput)(**front),
        weights=kind(**where),
        rungs=parse_rungs(given.pop("rungs")),
        classes=classes,
        events=tuple(given.pop("events", ())),
        style=tuple(given.pop("style", ())),
        **given,
    )


def parse_rungs(tables: Sequence[dict[str, Any]]) -> tuple[Rung, ...]:
    """The rungs of a card's TOML; an unknown or missing key is a TypeError."""
    return tuple(Rung(**{**table, "away": tuple(table.get("away", ()))}) for table in tables)
