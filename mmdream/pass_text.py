"""Passes as people write them: on the command line, and in schedule files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mmdream.core.errors import UserError
from mmdream.passes import Mask, Pass, Span, Style, parse_style
from mmdream.schedule import SCHEDULE_LIMITS, Schedule, parse_key_tables, suggest_name
from mmdream.terms import Targets, parse_channel, parse_layer, parse_target

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
