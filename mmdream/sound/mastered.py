"""The last pass over a sound that was made of another: as loud as that, and its peaks held."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.optimize

from mmdream.sound.level import Meter
from mmdream.sound.peak import CEILING, PeakMeter, limited
from mmdream.sound.source import BLOCK, Source, blocks, padded

MOST_NEPERS = 4.6
"""No loudness match needs more than 40 dB."""


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
    """The log gain behind which a sound is as loud as another: one for all, less where that would be a shock.

    Returns:
        Nepers, float64 [tenth-second block].
    """

    def behind(nepers: float) -> np.ndarray:
        return nepers - meter.over(loud, nepers)

    def excess(nepers: float) -> float:
        return max(meter.loudness(behind(nepers)), -200.0) - loud.loudness()

    if not np.isfinite(meter.loudness()):
        return np.zeros(len(meter.block_seconds()))
    # Not every loudness can be had, and the largest gain is not the loudest: a loud place turns its
    # neighbours down.
    steps = np.linspace(-MOST_NEPERS, MOST_NEPERS, 93)
    found = np.array([excess(float(nepers)) for nepers in steps])
    place = int(np.argmax(found >= 0)) if found.max() >= 0 else 0
    if not place:
        return behind(float(steps[found.argmax()]))
    return behind(float(scipy.optimize.brentq(excess, steps[place - 1], steps[place], xtol=1e-4)))
