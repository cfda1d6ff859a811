"""Sounds made from nothing: noise and pulses that a dream shapes, and test signals to dream on.

An excited envelope sounds better than an invented phase: a smooth blob is no sound's spectrogram.
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
from mmdream.audio.spectra import HALF_WINDOW_HOPS, Stft, forward_stft
from mmdream.core.errors import UserError
from mmdream.core.rng import rng_for

PULSE_SHARE = 0.5
"""Of the energy where there is a pitch; the rest is noise."""
VIBRATO_HZ, VIBRATO_DEPTH = 5.5, 0.02
"""Depth is a share of the pitch."""
HIGH_PASS_HZ = 60.0
"""What is lower fades by 12 dB an octave: it would be felt, not heard, and a direct current is no sound."""
NOISE_BLOCK_SAMPLES = 8192
"""Drawn together."""
SIGNAL_RATE = 44_100
"""Samples a second."""
SIGNAL_LUFS = -23.0
"""EBU R 128's programme level."""
MIN_HZ, MAX_HZ = 20.0, 20_000.0
MIN_SECONDS, MAX_SECONDS = 0.1, 3600.0
FADE_SECONDS = 0.02
"""In which a test signal fades in and out: a sine that begins at once clicks."""
PINK_FILTER = (
    (0.049922035, -0.095993537, 0.050612699, -0.004408786),
    (1.0, -2.494956002, 2.017265875, -0.522189400),
)
"""White noise through it falls by 3 dB an octave (J. O. Smith, "Spectral Audio Signal Processing")."""


