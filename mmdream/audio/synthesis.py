"""New sound where a gain has nothing to lift: noise and pulses under the envelope that a dream has drawn.

Exciting an envelope sounds better than inventing a phase for it: a smooth blob is no sound's spectrogram.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.signal

from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.mastering import PEAK_CEILING
from mmdream.audio.source import BLOCK_SAMPLES
from mmdream.audio.stft import HALF_WINDOW_HOPS, Stft, forward_stft
from mmdream.core.errors import UserError
from mmdream.core.rng import rng_for

PULSE_SHARE = 0.5
"""Share of the energy that is pulses where there is a pitch; the rest is noise."""
VIBRATO_HZ, VIBRATO_DEPTH = 5.5, 0.02
"""How often, and by how much of itself, a pitch wavers."""
HIGH_PASS_HZ = 60.0
"""What is lower fades by 12 dB an octave: it would be felt, not heard, and a direct current is no sound."""
EDGE_HOPS = 2, 8
"""Hops from the sound's beginning, and from its end, between which what is invented rises: no click."""
NOISE_BLOCK_SAMPLES = 8192
"""Samples whose noise is drawn together."""


def fade_at_edges(hops: np.ndarray, first: int, last: int) -> np.ndarray:
    """How much of what is invented is heard near a sound's first and last hop, 0..1, float64 [hop]."""
    near = np.minimum(hops - first, last - hops)
    return np.clip((near - EDGE_HOPS[0]) / (EDGE_HOPS[1] - EDGE_HOPS[0]), 0.0, 1.0)


class Excitation:
    """Noise and pulses of power 1 in every bin, in order; the pulses' phase goes on from stretch to stretch.

    Args:
        stft: the transform.
        seed: of the noise.
    """

    def __init__(self, stft: Stft, seed: int) -> None:
        self._stft, self._seed = stft, seed
        self._turns = 0.0
        self._pulses = np.zeros(0, np.float32)
        self._next: int | None = None

    def spectra(self, first: int, pitch: np.ndarray) -> np.ndarray:
        """The next frames.

        Args:
            first: hop of the first one; where the last call ended.
            pitch: Hz, float [frame]; 0: noise alone.

        Returns:
            complex64 [frame, bin].
        """
        hop, reach = self._stft.hop, HALF_WINDOW_HOPS * self._stft.hop
        low, high = first * hop - reach, (first + len(pitch) - 1) * hop + reach
        noise = self._noise(low, high)
        # A frame reaches to either side of its centre; behind the last one its pitch is held.
        begin = low if self._next is None else self._next
        at = (np.arange(begin, high) - first * hop) / hop
        hz = np.interp(at, np.arange(len(pitch)), np.where(pitch > 0, pitch, pitch.max()))
        self._pulses = np.concatenate((self._pulses, self._drawn(begin, hz)))[-(high - low) :]
        self._next = high
        share = np.sqrt(PULSE_SHARE) * (pitch > 0)
        # White noise of variance 1 has 6 / window of power in a bin of a Hann window that reads amplitudes.
        level = np.sqrt(self._stft.window / 6)
        parts = forward_stft(np.stack((noise, self._pulses)), self._stft) * np.float32(level)
        found = parts[0] * np.sqrt(1 - share**2)[:, None] + parts[1] * share[:, None]
        return np.asarray(
            found * np.minimum(self._stft.frequencies / HIGH_PASS_HZ, 1.0) ** 2, dtype=np.complex64
        )

    def _drawn(self, begin: int, hz: np.ndarray) -> np.ndarray:
        """Pulses of variance 1, float32 [sample]; between samples they are shared out over two."""
        if not len(hz):
            return np.zeros(0, np.float32)
        seconds = (begin + np.arange(len(hz))) / self._stft.rate
        hz = hz * (1 + VIBRATO_DEPTH * np.sin(2 * np.pi * VIBRATO_HZ * seconds))
        turns = self._turns + np.cumsum(hz) / self._stft.rate
        whole = np.floor(turns)
        beats = np.flatnonzero(np.diff(whole, prepend=np.floor(self._turns)) > 0)
        self._turns = float(turns[-1] % 1.0)
        found = np.zeros(len(hz) + 1)
        late = (turns[beats] - whole[beats]) / np.maximum(hz[beats] / self._stft.rate, 1e-9)
        height = np.sqrt(self._stft.rate / np.maximum(hz[beats], 1.0))
        found[beats] += height * np.clip(late, 0, 1)
        found[np.maximum(beats, 0) + 1] += height * (1 - np.clip(late, 0, 1))
        return found[:-1].astype(np.float32)

    def _noise(self, low: int, high: int) -> np.ndarray:
        """White noise that belongs to the absolute clock, float32 [sample]."""
        blocks = [
            rng_for(self._seed, "sound", "invented", number).standard_normal(NOISE_BLOCK_SAMPLES)
            for number in range(low // NOISE_BLOCK_SAMPLES, -(-high // NOISE_BLOCK_SAMPLES))
        ]
        start = low - low // NOISE_BLOCK_SAMPLES * NOISE_BLOCK_SAMPLES
        return np.concatenate(blocks)[start : start + high - low].astype(np.float32)


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
