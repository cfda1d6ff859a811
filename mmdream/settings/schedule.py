"""The one schedule: how the dream changes over the seconds of a film.

Picture and sound both ask ``Schedule.at`` with their own time, and nothing else holds a setting that varies
in time. Seconds are those of the source as a player shows it.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmdream.core.errors import UserError
from mmdream.settings.targets import parse_motifs

SCHEDULE_LIMITS: dict[str, tuple[float, float]] = {
    "octaves": (1, 12),
    "octave_scale": (1.05, 4.0),
    "steps": (0, 500),
    "depth": (0.0, 1.0),
    "strength": (0.0, 4.0),
}
"""Smallest and largest value of each setting."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A setting over time: linear between its keys, held before the first and after the last."""

    keys: tuple[tuple[float, float], ...]
    """((seconds, value), ...), seconds strictly rising, at least one key."""

    def at(self, seconds: Any) -> Any:
        """The value at one time or at an array of times (float64 of the same shape)."""
        import numpy as np  # Here, so that reading settings and --help do not wait for it.

        times = np.asarray(seconds, dtype=np.float64)
        keys = _keys_around(self.keys, float(times.min()), float(times.max())) if times.size else self.keys
        value = np.interp(times, [when for when, _ in keys], [value for _, value in keys])
        return value if np.ndim(value) else float(value)


@dataclass(frozen=True, slots=True)
class MotifCurve:
    """Motifs over time: cross-faded from each key to the next, held before the first and after the last."""

    keys: tuple[tuple[float, tuple[str, ...]], ...] = ()
    """((seconds, names), ...), seconds strictly rising; none: no motifs. A name that stands twice has two
    shares of its key."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every motif there is, each once."""
        return tuple(dict.fromkeys(name for _, names in self.keys for name in names))

    def at(self, seconds: float) -> tuple[tuple[str, float], ...]:
        """(name, share) of every motif, in the order of `names`; the shares sum to 1."""
        shares, keys = dict.fromkeys(self.names, 0.0), _keys_around(self.keys, seconds, seconds)
        times = [when for when, _ in keys]
        for number, (_, names) in enumerate(keys):
            tent = Curve(tuple((when, float(place == number)) for place, when in enumerate(times)))
            for name in names:
                shares[name] += tent.at(seconds) / len(names)
        return tuple(shares.items())


CurveLike = float | Curve | Sequence[tuple[float, float]]
"""What a user may give for a setting: a number, or keys ((seconds, value), ...)."""


@dataclass(frozen=True, slots=True)
class FrameSettings:
    """The five settings at one instant."""

    octaves: int
    """Sizes visited, coarse to fine."""
    octave_scale: float
    """Each size over the one before it."""
    steps: int
    """Ascent steps at each size."""
    depth: float
    """0..1 along any network's ladder of rungs, shallow to deep."""
    strength: float
    """Scales the finished dream: 0 is the source, 1 the recipe."""
    motifs: tuple[tuple[str, float], ...] = ()
    """(name, share) of each motif; none: the depth's rungs are climbed."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the dream changes over time, for picture and sound alike.

    Each setting is a number or keys ``((seconds, value), ...)``:
    ``Schedule(depth=0.4, strength=((0, 0), (2, 1)))`` fades the dream in over two seconds.

    Raises:
        UserError: a value out of range, keys out of order.
    """

    octaves: CurveLike = 4
    octave_scale: CurveLike = 1.4
    """1.4 after google/deepdream (2015)."""
    steps: CurveLike = 10
    depth: CurveLike = 0.9
    strength: CurveLike = 1.0
    motif: str | MotifCurve | Sequence[tuple[float, str]] = MotifCurve()
    """Names, "dog,tower", or keys ((seconds, names), ...), cross-faded."""

    def __post_init__(self) -> None:
        for name in SCHEDULE_LIMITS:
            object.__setattr__(self, name, _to_curve(name, getattr(self, name)))
        object.__setattr__(self, "motif", _to_motif_curve(self.motif))

    def at(self, seconds: float) -> FrameSettings:
        """The settings at one time; octaves and steps are rounded after interpolation."""
        value = {name: self.curve(name).at(seconds) for name in SCHEDULE_LIMITS}
        return FrameSettings(
            octaves=math.floor(value["octaves"] + 0.5),
            octave_scale=value["octave_scale"],
            steps=math.floor(value["steps"] + 0.5),
            depth=value["depth"],
            strength=value["strength"],
            motifs=self.fade.at(seconds),
        )

    def curve(self, name: str) -> Curve:
        """One setting over time."""
        curve: Curve = getattr(self, name)
        return curve

    @property
    def fade(self) -> MotifCurve:
        """The motifs over time."""
        assert isinstance(self.motif, MotifCurve)
        return self.motif

    def with_settings(self, **settings: Any) -> Schedule:
        """Replace whole curves; None leaves a setting as it is."""
        return replace(self, **{k: v for k, v in settings.items() if v is not None})

    def to_dict(self) -> dict[str, Any]:
        """The schedule as plain lists, for reports."""
        found: dict[str, Any] = {
            name: [list(key) for key in self.curve(name).keys] for name in SCHEDULE_LIMITS
        }
        return found | {"motif": [[when, ",".join(names)] for when, names in self.fade.keys]}


def _keys_around(keys: tuple[tuple[float, Any], ...], first: float, last: float) -> tuple[Any, ...]:
    """The keys that settle what is between two times: a film that drives its schedule has thousands."""
    low = max(bisect_right(keys, first, key=lambda key: key[0]) - 1, 0)
    return keys[low : bisect_left(keys, last, key=lambda key: key[0]) + 1] or keys[-1:]


