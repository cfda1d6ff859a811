"""What is turned while a dream is played: values over the schedule's, a beat, and the take of it all."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from mmdream.core.errors import UserError
from mmdream.core.files import write_atomically
from mmdream.networks.card import NetworkCard
from mmdream.networks.registry import find_motif
from mmdream.settings.schedule import AUTO, SCHEDULE_LIMITS, FrameSettings, Schedule
from mmdream.settings.targets import parse_motifs

ADJUSTABLE = ("strength", "depth", "habituation", "octaves", "octave_scale", "steps")
"""Numbers that may be turned."""
WHOLE = ("octaves", "steps")
MAX_TAP_SECONDS, MIN_TAP_SECONDS, TAPS = 2.0, 0.2, 4
"""Between two taps of one tempo; taps whose mean counts."""
PULSE_DECAY = 3.0
"""By how many times e a beat's pulse has fallen when the next one comes."""
MIN_CHANGE = 0.01
"""Of a setting whose range is 1 or more, or of the range: less is not kept in the take."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A pulse on the strength."""

    first: float = 0.0
    """Second of the source of one beat."""
    period: float = 0.0
    """Seconds; 0: there is none."""
    amount: float = 0.5
    """By how much a beat raises the strength, of itself."""

    def factor(self, seconds: float) -> float:
        """Of the strength, at a second of the source."""
        if not self.period:
            return 1.0
        phase = ((seconds - self.first) / self.period) % 1
        return 1 - self.amount / 2 + 1.5 * self.amount * math.exp(-PULSE_DECAY * phase)


