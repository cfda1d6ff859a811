"""The card of a network, known without loading it: rungs, steps, input, classes, where its weights come from.

Fields have the names of the keys in card files, see `networks.registry`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mmdream.core.errors import UserError
from mmdream.settings.targets import Term

_PACKAGED_MODELS = Path(__file__).parents[1] / "models"
MODELS_FOLDER = _PACKAGED_MODELS if _PACKAGED_MODELS.is_dir() else Path(__file__).parents[2] / "models"
"""Where cards and shipped weights lie: inside the wheel, or beside the package in a checkout."""
MAX_STYLE_LAYERS = 6
"""Of a network whose card names no layers of style."""


@dataclass(frozen=True)
class Rung:
    """One layer that can be dreamed."""

    layer: str
    step: float
    """RMS of one ascent step: share of the range 0..1 (images), nepers (sounds)."""
    away: tuple[str, ...] = ()
    """Channels that an image's dream goes away from, each ``7,12=weight``: they would fill every dream."""
    color: float = 1.0
    """Share of the colour in an image's gradient that is climbed: shallow layers ask for most, and burn."""
    margin: float = 0.0
    """Nearer than this to black or white, of the range 0..1, an image's steps that way grow shorter."""


@dataclass(frozen=True, slots=True)
class Hint:
    """By what a window of a picture hints at a motif, see `mmdream.image.hints`."""

    usual: float
    """Mean of the motif's score over windows of many pictures."""
    spread: float
    """Its standard deviation there."""
    channels: str = ""
    """``LAYER:7,12`` that dream a motif that is a class."""
    dreamed: float | None = None
    """Spreads over `usual` that dreams mostly show where it is clearest; None: it was not measured."""
    automatic: bool = True
    """Whether a picture that hints at it favours it by itself; else only what is asked for or heard does."""


@dataclass(frozen=True)
class ImageInput:
    """Pixels as a network takes them: ``order(pixels) * scale - mean``, pixels RGB 0..1."""

    order: Literal["RGB", "BGR"]
    scale: float
    mean: tuple[float, ...]
    """Per channel, in the network's order, after scaling."""
    smallest: int = 32
    """px; a shorter side is extended by its edge, or the deepest rung would be empty."""
    side: int = 224
    """px of the images that it was trained on, the size at which it classifies best."""


@dataclass(frozen=True)
class AudioInput:
    """Sound as a network takes it: (bands of a spectrogram on a scale - mu) / divisor."""

    kind: Literal["log-mel", "db-mel", "power"]
    """With P the power of a band, 1 for a sine of amplitude 1, and p = unit * P + floor: ln p, 10 log10 p,
    or p ** exponent of the bins themselves."""
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
    """Columns of the spectrogram to one of the network's."""
    mel: Literal["htk", "slaney"] = "htk"
    unit: float = 1.0
    """What the publisher's own transform makes of a band with P = 1."""
    exponent: float = 1.0
    transposed: bool = False
    """The network takes [band, column] in place of [column, band]."""


@dataclass(frozen=True)
class ShippedWeights:
    """Weights inside the package."""

    file: str
    sha256: str


@dataclass(frozen=True)
class TrainedWeights:
    """Weights beside the card of a network that the user has trained."""

    file: str
    sha256: str


@dataclass(frozen=True)
class SnapshotWeights:
    """Weights as many raw float32 files below one address, each pinned in a manifest."""

    address: str
    manifest: str


@dataclass(frozen=True)
class KerasWeights:
    """One HDF5 file of Keras's applications, kept in Keras's own cache."""

    address: str
    file: str
    md5: str
    """Keras's own checksum of it; empty where Keras states none."""
    most_bytes: int = 200_000_000
    """A download stops here."""


@dataclass(frozen=True)
class NoWeights:
    """No weights that may be read: a graph to be trained, or filled from a file of the user's."""

    why: str


