"""Sounds that are no sound of any class: bursts of noise and of tones drawn by hand, and gains drawn by hand.

What a judge that knows only real recordings takes for barks: something in the right band that comes and
goes. Every decoy is drawn at random from a generator that the caller seeds.
"""

from __future__ import annotations

import numpy as np
import scipy.signal

LOWEST, HIGHEST = 100.0, 10_000.0
"""Hz of the bands that are drawn."""
BARK_BAND = 400.0, 2000.0


def draw_band(rng: np.random.Generator) -> tuple[float, float]:
    """Edges in Hz: one in three times about a bark's, else half an octave to three, anywhere."""
    if rng.random() < 1 / 3:
        return BARK_BAND[0] * 2 ** rng.uniform(-0.3, 0.3), BARK_BAND[1] * 2 ** rng.uniform(-0.3, 0.3)
    width = rng.uniform(0.5, 3.0)
    low = LOWEST * 2 ** rng.uniform(0, np.log2(HIGHEST / LOWEST) - width)
    return low, low * 2**width


def draw_envelope(seconds: float, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Something that comes and goes, 0..1, float64 [round(seconds * rate)].

    Regular or not, 60 ms to 0.6 s long; a slope up and one down, straight, in decibels or round, each from
    2 ms to the whole length: many rise steeply and die away as struck things do, as many the other way.
    """
    out = np.zeros(round(seconds * rate))
    length, period = rng.uniform(0.06, 0.6), rng.uniform(0.25, 1.5)
    rise, fall = length * 10 ** rng.uniform(-2, 0, 2)
    shape, uneven = int(rng.integers(3)), rng.choice([0.0, 0.3])
    start = rng.uniform(0, period)
    while start < seconds:
        long = length * np.exp(uneven * rng.normal())
        t = np.arange(max(2, round(long * rate))) / rate
        ends = np.minimum(t / max(rise, 0.002), (long - t) / max(fall, 0.002))
        ramp = np.clip(ends, 0.0, 1.0)
        drawn = (ramp, 10 ** (2 * (ramp - 1)) * (ramp > 0), np.sin(np.pi / 2 * ramp) ** 2)[shape]
        first = round(start * rate)
        stop = min(first + len(drawn), len(out))
        out[first:stop] = np.maximum(out[first:stop], drawn[: stop - first] * rng.uniform(0.5, 1.0))
        start += max(period * np.exp(uneven * rng.normal()), 0.1)
    return out


def bursts(seconds: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Bursts of coloured noise in a band, float32 [1, sample], RMS 0.1."""
    n = round(seconds * rate)
    filters = scipy.signal.butter(int(rng.integers(1, 5)), draw_band(rng), "bandpass", fs=rate, output="sos")
    wave = scipy.signal.sosfilt(filters, rng.standard_normal(n)) * draw_envelope(seconds, rate, rng)
    return _normalise_rms(wave)


def tones(seconds: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Chords of one to four notes that come and go like bursts, float32 [1, sample], RMS 0.1."""
    t = np.arange(round(seconds * rate)) / rate
    wave = np.zeros(len(t))
    for _ in range(int(rng.integers(1, 5))):
        hz, fall = 55 * 2 ** rng.uniform(0, 4), rng.uniform(0.4, 2.0)
        waver = 1 + 0.005 * np.sin(2 * np.pi * rng.uniform(3, 7) * t) * rng.choice([0.0, 1.0])
        turns = np.cumsum(hz * waver) / rate
        partials = [np.sin(2 * np.pi * k * turns) / k**fall for k in range(1, 20) if k * hz < rate / 2]
        wave += np.sum(partials, axis=0) * np.maximum(
            draw_envelope(seconds, rate, rng), rng.choice([0.0, 0.3])
        )
    return _normalise_rms(wave)


def plain_bursts(seconds: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """A quarter of a second of noise in a bark's band in every 0.6 s, float32 [1, sample], RMS 0.1."""
    n = round(seconds * rate)
    filters = scipy.signal.butter(4, BARK_BAND, "bandpass", fs=rate, output="sos")
    t = np.arange(n) / rate
    on = np.clip(np.minimum(t % 0.6, 0.25 - t % 0.6) / 0.01, 0.0, 1.0)
    return _normalise_rms(scipy.signal.sosfilt(filters, rng.standard_normal(n)) * on)


def draw_gain(frames: int, hz: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A log gain drawn by hand: up in a band during bursts, and down between them.

    Args:
        frames: how many.
        hz: centres of the bands that it is for.
        seconds: of a frame.
        rng: draws.

    Returns:
        float64 [frame, band], nepers of power, -4..4.
    """
    low, high = draw_band(rng)
    octaves = np.maximum(np.log2(low / hz), np.log2(hz / high))
    inside = np.clip(1 - np.maximum(octaves, 0) / rng.uniform(0.1, 1.0), 0, 1)
    drawn = draw_envelope(frames * seconds, 1 / seconds, rng)[:frames, None]
    up, down = rng.uniform(1.0, 4.0), rng.uniform(0.0, 4.0)
    return np.asarray((up * drawn - down * (1 - drawn)) * inside)


def _normalise_rms(wave: np.ndarray) -> np.ndarray:
    rms = max(float(np.sqrt(np.square(wave).mean())), 1e-9)
    return np.asarray(0.1 * wave / rms, np.float32)[None]
