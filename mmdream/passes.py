"""What is done to a picture, pass after pass: dreams and styles, each with its own settings and time."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmdream.errors import UserError
from mmdream.schedule import LIMITS, Curve, Fade, Schedule, keyed, nearest
from mmdream.terms import Wishes, channel, layer, target

STATISTICS = ("wasserstein", "gram")


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


STYLE_SCHEDULE = Schedule(octaves=4, octave_scale=1.6, steps=40)
"""Of a style, where nothing else is asked for; its depth means nothing."""


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
    settings: tuple[tuple[str, Curve | Fade], ...] = ()
    """Of the schedule: those that are the pass's own."""
    wishes: Wishes | None = None
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
        name = "dream" if self.style is None else "style"
        until = "" if self.span.stop is None else f" to {self.span.stop:g} s"
        when = f" from {self.span.start:g} s" if self.span.start else ""
        return f"{name}{when}{until}"


ALONE = (Pass(),)
"""The one dream that a recipe without passes asks for."""
STYLED = ("content_weight", "style_scale", "statistic", "smooth")
WISHED = {"layer": layer, "channel": channel, "target": target}
COMMON = ("from", "to", "fade", "mask", "feather", "net", "weights", *LIMITS)


def parsed(text: str) -> Pass:
    """A pass from ``dream:depth=0.6,from=3s`` or ``style=PICTURE:strength=0.7,mask=M.png``.

    Raises:
        UserError: another form, an unknown name (with the nearest right one), a value out of range.
    """
    head, _, rest = text.partition(":")
    name, equals, model = head.partition("=")
    table: dict[str, Any] = {}
    if name == "style" and model:
        table["style"] = model
    elif head != "dream":
        raise UserError(
            f"--pass {text}: write dream:SETTING=VALUE,... or style=PICTURE:SETTING=VALUE,...; "
            "paths with : , or = go into a schedule file"
        )
    for each in filter(None, rest.split(",")):
        key, equals, value = each.partition("=")
        if not equals or not value:
            raise UserError(f"--pass {text}: {each!r} has no value; write SETTING=VALUE")
        table[key.strip().replace("-", "_")] = value.strip()
    try:
        return _of(table)
    except UserError as error:
        raise UserError(f"--pass {text}: {error}") from None


def read(path: Path) -> tuple[Pass, ...]:
    """The ``[[pass]]`` tables of a schedule file, in order; paths in it are beside the file.

    A table holds ``style`` (a picture, ``"A.jpg=0.5"``, or several) or is a dream, any setting that
    ``--pass`` takes, and ``[[pass.key]]`` tables as the schedule's own.

    Raises:
        UserError: as `parsed`.
    """
    # Read once before by `schedule.read`, which says what is wrong with a file.
    tables = tomllib.loads(path.read_text(encoding="utf-8")).get("pass", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UserError(f"{path}: write each pass as its own [[pass]] table")
    found = []
    for number, table in enumerate(tables, 1):
        try:
            found.append(_of(table, path.parent))
        except UserError as error:
            raise UserError(f"{path}: pass {number}: {error}") from None
    return tuple(found)


def _of(table: dict[str, Any], home: Path = Path()) -> Pass:
    """A pass from its names and values."""
    styled = "style" in table
    known = (*COMMON, "style", "key", *(STYLED if styled else (*WISHED, "motif")))
    for name in table:
        if name not in known:
            raise UserError(f"unknown setting {name!r}{nearest(name, known)}")
    settings: dict[str, Any] = {name: _number(name, table[name]) for name in LIMITS if name in table}
    if "motif" in table:
        settings["motif"] = str(table["motif"]).replace("+", ",")
    settings |= keyed(table.get("key", []))
    checked = Schedule().with_settings(**settings)
    terms = tuple(make(str(table[name])) for name, make in WISHED.items() if name in table)
    span = {own: _seconds(name, table[name]) for name, own in SPANNED.items() if name in table}
    mask = None
    if "mask" in table:
        soft = {"feather": _number("feather", table["feather"])} if "feather" in table else {}
        mask = Mask(home / str(table["mask"]), **soft)
    elif "feather" in table:
        raise UserError("feather goes with mask")
    weights = table.get("weights")
    return Pass(
        style=_style(table, home) if styled else None,
        settings=tuple((name, getattr(checked, name)) for name in settings),
        wishes=Wishes(terms) if terms else None,
        net=None if "net" not in table else str(table["net"]),
        weights=None if weights is None else weights if weights == "random" else home / str(weights),
        span=Span(**span),
        mask=mask,
    )


SPANNED = {"from": "start", "to": "stop", "fade": "fade"}


def _style(table: dict[str, Any], home: Path) -> Style:
    given = table["style"] if isinstance(table["style"], list) else [table["style"]]
    models = tuple(weighed(str(each), home) for each in given)
    own: dict[str, Any] = {"statistic": table["statistic"]} if "statistic" in table else {}
    for name, field in {
        "content_weight": "content_weight",
        "style_scale": "scale",
        "smooth": "smooth",
    }.items():
        if name in table:
            own[field] = _number(name, table[name])
    return Style(models, **own)


def weighed(text: str, home: Path = Path()) -> tuple[Path, float]:
    """Read ``FILE`` or ``FILE=WEIGHT``; a file whose name holds "=" is taken for what it is.

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
            f"style {text}: the weight behind = is {number!r}; write a number above 0, such as 0.5"
        )
    return home / name, weight


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"{name} is {value!r}; give a number") from None


def _seconds(name: str, value: Any) -> float:
    """A time, ``3``, ``"3s"`` or ``"0.5 s"``."""
    return _number(name, value.removesuffix("s").strip() if isinstance(value, str) else value)
