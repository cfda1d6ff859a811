"""The last pass over a new sound: its loudness matched to the source's, its true peaks limited.

Peaks are looked for between the samples too, four times as densely (ITU-R BS.1770-4, annex 2).
"""

from __future__ import annotations

import errno
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.optimize
import soundfile

from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.source import BLOCK_SAMPLES, AudioSource, FileSource, read_blocks, read_padded
from mmdream.settings.report import Report

PEAK_CEILING = 10 ** (-1 / 20)
"""Linear: -1 dBTP, after EBU R 128."""
LOOKAHEAD_SECONDS = 0.01
"""How far the limiter looks ahead, and back."""
MATCH_ROUNDS = 6
"""Of the loudness match of a dream; the last ones move hundredths of a decibel."""
MAX_NEPERS = 4.6
"""No loudness match needs more than 40 dB."""
_LIMITED_SHARE = 0.98
"""Share of the ceiling to which a peak is brought: the moving gain bends the wave a little."""
_OVERSAMPLING = 4
_TAPS = 32
_BLOCK_SAMPLES = 4096
"""Samples interpolated at a time, so that the windows stay in the cache."""
INTERPOLATION_REACH = _TAPS // 2
"""Samples that an interpolated point depends on, to either side."""

SampleCurve = Callable[[np.ndarray], np.ndarray]
"""(samples, int [sample]) -> a value for each, float64: a log gain in nepers, or a share."""
SampleWriter = Callable[[np.ndarray], None]
"""Takes a sound in order, float32 [channel, sample]."""


@dataclass(frozen=True)
class AudioReport:
    """A new sound's figures: LUFS (dB RMS where BS.1770 gives none) and dBTP; -inf for silence."""

    n_samples: int
    rate: int
    channels: int
    loudness_source: float
    loudness_dream: float
    true_peak: float

    @property
    def credits(self) -> Sequence[str]:
        """Who is to be named for recordings in it."""
        return ()

    def extend_report(self, report: Report) -> Report:
        """A report with these figures; sounds are computed in float32."""
        return replace(
            report,
            loudness_source=self.loudness_source,
            loudness_dream=self.loudness_dream,
            true_peak=self.true_peak,
            precision={**report.precision, "sound": "float32"},
        )


@contextmanager
def store_raw(
    blocks: Iterable[np.ndarray], source: AudioSource, folder: Path | None
) -> Iterator[tuple[FileSource, LoudnessMeter]]:
    """Keep a new sound in a temporary file until it is mastered, and meter it; OSError (ENOSPC): no room."""
    meter = LoudnessMeter(source.rate, source.channels, source.layout)
    with tempfile.TemporaryDirectory(dir=folder, prefix="sound") as place:
        path = Path(place) / "raw.wav"
        with soundfile.SoundFile(path, "w", source.rate, source.channels, "FLOAT", format="RF64") as file:
            for samples in blocks:
                meter.feed(samples)
                try:
                    file.write(samples.T)
                except (soundfile.LibsndfileError, AssertionError) as error:
                    # libsndfile does not tell why a file stops growing, but a full disk is why.
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name) from error
        with soundfile.SoundFile(path) as file:
            yield FileSource(file, source.layout), meter


def match_dream_loudness(
    dream: LoudnessMeter, source: LoudnessMeter, rate: int, share: SampleCurve, loudness: float | None
) -> SampleCurve:
    """The log gain, by sample, that brings a dream to a loudness without sudden loud moments.

    Turning the loudest places down makes the whole softer, and turning that up makes them louder again: a few
    rounds settle it. `share` tells how much of the gain acts, 0..1; `loudness` is LUFS, None: as the source.
    """
    at = dream.block_seconds() * rate
    shares, down = share(at), np.zeros(len(at))
    for _ in range(MATCH_ROUNDS):
        nepers = dream.find_gain_to(source if loudness is None else loudness, shares, -down * shares)
        if loudness is not None:
            break
        down = dream.measure_excess(source, nepers * shares)
        if not down.any():
            break
    return lambda samples: share(samples) * (nepers - np.interp(samples, at, down))


