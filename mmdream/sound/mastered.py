"""The last pass over a sound that was made of another: as loud as it should be, and its peaks held."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.optimize

from mmdream.sound.level import LoudnessMeter
from mmdream.sound.peak import TruePeakMeter, limit_peaks
from mmdream.sound.source import BLOCK_SAMPLES, AudioSource, read_padded

MATCH_ROUNDS = 6
"""Of the loudness match of a dream; the last ones move it by hundredths of a decibel."""
MAX_NEPERS = 4.6
"""No loudness match needs more than 40 dB."""

GainCurve = Callable[[np.ndarray], np.ndarray]
"""(samples, int [sample]) -> log gain there, nepers."""


def match_dream_loudness(
    dreamed: LoudnessMeter,
    source: LoudnessMeter,
    rate: int,
    share: Callable[[np.ndarray], np.ndarray],
    loudness: float | None,
) -> GainCurve:
    """The log gain, by sample, that makes a dream as loud as it should be, and nowhere a shock.

    Turning the loudest places down makes the whole softer, and turning that up makes them louder again: a few
    rounds settle it.

    Args:
        dreamed: meter of the dream.
        source: meter of its source.
        rate: samples a second.
        share: how much of the gain acts at some samples, 0..1.
        loudness: LUFS; None: as the source, on the whole and at any moment.
    """
    at = dreamed.block_seconds() * rate
    shares, down = share(at), np.zeros(len(at))
    for _ in range(MATCH_ROUNDS):
        nepers = dreamed.find_gain_to(source if loudness is None else loudness, shares, -down * shares)
        if loudness is not None:
            break
        down = dreamed.measure_excess(source, nepers * shares)
        if not down.any():
            break

    def level(samples: np.ndarray) -> np.ndarray:
        return share(samples) * (nepers - np.interp(samples, at, down))

    return level


def match_loudness(made: LoudnessMeter, source: LoudnessMeter, rate: int) -> GainCurve:
    """The log gain behind which a sound is as loud as another: one for all, less where that would be a shock.

    Looks at every gain, for a sound whose course is not its source's: there the rounds of `match_dream_loudness` can end
    beside the loudness that is wanted.

    Args:
        made: meter of the sound.
        source: meter of the other.
        rate: samples a second.
    """

    def behind(nepers: float) -> np.ndarray:
        return nepers - made.measure_excess(source, nepers)

    def excess(nepers: float) -> float:
        return max(made.loudness(behind(nepers)), -200.0) - source.loudness()

    def found() -> np.ndarray:
        if not np.isfinite(made.loudness()):
            return np.zeros(len(made.block_seconds()))
        # Not every loudness can be had, and the largest gain is not the loudest: a loud place turns its
        # neighbours down.
        steps = np.linspace(-MAX_NEPERS, MAX_NEPERS, 93)
        over = np.array([excess(float(nepers)) for nepers in steps])
        place = int(np.argmax(over >= 0)) if over.max() >= 0 else 0
        if not place:
            return behind(float(steps[over.argmax()]))
        return behind(float(scipy.optimize.brentq(excess, steps[place - 1], steps[place], xtol=1e-4)))

    at, gain = made.block_seconds() * rate, found()
    return lambda samples: np.interp(samples, at, gain)


def write_mastered(
    raw: AudioSource,
    layout: str | None,
    level: GainCurve,
    ceiling: float,
    write: Callable[[np.ndarray], None],
) -> tuple[LoudnessMeter, float]:
    """Write a sound under a gain, its true peaks held.

    Args:
        raw: what was made.
        layout: of its channels.
        level: the gain.
        ceiling: linear, > 0.
        write: takes the result in order, float32 [channel, at most BLOCK].

    Returns:
        Meter and true peak (linear) of the result.
    """

    def levelled(start: int, stop: int) -> np.ndarray:
        gain = np.exp(level(np.arange(start, stop)))
        return read_padded(raw, start, stop) * gain.astype(np.float32)

    final, top = LoudnessMeter(raw.rate, raw.channels, layout), TruePeakMeter(raw.channels)
    for start in range(0, raw.n_samples, BLOCK_SAMPLES):
        samples = limit_peaks(levelled, start, min(start + BLOCK_SAMPLES, raw.n_samples), raw.rate, ceiling)
        final.feed(samples)
        top.feed(samples)
        write(samples)
    return final, top.peak
