"""What is measured of live play, and told at its end."""

from __future__ import annotations

import threading
from array import array
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np


class LiveMeter:
    """Takes times from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.seconds: dict[str, float] = defaultdict(float)
        """Spent in each stage."""
        self.delays, self.shown, self.strengths = array("d"), array("d"), array("f")
        """From in to out, seconds; when each frame went out; mean |dream - source|."""
        self.began = 0.0
        """Second of the source of the first frame."""
        self.sound_delays = array("d")
        self.plain_sound = 0.0
        """Seconds of sound that came too late to be dreamed."""
        self.levels: dict[str, int] = defaultdict(int)
        """Frames of each quality."""

    @contextmanager
    def time(self, stage: str) -> Iterator[list[float]]:
        """Add the time of a block to a stage; the list holds it behind the block."""
        start, taken = perf_counter(), list[float]()
        try:
            yield taken
        finally:
            taken.append(perf_counter() - start)
            with self._lock:
                self.seconds[stage] += taken[0]

    def show(self, arrived: float, now: float, strength: float, quality: str) -> None:
        """A frame went out."""
        self.delays.append(now - arrived)
        self.shown.append(now)
        self.strengths.append(strength)
        self.levels[quality] += 1

    def recent(self, seconds: float = 2.0) -> tuple[float, float]:
        """Rate and median delay of the last seconds."""
        count = 1
        while count < len(self.shown) and self.shown[-1] - self.shown[-count - 1] < seconds:
            count += 1
        if count < 3:
            return 0.0, 0.0
        span = self.shown[-1] - self.shown[-count]
        return (count - 1) / max(span, 1e-6), float(np.median(self.delays[-count:]))


@dataclass(frozen=True)
class LiveReport:
    """How a session went."""

    source: str
    output: Path | None
    take: Path | None
    frames: int
    began: float
    """Second of the source of the first frame, at which a recording begins."""
    seconds: float
    dropped: int
    not_recorded: int
    not_sent: int
    delays: tuple[float, float]
    """p50 and p95, seconds from in to out."""
    late_delays: tuple[float, float]
    """p95 of the first and of the last tenth."""
    jitter: float
    """p95 of the distance from the median delay, seconds."""
    sound_delay: float
    """p95, seconds; 0: there was no sound."""
    plain_sound: float
    """Seconds of sound that came too late to be dreamed."""
    held_up: float
    """Seconds that a film was played later in all, for it could not be read in time."""
    strength: float
    cuts: tuple[float, ...]
    shares: dict[str, float]
    """Of the session's time, that each stage worked."""
    qualities: dict[str, int]
    ended: str
    """Why it ended."""

    @classmethod
    def measure(
        cls,
        meter: LiveMeter,
        source: str,
        ended: str,
        *,
        output: Path | None,
        take: Path | None,
        cuts: tuple[float, ...],
        dropped: int,
        not_recorded: int,
        not_sent: int,
        held_up: float,
    ) -> Self:
        """What a meter has come to."""
        delays = np.array(meter.delays) if len(meter.delays) else np.zeros(1)
        tenth = max(1, len(delays) // 10)
        span = meter.shown[-1] - meter.shown[0] if len(meter.shown) > 1 else 0.0

        def percentile(values: np.ndarray, percent: int) -> float:
            return float(np.percentile(values, percent)) if len(values) else 0.0

        return cls(
            source=source,
            output=output,
            take=take,
            frames=len(meter.shown),
            began=meter.began,
            seconds=span,
            dropped=dropped,
            not_recorded=not_recorded,
            not_sent=not_sent,
            delays=(percentile(delays, 50), percentile(delays, 95)),
            late_delays=(percentile(delays[:tenth], 95), percentile(delays[-tenth:], 95)),
            jitter=percentile(np.abs(delays - np.median(delays)), 95),
            sound_delay=percentile(np.array(meter.sound_delays), 95),
            plain_sound=meter.plain_sound,
            held_up=held_up,
            strength=float(np.mean(meter.strengths)) if len(meter.strengths) else 0.0,
            cuts=cuts,
            shares={name: seconds / max(span, 1e-6) for name, seconds in meter.seconds.items()},
            qualities=dict(meter.levels),
            ended=ended,
        )

    @property
    def rate(self) -> float:
        """Frames a second that went out."""
        return (self.frames - 1) / self.seconds if self.seconds and self.frames > 1 else 0.0

    def lines(self) -> list[str]:
        """For people."""
        found = [f"{self.source}: {self.ended}; {self.frames} frames, {self.rate:.1f} a second"]
        found.append(
            f"  delay {1000 * self.delays[0]:.0f} ms (p95 {1000 * self.delays[1]:.0f}), "
            f"jitter {1000 * self.jitter:.0f} ms, {self.dropped} frames dropped"
        )
        if self.sound_delay:
            plain = f", {self.plain_sound:.1f} s of it not dreamed in time" if self.plain_sound else ""
            found.append(f"  sound {1000 * self.sound_delay:.0f} ms behind (p95){plain}")
        if self.held_up:
            found.append(f"  held up {self.held_up:.1f} s: the film could not be read at its pace")
        parts = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())
        found.append(f"  worked: {parts} of the time; quality: {self._describe_qualities()}")
        if self.output is not None:
            found.append(f"  recorded: {self.output}" + self._describe_lost(self.not_recorded))
        if self.not_sent:
            found.append(f"  {self.not_sent} frames found no reader")
        if self.take is not None:
            found.append(f"  take: {self.take}; render it: mmdream video SOURCE --schedule {self.take}")
        return found

    def _describe_qualities(self) -> str:
        total = max(sum(self.qualities.values()), 1)
        return ", ".join(f"{name} {count / total:.0%}" for name, count in self.qualities.items())

    @staticmethod
    def _describe_lost(count: int) -> str:
        return f" ({count} frames came too fast for the disk)" if count else ""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "source": self.source,
            "ended": self.ended,
            "output": None if self.output is None else str(self.output),
            "take": None if self.take is None else str(self.take),
            "frames": self.frames,
            "began": round(self.began, 6),
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 3),
            "dropped": self.dropped,
            "not_recorded": self.not_recorded,
            "not_sent": self.not_sent,
            "delay_p50": round(self.delays[0], 4),
            "delay_p95": round(self.delays[1], 4),
            "delay_p95_first_tenth": round(self.late_delays[0], 4),
            "delay_p95_last_tenth": round(self.late_delays[1], 4),
            "jitter": round(self.jitter, 4),
            "sound_delay_p95": round(self.sound_delay, 4),
            "plain_sound": round(self.plain_sound, 3),
            "held_up": round(self.held_up, 3),
            "strength": round(self.strength, 5),
            "cuts": [round(each, 3) for each in self.cuts],
            "shares": {name: round(share, 4) for name, share in self.shares.items()},
            "qualities": self.qualities,
        }