def match_loudness(sound: LoudnessMeter, source: LoudnessMeter, rate: int) -> SampleCurve:
    """The log gain, by sample, that makes a sound as loud as another: one for all, less at loud moments.

    Tries every gain: the rounds of `match_dream_loudness` can end beside it where the courses of both differ.
    """

    def apply(nepers: float) -> np.ndarray:
        return nepers - sound.measure_excess(source, nepers)

    def excess(nepers: float) -> float:
        return max(sound.loudness(apply(nepers)), -200.0) - source.loudness()

    at = sound.block_seconds() * rate
    if not np.isfinite(sound.loudness()):
        return lambda samples: np.zeros(len(samples))
    # Not every loudness can be had, and the largest gain is not the loudest: a loud place turns its
    # neighbours down.
    steps = np.linspace(-MAX_NEPERS, MAX_NEPERS, 93)
    over = np.array([excess(float(nepers)) for nepers in steps])
    first = int(np.argmax(over >= 0)) if over.max() >= 0 else 0
    nepers = steps[over.argmax()]
    if first:
        nepers = scipy.optimize.brentq(excess, steps[first - 1], steps[first], xtol=1e-4)
    gain = apply(float(nepers))
    return lambda samples: np.interp(samples, at, gain)


def limit_blocks(
    source: AudioSource, ceiling: float, curve: SampleCurve | None = None, n_samples: int | None = None
) -> Iterator[np.ndarray]:
    """A sound in order under a gain, its true peaks limited, float32 [channel, at most BLOCK_SAMPLES].

    The ceiling is linear; `n_samples` None: all of it.
    """
    read, end = _read_under(source, curve), source.n_samples if n_samples is None else n_samples
    for start in range(0, end, BLOCK_SAMPLES):
        yield limit_peaks(read, start, min(start + BLOCK_SAMPLES, end), source.rate, ceiling)


def measure_mastering_gain(
    raw: AudioSource, curve: SampleCurve, source: AudioSource
) -> Iterator[tuple[int, np.ndarray]]:
    """First sample of each block of `write_mastered`, and what the block is multiplied by, float32 [sample].

    So the parts of a sound are mastered as their sum is.
    """
    read, ceiling = _read_under(raw, curve), find_ceiling(source)
    for start in range(0, raw.n_samples, BLOCK_SAMPLES):
        stop = min(start + BLOCK_SAMPLES, raw.n_samples)
        loudness = np.exp(curve(np.arange(start, stop))).astype(np.float32)
        yield start, loudness * find_peak_gain(read, start, stop, raw.rate, ceiling)


def _read_under(source: AudioSource, curve: SampleCurve | None) -> Callable[[int, int], np.ndarray]:
    """A sound's reader under a log gain, zeros beyond its ends."""

    def read(start: int, stop: int) -> np.ndarray:
        samples = read_padded(source, start, stop)
        if curve is not None:
            samples = samples * np.exp(curve(np.arange(start, stop))).astype(np.float32)
        return samples

    return read


def write_metered(
    blocks: Iterable[np.ndarray], source: AudioSource, write: SampleWriter
) -> tuple[float, float]:
    """Write a new sound of the source's rate and channels; its loudness (LUFS) and true peak (dBTP)."""
    meter, peaks = LoudnessMeter(source.rate, source.channels, source.layout), TruePeakMeter(source.channels)
    for samples in blocks:
        meter.feed(samples)
        peaks.feed(samples)
        write(samples)
    return meter.loudness(), peaks.dbtp


def write_mastered(
    raw: AudioSource, curve: SampleCurve, source: AudioSource, meter: LoudnessMeter, write: SampleWriter
) -> AudioReport:
    """Write a new sound under a gain, its peaks limited by those of its source."""
    loudness, true_peak = write_metered(limit_blocks(raw, find_ceiling(source), curve), source, write)
    samples = source.n_samples, source.rate, source.channels
    return AudioReport(*samples, meter.loudness(), loudness, true_peak)


def find_ceiling(source: AudioSource) -> float:
    """Of what is made of a sound, linear: `PEAK_CEILING`, or the sound's own true peak if that is higher."""
    peaks = TruePeakMeter(source.channels)
    for samples in read_blocks(source):
        peaks.feed(samples)
    return max(PEAK_CEILING, peaks.peak)


