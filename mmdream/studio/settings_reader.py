"""Settings out of what a person opens: a command line, Python that the studio wrote, or a schedule file."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

from mmdream.cli.options import OutputOptions
from mmdream.cli.video import DREAM_OPTIONS, FilmOptions
from mmdream.core.errors import UserError
from mmdream.settings.definition import Option, options, plain_types
from mmdream.settings.recipe import ExtraOutputs
from mmdream.studio.film_folder import is_inside_folder
from mmdream.studio.project import Key

MAX_TEXT = 1 << 20
COMMAND_MARK = "# mmdream "
"""Begins the line in the studio's Python that holds the command: Python itself is not run."""
SETTINGS = {option.name: option for option in DREAM_OPTIONS}
OUTPUTS = {
    option.name: option for cls in (ExtraOutputs, FilmOptions, OutputOptions) for option in options(cls)
} | {"-o": next(option for option in options(OutputOptions) if option.name == "output")}


def read_settings(text: str, folder: Path) -> dict[str, Any]:
    """Settings, keys and mask as a `FilmState` holds them; files are those of a folder.

    `UserError`: it is none of the three, or holds what the studio cannot show.
    """
    if len(text) > MAX_TEXT:
        raise UserError("this is too long for settings")
    marked = [line for line in text.splitlines() if line.startswith(COMMAND_MARK)]
    if marked:
        return _read_command(marked[0].removeprefix("# "), folder)
    if re.match(r"\s*(\S*python\S* -m )?mmdream ", text):
        return _read_command(text, folder)
    return _read_schedule(text) | {"mask": ""}


def _read_command(text: str, folder: Path) -> dict[str, Any]:
    try:
        words = shlex.split(text.replace("\\\n", " "))
    except ValueError as error:
        raise UserError(f"this command line cannot be read: {error}") from None
    words = words[words.index("mmdream") + 1 :]
    if words[:1] != ["video"]:
        raise UserError("only the settings of `mmdream video` can be opened")
    found: dict[str, Any] = {}
    words = words[1:]
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            continue  # The film's name: the settings are for the one that is open.
        name, equals, value = word.removeprefix("--").partition("=")
        option = SETTINGS.get(name) or OUTPUTS.get(name)
        if option is None:
            raise UserError(f"{word.partition('=')[0]} is no option of `mmdream video`")
        if not _is_flag(option) and not equals:
            if not words:
                raise UserError(f"{word} has no value")
            value = words.pop(0)
        if name in SETTINGS:
            _keep(found, option, value)
    settings = {name: value for name, value in found.items() if name not in ("schedule", "mask")}
    made: dict[str, Any] = {"settings": settings, "keys": [], "mask": ""}
    if "schedule" in found:
        schedule = _read_schedule(_find_file(found["schedule"], folder).read_text(encoding="utf-8"))
        made |= {"keys": schedule["keys"], "settings": schedule["settings"] | settings}
    if "mask" in found:
        made["mask"] = _find_file(found["mask"], folder).name
    return made


def _is_flag(option: Option) -> bool:
    return option.form is None and bool in plain_types(option.kind)


def _keep(found: dict[str, Any], option: Option, value: str) -> None:
    if _is_flag(option):
        found[option.name] = True
    elif option.form is not None:
        found[option.name] = [*found.get(option.name, []), value]
    else:
        found[option.name] = value


def _find_file(name: str, folder: Path) -> Path:
    if not is_inside_folder(folder, name):
        raise UserError(f"{name}: is not in the studio's folder; put it there")
    return folder / name


def _read_schedule(text: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError):
        raise UserError(
            "this is neither `mmdream video ...`, nor Python from this page, nor a schedule file"
        ) from None
    if unknown := table.keys() - {"preset", "key"}:
        raise UserError(f"{min(unknown)} of a schedule file cannot be shown here; write passes as --pass")
    tables = table.get("key", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) and "at" in each for each in tables):
        raise UserError("write each key as its own [[key]] table, with at = SECONDS")
    keys = [
        Key(name, each["at"], value, each.get("ease", "linear"))
        for each in tables
        for name, value in each.items()
        if name not in ("at", "ease")
    ]
    return {"keys": keys, "settings": {"preset": str(table["preset"])} if "preset" in table else {}}
