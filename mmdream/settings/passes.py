"""What is done to a picture, pass after pass: dreams and styles, each with its own settings and time."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmdream.core.errors import UserError
from mmdream.settings.schedule import (
    SCHEDULE_LIMITS,
    Curve,
    MotifCurve,
    Schedule,
    parse_key_tables,
    suggest_name,
)
from mmdream.settings.targets import Targets, parse_channel, parse_layer, parse_target

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


pass

STYLE_KEYS = ("content_weight", "style_scale", "statistic", "smooth")
TERM_PARSERS = {"layer": parse_layer, "channel": parse_channel, "target": parse_target}
COMMON_PASS_KEYS = ("from", "to", "fade", "mask", "feather", "net", "weights", *SCHEDULE_LIMITS)


def parse_pass(text: str) -> Pass:
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
        return _build_pass(table)
    except UserError as error:
        raise UserError(f"--pass {text}: {error}") from None


def read_passes(path: Path) -> tuple[Pass, ...]:
    """The ``[[pass]]`` tables of a schedule file, in order; paths in it are beside the file.

    A table holds ``style`` (a picture, ``"A.jpg=0.5"``, or several) or is a dream, any setting that
    ``--pass`` takes, and ``[[pass.key]]`` tables as the schedule's own.

    Raises:
        UserError: as `parse_pass`.
    """
    # Read once before by `schedule.read_schedule`, which says what is wrong with a file.
    tables = tomllib.loads(path.read_text(encoding="utf-8")).get("pass", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UserError(f"{path}: write each pass as its own [[pass]] table")
    found = []
    for number, table in enumerate(tables, 1):
        try:
            found.append(_build_pass(table, path.parent))
        except UserError as error:
            raise UserError(f"{path}: pass {number}: {error}") from None
    return tuple(found)


def _build_pass(table: dict[str, Any], home: Path = Path()) -> Pass:
    """A pass from its names and values."""
    styled = "style" in table
    known = (*COMMON_PASS_KEYS, "style", "key", *(STYLE_KEYS if styled else (*TERM_PARSERS, "motif")))
    for name in table:
        if name not in known:
            raise UserError(f"unknown setting {name!r}{suggest_name(name, known)}")
    settings: dict[str, Any] = {
        name: _parse_number(name, table[name]) for name in SCHEDULE_LIMITS if name in table
    }
    if "motif" in table:
        settings["motif"] = str(table["motif"]).replace("+", ",")
    settings |= parse_key_tables(table.get("key", []))
    checked = Schedule().with_settings(**settings)
    terms = tuple(make(str(table[name])) for name, make in TERM_PARSERS.items() if name in table)
    span = {own: _parse_seconds(name, table[name]) for name, own in SPAN_KEYS.items() if name in table}
    mask = None
    if "mask" in table:
        soft = {"feather": _parse_number("feather", table["feather"])} if "feather" in table else {}
        mask = Mask(home / str(table["mask"]), **soft)
    elif "feather" in table:
        raise UserError("feather goes with mask")
    weights = table.get("weights")
    return Pass(
        style=_build_style(table, home) if styled else None,
        settings=tuple((name, getattr(checked, name)) for name in settings),
        wishes=Targets(terms) if terms else None,
        net=None if "net" not in table else str(table["net"]),
        weights=None if weights is None else weights if weights == "random" else home / str(weights),
        span=Span(**span),
        mask=mask,
    )


SPAN_KEYS = {"from": "start", "to": "stop", "fade": "fade"}


def _build_style(table: dict[str, Any], home: Path) -> Style:
    given = table["style"] if isinstance(table["style"], list) else [table["style"]]
    models = tuple(parse_style(str(each), home) for each in given)
    own: dict[str, Any] = {"statistic": table["statistic"]} if "statistic" in table else {}
    for name, field in {
        "content_weight": "content_weight",
        "style_scale": "scale",
        "smooth": "smooth",
    }.items():
        if name in table:
            own[field] = _parse_number(name, table[name])
    return Style(models, **own)


def _parse_number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{name} is {value!r}; give a number") from None


def _parse_seconds(name: str, value: Any) -> float:
    """A time, ``3``, ``"3s"`` or ``"0.5 s"``."""
    return _parse_number(name, value.removesuffix("s").strip() if isinstance(value, str) else value)


@dataclass(frozen=True, slots=True)
class AudioStyleSettings:
    """How a sound is styled; checked where it is made.

    Raises:
        UserError: a value out of range.
    """

    content_weight: float = 1.0
    """0: the style alone is wanted; about 30 keeps the content's pitch too; more keeps more."""
    keep_rhythm: bool = False
    """Give each hop the energy that the content has there."""
    steps: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.content_weight <= 1000:
            raise UserError(f"content weight is {self.content_weight:g}; choose between 0 and 1000")
        if not 0 <= self.steps <= 10_000:
            raise UserError(f"steps is {self.steps}; choose between 0 and 10000")
