"""A sound for a silent film, of how its picture moves and shines: what its sound is dreamed from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.signal

from mmdream.core.rng import rng_for

BLOCK_SECONDS = 4
RUMBLE_HZ, WIND_HZ, AIR_HZ = 180.0, (300.0, 1_800.0), 3_000.0
"""Noise that grows with motion, with motion, and with light."""
HIT_HZ = 250.0, 5_000.0
HIT_ATTACK, HIT_DECAY, HIT_LEVEL = 0.004, 0.22, 1.6
"""Seconds in which what a cut or a motion begins with rises, in which it falls to a third, and its height."""
ROOT_HZ, SCALE = 110.0, (0, 3, 5, 7, 10)
"""The lowest tone that a shot may hum, and the semitones over it of the others: a minor pentatonic scale."""
PARTIALS = (1.0, 1.0), (1.5, 0.5), (2.0, 0.4), (3.0, 0.2)
"""(ratio, amplitude) of the tones of a hum."""
HUM_FADE = 0.4
"""Seconds in which one hum goes over into the next."""
RISE_SECONDS, LEAST_RISE, START_DISTANCE = 0.15, 0.3, 0.5
"""A motion starts where it grows within so long by such a share of strong motion; seconds between two."""


@dataclass(frozen=True)
class PictureMotion:
    """What a silent film's picture does over time."""

    seconds: np.ndarray
    """float64 [step], evenly rising, of the source."""
    speed: np.ndarray
    """float64 [step], 0 or more."""
    light: np.ndarray
    """float64 [step], 0..1."""
    cuts: np.ndarray
    """float64 [cut], seconds."""
    warmth: np.ndarray
    """float64 [cut + 1], -1 (blue) to 1 (red): of each shot."""

    @property
    def strength(self) -> np.ndarray:
        """Speed over what is fast in this film, 0..1, float64 [step]."""
        fast = float(np.percentile(self.speed, 95)) if len(self.speed) else 0.0
        return np.clip(self.speed / max(fast, 1e-3), 0.0, 1.0)

    def starts(self) -> np.ndarray:
        """Seconds at which something begins to move, float64 [start]."""
        if len(self.seconds) < 2:
            return np.zeros(0)
        step = float(self.seconds[1] - self.seconds[0])
        reach = max(1, round(RISE_SECONDS / step))
        padded = np.pad(self.strength, reach, mode="edge")
        rises = padded[2 * reach :] - padded[: -2 * reach]
        distance = max(1, round(START_DISTANCE / step))
        peaks, _ = scipy.signal.find_peaks(rises, height=LEAST_RISE, distance=distance)
        return np.asarray(self.seconds[peaks])


def make_bed(picture: PictureMotion, n_samples: int, rate: int, seed: int) -> Iterator[np.ndarray]:
    """The sound from second 0 on, block by block, float32 [2, sample] of so many a second, under 1."""
    filters = {
        "rumble": scipy.signal.butter(2, RUMBLE_HZ, "low", fs=rate, output="sos"),
        "wind": scipy.signal.butter(2, WIND_HZ, "band", fs=rate, output="sos"),
        "air": scipy.signal.butter(2, AIR_HZ, "high", fs=rate, output="sos"),
        "hit": scipy.signal.butter(2, HIT_HZ, "band", fs=rate, output="sos"),
    }
    states = {name: np.zeros((len(sos), 2, 2)) for name, sos in filters.items()}
    hits = np.union1d(picture.cuts, picture.starts())
    phases = np.zeros(len(PARTIALS))
    block = BLOCK_SECONDS * rate
    for number, first in enumerate(range(0, n_samples, block)):
        length = min(block, n_samples - first)
        seconds = (first + np.arange(length)) / rate
        rng, bands = rng_for(seed, "sound", "bed", number), dict[str, np.ndarray]()
        for name, sos in filters.items():
            noise = rng.standard_normal((2, block))[:, :length]
            bands[name], states[name] = scipy.signal.sosfilt(sos, noise, zi=states[name])
        motion, light = (
            np.interp(seconds, picture.seconds, each) for each in (picture.strength, picture.light)
        )
        hum, phases = _hum(picture, seconds, rate, phases)
        sound = bands["rumble"] * (0.3 + 0.7 * motion) + 0.35 * bands["wind"] * (0.2 + 0.8 * motion)
        sound += 0.06 * bands["air"] * light + 0.12 * hum * (0.3 + 0.7 * light)
        sound += HIT_LEVEL * bands["hit"] * _shape_hits(hits, seconds)
        yield np.tanh(0.2 * sound).astype(np.float32)


def _shape_hits(hits: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """0..1 over time, float64 [sample]: up at each hit, and dying away."""
    shape = np.zeros(len(seconds))
    for at in hits[(hits > seconds[0] - 6 * HIT_DECAY) & (hits <= seconds[-1])]:
        since = seconds - at
        rise = np.clip(since / HIT_ATTACK, 0.0, 1.0)
        shape = np.maximum(shape, rise * np.exp(-np.maximum(since, 0.0) / HIT_DECAY))
    return shape


def _hum(
    picture: PictureMotion, seconds: np.ndarray, rate: int, phases: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A chord over the tone of each shot, warm shots low, float64 [sample], and the phases behind it."""
    degrees = np.rint((1 - picture.warmth) / 2 * (2 * len(SCALE) - 1)).astype(int)
    semitones = np.array([12 * (d // len(SCALE)) + SCALE[d % len(SCALE)] for d in degrees.tolist()], float)
    edges = np.repeat(picture.cuts, 2) + np.tile([-HUM_FADE / 2, HUM_FADE / 2], len(picture.cuts))
    held = np.interp(seconds, edges, np.repeat(semitones, 2)[1:-1]) if len(edges) else semitones[0]
    hz = ROOT_HZ * 2 ** (np.broadcast_to(held, seconds.shape) / 12)
    turns = np.cumsum(hz) / rate
    ratios, amplitudes = np.array(PARTIALS).T
    angles = phases[:, None] + ratios[:, None] * turns
    hum = (amplitudes[:, None] * np.sin(2 * math.pi * angles)).sum(axis=0)
    return hum, angles[:, -1] % 1.0
