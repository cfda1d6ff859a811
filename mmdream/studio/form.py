"""The settings of a film as the page shows them, and what they come to: recipe, words, Python, schedule."""

from __future__ import annotations

import math
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import tomli_w

from mmdream.cli.options import Given, build_recipe
from mmdream.cli.video import DREAM_OPTIONS
from mmdream.core.errors import UserError
from mmdream.settings.definition import Option, metadata, plain_types, title_of
from mmdream.settings.files import list_presets
from mmdream.settings.passes import MASK_CURVES, Mask
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import SCHEDULE_LIMITS, MotifCurve
from mmdream.studio.project import Key

HIDDEN = ("schedule", "mask", "start", "end")
"""Options that the studio gives itself."""
WHOLE = ("octaves", "steps", "seed")


@dataclass(frozen=True, slots=True)
class Field:
    """A setting as a control of the page."""

    name: str
    title: str
    help: str
    group: str
    kind: str
    """number, choice, flag, text or texts."""
    default: str
    """As the page shows it; empty: there is none."""
    low: float | None
    high: float | None
    step: float
    unit: str
    choices: tuple[str, ...]
    varies: bool
    """Whether it may have keys."""


def list_fields() -> list[Field]:
    """Every setting of a film, in the order of the command's help."""
    return [_describe(option) for option in DREAM_OPTIONS if option.name not in HIDDEN]


def _describe(option: Option) -> Field:
    types, meta, name = plain_types(option.kind), metadata(option.kind), option.name
    choices = tuple(each for each in types if isinstance(each, str))
    if name == "preset":
        choices = tuple(list_presets())
    field = option.path[-1]
    is_curve = field in (*SCHEDULE_LIMITS, "motif") and option.path[0] == "schedule"
    varies = is_curve or (option.owner is Mask and field in MASK_CURVES.values())
    low, high = (None, None) if meta is None or option.form else (meta.ge, meta.le)
    if option.form is not None:
        kind = "texts"
    elif choices:
        kind = "choice"
    elif bool in types:
        kind = "flag"
    else:
        kind = "number" if types.keys() & {float, int, Fraction} and str not in types else "text"
    if varies and name != "motif":
        kind = "number"
    default = option.setting.default_text or ("" if option.default is None or option.form else option.default)
    return Field(
        name,
        title_of(name),
        option.form.help if option.form is not None else option.setting.help,
        option.setting.group,
        kind,
        f"{default:g}" if isinstance(default, float) else str(default),
        low,
        high,
        1.0 if name in WHOLE else 0.01,
        option.setting.unit,
        choices,
        varies,
    )


def check_settings(settings: Mapping[str, Any], keys: Sequence[Key], mask: Path | None) -> Recipe:
    """The recipe of a film's settings; `UserError` says which one is wrong."""
    known = {option.name for option in DREAM_OPTIONS}
    if unknown := settings.keys() - known:
        raise UserError(f"there is no setting {min(unknown)}")
    values = _values(settings, keys, mask)
    with tempfile.TemporaryDirectory(prefix="mmdream") as folder:
        schedule = Path(folder) / "schedule.toml"
        write_schedule(keys, schedule)
        try:
            given = values | ({"schedule": str(schedule)} if keys else {})
            return build_recipe(Given(DREAM_OPTIONS, given), "film")
        except UserError as error:
            raise UserError(str(error).removeprefix(f"{schedule}: ")) from None


def describe_passes(recipe: Recipe) -> list[dict[str, Any]]:
    """The passes of a recipe as blocks over time, in seconds."""
    spans = [(str(each).partition(" from ")[0], each.span) for each in recipe.passes]
    return [{"name": name, "start": s.start, "stop": s.stop, "fade": s.fade} for name, s in spans]


def _values(settings: Mapping[str, Any], keys: Sequence[Key], mask: Path | None) -> dict[str, Any]:
    """Options as they are given: what has keys goes by those."""
    keyed = {key.setting for key in keys}
    values = {name: value for name, value in settings.items() if name.replace("-", "_") not in keyed}
    return values | ({"mask": str(mask)} if mask is not None else {})


