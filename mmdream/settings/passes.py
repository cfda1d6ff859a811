"""What is done to a picture or a film, pass after pass: dreams and styles, each with settings and a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmdream.core.errors import UserError
from mmdream.settings.definition import (
    AUDIO,
    IMAGE,
    PASSES,
    Keyframed,
    checked,
    fields_to_dict,
    outer_name,
    setting,
    to_dict,
)
from mmdream.settings.schedule import Curve, MotifCurve, Schedule, to_curve
from mmdream.settings.targets import Targets

if TYPE_CHECKING:
    NamedCurves = tuple[tuple[str, Curve | MotifCurve], ...]
    WeightsSource = str | Path | None
else:
    # What may be given, and what files hold.
    AnyCurve = float | str | MotifCurve | Sequence[tuple[float, float | str | Sequence[str]]]
    NamedCurves = Mapping[str, AnyCurve] | Sequence[tuple[str, AnyCurve]]
    WeightsSource = str | None
"""`WeightsSource`: a weights file, "random", or None for the card's own weights."""

STYLE_SCHEDULE = Schedule(octaves=4, octave_scale=2.0, steps=30)
"""How a style is climbed, unless another schedule is asked for."""


@checked
@dataclass(frozen=True, slots=True)
class Mask:
    """Where a pass acts: where a picture or a film is white, or in an ellipse, moved and scaled over time."""

    path: Path | None = setting(
        None,
        "Dream where it is white; of IN's aspect. Of a film a picture takes the first frame.",
        PASSES,
        "PICTURE|FILM",
        name="mask",
        media=IMAGE,
    )
    """A film goes by the time of the film it lies on. None: an ellipse that just fits into the frame."""
    feather: Keyframed[float] = setting(
        8.0,
        "Fade the mask's edges over so many pixels of a picture of 360 lines.",
        PASSES,
        "PX",
        0,
        360,
        unit="px",
        media=IMAGE,
    )
    x: Keyframed[float] = setting(
        0.5,
        "Where the mask's middle lies, of the width; without --mask it is an ellipse.",
        PASSES,
        "X",
        -1,
        2,
        name="mask-x",
        media=IMAGE,
    )
    y: Keyframed[float] = setting(
        0.5, "The same, of the height.", PASSES, "Y", -1, 2, name="mask-y", media=IMAGE
    )
    size: Keyframed[float] = setting(
        1.0, "The mask's size; 1: as large as IN.", PASSES, "R", 0.01, 10, name="mask-size", media=IMAGE
    )

    def __post_init__(self) -> None:
        for name in MASK_CURVES.values():
            object.__setattr__(self, name, to_curve(outer_name(Mask, name), getattr(self, name)))

    def at(self, seconds: float) -> MaskPlace:
        """Where it lies, how large it is and how soft at a time."""
        return MaskPlace(**{name: getattr(self, name).at(seconds) for name in MASK_CURVES.values()})


MASK_CURVES = {"mask_x": "x", "mask_y": "y", "mask_size": "size", "feather": "feather"}
"""What of a mask varies, by its name among the keys of files."""


@dataclass(frozen=True, slots=True)
class MaskPlace:
    """A mask's place at one time, see `Mask`."""

    x: float = 0.5
    y: float = 0.5
    size: float = 1.0
    feather: float = 0.0


@checked
@dataclass(frozen=True, slots=True)
class Style:
    """How a picture is given the style of paintings."""

    models: tuple[tuple[Path, float], ...] = setting(name="style")
    """Paintings, each with its weight > 0."""
    statistic: Literal["wasserstein", "gram"] = setting(
        "wasserstein", "Compare textures as normal distributions, or as Gram matrices."
    )
    content_weight: float = setting(
        1.0, "0: the style alone; 1 keeps what is seen; more keeps more.", metavar="W", low=0, high=1000
    )
    smooth: float = setting(
        0.1, "Weight of total variation; more: less fine detail.", metavar="W", low=0, high=100
    )
    scale: float = setting(
        1.0,
        "Size of the strokes; 1: as if the painting were as large as the picture.",
        metavar="R",
        low=0.1,
        high=10,
        name="style-scale",
    )

    def __post_init__(self) -> None:
        if not self.models:
            raise UserError("a style is missing; add --style PICTURE")


