"""What a dream climbs in place of, or besides, a depth: layers, channels, classes, and what a guide shows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mmdream.core.errors import UserError
from mmdream.settings.definition import DREAM, TextForm, checked, setting

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to climb; an objective is a weighted sum of them."""

    kind: Literal["layer", "channel", "target"]
    name: str
    channels: tuple[int, ...] = ()
    """Of the layer; none: all."""
    weight: float = 1.0
    """Negative: away from it."""

    def __str__(self) -> str:
        """As the command line takes it, with its kind."""
        channels = f":{','.join(map(str, self.channels))}" if self.channels else ""
        weight = "" if self.weight == 1 else f"={self.weight:g}"
        return f"{self.kind} {self.name}{channels}{weight}"

    @property
    def unweighted(self) -> Term:
        """The term with weight 1."""
        return replace(self, weight=1.0)


def parse_layer(text: str) -> Term:
    """A term from ``NAME`` or ``NAME=weight``."""
    name, weight = split_weight(text)
    return Term("layer", name, weight=weight)


def parse_target(text: str) -> Term:
    """A term from ``CLASS`` or ``CLASS=weight``."""
    name, weight = split_weight(text)
    return Term("target", name, weight=weight)


def parse_channel(text: str) -> Term:
    """A term from ``LAYER:7,12`` or ``LAYER:7,12=weight``."""
    named, weight = split_weight(text)
    name, colon, numbers = named.partition(":")
    try:
        channels = tuple(int(number) for number in numbers.split(","))
    except ValueError:
        channels = ()
    if not name or not colon or not channels:
        raise UserError(f"channel is {text!r}; write LAYER:NUMBER,NUMBER, for example p4c:7,12")
    if min(channels) < 0:
        raise UserError(f"channel {min(channels)} of {name}: channels are counted from 0")
    return Term("channel", name, channels, weight)


def parse_motifs(text: str) -> tuple[str, ...]:
    """The names in ``dog,tower``, one at least."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise UserError("motif is empty; write one or more, separated by commas (see `mmdream nets NAME`)")
    return names


TERM_FORMS = (
    TextForm("layer", "NAME[=W]", "Climb this layer, not the depth's; repeat to add.", parse_layer),
    TextForm("channel", "LAYER:7,12[=W]", "Climb these channels; repeat to add.", parse_channel),
    TextForm("target", "CLASS[=W]", "Dream this class; a negative weight: away from it.", parse_target),
)


@checked
@dataclass(frozen=True, slots=True)
class Targets:
    """What the user asks for in place of, or besides, a depth on the ladder."""

    terms: tuple[Term, ...] = setting((), group=DREAM, forms=TERM_FORMS)
    """None: the ladder's rungs next to the depth."""
    measure: Literal["energy", "mean", "cosine"] = setting(
        "energy", "How layers and channels are climbed.", DREAM, name="objective"
    )
    """Mean square of the activations, their mean, or their share of all."""
    guide: Path | None = setting(None, "Dream towards what is in another file of its kind.", DREAM, "FILE")

    def __post_init__(self) -> None:
        named = any(term.kind == "channel" for term in self.terms)
        if self.measure == "cosine" and self.guide is None and not named:
            raise UserError("objective cosine compares: give --guide or --channel with it")


NO_TARGETS = Targets()


@dataclass(frozen=True)
class GuideImage:
    """A picture that is gone towards; two that show the same are the same, wherever they come from."""

    rgb: np.ndarray = field(compare=False, repr=False)
    """float32 [h, w, 3], 0..1, as the network is shown it."""
    digest: str


@dataclass(frozen=True)
class Objective:
    """What is climbed at one moment: every term with its weight."""

    terms: tuple[Term, ...]
    weights: tuple[float, ...]
    measure: str = "energy"
    guide: GuideImage | None = None


def split_weight(text: str) -> tuple[str, float]:
    """What stands before a last ``=weight``, and that weight; without one 1."""
    name, equals, number = text.partition("=")
    name = name.strip()
    try:
        weight = float(number) if equals else 1.0
    except ValueError:
        weight = math.nan
    if not name or not math.isfinite(weight):
        raise UserError(f"{text!r}: write NAME or NAME=weight, for example {name or 'NAME'}=0.5")
    return name, weight
