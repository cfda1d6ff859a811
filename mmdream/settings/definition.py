"""What a setting is: a field of a frozen dataclass with its range, its meaning and its place in the help.

Checks, command line, files and JSON schema are all made of these fields. A value meets the same check
wherever it comes from: where an object of its class is made.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from fractions import Fraction
from functools import cache, wraps
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from mmdream.core.errors import UserError

T = TypeVar("T")
Keyframed: TypeAlias = T | Sequence[tuple[float, T]]
"""A value, or keys ((seconds, value), ...)."""

MEDIA = frozenset({"film", "image", "audio"})
FILM, IMAGE, AUDIO = (frozenset(each.split()) for each in ("film", "film image", "film audio"))
"""What a setting acts on: films alone, all that is seen, all that is heard."""
NETWORKS, DREAM, CLIMB = "Networks", "What is dreamed", "How it is dreamed"
SOUND, FLOW, PASSES = "The dream of the sound", "From frame to frame", "Passes and masks"
SOURCE, RESULT, TRAINING = "What of the source", "Results", "How it is trained"
MACHINES = "Many cores, many machines"
ENDLESS = "Ouroboros: dreamed again and again"
WALK = "The walk"
"""Panels of the help."""


@dataclass(frozen=True, slots=True)
class TextForm:
    """A way to write one value of many as text, in an option that may be repeated."""

    name: str
    metavar: str
    help: str
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of a field besides its type and its range."""

    help: str = ""
    """Its meaning, for people; none: it has no option."""
    group: str = ""
    """Panel of the help."""
    metavar: str = ""
    """What stands for a value in the help."""
    name: str = ""
    """Outside Python, where it is another; of a field that holds settings: what their names begin with."""
    media: frozenset[str] = MEDIA
    unit: str = ""
    default_text: str = ""
    """What the help says of the default, where that says nothing itself."""
    takes: str = ""
    """What an error asks for, where the type does not say it."""
    forms: tuple[TextForm, ...] = ()
    """Of a field of many values: the options that add to it."""


@dataclass(frozen=True, slots=True)
class Option:
    """A setting as an option of a command, which takes no "--" here."""

    owner: Any
    """The class whose settings were asked for."""
    name: str
    path: tuple[str, ...]
    """Names of the fields that lead from the owner to it."""
    kind: Any
    """Its type with its range."""
    default: Any
    setting: Setting
    form: TextForm | None = None


def setting(
    default: Any = ...,
    help: str = "",
    group: str = "",
    metavar: str = "",
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    **about: Any,
) -> Any:
    """A field of a `checked` dataclass: its default, least and largest value, and what `Setting` holds.

    The default may be a class, for a new object of it, or ``...``: then a value must be given.
    """
    ends: Any = {"ge": low, "le": high, "gt": above}
    meta = msgspec.Meta(
        **ends,
        description=help or None,
        extra={"setting": Setting(help, group, metavar, **about)},
        extra_json_schema={"unit": about["unit"]} if "unit" in about else None,
    )
    kind = "default_factory" if isinstance(default, type) else "default"
    given: Any = {} if default is ... else {kind: default}
    return field(**given, metadata={"setting": meta})


def checked(cls: type[T]) -> type[T]:
    """Let a dataclass of settings check what its objects are made of, before `__post_init__`.

    Making one raises `UserError` for an unknown name or a wrong value, with its range or the nearest name.
    """
    made: Any = cls
    hints, init = get_type_hints(made), made.__init__
    # msgspec, which reads settings and writes their schema, finds what it goes by in the types.
    made.__annotations__ = {
        each.name: _annotated(hints[each.name], each.metadata.get("setting")) for each in fields(made)
    }

    @wraps(init)
    def make(self: Any, *values: Any, **named: Any) -> None:
        types = field_types(made)
        named |= zip(types, values, strict=False)
        refuse_unknown(named, types)
        init(self, **{name: parse(types[name], named[name], outer_name(made, name)) for name in named})

    made.__init__ = make
    return cls