class Excitation:
    """Noise and pulses of power 1 in every bin; the pulses' phase continues from call to call."""

    def __init__(self, stft: Stft, seed: int) -> None:
        self._stft, self._seed = stft, seed
        self._phase = 0.0
        """Of the last pulse's sample, in turns."""
        self._pulses = np.zeros(0, np.float32)
        self._next: int | None = None

    def next_spectra(self, first: int, pitch: np.ndarray) -> np.ndarray:
        """The next frames, complex64 [frame, bin], from hop `first` on; `pitch` is Hz [frame], 0: noise."""
        hop, reach = self._stft.hop, HALF_WINDOW_HOPS * self._stft.hop
        low, high = first * hop - reach, (first + len(pitch) - 1) * hop + reach
        noise = self._draw_noise(low, high)
        # A frame reaches to either side of its centre; behind the last one its pitch is held.
        start = low if self._next is None else self._next
        frames = (np.arange(start, high) - first * hop) / hop
        hz = np.interp(frames, np.arange(len(pitch)), np.where(pitch > 0, pitch, pitch.max()))
        self._pulses = np.concatenate((self._pulses, self._generate_pulses(start, hz)))[-(high - low) :]
        self._next = high
        share = np.sqrt(PULSE_SHARE) * (pitch > 0)
        # White noise of variance 1 has 6 / window of power in a bin of a Hann window that reads amplitudes.
        level = np.sqrt(self._stft.window / 6)
        parts = forward_stft(np.stack((noise, self._pulses)), self._stft) * np.float32(level)
        mixed = parts[0] * np.sqrt(1 - share**2)[:, None] + parts[1] * share[:, None]
        high_pass = np.minimum(self._stft.frequencies / HIGH_PASS_HZ, 1.0) ** 2
        return np.asarray(mixed * high_pass, dtype=np.complex64)

    def _generate_pulses(self, start: int, hz: np.ndarray) -> np.ndarray:
        """Pulses of variance 1, float32 [sample]; one between two samples is shared out over both."""
        if not len(hz):
            return np.zeros(0, np.float32)
        rate = self._stft.rate
        seconds = (start + np.arange(len(hz))) / rate
        hz = hz * (1 + VIBRATO_DEPTH * np.sin(2 * np.pi * VIBRATO_HZ * seconds))
        phase = self._phase + np.cumsum(hz) / rate
        periods = np.floor(phase)
        beats = np.flatnonzero(np.diff(periods, prepend=np.floor(self._phase)) > 0)
        self._phase = float(phase[-1] % 1.0)
        pulses = np.zeros(len(hz) + 1)
        late = (phase[beats] - periods[beats]) / np.maximum(hz[beats] / rate, 1e-9)
        height = np.sqrt(rate / np.maximum(hz[beats], 1.0))
        pulses[beats] += height * np.clip(late, 0, 1)
        pulses[beats + 1] += height * (1 - np.clip(late, 0, 1))
        return pulses[:-1].astype(np.float32)

    def _draw_noise(self, low: int, high: int) -> np.ndarray:
        """White noise that belongs to the absolute clock, float32 [sample]."""
        first = low // NOISE_BLOCK_SAMPLES
        blocks = [
            rng_for(self._seed, "sound", "invented", number).standard_normal(NOISE_BLOCK_SAMPLES)
            for number in range(first, -(-high // NOISE_BLOCK_SAMPLES))
        ]
        start = low - first * NOISE_BLOCK_SAMPLES
        return np.concatenate(blocks)[start : start + high - low].astype(np.float32)


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """A test signal; raises UserError where frequencies or length are out of range."""

    kind: str
    """noise, silence, sine or sweep."""
    seconds: float
    frequencies: tuple[float, ...] = ()
    """Hz: one for a sine; first and last of a sweep."""

    def __post_init__(self) -> None:
        seconds = self.seconds
        if not MIN_SECONDS <= seconds <= MAX_SECONDS:
            raise UserError(f"seconds is {seconds:g}; choose between {MIN_SECONDS:g} and {MAX_SECONDS:g}")
        for hz in self.frequencies:
            if not MIN_HZ <= hz <= MAX_HZ:
                raise UserError(f"{self.kind} of {hz:g} Hz; choose between {MIN_HZ:g} and {MAX_HZ:g}")

    @property
    def n_samples(self) -> int:
        """Its length."""
        return round(self.seconds * SIGNAL_RATE)


def parse_signal(text: str, seconds: float) -> SignalSpec:
    """Read "noise", "silence", "sine:440" or "sweep:100-8000"; UserError: none of these."""
    kind, _, rest = text.strip().lower().partition(":")
    counts = {"noise": 0, "silence": 0, "sine": 1, "sweep": 2}
    parts = rest.split("-") if rest else []
    if kind in counts and len(parts) == counts[kind]:
        try:
            return SignalSpec(kind, seconds, tuple(map(float, parts)))
        except ValueError:
            pass
    raise UserError(f"--from is {text!r}; write noise, silence, sine:440, sweep:100-8000 or generator:NAME")


def generate_signal(signal: SignalSpec, seed: int) -> Iterator[np.ndarray]:
    """A test signal in order, float32 [1, at most BLOCK_SAMPLES].

    Its loudness is `SIGNAL_LUFS` unless the peak would pass -1 dBFS; `seed` is that of the noise.
    """
    if signal.kind == "silence":
        for start in range(0, signal.n_samples, BLOCK_SAMPLES):
            yield np.zeros((1, min(BLOCK_SAMPLES, signal.n_samples - start)), np.float32)
        return
    meter, peak = LoudnessMeter(SIGNAL_RATE, 1), 0.0
    for samples in _generate_raw(signal, seed):
        meter.feed(samples)
        peak = max(peak, float(np.abs(samples).max()))
    gain = min(10 ** ((SIGNAL_LUFS - meter.loudness()) / 20), PEAK_CEILING / peak)
    for samples in _generate_raw(signal, seed):
        yield samples * np.float32(gain)


def _generate_raw(signal: SignalSpec, seed: int) -> Iterator[np.ndarray]:
    """At an amplitude of about 1."""
    total, state = signal.n_samples, np.zeros(len(PINK_FILTER[1]) - 1)
    for start in range(0, total, BLOCK_SAMPLES):
        samples = np.arange(start, min(start + BLOCK_SAMPLES, total))
        if signal.kind == "noise":
            white = rng_for(seed, "sound", "from", start).standard_normal(len(samples))
            wave, state = scipy.signal.lfilter(*PINK_FILTER, white, zi=state)
        else:
            wave = np.sin(2 * np.pi * _phase_turns(signal, samples / SIGNAL_RATE))
        edge = np.minimum(samples + 0.5, total - 0.5 - samples) / (FADE_SECONDS * SIGNAL_RATE)
        fade = np.sin(np.pi / 2 * np.minimum(edge, 1.0)) ** 2
        yield (wave * fade).astype(np.float32)[None]


def _phase_turns(signal: SignalSpec, seconds: np.ndarray) -> np.ndarray:
    """The phase at some times, in turns; a sweep takes as long for each octave."""
    first, last = signal.frequencies[0], signal.frequencies[-1]
    if first == last:
        return first * seconds
    growth = math.log(last / first) / signal.seconds
    return first / growth * np.expm1(growth * seconds)