def _to_curve(name: str, setting: CurveLike) -> Curve:
    if isinstance(setting, Curve):
        keys = setting.keys
    elif isinstance(setting, (int, float)):
        keys = ((0.0, float(setting)),)
    else:
        keys = tuple((float(when), float(value)) for when, value in setting)
    if not keys:
        raise UserError(f"{name} has no keys; give a number or (seconds, value) pairs")
    low, high = SCHEDULE_LIMITS[name]
    option = name.replace("_", "-")
    for _, value in keys:
        if not low <= value <= high:
            raise UserError(f"{option} is {value:g}; choose between {low:g} and {high:g}")
    _check_times(option, [when for when, _ in keys])
    return Curve(keys)


def _to_motif_curve(setting: str | MotifCurve | Sequence[tuple[float, str]]) -> MotifCurve:
    if isinstance(setting, MotifCurve):
        return setting
    keys = ((0.0, setting),) if isinstance(setting, str) else setting
    fade = MotifCurve(tuple((float(when), parse_motifs(names)) for when, names in keys))
    _check_times("motif", [when for when, _ in fade.keys])
    return fade


def _check_times(option: str, times: Sequence[float]) -> None:
    for when in times:
        if not math.isfinite(when):
            raise UserError(f"{option} has a key at {when} seconds; give a finite time")
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise UserError(f"{option}: the keys' times must rise from one to the next")


def list_presets() -> dict[str, str]:
    """Names of the presets with what each looks and sounds like, in alphabetical order."""
    found = {}
    for entry in resources.files("mmdream").joinpath("presets").iterdir():
        if entry.name.endswith(".toml"):
            found[entry.name.removesuffix(".toml")] = tomllib.loads(entry.read_text())["about"]
    return dict(sorted(found.items()))


def load_preset(name: str) -> Schedule:
    """The schedule of a preset.

    Raises:
        UserError: no such preset; the line names the nearest one.
    """
    settings = _read_preset(name)
    return Schedule(**{key: value for key, value in settings.items() if key not in ("about", "sound_target")})


def preset_sound_target(name: str) -> str | None:
    """The class that a preset wishes the sound to dream, as its motifs are what the picture dreams.

    Raises:
        UserError: as `load_preset`.
    """
    found: str | None = _read_preset(name).get("sound_target")
    return found


def _read_preset(name: str) -> dict[str, Any]:
    known = list_presets()
    if name not in known:
        raise UserError(f"no preset {name!r}{suggest_name(name, known)}; there are {', '.join(known)}")
    return tomllib.loads(resources.files("mmdream").joinpath(f"presets/{name}.toml").read_text())


DEFAULT_PRESET = "classic"
FILE_TABLES = ("preset", "key", "pass")
"""What a schedule file may hold; of the passes `mmdream.settings.passes` knows more."""


def read_schedule(path: Path, base: Schedule | None = None) -> Schedule:
    """Read a schedule file.

    The file may name a ``load_preset`` and then holds ``[[key]]`` tables with ``at`` (seconds) and any of octaves,
    octave_scale, steps, depth, strength and motif. A setting that no key names keeps the preset's curve.

    Args:
        path: a TOML file.
        base: what the file builds on when it names no preset.

    Raises:
        UserError: unreadable file, unknown name (with the nearest right one), value out of range.
    """
    try:
        text = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such schedule file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a schedule: {error}") from None
    # Not TOMLDecodeError alone: Python reads no number of thousands of digits, and no list in so many lists.
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a TOML file: {error}") from None
    for name in text:
        if name not in FILE_TABLES:
            raise UserError(f"{path}: unknown name {name!r}{suggest_name(name, FILE_TABLES)}")
    try:
        base = load_preset(str(text["preset"])) if "preset" in text else base or load_preset(DEFAULT_PRESET)
        return replace(base, **parse_key_tables(text.get("key", [])))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def parse_key_tables(tables: Any) -> dict[str, list[tuple[float, Any]]]:
    """Sort the ``[[key]]`` tables of a file into one curve for each setting they name.

    Raises:
        UserError: no tables, no time, an unknown setting, a value of another kind.
    """
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UserError("write each key as its own [[key]] table")
    curves: dict[str, list[tuple[float, Any]]] = {}
    known = (*SCHEDULE_LIMITS, "motif")
    for number, table in enumerate(tables, 1):
        if "at" not in table:
            raise UserError(f"key {number} has no time; add at = SECONDS")
        when = _parse_key_number(number, "at", table["at"])
        for name, value in table.items():
            if name != "at" and name not in known:
                raise UserError(f"key {number}: unknown setting {name!r}{suggest_name(name, known)}")
            if name == "motif":
                if not isinstance(value, str):
                    raise UserError(f'key {number}: motif is {value!r}; give names, "dog,tower"')
                curves.setdefault(name, []).append((when, value))
                continue
            if name != "at":
                curves.setdefault(name, []).append((when, _parse_key_number(number, name, value)))
    return curves


def _parse_key_number(number: int, name: str, value: Any) -> float:
    """A number of a key; TOML has integers of any size."""
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError
        return float(value)
    except (TypeError, OverflowError):
        raise UserError(f"key {number}: {name} is {value!r}; give a number") from None


def suggest_name(word: str, words: Any) -> str:
    """``"; did you mean 'x'?"`` for the nearest of some words, or nothing."""
    match = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""
