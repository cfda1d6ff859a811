"""Settings as people write them: presets, schedule files, passes as text, and the JSON schema of them all."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from mmdream.core.errors import UserError
from mmdream.settings.definition import (
    Keyframed,
    field_types,
    metadata,
    outer_name,
    parse,
    refuse_unknown,
    suggest_name,
    title_of,
)
from mmdream.settings.passes import MASK_CURVES, PASS_KINDS, Mask, Pass, Span, parse_style
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import PROMPT_FORM, SCHEDULE_LIMITS, Schedule
from mmdream.settings.targets import TERM_FORMS, Targets

DEFAULT_PRESET = "classic"
FILE_TABLES = ("preset", "key", "pass")
"""What a schedule file may hold."""


def _file_names(cls: Any) -> dict[str, str]:
    """The names that fields of a class have in files, with the fields' own."""
    return {outer_name(cls, name).replace("-", "_"): name for name in field_types(cls)}


NUMBERS = {
    name: Annotated[float, metadata(kind)]
    for name, kind in field_types(Schedule).items()
    if name in SCHEDULE_LIMITS
}
MASK_NUMBERS = {name: Annotated[float, metadata(field_types(Mask)[own])] for name, own in MASK_CURVES.items()}
MOTIF = Annotated[str, metadata(field_types(Schedule)["motif"])]
EASE_HELP = "To the next key of each setting: straight; slowly off and slowly on; or held until it."
KEY_TYPES = {
    "at": float,
    "ease": Annotated[Literal["linear", "smooth", "hold"], msgspec.Meta(description=EASE_HELP)],
    **NUMBERS,
    **MASK_NUMBERS,
    "motif": MOTIF,
    "prompt": Annotated[str, msgspec.Meta(description=PROMPT_FORM.help)],
    "classes": Annotated[str, msgspec.Meta(description="Of a walk: what its generator makes, NAME,NAME.")],
    "latent": Annotated[int, msgspec.Meta(ge=1, description="Of a walk: the number of a latent.")],
}
"""What a ``[[key]]`` table holds."""
WALK_KEYS = ("classes", "latent")
"""Those that only a walk has."""
NAMED_KEYS = ("motif", "prompt", *WALK_KEYS)
"""Those whose values are no numbers on a line."""
SMOOTH_PIECES, HOLD_SECONDS = 32, 1e-6
"""Straight pieces of a smooth way from key to key, and how long before the next one a held value ends."""
SPAN_NAMES = _file_names(Span)
PASS_TYPES = {
    **{name: field_types(Span)[own] for name, own in SPAN_NAMES.items()},
    "mask": str,
    **MASK_NUMBERS,
    "net": str,
    "weights": str,
    **NUMBERS,
    "key": list[Any],
}
"""What a ``[[pass]]`` table of any kind holds."""
KIND_NAMES = {kind: _file_names(cls) for kind, cls in PASS_KINDS.items() if kind != "dream"}
KIND_TYPES: dict[str, dict[str, Any]] = {
    kind: {name: field_types(PASS_KINDS[kind])[own] for name, own in names.items()}
    for kind, names in KIND_NAMES.items()
}
KIND_TYPES["style"]["style"] = str | list[str]
KIND_TYPES["dream"] = {
    form.name: Annotated[str, msgspec.Meta(description=form.help)] for form in TERM_FORMS
} | {"motif": MOTIF}
"""What the table of a kind holds besides."""


def list_presets() -> dict[str, str]:
    """Names of the presets with what each looks and sounds like, in alphabetical order."""
    return {name: table["about"] for name, table in _read_presets().items()}


def load_preset(name: str) -> Schedule:
    """The schedule of a preset; `UserError` names the nearest preset."""
    settings = _find_preset(name)
    return Schedule(**{key: value for key, value in settings.items() if key not in ("about", "sound_target")})


def preset_sound_target(name: str) -> str | None:
    """The class that a preset wishes the sound to dream, as its motifs are what the picture dreams."""
    target: str | None = _find_preset(name).get("sound_target")
    return target


def _find_preset(name: str) -> dict[str, Any]:
    known = _read_presets()
    if name not in known:
        raise UserError(f"no preset {name!r}{suggest_name(name, known)}; there are {', '.join(known)}")
    return known[name]


@cache
def _read_presets() -> dict[str, dict[str, Any]]:
    folder = resources.files("mmdream").joinpath("presets")
    texts = {each.name: each.read_text() for each in folder.iterdir() if each.name.endswith(".toml")}
    return {name.removesuffix(".toml"): tomllib.loads(texts[name]) for name in sorted(texts)}


