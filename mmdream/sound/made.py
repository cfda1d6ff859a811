"""Sounds to dream on where there is no recording: noise, a sine, a sweep."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.signal

from mmdream.core.errors import UserError
from mmdream.core.rng import rng_for
from mmdream.sound.level import LoudnessMeter
from mmdream.sound.peak import PEAK_CEILING
from mmdream.sound.source import BLOCK_SAMPLES

SIGNAL_RATE = 44_100
"""Samples a second."""
SIGNAL_LUFS = -23.0
"""LUFS, EBU R 128's programme level."""
MIN_HZ, MAX_HZ = 20.0, 20_000.0
"""Hz."""
MIN_SECONDS, MAX_SECONDS = 0.1, 3600.0
"""Seconds."""
FADE_SECONDS = 0.02
"""Seconds in which it fades in and out: a sine that begins at once clicks."""
PINK_FILTER = (
    (0.049922035, -0.095993537, 0.050612699, -0.004408786),
    (1.0, -2.494956002, 2.017265875, -0.522189400),
)
"""Filter that makes white noise fall by 3 dB an octave, as natural sounds do (J. O. Smith, "Spectral Audio
Signal Processing", section on 1/f noise)."""


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """What is made; checked where it is made.

    Raises:
        UserError: an unknown kind, or frequencies or a length out of range.
    """

    kind: str
    """noise, silence, sine or sweep."""
    seconds: float
    frequencies: tuple[float, ...] = ()
    """One for a sine; first and last of a sweep."""

    def __post_init__(self) -> None:
        if not MIN_SECONDS <= self.seconds <= MAX_SECONDS:
            raise UserError(
                f"seconds is {self.seconds:g}; choose between {MIN_SECONDS:g} and {MAX_SECONDS:g}"
            )
        for hz in self.frequencies:
            if not MIN_HZ <= hz <= MAX_HZ:
                raise UserError(f"{self.kind} of {hz:g} Hz; choose between {MIN_HZ:g} and {MAX_HZ:g}")

    @property
    def n_samples(self) -> int:
        """Its length."""
        return round(self.seconds * SIGNAL_RATE)


def parse_signal(text: str, seconds: float) -> SignalSpec:
    """Read what a user asks for: "noise", "silence", "sine:440" or "sweep:100-8000".

    Raises:
        UserError: none of these.
    """
    kind, _, rest = text.strip().lower().partition(":")
    counts = {"noise": 0, "silence": 0, "sine": 1, "sweep": 2}
    parts = rest.split("-") if rest else []
    if kind in counts and len(parts) == counts[kind]:
        try:
            return SignalSpec(kind, seconds, tuple(map(float, parts)))
        except ValueError:
            pass
    raise UserError(f"--from is {text!r}; write noise, silence, sine:440 or sweep:100-8000")


def generate_signal(wanted: SignalSpec, seed: int) -> Iterator[np.ndarray]:
    """Make it, at `SIGNAL_LUFS` unless the peak would pass -1 dBFS.

    Args:
        wanted: what.
        seed: of the noise.

    Yields:
        float32 [1, at most BLOCK].
    """
    if wanted.kind == "silence":
        for start in range(0, wanted.n_samples, BLOCK_SAMPLES):
            yield np.zeros((1, min(BLOCK_SAMPLES, wanted.n_samples - start)), np.float32)
        return
    meter, peak = LoudnessMeter(SIGNAL_RATE, 1), 0.0
    for samples in _generate_raw(wanted, seed):
        meter.feed(samples)
        peak = max(peak, float(np.abs(samples).max()))
    gain = min(10 ** ((SIGNAL_LUFS - meter.loudness()) / 20), PEAK_CEILING / peak)
    for samples in _generate_raw(wanted, seed):
        yield samples * np.float32(gain)


def _generate_raw(wanted: SignalSpec, seed: int) -> Iterator[np.ndarray]:
    """The same at an amplitude of about 1."""
    total, state = wanted.n_samples, np.zeros(len(PINK_FILTER[1]) - 1)
    for start in range(0, total, BLOCK_SAMPLES):
        at = np.arange(start, min(start + BLOCK_SAMPLES, total))
        if wanted.kind == "noise":
            white = rng_for(seed, "sound", "from", start).standard_normal(len(at))
            wave, state = scipy.signal.lfilter(*PINK_FILTER, white, zi=state)
        else:
            wave = np.sin(2 * np.pi * _phase_turns(wanted, at / SIGNAL_RATE))
        edge = np.minimum(at + 0.5, total - 0.5 - at) / (FADE_SECONDS * SIGNAL_RATE)
        fade = np.sin(np.pi / 2 * np.minimum(edge, 1.0)) ** 2
        yield (wave * fade).astype(np.float32)[None]


def _phase_turns(wanted: SignalSpec, seconds: np.ndarray) -> np.ndarray:
    """Turns of the phase at some times; a sweep takes as long for each octave."""
    first, last = wanted.frequencies[0], wanted.frequencies[-1]
    if first == last:
        return first * seconds
    pace = math.log(last / first) / wanted.seconds
    return first / pace * np.expm1(pace * seconds)