def write_schedule(keys: Sequence[Key], path: Path) -> None:
    """Keys as a schedule file; none: there is no such file."""
    if keys:
        path.write_text(format_schedule(keys), encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def format_schedule(keys: Sequence[Key]) -> str:
    """The text of a schedule file."""
    tables: dict[tuple[float, str], dict[str, Any]] = {}
    for key in keys:
        if not math.isfinite(key.at):
            raise UserError("a key's time is a number of seconds")
        ease = {} if key.ease == "linear" else {"ease": key.ease}
        tables.setdefault((key.at, key.ease), {"at": key.at, **ease})[key.setting] = key.value
    return tomli_w.dumps({"key": [tables[place] for place in sorted(tables)]})


def command_words(
    film: Path, out: Path, settings: Mapping[str, Any], keys: Sequence[Key], mask: Path | None, schedule: Path
) -> list[str]:
    """The words behind `mmdream` that make a film with some settings; names are relative to its folder."""
    words = ["video", film.name, "-o", out.name]
    values = _values(settings, keys, mask and Path(mask.name))
    if keys:
        values["schedule"] = schedule.name
    for option in DREAM_OPTIONS:
        value = values.get(option.name)
        if value is True:
            words.append(f"--{option.name}")
        elif value not in (None, False, "", []):
            for each in value if isinstance(value, list) else [value]:
                # "=" holds a value that begins with a dash to its option.
                words += (
                    [f"--{option.name}={each}"]
                    if str(each).startswith("-")
                    else [f"--{option.name}", str(each)]
                )
    return [
        f"./{word}" if word.startswith("-") and number == 1 else word for number, word in enumerate(words)
    ]


def format_command(words: Sequence[str]) -> str:
    """Words as a shell takes them."""
    return shlex.join(["mmdream", *words])


def format_python(film: Path, out: Path, recipe: Recipe, words: Sequence[str]) -> str:
    """A program that makes the same film as the command of the words."""
    names: set[str] = set()
    made = _format_value(recipe, names)
    imports = ", ".join(sorted(name for name in names if name in ("Recipe", "Schedule")))
    others = sorted(names - {"Recipe", "Schedule"})
    lines = [f"from mmdream import {', '.join(filter(None, (imports, 'dream_video')))}"]
    for name, module in ((n, m) for n in others for m in [_MODULES.get(n)] if m):
        lines.append(f"from {module} import {name}")
    return "\n".join(
        [*lines, "", f"# {format_command(words)}", f"dream_video({film.name!r}, {out.name!r}, {made})", ""]
    )


_MODULES = {
    "AscentOptions": "mmdream.settings.recipe",
    "AudioOptions": "mmdream.settings.recipe",
    "Drive": "mmdream.settings.schedule",
    "Targets": "mmdream.settings.targets",
    "Term": "mmdream.settings.targets",
    "Pass": "mmdream.settings.passes",
    "Style": "mmdream.settings.passes",
    "Span": "mmdream.settings.passes",
    "Mask": "mmdream.settings.passes",
}


def _format_value(value: Any, names: set[str]) -> str:
    """A setting as Python has it; of settings what is not the usual."""
    if isinstance(value, MotifCurve):
        return repr(value.to_dict())
    if is_dataclass(value):
        names.add(type(value).__name__)
        needed = [each.name for each in fields(value) if each.default is each.default_factory is MISSING]
        usual: Any = None if needed else cast("Any", type(value))()
        given = [
            f"{each.name}={_format_value(getattr(value, each.name), names)}"
            for each in fields(value)
            if usual is None or getattr(value, each.name) != getattr(usual, each.name)
        ]
        return f"{type(value).__name__}({', '.join(given)})"
    if isinstance(value, tuple):
        inner = ", ".join(_format_value(each, names) for each in value)
        if len(value) == 1 and isinstance(value[0], tuple) and len(value[0]) == 2 and value[0][0] == 0.0:
            return _format_value(value[0][1], names)  # A curve of one value.
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(str(value)) if isinstance(value, (Path, Fraction)) else repr(value)
