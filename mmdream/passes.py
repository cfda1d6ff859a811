"""What is done to a picture, pass after pass: dreams and styles, each with its own settings and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmdream.errors import UserError
from mmdream.schedule import Schedule

STATISTICS = ("wasserstein", "gram")
STYLE_SCHEDULE = Schedule(octaves=4, octave_scale=1.6, steps=40)
"""How a style is climbed, unless another schedule is asked for."""


@dataclass(frozen=True, slots=True)
class Mask:
    """Where a pass acts: where a picture or a film is white; checked where it is made.

    Raises:
        UserError: a value out of range.
    """

    path: Path
    """A picture, or a film that goes by the time of the film it lies on."""
    feather: float = 8.0
    """px of a picture of 360 lines over which its edges fade."""

    def __post_init__(self) -> None:
        if not 0 <= self.feather <= 360:
            raise UserError(f"feather is {self.feather:g}; choose between 0 and 360")


@dataclass(frozen=True, slots=True)
class Style:
    """How a picture is given the style of paintings; checked where it is made.

    Raises:
        UserError: a value out of range.
    """

    models: tuple[tuple[Path, float], ...]
    """Paintings, each with its weight > 0."""
    statistic: Literal["wasserstein", "gram"] = "wasserstein"
    """What textures are compared by."""
    content_weight: float = 1.0
    """0: the style alone; 1 keeps what is seen; more keeps more."""
    smooth: float = 0.02
    """Weight of less total variation."""
    scale: float = 1.0
    """Size of the style's strokes; 1: the painting is taken as large as the picture."""

    def __post_init__(self) -> None:
        if not self.models:
            raise UserError("a style is missing; add --style PICTURE")
        if self.statistic not in STATISTICS:
            raise UserError(f"statistic is {self.statistic!r}; choose {' or '.join(STATISTICS)}")
        if not 0 <= self.content_weight <= 1000:
            raise UserError(f"content weight is {self.content_weight:g}; choose between 0 and 1000")
        if not 0 <= self.smooth <= 100:
            raise UserError(f"smooth is {self.smooth:g}; choose between 0 and 100")
        if not 0.1 <= self.scale <= 10:
            raise UserError(f"style scale is {self.scale:g}; choose between 0.1 and 10")


def weighed(text: str) -> tuple[Path, float]:
    """Read a style, ``FILE`` or ``FILE=WEIGHT``; a file whose name holds "=" is taken for what it is.

    Raises:
        UserError: the weight is no number above 0.
    """
    name, equals, number = text.rpartition("=")
    if not equals or Path(text).exists():
        return Path(text), 1.0
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise UserError(
            f"--style {text}: the weight behind = is {number!r}; write a number above 0, such as 0.5"
        )
    return Path(name), weight


def shares(models: Sequence[tuple[Path, float]]) -> dict[str, float]:
    """Each style's share of the blend, by the file's name, for reports; their sum is 1."""
    whole = sum(weight for _, weight in models)
    found = dict.fromkeys((str(path) for path, _ in models), 0.0)
    for path, weight in models:
        found[str(path)] += weight / whole
    return found
