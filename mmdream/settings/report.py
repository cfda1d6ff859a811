"""What a dream amounted to, as figures for ``--json`` and lines for people, and times as they read them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmdream.settings.definition import fields_to_dict
from mmdream.settings.schedule import AUDIO_SETTINGS, IMAGE_SETTINGS, FrameSettings

MAX_TOLD_HINTS = 8
"""Stretches of time whose motifs are told in a line."""


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """The settings in force from one time on, until the next entry."""

    seconds: float
    moment: FrameSettings


@dataclass(frozen=True, slots=True)
class HintedMotifs:
    """Motifs that a film hints at from one second of it to another."""

    start: float
    stop: float
    motifs: dict[str, float]
    """Share of the picture by name, the largest first."""

    def __str__(self) -> str:
        """``3.2-9.6 s dog, coil``."""
        when = f"{self.start:.1f}-{self.stop:.1f} s " if self.stop > self.start else ""
        return f"{when}{', '.join(self.motifs) or 'nothing'}"


@dataclass(frozen=True, slots=True)
class HeardClass:
    """A class of a sound network that a film's own sound has in it from one second of it to another."""

    name: str
    start: float
    stop: float
    share: float
    """0..1: how surely it is heard where it is surest."""


@dataclass(frozen=True, slots=True)
class ShownMotif:
    """A motif that the finished picture shows from one second of the source to another."""

    name: str
    start: float
    stop: float
    clarity: float
    """Spreads, above 0, by which it lies over what hints at it, where it is clearest."""
    side: float
    """-1 (left) to 1 (right): where it is in the picture on the whole."""


@dataclass(frozen=True, slots=True)
class GrainEvent:
    """A recorded event that was laid into a sound."""

    seconds: float
    """Of its attack, as a player shows the source."""
    length: float
    """Seconds that it lasts."""
    kind: str
    """What it is, "dog bark"."""
    atom: str
    """The recording that it is from."""
    pitch: float | None
    """Hz, as it was laid in; None: it has none."""
    level: float
    """dB of full scale, over all channels, before the dream's loudness is matched to the source's."""
    pan: tuple[float, ...]
    """Amplitude of each channel; their squares sum to 1."""
    credit: str = ""
    """Who is to be named for the recording, and under which licence; empty: nobody."""


