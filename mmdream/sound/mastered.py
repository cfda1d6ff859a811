"""The last pass over a sound that was made of another: as loud as that, and its peaks held."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.ndimage
import scipy.optimize

from mmdream.sound.level import Meter
from mmdream.sound.peak import CEILING, PeakMeter, limited
from mmdream.sound.source import BLOCK, Source, blocks, padded

MOST_NEPERS = 4.6
"""No loudness match needs more than 40 dB."""
MOST_RIDE = 1.4
"""Nepers that its course may move by, 12 dB."""
NEAR_LU = 0.2
"""That a match is good enough at."""


def mastered(
    raw: Source, meter: Meter, source: Source, loud: Meter, write: Callable[[np.ndarray], None]
) -> tuple[Meter, float]:
    """Write a sound as loud as its source, nowhere a shock, under the larger of -1 dBTP and its peak.

    Args:
        raw: what was made.
        meter: of it.
        source: what it was made of.
        loud: meter of that.
        write: takes the result in order, float32 [channel, at most BLOCK].

    Returns:
        Meter and true peak (linear) of the result.
    """
    at = meter.block_seconds() * raw.rate
    gain = _gains(meter, loud)

    def levelled(start: int, stop: int) -> np.ndarray:
        nepers = np.interp(np.arange(start, stop), at, gain)
        return padded(raw, start, stop) * np.exp(nepers).astype(np.float32)

    peaks = PeakMeter(source.channels)
    for samples in blocks(source):
        peaks.feed(samples)
    final, top = Meter(source.rate, source.channels, source.layout), PeakMeter(source.channels)
    for start in range(0, raw.n_samples, BLOCK):
        stop = min(start + BLOCK, raw.n_samples)
        samples = limited(levelled, start, stop, raw.rate, max(CEILING, peaks.peak))
        final.feed(samples)
        top.feed(samples)
        write(samples)
    return final, top.peak


def _gains(meter: Meter, loud: Meter) -> np.ndarray:
    """The log gain, nepers [tenth-second block], behind which a sound is as loud as another, nowhere a shock.

    One gain for all and less where it would be too loud, if that does; else its course is brought as near to
    the other's as it takes.
    """
    ride, found = _ride(meter, loud), np.zeros(len(meter.block_seconds()))
    for share in np.linspace(0, 1, 5):
        found = _gain(meter, loud, share * ride)
        if abs(meter.loudness(found) - loud.loudness()) < NEAR_LU:
            break
    return found


def _ride(meter: Meter, loud: Meter) -> np.ndarray:
    """What brings the loudness of each 400 ms towards that of another sound, nepers [block]."""
    away = np.nan_to_num(loud.momentary() - meter.momentary(), nan=0.0) * np.log(10) / 20
    if not len(away):
        return np.zeros(len(meter.block_seconds()))
    places = np.clip(np.arange(len(meter.block_seconds())) - 1.5, 0, len(away) - 1)
    held = np.interp(places, np.arange(len(away)), np.clip(away, -MOST_RIDE, MOST_RIDE))
    return np.asarray(scipy.ndimage.gaussian_filter1d(held, 1.5))


def _gain(meter: Meter, loud: Meter, course: np.ndarray) -> np.ndarray:
    """A course, nepers [block], and the gain for all that goes with it, less where that would be too loud."""

    def behind(nepers: float) -> np.ndarray:
        return course + nepers - meter.over(loud, course + nepers)

    def excess(nepers: float) -> float:
        return max(meter.loudness(behind(nepers)), -200.0) - loud.loudness()

    if not np.isfinite(meter.loudness()):
        return course
    # Not every loudness can be had, and the largest gain is not the loudest: a loud place turns its
    # neighbours down.
    steps = np.linspace(-MOST_NEPERS, MOST_NEPERS, 93)
    found = np.array([excess(float(nepers)) for nepers in steps])
    place = int(np.argmax(found >= 0)) if found.max() >= 0 else 0
    if not place:
        return behind(float(steps[found.argmax()]))
    return behind(float(scipy.optimize.brentq(excess, steps[place - 1], steps[place], xtol=1e-4)))
