"""What is done to a picture, pass after pass: dreams and styles, each with its own settings and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmdream.core.errors import UserError
from mmdream.schedule import Curve, MotifCurve, Schedule
from mmdream.terms import Targets

STYLE_STATISTICS = ("wasserstein", "gram")
STYLE_SCHEDULE = Schedule(octaves=4, octave_scale=2.0, steps=30)
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
    smooth: float = 0.1
    """Weight of less total variation."""
    scale: float = 1.0
    """Size of the style's strokes; 1: the painting is taken as large as the picture."""

    def __post_init__(self) -> None:
        if not self.models:
            raise UserError("a style is missing; add --style PICTURE")
        if self.statistic not in STYLE_STATISTICS:
            raise UserError(f"statistic is {self.statistic!r}; choose {' or '.join(STYLE_STATISTICS)}")
        if not 0 <= self.content_weight <= 1000:
            raise UserError(f"content weight is {self.content_weight:g}; choose between 0 and 1000")
        if not 0 <= self.smooth <= 100:
            raise UserError(f"smooth is {self.smooth:g}; choose between 0 and 100")
        if not 0.1 <= self.scale <= 10:
            raise UserError(f"style scale is {self.scale:g}; choose between 0.1 and 10")


@dataclass(frozen=True, slots=True)
class Span:
    """When a pass acts; checked where it is made.

    Raises:
        UserError: it ends before it begins, or its fades do not fit in.
    """

    start: float = 0.0
    stop: float | None = None
    """Seconds of the film as a player shows it; None: its end."""
    fade: float = 0.0
    """Seconds in which it comes, from `start` on, and goes, up to `stop`."""

    def __post_init__(self) -> None:
        times = (self.start, self.fade, 0.0 if self.stop is None else self.stop)
        if not all(math.isfinite(time) and time >= 0 for time in times):
            raise UserError("from, to and fade are seconds, 0 or more")
        if self.stop is not None and self.stop <= self.start:
            raise UserError(f"from is {self.start:g} and to {self.stop:g}; choose from < to")
        if self.stop is not None and self.fade * 2 > self.stop - self.start + 1e-9:
            raise UserError(
                f"fade is {self.fade:g}: coming and going do not fit between {self.start:g} and {self.stop:g}"
            )

    def holds(self, seconds: float) -> bool:
        """Whether the pass acts at a time."""
        return self.start <= seconds and (self.stop is None or seconds < self.stop)

    def share(self, seconds: float) -> float:
        """How much of the pass is seen at a time, 0..1."""
        if not self.holds(seconds):
            return 0.0
        if not self.fade:
            return 1.0
        come = (seconds - self.start) / self.fade if self.start > 0 else 1.0
        gone = 1.0 if self.stop is None else (self.stop - seconds) / self.fade
        return max(0.0, min(1.0, come, gone))


@dataclass(frozen=True, slots=True)
class Pass:
    """One dream or style over a picture or a film. Each pass works on what the one before it made."""

    style: Style | None = None
    """None: a dream."""
    settings: tuple[tuple[str, Curve | MotifCurve], ...] = ()
    """Of the schedule: those that are the pass's own."""
    wishes: Targets | None = None
    """What a dream climbs; None: what the recipe asks for."""
    net: str | None = None
    weights: str | Path | None = None
    """Network, and its weights; None: the recipe's."""
    span: Span = Span()
    mask: Mask | None = None

    def schedule(self, base: Schedule) -> Schedule:
        """The schedule of the pass: a dream's is the film's own, changed; a style has one of its own."""
        return (STYLE_SCHEDULE if self.style else base).with_settings(**dict(self.settings))

    def __str__(self) -> str:
        """For a person."""
        name = "dream"
        if self.style is not None:
            name = "style of " + " and ".join(path.name for path, _ in self.style.models)
        until = "" if self.span.stop is None else f" to {self.span.stop:g} s"
        when = f" from {self.span.start:g} s" if self.span.start else ""
        where = "" if self.mask is None else f" where {self.mask.path.name} is white"
        return f"{name}{when}{until}{where}"


def parse_style(text: str, home: Path = Path()) -> tuple[Path, float]:
    """Read a style, ``FILE`` or ``FILE=WEIGHT``; a file whose name holds "=" is taken for what it is.

    Args:
        text: as it was given.
        home: folder that the file lies in.

    Raises:
        UserError: the weight is no number above 0.
    """
    name, equals, number = text.rpartition("=")
    if not equals or (home / text).exists():
        return home / text, 1.0
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise UserError(
            f"--style {text}: the weight behind = is {number!r}; write a number above 0, such as 0.5"
        )
    return home / name, weight


def style_shares(models: Sequence[tuple[Path, float]]) -> dict[str, float]:
    """Each style's share of the blend, by the file's name, for reports; their sum is 1."""
    whole = sum(weight for _, weight in models)
    found = dict.fromkeys((str(path) for path, _ in models), 0.0)
    for path, weight in models:
        found[str(path)] += weight / whole
    return found