@checked
@dataclass(frozen=True, slots=True)
class AudioStyleSettings:
    """How a sound is given the style of others."""

    content_weight: float = setting(
        1.0, "0: the style alone; about 30 keeps the pitch too; more keeps more.", low=0, high=1000
    )
    keep_rhythm: bool = setting(False, "Keep onsets, pauses and loudness of the content.", media=AUDIO)
    steps: int = setting(100, "Steps towards the style.", low=0, high=10000)
    seed: int = 0


@checked
@dataclass(frozen=True, slots=True)
class Span:
    """When a pass acts, in seconds of the film as a player shows it."""

    start: float = setting(0.0, "Second at which the pass begins.", unit="s", name="from")
    stop: float | None = setting(None, "Second at which it ends.", unit="s", name="to")
    """None: the end of the film."""
    fade: float = setting(0.0, "Seconds in which it comes, and goes.", unit="s")

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

    def is_active(self, seconds: float) -> bool:
        """Whether the pass acts at a time."""
        return self.start <= seconds and (self.stop is None or seconds < self.stop)

    def opacity(self, seconds: float) -> float:
        """How much of the pass is seen at a time, 0..1."""
        if not self.is_active(seconds):
            return 0.0
        if not self.fade:
            return 1.0
        come = (seconds - self.start) / self.fade if self.start > 0 else 1.0
        gone = 1.0 if self.stop is None else (self.stop - seconds) / self.fade
        return max(0.0, min(1.0, come, gone))


PASS_KINDS = {"dream": Targets, "style": Style}
"""What a pass may be, and the class of its own settings; `mmdream.render.passes.load.RENDERERS` renders it.
`Pass` holds them in the field of the kind's name, by which ``--pass`` and ``[[pass]]`` give the first of
them; a pass that gives none is a dream."""


@checked
@dataclass(frozen=True, slots=True)
class Pass:
    """One dream or style over a picture or a film, on what the pass before it made."""

    style: Style | None = None
    settings: NamedCurves = ()
    """Of the schedule: those that are the pass's own."""
    wishes: Targets | None = None
    """What a dream climbs; None: what the recipe asks for."""
    net: str | None = None
    weights: WeightsSource = None
    """Network, and its weights; None: the recipe's."""
    span: Span = Span()
    mask: Mask | None = None

    def __post_init__(self) -> None:
        given: dict[str, Any] = dict(self.settings)
        own = Schedule(**given)
        object.__setattr__(self, "settings", tuple((name, getattr(own, name)) for name in given))

    def schedule(self, base: Schedule) -> Schedule:
        """The schedule of the pass: a dream's is the film's own, changed; a style has one of its own."""
        return (STYLE_SCHEDULE if self.style else base).with_settings(**dict(self.settings))

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return fields_to_dict(self) | {"settings": to_dict(dict(self.settings))}

    @property
    def kind(self) -> str:
        """A name in `PASS_KINDS`."""
        return next((kind for kind in PASS_KINDS if getattr(self, kind, None) is not None), "dream")

    def __str__(self) -> str:
        """For a person."""
        name = self.kind
        if self.style is not None:
            name = "style of " + " and ".join(path.name for path, _ in self.style.models)
        until = "" if self.span.stop is None else f" to {self.span.stop:g} s"
        when = f" from {self.span.start:g} s" if self.span.start else ""
        where = "" if self.mask is None else " in an ellipse"
        if self.mask is not None and self.mask.path is not None:
            where = f" where {self.mask.path.name} is white"
        return f"{name}{when}{until}{where}"


def parse_style(text: str, home: Path = Path()) -> tuple[Path, float]:
    """Read a style in some folder, ``FILE`` or ``FILE=WEIGHT``; a file's name may hold "=", too."""
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
    shares = dict.fromkeys((str(path) for path, _ in models), 0.0)
    for path, weight in models:
        shares[str(path)] += weight / whole
    return shares
