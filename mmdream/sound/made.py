"""Sounds to dream on where there is no recording: noise, a sine, a sweep."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.signal

from mmdream.chance import rng
from mmdream.errors import UserError
from mmdream.sound.level import Meter
from mmdream.sound.peak import CEILING
from mmdream.sound.source import BLOCK

RATE = 44_100
"""Samples a second."""
LOUDNESS = -23.0
"""LUFS, EBU R 128's programme level."""
LOWEST, HIGHEST = 20.0, 20_000.0
"""Hz."""
SHORTEST, LONGEST = 0.1, 3600.0
"""Seconds."""
RISE = 0.02
"""Seconds in which it fades in and out: a sine that begins at once clicks."""
PINK = (
    (0.049922035, -0.095993537, 0.050612699, -0.004408786),
    (1.0, -2.494956002, 2.017265875, -0.522189400),
)
"""Filter that makes white noise fall by 3 dB an octave, as natural sounds do (J. O. Smith, "Spectral Audio
Signal Processing", section on 1/f noise)."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is made; checked where it is made.

    Raises:
        UserError: an unknown kind, or frequencies or a length out of range.
    """

    kind: str
    """noise, silence, sine or sweep."""
    seconds: float
    hz: tuple[float, ...] = ()
    """One for a sine; first and last of a sweep."""

    def __post_init__(self) -> None:
        if not SHORTEST <= self.seconds <= LONGEST:
            raise UserError(f"seconds is {self.seconds:g}; choose between {SHORTEST:g} and {LONGEST:g}")
        for hz in self.hz:
            if not LOWEST <= hz <= HIGHEST:
                raise UserError(f"{self.kind} of {hz:g} Hz; choose between {LOWEST:g} and {HIGHEST:g}")

    @property
    def n_samples(self) -> int:
        """Its length."""
        return round(self.seconds * RATE)


def beginning(text: str, seconds: float) -> Beginning:
    """Read what a user asks for: "noise", "silence", "sine:440" or "sweep:100-8000".

    Raises:
        UserError: none of these.
    """
    kind, _, rest = text.strip().lower().partition(":")
    counts = {"noise": 0, "silence": 0, "sine": 1, "sweep": 2}
    parts = rest.split("-") if rest else []
    if kind in counts and len(parts) == counts[kind]:
        try:
            return Beginning(kind, seconds, tuple(map(float, parts)))
        except ValueError:
            pass
    raise UserError(f"--from is {text!r}; write noise, silence, sine:440 or sweep:100-8000")


def made(wanted: Beginning, seed: int) -> Iterator[np.ndarray]:
    """Make it, at `LOUDNESS` unless the peak would pass -1 dBFS.

    Args:
        wanted: what.
        seed: of the noise.

    Yields:
        float32 [1, at most BLOCK].
    """
    if wanted.kind == "silence":
        for start in range(0, wanted.n_samples, BLOCK):
            yield np.zeros((1, min(BLOCK, wanted.n_samples - start)), np.float32)
        return
    meter, peak = Meter(RATE, 1), 0.0
    for samples in _raw(wanted, seed):
        meter.feed(samples)
        peak = max(peak, float(np.abs(samples).max()))
    gain = min(10 ** ((LOUDNESS - meter.loudness()) / 20), CEILING / peak)
    for samples in _raw(wanted, seed):
        yield samples * np.float32(gain)


def _raw(wanted: Beginning, seed: int) -> Iterator[np.ndarray]:
    """The same at an amplitude of about 1."""
    total, state = wanted.n_samples, np.zeros(len(PINK[1]) - 1)
    for start in range(0, total, BLOCK):
        at = np.arange(start, min(start + BLOCK, total))
        if wanted.kind == "noise":
            white = rng(seed, "sound", "from", start).standard_normal(len(at))
            wave, state = scipy.signal.lfilter(*PINK, white, zi=state)
        else:
            wave = np.sin(2 * np.pi * _turns(wanted, at / RATE))
        edge = np.minimum(at + 0.5, total - 0.5 - at) / (RISE * RATE)
        fade = np.sin(np.pi / 2 * np.minimum(edge, 1.0)) ** 2
        yield (wave * fade).astype(np.float32)[None]


def _turns(wanted: Beginning, seconds: np.ndarray) -> np.ndarray:
    """Turns of the phase at some times; a sweep takes as long for each octave."""
    first, last = wanted.hz[0], wanted.hz[-1]
    if first == last:
        return first * seconds
    pace = math.log(last / first) / wanted.seconds
    return first / pace * np.expm1(pace * seconds)