@dataclass(frozen=True)
class ModelFileWeights:
    """Weights in one file with the graph: a Keras file of the user's own."""

    path: Path
    fixed: frozenset[str] = frozenset()
    """Layers that suit inputs of one size only."""


WeightSource = ShippedWeights | TrainedWeights | SnapshotWeights | KerasWeights | NoWeights | ModelFileWeights


def lists_to_tuples(table: dict[str, Any]) -> dict[str, Any]:
    """A TOML table with its lists as tuples, as the fields here hold them."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def parse_rungs(tables: Sequence[dict[str, Any]]) -> tuple[Rung, ...]:
    """The rungs of a card's TOML; an unknown or missing key is a TypeError."""
    return tuple(Rung(**{**table, "away": tuple(table.get("away", ()))}) for table in tables)


def describe_weights(source: WeightSource) -> str:
    """Where weights come from, for a person."""
    match source:
        case ShippedWeights(file):
            return f"shipped with the package ({file})"
        case TrainedWeights(file):
            return f"trained here ({file}, beside its card)"
        case SnapshotWeights(address):
            return f"fetched once from {address} and checked; or --weights FILE"
        case KerasWeights(address, file, md5):
            checked = "" if md5 else ", its checksum not verified"
            return f"{file}, fetched once from {address} by Keras{checked}; or --weights FILE"
        case NoWeights(why):
            return f"none at hand, {why}; train them, or give --weights FILE or --weights random"
        case ModelFileWeights(path):
            return f"inside {path}"