def _annotated(kind: Any, meta: msgspec.Meta | None) -> Any:
    """A type with what is known of it; of several types a range is the first one's."""
    if meta is None:
        return kind
    keyframed: Any = Keyframed
    if kind == keyframed[float]:
        return keyframed[Annotated[float, meta]]
    first, *others = get_args(kind) or [kind]
    if others == [type(None)] and (meta.ge, meta.gt, meta.le) != (None, None, None):
        return Annotated[first, meta] | None
    return Annotated[kind, meta]


def options(owner: Any, media: frozenset[str] = MEDIA) -> list[Option]:
    """Every setting of a class, and of the classes that it holds, that is an option for some media."""
    found = []
    for each in fields(owner):
        kind = field_types(owner)[each.name]
        about = _setting(kind)
        if about is None or not about.media & media:
            continue
        if is_dataclass(held := get_args(kind)[0]):
            for inner in options(held, media):
                path, name = (each.name, *inner.path), about.name + inner.name
                found.append(replace(inner, owner=owner, name=name, path=path))
            continue
        for form in about.forms:
            own = replace(about, help=form.help)
            found.append(Option(owner, form.name, (each.name,), kind, None, own, form))
        if about.help:
            default = None if each.default is MISSING else each.default
            found.append(Option(owner, outer_name(owner, each.name), (each.name,), kind, default, about))
    return found


@cache
def field_types(cls: Any) -> dict[str, Any]:
    """The type of each field, with what is known of it."""
    return dict(cls.__annotations__)


@cache
def outer_name(cls: Any, name: str) -> str:
    """What a field is called outside Python."""
    about = _setting(field_types(cls)[name])
    other = "" if about is None or about.name.endswith("-") else about.name
    return other or name.replace("_", "-")


def title_of(name: str) -> str:
    """A setting's name as a person reads it: "Octave scale"."""
    return re.sub("[-_]", " ", name).capitalize()


def metadata(kind: Any) -> msgspec.Meta | None:
    """What `setting` said of a type, or of the numbers in it."""
    own = [each for each in getattr(kind, "__metadata__", ()) if isinstance(each, msgspec.Meta)]
    return own[0] if own else next(filter(None, map(metadata, get_args(kind))), None)


def limits(cls: Any, name: str) -> tuple[float, float]:
    """Least and largest value of a number."""
    meta: Any = metadata(field_types(cls)[name])
    return meta.ge, meta.le


def parse(kind: Any, value: Any, name: str, strict: bool = True) -> Any:
    """A value of a type, numbers of numpy too; if not `strict`, text may stand for a number.

    `UserError` calls it by `name`, and tells the range, or the choices and the nearest of them.
    """
    value = _without_numpy(value) if strict else _read_number(kind, value)
    if isinstance(value, os.PathLike) and Path not in plain_types(kind):
        value = os.fspath(value)
    try:
        return msgspec.convert(value, kind, dec_hook=read_text)
    except msgspec.ValidationError as error:
        # The error ends with where it is, as in " - at `$[1][0]`": the second key's time.
        for place in re.findall(r"\[(\d+)\]", str(error).partition(" - at `$")[2]):
            value = value[int(place)]
        shown = f"{value:g}" if type(value) is float else repr(value)
        raise UserError(f"{name} is {shown}; {_expected(kind, value)}") from None


def read_text(kind: Any, value: Any) -> Any:
    """A value of a type that JSON has not, a path or an exact time; else `ValueError`."""
    if isinstance(value, kind):
        return value
    if kind is Path:
        return Path(value)
    if kind is Fraction and type(value) in (int, float, str):
        return Fraction(str(value))  # 0.1 is a tenth, not the nearest binary fraction.
    raise ValueError(f"not a {kind.__name__}")


