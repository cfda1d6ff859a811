"""A card as the text that it is read from."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from mmdream.networks.card import NetworkCard
from mmdream.networks.weight_sources import WEIGHT_SOURCES

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
"""Keys that need no quotes."""


def card_to_toml(card: NetworkCard) -> str:
    """TOML from which `mmdream.networks.card.parse_card` makes the same card again, under any name."""
    lines, tables = [], []
    for name, value in _changed_keys(card).items():
        if isinstance(value, dict):
            tables.append(
                f"\n[{name}]\n"
                + "".join(f"{_format_key(k)} = {_format_value(v)}\n" for k, v in value.items())
            )
        else:
            lines.append(f"{name} = {_format_value(value)}\n")
    return "".join(lines + tables)


def _changed_keys(card: NetworkCard) -> dict[str, Any]:
    """The keys of a card that are not as they would be without."""
    found: dict[str, Any] = {}
    for field in fields(card):
        value = getattr(card, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name not in ("name", "home", "guesses") and (field.default is MISSING or value != default):
            found[field.name] = value
    how = next(how for how, kind in WEIGHT_SOURCES.items() if isinstance(card.weights, kind))
    return {
        **{key: value for key, value in found.items() if value != {}},
        "rungs": [_field_values(rung) for rung in card.rungs],
        "input": _field_values(card.input),
        "weights": {"how": how, **_field_values(card.weights)},
    }


def _field_values(settings: Any) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


def _format_value(value: Any) -> str:
    """A value in TOML; its texts are JSON's but for one sign."""
    if isinstance(value, dict):
        return (
            f"{{ {', '.join(f'{_format_key(k)} = {_format_value(v)}' for k, v in value.items())} }}"
            if value
            else "{}"
        )
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_format_value, value))}]"
    if isinstance(value, float) and not isinstance(value, bool):
        return repr(float(value))
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _format_key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _format_value(name)