@dataclass(frozen=True)
class NetworkCard:
    """Everything about a network but its weights."""

    name: str
    medium: Literal["picture", "sound"]
    builder: str
    """Function of `networks.image_models` or `networks.audio_models` that makes the graph."""
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
    build: dict[str, Any] = field(default_factory=dict, hash=False)
    """Arguments of the builder besides the bands and the number of classes."""
    smoothing: float = 0.9
    """Sigma in px of a carried frame's gradient blur; wide ones lose detail, narrow ones pile up grain."""
    momentum: float = 0.4
    """Share of a carried frame's change that goes on in the next one; more of it is calmer, and blunter."""
    style: tuple[str, ...] = ()
    """Layers whose statistics are an image's style; none: up to six of the rungs."""
    content: str | None = None
    """Layer whose features are an image's content; None: the rung at the middle."""
    head: str | None = None
    """Layer of the class logits."""
    classes: tuple[str, ...] = ()
    class_file: str | None = None
    """In place of `classes`: a table of a WordNet id and synonyms a line, in the order of the logits."""
    synonyms: dict[str, list[str]] = field(default_factory=dict, hash=False)
    """Other names of some of `classes`, such as those that data sets give them."""
    events: tuple[str, ...] = ()
    """Classes of a melnet that begin and end; see `mmdream.audio.gradient.EVENT_WEIGHT`."""
    pitches: dict[str, float] = field(default_factory=dict, hash=False)
    """Hz of what is synthesised for some of `classes`, where the source has no pitch."""
    motifs: dict[str, str] = field(default_factory=dict, hash=False)
    """What each shows: ``LAYER:7,12`` or ``=class``."""
    hints: dict[str, Hint] = field(default_factory=dict, hash=False)
    """By the motif; what else is among `motifs` is never hinted at."""
    facts: dict[str, str | int | float] = field(default_factory=dict, compare=False)
    """Accuracy or loss, training data and its terms, the command."""
    home: Path = MODELS_FOLDER
    """Folder of the card, and of the files that it names."""
    guesses: tuple[str, ...] = ()
    """What is guessed about a network of the user's own; each a line for the user."""

    def class_names(self) -> tuple[tuple[str, ...], ...]:
        """All names of each class: WordNet id, usual name, synonyms; or its name and synonyms."""
        if self.class_file is None:
            return tuple((name, *self.synonyms.get(name, ())) for name in self.classes)
        lines = (self.home / self.class_file).read_text(encoding="utf-8").splitlines()
        rows = (line.split("\t") for line in lines)
        return tuple((wnid, *(word.strip() for word in words.split(","))) for wnid, words in rows)

    def primary_names(self) -> tuple[str, ...]:
        """The usual name of each class."""
        return tuple(names[0 if self.class_file is None else 1] for names in self.class_names())

    def class_index(self, name: str) -> int:
        """Index among the logits of a class, by any of its names, with blanks or underscores.

        Raises:
            UserError: none is called so; names the nearest ones.
        """
        if self.head is None:
            raise UserError(f"{self.name} has no classes; others have: `mmdream nets`")
        if (index := self.find_class(name)) is not None:
            return index
        known = {_normalize(word): word for word in self.primary_names()}
        known |= {_normalize(names[-1]): names[-1] for names in self.class_names()}
        near = difflib.get_close_matches(_normalize(name), known, 3, 0.5) or list(known)[:3]
        nearest = ", ".join(known[word] for word in near)
        raise UserError(
            f'{self.name} has no class "{name}"; nearest: {nearest} (see `mmdream nets {self.name}`)'
        )

    def has_class(self, name: str) -> bool:
        """Whether there is a class of this name, see `class_index`."""
        return self.head is not None and self.find_class(name) is not None

    def find_class(self, name: str) -> int | None:
        """The same as `class_index` of a network with classes; None: no class is called so."""
        # The usual name goes before a synonym: one class's synonym may be another's name.
        wanted, found = _normalize(name), []
        for index, names in enumerate(self.class_names()):
            found += [(place, index) for place, each in enumerate(names) if _normalize(each) == wanted]
        return min(found)[1] if found else None

    def check_classes(self, terms: tuple[Term, ...]) -> None:
        """Raise a UserError that names the nearest ones for a class that the network does not have."""
        for term in terms:
            if term.kind == "target":
                self.class_index(term.name)

    @property
    def style_layers(self) -> tuple[str, ...]:
        """Layers whose statistics are a style, shallow to deep."""
        count = min(len(self.rungs), MAX_STYLE_LAYERS)
        places = np.linspace(0, len(self.rungs) - 1, count).round()
        return self.style or tuple(self.rungs[int(place)].layer for place in places)

    @property
    def content_layer(self) -> str:
        """Layer whose features are an image's content."""
        return self.content or self.rungs[(len(self.rungs) - 1) // 2].layer

    def mix(self, depth: float | np.ndarray) -> np.ndarray:
        """Weights of the two rungs next to `depth` 0..1: float32 [..., rung], summing to 1."""
        place = np.clip(depth, 0, 1) * (len(self.rungs) - 1)
        distance = np.abs(np.arange(len(self.rungs)) - np.asarray(place)[..., None])
        return np.maximum(1 - distance, 0).astype(np.float32)

    def step_along(self, terms: Sequence[Term], weights: Sequence[float] | np.ndarray) -> float:
        """RMS of one ascent step along terms: the rungs' own, weighted; all else takes the deepest rung's."""
        return self._average([rung.step for rung in self.rungs], terms, weights)

    def tempering_along(
        self, terms: Sequence[Term], weights: Sequence[float] | np.ndarray
    ) -> tuple[float, float]:
        """`Rung.color` and `Rung.margin` along terms, likewise."""
        values = [rung.color for rung in self.rungs], [rung.margin for rung in self.rungs]
        color, margin = (self._average(each, terms, weights) for each in values)
        return color, margin

    def _average(
        self, values: list[float], terms: Sequence[Term], weights: Sequence[float] | np.ndarray
    ) -> float:
        """A value of each rung, averaged over terms."""
        own = dict(zip((rung.layer for rung in self.rungs), values, strict=True))
        shares, found = np.abs(weights), [own.get(term.name, values[-1]) for term in terms]
        return float(np.average(found, weights=shares)) if shares.any() else 0.0


def _normalize(name: str) -> str:
    """A class's name as it is compared; data sets name folders, which have no blanks."""
    return name.lower().replace("_", " ")