class Controls:
    """The settings of each moment: the schedule's, and over them what was turned. Safe to use by threads."""

    def __init__(self, schedule: Schedule, card: NetworkCard) -> None:
        self.schedule, self._card = schedule, card
        self._lock = threading.Lock()
        self._values: dict[str, float] = {}
        self._motifs: tuple[str, ...] | None = None
        self.beat = Beat()
        self._taps: list[float] = []
        self._original = schedule
        self._kept: dict[str, list[tuple[float, Any]]] = {}
        """Seconds and values, each since the one before; of every setting."""
        self._departed: set[str] = set()

    @property
    def motifs(self) -> tuple[str, ...]:
        """Those that are climbed now, of the schedule or turned; none: the depth's levels."""
        return self.schedule.motif_curve.names if self._motifs is None else self._motifs

    @property
    def known_motifs(self) -> tuple[str, ...]:
        """Names of all motifs of the network."""
        return tuple(self._card.motifs)

    def change(self, values: Mapping[str, Any]) -> None:
        """Turn settings, from the next frame on; None: the schedule's own again.

        Raises:
            UserError: a name that is not there to be turned, or a value out of its range.
        """
        numbers, motifs, beat = self._read(values)
        with self._lock:
            self._values = {
                name: value for name, value in {**self._values, **numbers}.items() if value is not None
            }
            self._motifs, self.beat = motifs, beat

    def check(self, values: Mapping[str, Any]) -> FrameSettings:
        """What `change` would make of the settings now; raises what it raises."""
        numbers, motifs, beat = self._read(values)
        given = {name: value for name, value in {**self._values, **numbers}.items() if value is not None}
        return self._turned(0.0, given, motifs, beat)

    def _read(
        self, values: Mapping[str, Any]
    ) -> tuple[dict[str, float | None], tuple[str, ...] | None, Beat]:
        numbers: dict[str, float | None] = {}
        motifs, beat = self._motifs, self.beat
        for name, value in values.items():
            if name == "motif":
                if value is not None and not isinstance(value, str):
                    raise UserError("motif is names of motifs, dog,eye, or auto")
                motifs = (
                    None if value is None else () if value in ("", "auto", "none") else parse_motifs(value)
                )
                for each in motifs or ():
                    find_motif(self._card, each)
            elif name == "beat":
                beat = replace(beat, amount=_read("beat", value, 0, 1))
            elif name in ADJUSTABLE:
                numbers[name] = None if value is None else _read(name, value, *SCHEDULE_LIMITS[name])
            else:
                raise UserError(f"{name} cannot be turned; choose {', '.join(ADJUSTABLE)}, motif or beat")
        return numbers, motifs, beat

    def tap(self, seconds: float, wall: float) -> None:
        """Take a beat at a second of the source; `wall` is the clock's, and a pause begins a new tempo."""
        with self._lock:
            if self._taps and not MIN_TAP_SECONDS <= wall - self._taps[-1] <= MAX_TAP_SECONDS:
                self._taps = []
            self._taps = [*self._taps, wall][-TAPS:]
            if len(self._taps) > 1:
                period = (self._taps[-1] - self._taps[0]) / (len(self._taps) - 1)
                self.beat = replace(self.beat, first=seconds, period=period)

    def use_schedule(self, schedule: Schedule) -> None:
        """Go by another schedule; what was turned by hand is given back to it."""
        with self._lock:
            self.schedule, self._values, self._motifs = schedule, {}, None

    def stop_beat(self) -> None:
        """Let the strength stand still again."""
        with self._lock:
            self.beat, self._taps = replace(self.beat, period=0.0), []

    def at(self, seconds: float) -> FrameSettings:
        """The settings of a frame at a second of the source; they are kept for the take."""
        with self._lock:
            values, motifs, beat = dict(self._values), self._motifs, self.beat
        settings = self._turned(seconds, values, motifs, beat)
        self._keep(seconds, settings)
        return settings

    def at_sound(self, seconds: float) -> FrameSettings:
        """The same for the sound, of which no take is kept."""
        with self._lock:
            values, beat = dict(self._values), self.beat
        return self._turned(seconds, values, None, beat)

    def _turned(
        self, seconds: float, values: Mapping[str, float], motifs: tuple[str, ...] | None, beat: Beat
    ) -> FrameSettings:
        """The schedule's settings with what was turned."""
        given: dict[str, Any] = {
            name: round(value) if name in WHOLE else value for name, value in values.items()
        }
        settings = replace(self.schedule.at(seconds), **given)
        if motifs is not None:
            settings = replace(settings, motifs=tuple((name, 1 / len(motifs)) for name in motifs))
        if beat.period:
            low, high = SCHEDULE_LIMITS["strength"]
            strength = min(max(settings.strength * beat.factor(seconds), low), high)
            settings = replace(settings, strength=strength)
        return settings

    def state(self) -> dict[str, Any]:
        """What is turned now, for a page."""
        with self._lock:
            tempo = 60 / self.beat.period if self.beat.period else None
            return {**self._values, "motif": self.motifs, "tempo": tempo, "beat": self.beat.amount}

    def _keep(self, seconds: float, settings: FrameSettings) -> None:
        """What has changed since it was kept last; and which settings are not the schedule's any more."""
        original = self._original.at(seconds)
        for name in (*ADJUSTABLE, "motif"):
            value, usual = (_value_of(each, name) for each in (settings, original))
            kept = self._kept.setdefault(name, [])
            if kept and seconds <= kept[-1][0]:
                continue
            if not kept or _differ(name, kept[-1][1], value):
                kept.append((seconds, value))
            if _differ(name, usual, value):
                self._departed.add(name)

    def write_take(self, path: Path, about: str) -> None:
        """Write what was not the schedule's as a schedule file, which `mmdream video --schedule` reads."""
        tables: dict[float, dict[str, Any]] = {}
        for name in (*ADJUSTABLE, "motif"):
            for seconds, value in self._kept.get(name, ()) if name in self._departed else ():
                shown = (",".join(value) or AUTO) if isinstance(value, tuple) else value
                key = tables.setdefault(round(seconds, 6), {"at": round(seconds, 6), "ease": "hold"})
                key[name] = shown
        keys = [tables[seconds] for seconds in sorted(tables)]
        text = "".join(f"# {line}\n" for line in about.splitlines()) + tomli_w.dumps({"key": keys})
        write_atomically(path, text.encode())


def _value_of(settings: FrameSettings, name: str) -> Any:
    if name == "motif":
        return tuple(each for each, share in settings.motifs if share)
    return getattr(settings, name)


def _differ(name: str, one: Any, other: Any) -> bool:
    if name == "motif":
        return bool(one != other)
    low, high = SCHEDULE_LIMITS[name]
    return bool(abs(one - other) > MIN_CHANGE * min(high - low, 1))


def _read(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise UserError(f"{name.replace('_', '-')} is {value!r}; choose between {low:g} and {high:g}")
    return float(value)
