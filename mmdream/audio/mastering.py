"""The last pass over a sound that was made of another: as loud as it should be, and its peaks held."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.ndimage
import scipy.optimize

from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.source import BLOCK_SAMPLES, AudioSource, read_padded

pass

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


PEAK_CEILING = 10 ** (-1 / 20)
"""-1 dBTP, after EBU R 128."""
_OVERSAMPLING = 4
_TAPS = 32
_BLOCK_SAMPLES = 4096
"""Samples interpolated at a time, so that the windows stay in the cache."""
LOOKAHEAD_SECONDS = 0.01
"""How far the limiter looks ahead, and back; its gain moves over twice that."""
_LIMITED_SHARE = 0.98
"""What a limited peak is brought to, as a share of the ceiling (-0.18 dB): the moving gain itself
bends the wave a little between the samples."""


def _make_interpolator() -> np.ndarray:
    """Windowed sinc, float32 [tap, phase], for the points 1/4, 1/2 and 3/4 after a sample."""
    offsets = np.arange(1, _OVERSAMPLING) / _OVERSAMPLING
    t = np.arange(_TAPS)[:, None] - (_TAPS // 2 - 1) - offsets
    window = np.i0(9.0 * np.sqrt(np.clip(1 - (2 * t / _TAPS) ** 2, 0, 1))) / np.i0(9.0)
    taps = np.sinc(t) * window
    return np.asarray(taps / taps.sum(axis=0), dtype=np.float32)


_INTERPOLATOR = _make_interpolator()
_MAX_OVERSHOOT = float(np.abs(_INTERPOLATOR).sum(axis=0).max())
"""No point between samples is larger than the largest sample near it times this."""
INTERPOLATION_REACH = _TAPS // 2
"""Samples that an interpolated point depends on, to either side."""


def measure_peaks(samples: np.ndarray, over: float = 0.0) -> np.ndarray:
    """The largest magnitude at and between samples, over all channels.

    Args:
        samples: float32 [channel, sample].
        over: linear; pieces that cannot reach it are not interpolated (loud ones are rare, and this
            is the dearest part of metering).

    Returns:
        float32 [sample]: at each sample and up to the next one.
    """
    n_samples = samples.shape[1]
    height = np.abs(samples).max(axis=0)
    padded = np.pad(samples, ((0, 0), (INTERPOLATION_REACH - 1, INTERPOLATION_REACH)))
    for start in range(0, n_samples, _BLOCK_SAMPLES):
        stop = min(start + _BLOCK_SAMPLES, n_samples)
        near = padded[:, start : stop + 2 * INTERPOLATION_REACH - 1]
        if np.abs(near).max() * _MAX_OVERSHOOT <= over:
            continue
        for channel in near:
            windows = np.lib.stride_tricks.sliding_window_view(channel, _TAPS)
            between = np.abs(np.ascontiguousarray(windows) @ _INTERPOLATOR).max(axis=1)
            np.maximum(height[start:stop], between, out=height[start:stop])
    return np.asarray(height)


class TruePeakMeter:
    """True peak of a sound that comes in blocks of any length."""

    def __init__(self, channels: int) -> None:
        self._tail = np.zeros((channels, 2 * INTERPOLATION_REACH), np.float32)
        self._peak = 0.0

    def feed(self, samples: np.ndarray) -> None:
        """Take the next block, float32 [channel, sample]."""
        joined = np.concatenate((self._tail, samples), axis=1)
        # Points near the block's ends lack neighbours; they are seen again with the next block.
        self._peak = max(self._peak, _find_highest_peak(joined, self._peak))
        self._tail = joined[:, -2 * INTERPOLATION_REACH :].copy()

    @property
    def peak(self) -> float:
        """Linear, of what came so far."""
        ended = np.pad(self._tail, ((0, 0), (0, 2 * INTERPOLATION_REACH)))
        return max(self._peak, _find_highest_peak(ended, self._peak))


def _find_highest_peak(samples: np.ndarray, over: float) -> float:
    whole = measure_peaks(samples, over)[INTERPOLATION_REACH:-INTERPOLATION_REACH]
    return float(whole.max()) if whole.size else 0.0


def limit_peaks(
    read: Callable[[int, int], np.ndarray], start: int, stop: int, rate: int, ceiling: float
) -> np.ndarray:
    """A stretch of a sound with its true peaks held under a ceiling.

    The gain that each point needs is spread to everything within LOOK_SECONDS (a running minimum),
    then averaged over the same width: it is down before the peak comes, and is exactly 1 where no
    peak above the ceiling is near. A stretch depends on its own neighbourhood alone, so stretches
    fit together.

    Args:
        read: (start, stop) -> float32 [channel, sample], zeros beyond the ends.
        start: first sample.
        stop: one past the last sample.
        rate: samples a second.
        ceiling: linear, > 0.

    Returns:
        float32 [channel, stop - start].
    """
    look = max(1, round(LOOKAHEAD_SECONDS * rate))
    margin = 2 * look + INTERPOLATION_REACH
    samples = read(start - margin, stop + margin)
    height = measure_peaks(samples, ceiling)
    # A height belongs to the gap after its sample too.
    height[1:] = np.maximum(height[1:], height[:-1])
    if height.max() <= ceiling:
        return samples[:, margin:-margin]
    need = np.where(height > ceiling, _LIMITED_SHARE * ceiling / np.maximum(height, 1e-12), 1.0)
    width = 2 * look + 1
    least = scipy.ndimage.minimum_filter1d(need, width, mode="nearest")
    weights = np.hanning(width + 2)[1:-1]
    gain = 1.0 - scipy.ndimage.convolve1d(1.0 - least, weights / weights.sum(), mode="nearest")
    return np.asarray(samples * gain.astype(np.float32))[:, margin:-margin]
