"""New sound where a gain has nothing to lift: noise and pulses under the envelope that a dream has drawn.

Exciting an envelope sounds better than inventing a phase for it: a smooth blob is no sound's spectrogram.
"""

from __future__ import annotations

import numpy as np

from mmdream.core.rng import rng_for
from mmdream.sound.stft import HALF_WINDOW_HOPS, Stft, forward_stft

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
