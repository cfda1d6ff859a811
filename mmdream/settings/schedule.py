"""The schedule: the settings that change over time, by keys or by following a feature of the film.

Seconds are those of the source as a player shows it. `mmdream.analysis` measures the features.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from mmdream.core.errors import UserError
from mmdream.settings.definition import (
    AUDIO,
    CLIMB,
    DREAM,
    FILM,
    IMAGE,
    Keyframed,
    TextForm,
    checked,
    field_types,
    limits,
    setting,
    suggest_name,
)
from mmdream.settings.targets import parse_motifs


class Curve(tuple[tuple[float, float], ...]):
    """A setting over time, keys ((seconds, value), ...): linear between them, held before and after.

    Seconds rise strictly, and there is at least one key.
    """

    __slots__ = ()

    @property
    def keys(self) -> tuple[tuple[float, float], ...]:
        """The keys as they are."""
        return tuple(self)

    @property
    def is_zero(self) -> bool:
        """Whether it is 0 at every time."""
        return not any(value for _, value in self)

    def at(self, seconds: Any) -> Any:
        """The value at one time or at an array of times (float64 of the same shape)."""
        import numpy as np  # Here, so that reading settings and --help do not wait for it.

        times = np.asarray(seconds, dtype=np.float64)
        keys = _keys_around(self, float(times.min()), float(times.max())) if times.size else self
        value = np.interp(times, [when for when, _ in keys], [value for _, value in keys])
        return value if np.ndim(value) else float(value)


@dataclass(frozen=True, slots=True)
class MotifCurve:
    """Motifs over time: cross-faded from each key to the next, held before the first and after the last."""

    keys: tuple[tuple[float, tuple[str, ...]], ...] = ()
    """((seconds, names), ...), seconds strictly rising. A name that stands twice has two shares; `AUTO` alone
    stands for none at that time."""
    hinted: bool = False
    """Where there are no motifs, what each shot hints at weighs the channels of the depth's rungs."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every motif, each once."""
        return tuple(dict.fromkeys(name for _, names in self.keys for name in names if name != AUTO))

    def at(self, seconds: float) -> tuple[tuple[str, float], ...]:
        """(name, share) of every motif, in the order of `names`; shares sum to 1. None: nearer to `AUTO`."""
        shares, keys = dict.fromkeys((*self.names, AUTO), 0.0), _keys_around(self.keys, seconds, seconds)
        times = [when for when, _ in keys]
        for number, (_, names) in enumerate(keys):
            tent = Curve((when, float(place == number)) for place, when in enumerate(times))
            for name in names:
                shares[name] += tent.at(seconds) / len(names)
        auto = shares.pop(AUTO)
        if auto >= 0.5 or not shares:
            return ()
        return tuple((name, share / (1 - auto)) for name, share in shares.items())

    def to_dict(self) -> str | list[list[Any]]:
        """Keys [seconds, "name,name"], or `AUTO` or `NONE`; a `Schedule` takes them."""
        if not self.keys:
            return AUTO if self.hinted else NONE
        return [[when, ",".join(names)] for when, names in self.keys]


AUTO, NONE = "auto", "none"
"""What stands for motifs that the film's own shots hint at, and for none."""
Motifs = str | MotifCurve | Sequence[tuple[float, str | Sequence[str]]]
"""Motifs as they may be given: names, "dog,tower", `AUTO`, `NONE`, or keys ((seconds, names), ...)."""


Prompts = str | Sequence[tuple[float, str]]
"""Prompts as they may be given: a text, ``TEXT=W`` to weigh it, or keys ((seconds, text), ...)."""
PROMPT_FORM = TextForm(
    "prompt",
    "TEXT[=W]",
    "Say in English what to dream; networks' motifs and classes stand for it. Repeat to mix.",
    lambda text: (0.0, text),
)


@dataclass(frozen=True, slots=True)
class FrameSettings:
    """The settings of a schedule at one instant."""

    octaves: int
    octave_scale: float
    steps: int
    depth: float
    strength: float
    habituation: float
    heard_to_seen: float
    seen_to_heard: float
    grains: float
    motifs: tuple[tuple[str, float], ...] = ()
    """(name, share) of each motif; none: the depth's rungs are climbed."""