def _make_interpolator() -> np.ndarray:
    """Kaiser-windowed sinc, float32 [tap, phase], for the points 1/4, 1/2 and 3/4 after a sample."""
    offsets = np.arange(1, _OVERSAMPLING) / _OVERSAMPLING
    t = np.arange(_TAPS)[:, None] - (_TAPS // 2 - 1) - offsets
    window = np.i0(9.0 * np.sqrt(np.clip(1 - (2 * t / _TAPS) ** 2, 0, 1))) / np.i0(9.0)
    taps = np.sinc(t) * window
    return np.asarray(taps / taps.sum(axis=0), dtype=np.float32)


_INTERPOLATOR = _make_interpolator()
_MAX_OVERSHOOT = float(np.abs(_INTERPOLATOR).sum(axis=0).max())
"""No point between samples is larger than the largest sample near it times this."""


def measure_peaks(samples: np.ndarray, over: float = 0.0) -> np.ndarray:
    """The largest magnitude over all channels at each sample and up to the next one, float32 [sample].

    Pieces that cannot reach `over`, linear, are not interpolated: that is slow, and loud ones are rare.
    """
    n_samples = samples.shape[1]
    peaks = np.abs(samples).max(axis=0)
    padded = np.pad(samples, ((0, 0), (INTERPOLATION_REACH - 1, INTERPOLATION_REACH)))
    for start in range(0, n_samples, _BLOCK_SAMPLES):
        stop = min(start + _BLOCK_SAMPLES, n_samples)
        near = padded[:, start : stop + 2 * INTERPOLATION_REACH - 1]
        if np.abs(near).max() * _MAX_OVERSHOOT <= over:
            continue
        for channel in near:
            windows = np.lib.stride_tricks.sliding_window_view(channel, _TAPS)
            between = np.abs(np.ascontiguousarray(windows) @ _INTERPOLATOR).max(axis=1)
            np.maximum(peaks[start:stop], between, out=peaks[start:stop])
    return np.asarray(peaks)


class TruePeakMeter:
    """True peak of a sound that comes in blocks of any length."""

    def __init__(self, channels: int) -> None:
        self._tail = np.zeros((channels, 2 * INTERPOLATION_REACH), np.float32)
        self._peak = 0.0

    def feed(self, samples: np.ndarray) -> None:
        """Take the next block, float32 [channel, sample]."""
        joined = np.concatenate((self._tail, samples), axis=1)
        # Points near the block's ends lack neighbours; they are measured again with the next block.
        self._peak = max(self._peak, _find_highest_peak(joined, self._peak))
        self._tail = joined[:, -2 * INTERPOLATION_REACH :].copy()

    @property
    def peak(self) -> float:
        """Linear, of what came so far."""
        end = np.pad(self._tail, ((0, 0), (0, 2 * INTERPOLATION_REACH)))
        return max(self._peak, _find_highest_peak(end, self._peak))

    @property
    def dbtp(self) -> float:
        """The same in dB; -inf for silence."""
        return 20 * math.log10(self.peak) if self.peak > 0 else -math.inf


def _find_highest_peak(samples: np.ndarray, over: float) -> float:
    peaks = measure_peaks(samples, over)[INTERPOLATION_REACH:-INTERPOLATION_REACH]
    return float(peaks.max()) if peaks.size else 0.0


def limit_peaks(
    read: Callable[[int, int], np.ndarray], start: int, stop: int, rate: int, ceiling: float
) -> np.ndarray:
    """A stretch of a sound with its true peaks held under a ceiling, linear; float32 [channel, sample].

    `read` gives [channel, stop - start], zeros beyond the ends.
    """
    return read(start, stop) * find_peak_gain(read, start, stop, rate, ceiling)


def find_peak_gain(
    read: Callable[[int, int], np.ndarray], start: int, stop: int, rate: int, ceiling: float
) -> np.ndarray:
    """The gain that holds a stretch's true peaks under a ceiling, linear both, float32 [sample].

    What each point needs is spread to everything within LOOKAHEAD_SECONDS (a running minimum), then averaged
    over the same width: it is down before the peak comes, and exactly 1 where none is near, so stretches fit
    together. `read` as in `limit_peaks`.
    """
    look = max(1, round(LOOKAHEAD_SECONDS * rate))
    margin = 2 * look + INTERPOLATION_REACH
    peaks = measure_peaks(read(start - margin, stop + margin), ceiling)
    # A peak belongs to the gap after its sample too.
    peaks[1:] = np.maximum(peaks[1:], peaks[:-1])
    if peaks.max() <= ceiling:
        return np.ones(stop - start, np.float32)
    need = np.where(peaks > ceiling, _LIMITED_SHARE * ceiling / np.maximum(peaks, 1e-12), 1.0)
    width = 2 * look + 1
    least = scipy.ndimage.minimum_filter1d(need, width, mode="nearest")
    weights = np.hanning(width + 2)[1:-1]
    gain = 1.0 - scipy.ndimage.convolve1d(1.0 - least, weights / weights.sum(), mode="nearest")
    return gain.astype(np.float32)[margin:-margin]