def to_dict(value: Any, finite: bool = False) -> Any:
    """Settings or results as plain values, which msgspec.convert reads; `finite`: None for nan and inf."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return fields_to_dict(value, finite)
    if isinstance(value, dict):
        return {name: to_dict(each, finite) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_dict(each, finite) for each in value]
    if finite and isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, (Path, Fraction)) else value


def fields_to_dict(value: Any, finite: bool = False) -> dict[str, Any]:
    """A dataclass by the names of its fields, see `to_dict`."""
    return {each.name: to_dict(getattr(value, each.name), finite) for each in fields(value)}


def refuse_unknown(names: Iterable[str], known: Iterable[str], what: str = "setting") -> None:
    """Raise `UserError` for a name that is not known, with the nearest that is."""
    known = tuple(known)
    for name in names:
        if name not in known:
            raise UserError(f"unknown {what} {name!r}{suggest_name(name, known)}")


def suggest_name(word: str, words: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest of some words, or nothing."""
    match = get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""


def _setting(kind: Any) -> Setting | None:
    meta = metadata(kind)
    return None if meta is None or meta.extra is None else meta.extra["setting"]


def _expected(kind: Any, value: Any) -> str:
    """What to do about a wrong value."""
    types, meta = plain_types(kind), metadata(kind)
    if (about := _setting(kind)) is not None and about.takes:
        return f"give {about.takes}"
    if choices := [each for each in types if isinstance(each, str)]:
        nearest = suggest_name(value, choices) if isinstance(value, str) else ""
        return f"choose {', '.join(choices[:-1])} or {choices[-1]}{nearest}"
    number = "a whole number" if int in types else "a number" if types.keys() & {float, Fraction} else ""
    if number:
        right = (type(value) is int and abs(value) < 2**63) or (type(value) is float and int not in types)
        ends = "" if meta is None else _range(meta.ge, meta.gt, meta.le)
        return f"choose {ends.removeprefix('of ')}" if right and ends else f"give {number} {ends}".strip()
    for each, word in {bool: "true or false", Path: "the name of a file", str: "a text"}.items():
        if each in types:
            return f"give {word}"
    return f"give {' or '.join(each.__name__ for each in types if isinstance(each, type))}"


def _range(low: float | None, above: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    if above is not None:
        return f"above {above:g}" + (f", at most {high:g}" if high is not None else "")
    return "" if low is None else f"of {low:g} or more"


@cache
def plain_types(kind: Any) -> dict[Any, None]:
    """Every plain type, and every choice, that a type is made of, in their order."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is None:
        return {kind: None}
    if origin is Literal:
        return dict.fromkeys(inner)
    held = inner[:1] if hasattr(kind, "__metadata__") else inner
    return {each: None for part in held for each in plain_types(part)}


def _read_number(kind: Any, value: Any) -> Any:
    """Text as a number, where it stands for one."""
    types = plain_types(kind)
    number = float if float in types else int
    if not isinstance(value, str) or str in types or number not in types:
        return value
    try:
        return number(value)
    except ValueError:
        return value


def _without_numpy(value: Any) -> Any:
    if type(value) in (tuple, list):
        return type(value)(map(_without_numpy, value))
    return value.tolist() if hasattr(value, "tolist") else value


def describe_changes(settings: Any) -> list[str]:
    """The settings that are not the usual ones, for a person: "depth 0.2 at 1 s then 0.4 at 3 s"."""
    found: dict[tuple[str, ...], str] = {}
    for option in options(type(settings)):
        now, usual = map(attrgetter(".".join(option.path)), (settings, type(settings)()))
        if now == usual or str(now) == option.setting.default_text:
            continue
        name, plain = option.name, to_dict(now)
        if option.form:
            plain = ", ".join(map(str, now))
            if len(option.setting.forms) > 1:  # Values of several forms say which one is theirs.
                name = "the sound's" if option.path[0].startswith("sound") else "the picture's"
        elif isinstance(plain, list):  # A curve.
            keys = [(at, value if isinstance(value, str) else f"{value:g}") for at, value in plain]
            later = " then ".join(f"{value} at {at:g} s" for at, value in keys)
            plain = keys[0][1] if len(keys) == 1 else later
        elif isinstance(now, Fraction):
            plain = f"{float(now):g}"
        found[option.path] = name if now is True else f"{name} {plain}"
    return list(found.values())
