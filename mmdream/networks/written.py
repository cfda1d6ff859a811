"""A card as the text that it is read from."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from mmdream.networks.card import Card
from mmdream.networks.origins import HOW

BARE = re.compile(r"[A-Za-z0-9_-]+")
"""Keys that need no quotes."""


def text_of(card: Card) -> str:
    """TOML from which `mmdream.networks.card.parse` makes the same card again, under any name."""
    lines, tables = [], []
    for name, value in _told(card).items():
        if isinstance(value, dict):
            tables.append(f"\n[{name}]\n" + "".join(f"{_key(k)} = {_value(v)}\n" for k, v in value.items()))
        else:
            lines.append(f"{name} = {_value(value)}\n")
    return "".join(lines + tables)


def _told(card: Card) -> dict[str, Any]:
    """The keys of a card that are not as they would be without."""
    found: dict[str, Any] = {}
    for field in fields(card):
        value = getattr(card, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name not in ("name", "home", "guesses") and (field.default is MISSING or value != default):
            found[field.name] = value
    how = next(how for how, kind in HOW.items() if isinstance(card.weights, kind))
    return {
        **{key: value for key, value in found.items() if value != {}},
        "rungs": [_plain(rung) for rung in card.rungs],
        "input": _plain(card.input),
        "weights": {"how": how, **_plain(card.weights)},
    }


def _plain(settings: Any) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


def _value(value: Any) -> str:
    """A value in TOML; its texts are JSON's but for one sign."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())} }}" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float) and not isinstance(value, bool):
        return repr(float(value))
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _value(name)