def read_schedule(path: Path, base: Schedule | None = None) -> Schedule:
    """Read a schedule file.

    The TOML file may name a ``preset``, in place of `base`, and holds ``[[key]]`` tables with ``at``
    (seconds) and any of the schedule's settings. Others keep the preset's curve.

    Raises:
        UserError: unreadable file, unknown name (with the nearest right one), value out of range.
    """
    text = _read_toml(path)
    try:
        refuse_unknown(text, FILE_TABLES, "name")
        base = load_preset(str(text["preset"])) if "preset" in text else base or load_preset(DEFAULT_PRESET)
        curves = parse_key_tables(text.get("key", []))
        others = (*MASK_CURVES, *WALK_KEYS)
        return replace(base, **{name: keys for name, keys in curves.items() if name not in others})
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def read_mask_curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    """What the ``[[key]]`` tables of a schedule file say of the film's mask, by the fields of `Mask`."""
    curves = parse_key_tables(_read_toml(path).get("key", []))
    return {own: curves[name] for name, own in MASK_CURVES.items() if name in curves}


def read_walk_keys(path: Path) -> dict[str, list[tuple[float, Any]]]:
    """What the ``[[key]]`` tables of a schedule file say of a walk, (seconds, value), by `WALK_KEYS`."""
    curves = parse_key_tables(_read_toml(path).get("key", []))
    return {name: curves[name] for name in WALK_KEYS if name in curves}


