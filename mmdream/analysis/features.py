"""Measure what a schedule can follow of a film's picture and sound, and normalize it to curves in 0..1."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import scipy.ndimage

from mmdream.analysis.shots import Scan
from mmdream.audio.canvas import BAND_EDGES
from mmdream.audio.spectra import forward_stft, make_filterbank, make_stft

STEP_SECONDS = 0.05
"""Between two values of a feature: a frame or two."""
BLOCK_STEPS, HALO_STEPS = 160, 10
"""Steps that are measured together, 8 s, with so many more on either side."""
SPECTRA_PER_STEP = 4
STEVENS_EXPONENT = 0.3
"""Loudness grows with this power of the sound's (S. S. Stevens, 1957): 10 dB sound twice as loud."""
BASS_HZ = 150.0
POWER_FLOOR = 1e-8
"""Power, of a full-scale sine, under which a band is silent."""
ONSET_LAG = 2
"""Spectra over which a rise is an onset."""
EDGE_STEPS = 2
"""Steps at either end that take after their neighbours: that a recording begins is no onset."""
PITCH_RANGE_HZ = 50.0, 4000.0
"""Where a pitch is looked for: above, there is only the hiss of an s."""
PAUSE_RATIO = 1e-3
"""Of the power that 5 % of the steps exceed: in what is softer, the pitch is held."""
PITCH_MEDIAN_STEPS = 7
"""Values of a pitch whose median is taken: a click is no tone."""
PERCENTILES = 5, 95
"""Become 0 and 1; but no less than the middle between the first and the very largest becomes 1: one clap in a
quiet minute is an event, and one explosion in a loud film does not make the rest quiet."""
SMOOTHING_STEPS = 5
"""Values that are averaged: a quarter of a second, in which nobody sees a corner."""


def measure_video_features(
    scan: Scan, film_start: Fraction, names: Collection[str]
) -> tuple[float, dict[str, np.ndarray]]:
    """Measure motion, cuts and brightness, or some of them, at constant and variable frame rates.

    Returns the seconds, from the film's start on the clock of its time stamps, of the first value, and the
    values of each, float64 [step]: motion in shares of the longer side a second, cuts 1 where a shot begins
    that is not the first, brightness 0..1.
    """
    times = np.asarray(scan.pts, np.float64) * float(scan.time_base) - float(film_start)
    first = math.floor(times[0] / STEP_SECONDS) * STEP_SECONDS
    n_steps = math.floor((times[-1] - first) / STEP_SECONDS) + 1
    steps = first + STEP_SECONDS * (np.arange(n_steps) + 0.5)
    features: dict[str, np.ndarray] = {}
    if "motion" in names:
        speed = np.asarray(scan.motion, np.float64)[1:] / np.maximum(np.diff(times), 1e-3)
        # What lies on either side of a cut, or of a flash, is no motion of anything.
        is_known = np.ones(len(times), bool)
        is_known[[shot.first for shot in scan.shots]] = False
        for flash_start, flash_stop in (flash for shot in scan.shots for flash in shot.flashes):
            is_known[flash_start : flash_stop + 1] = False
        features["motion"] = _resample(steps, times[1:][is_known[1:]], speed[is_known[1:]])
    if "brightness" in names:
        features["brightness"] = _resample(steps, times, np.asarray(scan.brightness, np.float64))
    if "cuts" in names:
        features["cuts"] = np.zeros(n_steps)
        for shot in scan.shots[1:]:
            step = round((times[shot.first] - first) / STEP_SECONDS)
            features["cuts"][min(step, n_steps - 1)] = 1.0
    return first, features