@checked
@dataclass(frozen=True, slots=True)
class Schedule:
    """How the dream changes over time, for picture and sound alike.

    Each setting is a number or keys ``((seconds, value), ...)``: ``Schedule(depth=0.4, strength=((0, 0), (2,
    1)))`` fades the dream in over two seconds.
    """

    octaves: Keyframed[float] = setting(4, "Sizes of motifs, from coarse to fine.", CLIMB, "N", 1, 12)
    octave_scale: Keyframed[float] = setting(1.4, "Ratio of one octave to the next.", CLIMB, "R", 1.05, 4)
    """1.4 after google/deepdream (2015)."""
    steps: Keyframed[float] = setting(10, "Ascent steps at each octave.", CLIMB, "N", 0, 500)
    depth: Keyframed[float] = setting(0.9, "0..1: from strokes to creatures.", DREAM, "D", 0, 1)
    """0..1 along any network's ladder of rungs, shallow to deep."""
    strength: Keyframed[float] = setting(1.0, "0 is the source, 1 the dream, more is more.", CLIMB, "S", 0, 4)
    habituation: Keyframed[float] = setting(
        0.6,
        "0..1: how much the dream tires of what it shows, and turns to other things.",
        DREAM,
        "H",
        0,
        1,
        media=IMAGE,
    )
    heard_to_seen: Keyframed[float] = setting(
        0.5,
        "0..1: how much what is heard in the source favours kindred motifs in the picture.",
        DREAM,
        "A",
        0,
        1,
        media=FILM,
    )
    """Where neither motifs nor targets are asked for."""
    seen_to_heard: Keyframed[float] = setting(
        0.5,
        "0..1: how much the sound dreams of what the dreamed picture shows, at its side.",
        DREAM,
        "A",
        0,
        1,
        media=FILM,
    )
    grains: Keyframed[float] = setting(
        0.7,
        "0..1: how much recorded events, laid in where the network half hears them, are of a sound's dream.",
        DREAM,
        "G",
        0,
        1,
        media=AUDIO,
    )
    """They come in between depth 0.4 and 0.6."""
    motif: Motifs = setting(
        MotifCurve(hinted=True),
        "Dream these; `mmdream nets NAME` lists them. auto: what each shot hints at; none: neither.",
        DREAM,
        "NAME,NAME",
        media=IMAGE,
        default_text=AUTO,
        takes='names, "dog,tower"',
    )
    """Names, "dog,tower", or keys ((seconds, names), ...), cross-faded; "auto" or "none"."""
    prompt: Prompts = setting((), group=DREAM, forms=(PROMPT_FORM,))
    """In place of motifs: a text, or keys ((seconds, text), ...), several of which may have one time."""

    def __post_init__(self) -> None:
        for name in SCHEDULE_LIMITS:
            object.__setattr__(self, name, to_curve(name, getattr(self, name)))
        object.__setattr__(self, "motif", _to_motif_curve(self.motif))
        prompts = ((0.0, self.prompt),) if isinstance(self.prompt, str) else tuple(self.prompt)
        object.__setattr__(self, "prompt", tuple(sorted(prompts, key=lambda key: key[0])))

    def at(self, seconds: float) -> FrameSettings:
        """The settings at one time; octaves and steps are rounded after interpolation."""
        values = {name: self.curve(name).at(seconds) for name in SCHEDULE_LIMITS}
        values |= {name: math.floor(values[name] + 0.5) for name in ("octaves", "steps")}
        return FrameSettings(**values, motifs=self.motif_curve.at(seconds))

    def curve(self, name: str) -> Curve:
        """One setting over time."""
        curve: Curve = getattr(self, name)
        return curve

    @property
    def motif_curve(self) -> MotifCurve:
        """The motifs over time."""
        assert isinstance(self.motif, MotifCurve)
        return self.motif

    def with_settings(self, **settings: Any) -> Schedule:
        """Replace whole curves; None leaves a setting as it is."""
        return replace(self, **{name: value for name, value in settings.items() if value is not None})


SCHEDULE_LIMITS = {
    name: limits(Schedule, name) for name in field_types(Schedule) if name not in ("motif", "prompt")
}
"""Smallest and largest value of each number of the schedule."""
IMAGE_SETTINGS = frozenset({"habituation", "heard_to_seen", "motif"})
"""Those that a sound's dream does not have."""
AUDIO_SETTINGS = frozenset({"grains", "seen_to_heard"})
"""Those that a picture's dream does not have."""


AUDIO_FEATURES = {
    "loudness": "how loud it seems",
    "onset": "how suddenly something new begins",
    "pitch": "how high its tone is; held where there is none",
    "bass": "how loud it is below 150 Hz",
}
IMAGE_FEATURES = {
    "motion": "how fast what it shows moves",
    "cuts": "a new shot",
    "brightness": "how light it is",
}
DEFAULT_FACTORS = {
    "octaves": (0.5, 1.25),
    "octave_scale": (0.9, 1.1),
    "steps": (0.5, 1.5),
    "depth": (0.3, 1.1),
    "strength": (0.2, 1.4),
    "habituation": (0.0, 1.0),
    "heard_to_seen": (0.0, 1.0),
    "seen_to_heard": (0.0, 1.0),
    "grains": (0.2, 1.4),
}
"""Low and high, where no range is given: about as much dream on the whole as without."""
WALK_FACTORS = {"speed": (0.25, 3.0), "turn": (0.0, 1.0)}
"""The same for what a walk has, see `WalkSettings`; a dream's schedule knows nothing of it."""
MAX_FACTOR = 10.0
"""What a factor makes of a setting is held within the setting's limits in any case."""