def read_passes(path: Path) -> tuple[Pass, ...]:
    """The ``[[pass]]`` tables of a schedule file, in order; paths in it are beside the file.

    A table holds ``style`` (a picture, ``"A.jpg=0.5"``, or several) or is a dream, any setting that
    ``--pass`` takes, and ``[[pass.key]]`` tables as the schedule's own. Errors are as of `read_schedule`.
    """
    tables = _read_toml(path).get("pass", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UserError(f"{path}: write each pass as its own [[pass]] table")
    passes = []
    for number, table in enumerate(tables, 1):
        try:
            passes.append(_build_pass(table, path.parent))
        except UserError as error:
            raise UserError(f"{path}: pass {number}: {error}") from None
    return tuple(passes)


def parse_pass(text: str) -> Pass:
    """A pass from ``dream:depth=0.6,from=3s`` or ``style=PICTURE:strength=0.7,mask=M.png``."""
    head, _, rest = text.partition(":")
    kind, _, value = head.partition("=")
    if head != "dream" and not (value and kind in KIND_NAMES):
        raise UserError(
            f"--pass {text}: write dream:SETTING=VALUE,... or style=PICTURE:SETTING=VALUE,...; "
            "paths with : , or = go into a schedule file"
        )
    table: dict[str, Any] = {kind: value} if value else {}
    for each in filter(None, rest.split(",")):
        key, equals, value = each.partition("=")
        if not equals or not value:
            raise UserError(f"--pass {text}: {each!r} has no value; write SETTING=VALUE")
        table[key.strip().replace("-", "_")] = value.strip()
    try:
        return _build_pass(table)
    except UserError as error:
        raise UserError(f"--pass {text}: {error}") from None


def parse_key_tables(tables: Any) -> dict[str, list[tuple[float, Any]]]:
    """Sort the ``[[key]]`` tables of a file into one curve for each setting they name."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UserError("write each key as its own [[key]] table")
    curves: dict[str, list[tuple[float, Any, str]]] = {}
    for number, table in enumerate(tables, 1):
        if "at" not in table:
            raise UserError(f"key {number} has no time; add at = SECONDS")
        try:
            refuse_unknown(table, KEY_TYPES)
            values = {name: parse(KEY_TYPES[name], value, name) for name, value in table.items()}
        except UserError as error:
            raise UserError(f"key {number}: {error}") from None
        when, ease = values.pop("at"), values.pop("ease", "linear")
        for name, value in values.items():
            if name in NAMED_KEYS and ease == "smooth":
                raise UserError(f"key {number}: {name} cross-fades linear, or holds; choose one for ease")
            curves.setdefault(name, []).append((when, value, ease))
    return {name: _ease_keys(keys) for name, keys in curves.items()}


def _ease_keys(keys: list[tuple[float, Any, str]]) -> list[tuple[float, Any]]:
    """Keys, each with the way to the next one, as keys with straight ways between them."""
    eased: list[tuple[float, Any]] = []
    for (when, value, ease), (then, other, _) in zip(keys, [*keys[1:], keys[-1]], strict=True):
        eased.append((when, value))
        if ease == "hold" and then - when > HOLD_SECONDS:
            eased.append((then - HOLD_SECONDS, value))
        if ease == "smooth" and then > when:
            shares = [piece / SMOOTH_PIECES for piece in range(1, SMOOTH_PIECES)]
            # Smoothstep: no slope at either end.
            eased += [
                (when + s * (then - when), value + s * s * (3 - 2 * s) * (other - value)) for s in shares
            ]
    return eased


def json_schema() -> dict[str, Any]:
    """The JSON schema of presets and schedule files, and under ``$defs`` that of a `Recipe`."""
    keys: Any = list[_table("Key", KEY_TYPES, "at")]  # type: ignore[misc]
    common = PASS_TYPES | {name: PASS_TYPES[name] | str for name in SPAN_NAMES} | {"key": keys}
    passes = [
        _table(f"{kind.title()}Pass", common | KIND_TYPES[kind], *({kind} & KIND_NAMES.keys()))
        for kind in PASS_KINDS
    ]
    presets: Any = Literal[tuple(list_presets())]
    keyframed: Any = Keyframed
    curves = {name: keyframed[kind] for name, kind in NUMBERS.items()}
    files = (
        _table("ScheduleFile", {"preset": presets, "key": keys, "pass": list[Any]}),
        _table("Preset", {"about": str, "sound_target": str, **curves, "motif": MOTIF}, "about"),
    )
    _, known = msgspec.json.schema_components(
        [*files, *passes, Recipe], schema_hook=lambda _: {"type": "string"}
    )
    for table in known.values():
        for name, each in table.get("properties", {}).items():
            each.setdefault("title", title_of(name))
    known["ScheduleFile"]["properties"]["pass"]["items"] = {"anyOf": [_reference(each) for each in passes]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A schedule file, or a preset, of mmdream",
        "anyOf": [_reference(each) for each in files],
        "$defs": known,
    }


def _table(title: str, types: dict[str, Any], *required: str) -> Any:
    """A type for a table of a file. Names such as "from" are no names of fields: they get an underscore."""
    named = [(f"{name}_", kind) for name, kind in types.items() if name in required]
    free = [(f"{name}_", kind, msgspec.UNSET) for name, kind in types.items() if name not in required]
    names = {f"{name}_": name for name in types}
    return msgspec.defstruct(title, [*named, *free], rename=names, forbid_unknown_fields=True)


def _reference(table: type) -> dict[str, str]:
    return {"$ref": f"#/$defs/{table.__name__}"}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such schedule file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a schedule: {error}") from None
    # Not TOMLDecodeError alone: Python reads no number of thousands of digits, and no list in so many lists.
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a TOML file: {error}") from None


def _build_pass(table: dict[str, Any], home: Path = Path()) -> Pass:
    """A pass from its names and values; numbers may be text."""
    kind = next((kind for kind in KIND_NAMES if kind in table), "dream")
    types = PASS_TYPES | KIND_TYPES[kind]
    refuse_unknown(table, types)
    values = {
        name: parse(types[name], _without_unit(value) if name in SPAN_NAMES else value, name, strict=False)
        for name, value in table.items()
    }
    if "motif" in values:
        values["motif"] = values["motif"].replace("+", ",")
    curves = {name: values[name] for name in (*SCHEDULE_LIMITS, "motif") if name in values}
    terms = tuple(form.read(values[form.name]) for form in TERM_FORMS if form.name in values)
    weights, keyed = values.get("weights"), parse_key_tables(values.get("key", []))
    if kind == "style":
        models = values["style"] if isinstance(values["style"], list) else [values["style"]]
        values["style"] = tuple(parse_style(model, home) for model in models)
    own = {field: values[name] for name, field in KIND_NAMES.get(kind, {}).items() if name in values}
    kinds: dict[str, Any] = {} if kind == "dream" else {kind: PASS_KINDS[kind](**own)}
    return Pass(
        **kinds,
        settings=tuple((curves | {n: keys for n, keys in keyed.items() if n not in MASK_CURVES}).items()),
        wishes=Targets(terms) if terms else None,
        net=values.get("net"),
        weights=weights if weights in (None, "random") else home / weights,
        span=Span(**{field: values[name] for name, field in SPAN_NAMES.items() if name in values}),
        mask=_build_mask(values | keyed, home),
    )


def _build_mask(values: dict[str, Any], home: Path) -> Mask | None:
    """The mask of a pass, by its names in files; None: it has none."""
    own = {field: values[name] for name, field in MASK_CURVES.items() if name in values}
    if "mask" not in values and not own.keys() - {"feather"}:
        if own:
            raise UserError("feather goes with mask, or with mask_x, mask_y or mask_size")
        return None
    return Mask(home / values["mask"] if "mask" in values else None, **own)


def _without_unit(value: Any) -> Any:
    """A time as ``3``, ``"3s"`` or ``"0.5 s"``."""
    return value.removesuffix("s").strip() if isinstance(value, str) else value