def _resample(steps: np.ndarray, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values brought to the grid, held at both ends; 0 if there are none."""
    return np.interp(steps, times, values) if len(times) else np.zeros(len(steps))


class AudioFeatures:
    """Measures loudness, onset, pitch, bass, or some, of a sound in blocks of any length, in flat memory."""

    def __init__(self, rate: int, names: Collection[str]) -> None:
        import librosa  # Here, because only driven dreams need it.

        self._rate, self._names = rate, names
        self._stft = make_stft(rate, STEP_SECONDS / SPECTRA_PER_STEP)
        self._filterbank = make_filterbank(BAND_EDGES, self._stft)
        hz = self._stft.frequencies
        # The curve has no value at 0 Hz.
        self._a_weights = np.where(hz > 0, 10 ** (librosa.A_weighting(np.maximum(hz, 1.0)) / 10), 0.0)
        self._is_bass = hz < BASS_HZ
        self._is_tone = (hz >= PITCH_RANGE_HZ[0]) & (hz <= PITCH_RANGE_HZ[1])
        self._log_hz = np.log2(hz[self._is_tone])
        self._measured: dict[str, list[np.ndarray]] = {name: [] for name in (*names, "power")}
        self._buffer, self._buffer_start = np.zeros((0, 0), np.float32), 0  # It begins at that sample.
        self._n_samples = self._n_steps = 0  # That came, and that are measured.

    def feed(self, samples: np.ndarray) -> None:
        """Take the next block, float32 [channel, sample]; what is not a number counts as silence."""
        clean = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        self._buffer = np.concatenate((self._buffer, clean), axis=1) if self._buffer.size else clean
        self._n_samples += samples.shape[1]
        while self._n_samples >= self._first_sample(self._n_steps + BLOCK_STEPS + HALO_STEPS):
            self._measure_until(self._n_steps + BLOCK_STEPS)

    def finish(self) -> dict[str, np.ndarray]:
        """Each feature, float64 [step]: loudness and bass in sones, onset in dB, pitch in octaves.

        The pitch is the centre of the power, as the ear weighs it, on a logarithmic scale of frequency: it
        follows a melody (correlation with the notes 0.98, of a pitch tracker 0.86, whose octaves jump), and
        there is one of music, crowds and rain too. A sound without samples has no values.
        """
        last = math.ceil(self._n_samples / (self._rate * STEP_SECONDS))
        if last > self._n_steps:
            self._measure_until(last)
        features = {name: np.concatenate(blocks or [np.zeros(0)]) for name, blocks in self._measured.items()}
        for values in features.values():
            if len(values) > 2 * EDGE_STEPS:
                values[:EDGE_STEPS], values[-EDGE_STEPS:] = values[EDGE_STEPS], values[-EDGE_STEPS - 1]
        power = features.pop("power")
        if "pitch" in features:
            features["pitch"] = _hold_pitch(features["pitch"], power)
        return features

    def _first_sample(self, step: int) -> int:
        return round(step * STEP_SECONDS * self._rate)

    def _measure_until(self, stop: int) -> None:
        """Measure the steps up to `stop`, and drop the samples that are not needed any more."""
        first, self._n_steps = self._n_steps, stop
        for name, values in self._measure(first, stop).items():
            self._measured[name].append(values)
        dropped = max(self._first_sample(stop - HALO_STEPS) - self._buffer_start, 0)
        self._buffer, self._buffer_start = self._buffer[:, dropped:], self._buffer_start + dropped

    def _measure(self, first: int, stop: int) -> dict[str, np.ndarray]:
        spectra = self._power_spectra(first, stop)
        steps = spectra[ONSET_LAG:].reshape(stop - first, SPECTRA_PER_STEP, -1).mean(1)
        weighted = steps * self._a_weights
        power = weighted.sum(1)
        features = {"power": power}
        if "loudness" in self._names:
            features["loudness"] = power**STEVENS_EXPONENT
        if "bass" in self._names:
            features["bass"] = steps[:, self._is_bass].sum(1) ** STEVENS_EXPONENT
        if "onset" in self._names:
            level = 10 * np.log10(spectra @ self._filterbank + POWER_FLOOR)
            rise = np.maximum(level[ONSET_LAG:] - level[:-ONSET_LAG], 0.0).mean(1)
            features["onset"] = rise.reshape(stop - first, SPECTRA_PER_STEP).max(1)
        if "pitch" in self._names:
            tones = weighted[:, self._is_tone]
            features["pitch"] = tones @ self._log_hz / np.maximum(tones.sum(1), POWER_FLOOR * POWER_FLOOR)
        return features

    def _power_spectra(self, first: int, stop: int) -> np.ndarray:
        """Power of all channels, float32 [`ONSET_LAG` + spectrum, bin], a full-scale sine near 1."""
        stft, count = self._stft, (stop - first) * SPECTRA_PER_STEP + ONSET_LAG
        # Counted from the block's own first sample: a step is no whole number of samples at every rate.
        start = self._first_sample(first) - ONSET_LAG * stft.hop + stft.hop // 2 - stft.window // 2
        length = (count - 1) * stft.hop + stft.window
        begin = start - self._buffer_start
        samples = self._buffer[:, max(begin, 0) : max(begin + length, 0)]
        # Beyond the sound it is silent.
        before = max(-begin, 0)
        samples = np.pad(samples, ((0, 0), (before, length - before - samples.shape[1])))
        power = np.zeros((count, stft.n_bins), np.float32)
        for channel in samples:
            power += np.square(np.abs(forward_stft(channel[None], stft)[0]))
        return power


def _hold_pitch(pitch: np.ndarray, power: np.ndarray) -> np.ndarray:
    """A pitch that is held in pauses and before the first sound, float64 [step]; empty if all is silent."""
    loud = np.percentile(power, 95) if len(power) else 0.0
    sounding = np.flatnonzero(power > max(PAUSE_RATIO * loud, POWER_FLOOR))
    if not len(sounding):
        return np.zeros(0)
    last = np.searchsorted(sounding, np.arange(len(pitch)), side="right") - 1
    held = pitch[sounding[np.maximum(last, 0)]]
    return np.asarray(scipy.ndimage.median_filter(held, PITCH_MEDIAN_STEPS, mode="nearest"))


class FeatureKind(NamedTuple):
    """How a feature is normalized."""

    min_change: float
    """A smaller change is none, in the feature's unit."""
    min_share: float
    """Nor is one under this share of the feature's own height."""
    rise: float
    fall: float
    """Seconds in which the curve goes from 0 to 1, and from 1 to 0, at its fastest."""
    fades: bool
    """Whether there is none of it before the medium begins and after it ends; else it is held."""


# Loudness and bass are in sones of a kind, where 15 % are 2 dB; see `AudioFeatures`.
FEATURE_KINDS = {
    "loudness": FeatureKind(0.0, 0.15, 0.15, 0.8, True),
    "bass": FeatureKind(0.0, 0.4, 0.1, 0.6, True),
    "onset": FeatureKind(1.5, 0.5, 0.1, 0.6, True),
    "pitch": FeatureKind(1 / 6, 0.0, 0.25, 0.25, False),
    "motion": FeatureKind(0.02, 0.15, 0.3, 1.0, True),
    "cuts": FeatureKind(0.1, 0.0, 0.1, 0.8, True),
    "brightness": FeatureKind(0.02, 0.1, 0.3, 0.3, False),
}


@dataclass(frozen=True)
class FeatureCurve:
    """One normalized feature over time."""

    start: float
    """Seconds at which the first value's step begins."""
    values: np.ndarray
    """float64 [value], 0..1; empty: it never changes."""

    @property
    def times(self) -> np.ndarray:
        """Seconds of each value, the middle of its step."""
        return np.asarray(self.start + STEP_SECONDS * (np.arange(len(self.values)) + 0.5))

    def at(self, seconds: np.ndarray) -> np.ndarray:
        """The feature at some times, held at both ends; 0.5 where it never changes."""
        if not len(self.values):
            return np.full(np.shape(seconds), 0.5)
        return np.interp(seconds, self.times, self.values)


def normalize_feature(name: str, start: float, values: np.ndarray) -> FeatureCurve:
    """Bring a measured feature to 0..1, smoothed, its slope at most ``1 / rise`` up and ``1 / fall`` down.

    `values` are float [value] in any unit; the first one's step begins at second `start`.
    """
    kind = FEATURE_KINDS[name]
    constant = FeatureCurve(start, np.zeros(0))
    if not len(values):
        return constant
    low, high = (np.percentile(values, percentile) for percentile in PERCENTILES)
    high = max(high, (low + values.max()) / 2)
    if high - low <= max(kind.min_change, kind.min_share * abs(high), 1e-9):
        return constant
    normalized = np.clip((np.asarray(values, np.float64) - low) / (high - low), 0.0, 1.0)
    if kind.fades:
        before, after = (round(each / STEP_SECONDS) + SMOOTHING_STEPS for each in (kind.rise, kind.fall))
        normalized, start = np.pad(normalized, (before, after)), start - before * STEP_SECONDS
    limited = limit_slope(normalized, kind.rise, kind.fall)
    return FeatureCurve(start, np.clip(scipy.ndimage.uniform_filter1d(limited, SMOOTHING_STEPS), 0.0, 1.0))


def limit_slope(values: np.ndarray, rise: float, fall: float) -> np.ndarray:
    """The least curve nowhere below the values, [value], nor steeper than 1 in `rise` or `fall` seconds."""
    # It looks ahead, so that it is up when an event comes and not after it.
    times = STEP_SECONDS * np.arange(len(values))
    falling = np.maximum.accumulate(values + times / fall) - times / fall
    rising = np.maximum.accumulate((values - times / rise)[::-1])[::-1] + times / rise
    return np.maximum(falling, rising)