@checked
@dataclass(frozen=True, slots=True)
class Drive:
    """One setting that follows one feature: ``value * (low + (high - low) * feature)``, the feature in 0..1.

    Motifs fade from the schedule's first to its last. Several drives of one setting multiply.
    """

    setting: str
    """One of `SCHEDULE_LIMITS`, "motif", or one of `WALK_FACTORS`."""
    feature: str
    """One of `AUDIO_FEATURES` or `IMAGE_FEATURES`."""
    low: float | None = None
    """Factor where the feature is least; above `high` it turns the drive round. None: `DEFAULT_FACTORS`."""
    high: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "setting", self.setting.replace("-", "_"))
        for kind, name, known in (
            ("setting", self.setting, (*SCHEDULE_LIMITS, "motif", *WALK_FACTORS)),
            ("feature", self.feature, (*AUDIO_FEATURES, *IMAGE_FEATURES)),
        ):
            if name not in known:
                choices = ", ".join(known).replace("_", "-")
                raise UserError(f"drive: no {kind} {name!r}{suggest_name(name, known)}; there are {choices}")
        if (self.low is None) != (self.high is None):
            raise UserError(f"drive {self}: give both ends of the range, or none")
        if self.setting == "motif" and self.low is not None:
            raise UserError(f"drive {self}: motifs fade from the first to the last, without a range")
        for factor in (self.low, self.high):
            if factor is not None and not 0 <= factor <= MAX_FACTOR:
                raise UserError(f"drive {self}: choose factors between 0 and {MAX_FACTOR:g}")

    @property
    def range(self) -> tuple[float, float]:
        """Factors where the feature is least and most; those of a motif have no meaning."""
        if self.low is None or self.high is None:
            return (DEFAULT_FACTORS | WALK_FACTORS).get(self.setting, (0.0, 1.0))
        return self.low, self.high

    def __str__(self) -> str:
        """As the command line takes it."""
        ends = "" if self.low is None or self.high is None else f":{self.low:g}-{self.high:g}"
        return f"{self.setting.replace('_', '-')}={self.feature}{ends}"


def parse_drive(text: str) -> Drive:
    """A drive from ``strength=loudness`` or ``strength=loudness:0.3-1.5``."""
    name, equals, rest = text.partition("=")
    feature, colon, ends = rest.partition(":")
    if not equals or not name.strip() or not feature.strip():
        how = "SETTING=FEATURE or SETTING=FEATURE:LOW-HIGH"
        raise UserError(f"drive is {text!r}; write {how}, for example strength=loudness")
    low = high = None
    if colon:
        first, _, second = ends.partition("-")
        try:
            low, high = float(first), float(second)
        except ValueError:
            low = high = math.nan
        if not (math.isfinite(low) and math.isfinite(high)):
            raise UserError(f"drive is {text!r}; write its range as LOW-HIGH, for example 0.3-1.5")
    return Drive(name.strip(), feature.strip(), low, high)


def _keys_around(keys: tuple[tuple[float, Any], ...], first: float, last: float) -> tuple[Any, ...]:
    """The keys that settle what is between two times: a film that drives its schedule has thousands."""
    low = max(bisect_right(keys, first, key=lambda key: key[0]) - 1, 0)
    return keys[low : bisect_left(keys, last, key=lambda key: key[0]) + 1] or keys[-1:]


def to_curve(name: str, given: Keyframed[float]) -> Curve:
    """A number, or keys ((seconds, value), ...), as a curve; `UserError`: no keys, or times do not rise."""
    curve = (
        Curve(((0.0, float(given)),))
        if isinstance(given, (int, float))
        else Curve((when, value) for when, value in given)
    )
    if not curve:
        raise UserError(f"{name} has no keys; give a number or (seconds, value) pairs")
    _check_times(name.replace("_", "-"), [when for when, _ in curve])
    return curve


def _to_motif_curve(given: Motifs) -> MotifCurve:
    if isinstance(given, MotifCurve):
        return given
    if given in (AUTO, NONE):
        return MotifCurve(hinted=given == AUTO)
    keys: Any = ((0.0, given),) if isinstance(given, str) else given
    read = tuple(
        (when, parse_motifs(names) if isinstance(names, str) else tuple(names)) for when, names in keys
    )
    hinted = any(AUTO in names for _, names in read)
    if any(AUTO in names and len(names) > 1 for _, names in read):
        raise UserError("motif is auto and others at once; give auto a key of its own")
    _check_times("motif", [when for when, _ in read])
    curve = MotifCurve(read, hinted)
    return curve if curve.names or not read else MotifCurve(hinted=True)


def _check_times(name: str, times: Sequence[float]) -> None:
    for when in times:
        if not math.isfinite(when):
            raise UserError(f"{name} has a key at {when} seconds; give a finite time")
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise UserError(f"{name}: the keys' times must rise from one to the next")
