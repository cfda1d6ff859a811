"""A card as the text that it is read from."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from mmdream.networks.card import Card
from mmdream.networks.origins import HOW


def text_of(card: Card) -> str:
    """TOML from which `mmdream.networks.card.parse` makes the same card again, under any name."""
    known = {field.name: field for field in fields(card)}
    plain, tables = [], []
    for name, field in known.items():
        value = getattr(card, name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if name in ("name", "home", "guesses") or value == default and default is not MISSING and name != "facts":
            continue
        if name == "rungs":
            value = [_plain(rung) for rung in value]
        elif name == "weights":
            kind = next(how for how, each in HOW.items() if isinstance(value, each))
            value = {"how": kind, **_plain(value)}
        elif name == "input":
            value = _plain(value)
        if isinstance(value, dict):
            tables.append(f"\n[{name}]\n" + "".join(f"{_key(k)} = {_value(v)}\n" for k, v in value.items()))
        else:
            plain.append(f"{name} = {_value(value)}\n")
    return "".join(plain + tables)


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
    return _value(name)