@dataclass(frozen=True, slots=True)
class Report:
    """One finished dream. A figure that does not apply (the loudness of a silent film) is None."""

    output: str | None = None
    frames: int | None = None
    repeated: int = 0
    """Broken frames that repeat the dream before them."""
    seconds: float | None = None
    drift_ms: float | None = None
    """Largest departure of a frame's time stamp, or of the sound's start, from the source's."""
    loudness_source: float | None = None
    loudness_dream: float | None = None
    """Integrated, LUFS (BS.1770)."""
    true_peak: float | None = None
    """dBTP of the dream."""
    objective_gain: dict[str, float] = field(default_factory=dict)
    """Objective of the dream over the source's, per medium, scored in float32."""
    style_left: float | None = None
    """Distance of the picture from the style, over the source's."""
    strength: dict[str, float] = field(default_factory=dict)
    """Picture: mean absolute difference to the source, of the range 0..1; sound: mean absolute gain, dB."""
    precision: dict[str, str] = field(default_factory=dict)
    wall_seconds: float = 0.0
    schedule: dict[str, tuple[SettingsChange, ...]] = field(default_factory=dict)
    """What was used over time, per medium: an entry whenever a setting changed."""
    hints: tuple[HintedMotifs, ...] = ()
    """What the picture's first pass that goes by hints was hinted at, over time."""
    grains: tuple[GrainEvent, ...] = ()
    """Recorded events in the sound, in order of time."""
    heard: tuple[HeardClass, ...] = ()
    """What is in the source's sound, in order of time; empty where the picture does not go by it."""
    shown: tuple[ShownMotif, ...] = ()
    """What the finished picture shows, in order of time; empty where the sound does not go by it."""
    couplings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Motifs that belong to each class that is heard and to each kind of grain; others are left out."""
    driven: dict[str, dict[str, list[list[Any]]]] = field(default_factory=dict)
    """Keys [seconds, value] of the curves that followed the film, per medium and setting."""
    timing: dict[str, float] = field(default_factory=dict)
    """Seconds spent in each kind of work; kinds run beside each other."""

    def with_output(self, output: Path) -> Report:
        """The same report with the name of the result."""
        return replace(self, output=str(output))

    def as_json(self) -> dict[str, Any]:
        """Plain values only; what is not a finite number becomes None."""
        rows = {medium: _settings_rows(changes, medium) for medium, changes in self.schedule.items()}
        return fields_to_dict(self, finite=True) | {"schedule": rows}

    def lines(self) -> list[str]:
        """The report for people, a fact a line."""
        found = [f"{self.output}" if self.output else ""]
        if self.frames is not None:
            broken = f" ({self.repeated} broken ones repeated)" if self.repeated else ""
            drift = f", drift {self.drift_ms:.2f} ms" if self.drift_ms is not None else ""
            found.append(f"  {self.frames} frames{broken}, {self.seconds:.2f} s{drift}")
        if "picture" in self.strength:
            found.append(
                f"  picture: {_format_ratio(self.objective_gain.get('picture'))}"
                f"{_format_style_left(self.style_left)}"
                f"strength {self.strength['picture']:.3f} of the range, {self.precision['picture']}"
            )
        found += describe_hints(self.hints)
        if "sound" in self.strength:
            found.append(
                f"  sound: {_format_ratio(self.objective_gain['sound'])}"
                f"strength {self.strength['sound']:.1f} dB, loudness "
                f"{_format_level(self.loudness_source)} -> {_format_level(self.loudness_dream)} LUFS, "
                f"peak {_format_level(self.true_peak)} dBTP"
            )
        found += describe_grains(self.grains)
        found += [f"  credit: {credit}" for credit in list_credits(self.grains)]
        found.append(f"  {self.wall_seconds:.1f} s of work")
        return [line for line in found if line]


def describe_hints(hints: Sequence[HintedMotifs]) -> list[str]:
    """A line for people about what was hinted at over time; none where nothing was."""
    if not any(each.motifs for each in hints):
        return []
    more = f"; and {len(hints) - MAX_TOLD_HINTS} more" if len(hints) > MAX_TOLD_HINTS else ""
    return [f"  hints: {'; '.join(map(str, hints[:MAX_TOLD_HINTS]))}{more}"]


def describe_grains(grains: Sequence[GrainEvent]) -> list[str]:
    """A line for people about which recorded events a sound got; none where it got none."""
    kinds = Counter(grain.kind for grain in grains)
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return [f"  grains: {told}"] if told else []


def list_credits(grains: Iterable[GrainEvent]) -> list[str]:
    """Who is to be named for the recordings in a sound, in order of their first event."""
    return list(dict.fromkeys(grain.credit for grain in grains if grain.credit))


def objective_ratio(source: float, dream: float) -> float:
    """An objective's growth; not a number where the source has none, as for classes and negative weights."""
    return dream / source if source > 1e-12 else math.nan


def drop_repeats(uses: Sequence[SettingsChange]) -> tuple[SettingsChange, ...]:
    """Leave out the entries that repeat the one before them."""
    return tuple(use for k, use in enumerate(uses) if k == 0 or use.moment != uses[k - 1].moment)


def format_time_code(seconds: float) -> str:
    """``1:02:03.4``, or ``2:03.4`` within the first hour."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def format_duration(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _settings_rows(changes: Sequence[SettingsChange], medium: str) -> list[dict[str, Any]]:
    """What a medium used over time; a change that does not concern it is none."""
    others = IMAGE_SETTINGS if medium == "sound" else AUDIO_SETTINGS
    rows: list[dict[str, Any]] = []
    for change in changes:
        settings = {name: each for name, each in fields_to_dict(change.moment).items() if name not in others}
        motifs = {name: round(share, 3) for name, share in change.moment.motifs if share}
        row = {"at": round(change.seconds, 6), **settings, "motifs": motifs}
        if not rows or row | {"at": 0} != rows[-1] | {"at": 0}:
            rows.append(row)
    return rows


def _format_ratio(gained: float | None) -> str:
    return f"objective x{gained:.2f}, " if gained is not None and math.isfinite(gained) else ""


def _format_style_left(left: float | None) -> str:
    return "" if left is None else f"{100 * left:.0f} % of the way to the style are left, "


def _format_level(value: float | None) -> str:
    return "silent" if value is None or not math.isfinite(value) else f"{value:.1f}"
