"""What a schedule can follow of a sound: its loudness, onsets, pitch and bass, on a grid of `STEP` seconds.

The sound comes in blocks of any length and is heard a few seconds at a time, so memory is flat.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from fractions import Fraction

import numpy as np
import scipy.ndimage

from mmdream.analysis.curves import STEP_SECONDS
from mmdream.analysis.shots import Scan
from mmdream.audio.canvas import BAND_EDGES
from mmdream.audio.filterbank import make_filterbank
from mmdream.audio.stft import forward_stft, make_stft

BLOCK_STEPS = 160
"""Steps that are heard together, 8 s,"""
HALO_STEPS = 10
"""with so many more on either side."""
SPECTRA_PER_STEP = 4
"""Spectra a step."""
STEVENS_EXPONENT = 0.3
"""Loudness grows with this power of the sound's (S. S. Stevens, 1957): 10 dB sound twice as loud."""
BASS_HZ = 150.0
POWER_FLOOR = 1e-8
"""Power, of a full-scale sine, under which a band is silent."""
ONSET_LAG = 2
"""Spectra over which a rise is an onset."""
RIM_STEPS = 2
"""Steps at either end that take after their neighbours: that a recording begins is no onset."""
PITCH_RANGE_HZ = 50.0, 4000.0
"""Where a pitch is looked for: above, there is only the hiss of an s."""
PAUSE_RATIO = 1e-3
"""Of the power that 5 % of the steps exceed: in what is softer, the pitch is held."""
PITCH_MEDIAN_STEPS = 7
"""Values of a pitch whose median is taken: a click is no tone."""


class AudioFeatures:
    """Measures a sound that comes in blocks.

    Args:
        rate: samples a second.
        wanted: of loudness, onset, pitch and bass.
    """

    def __init__(self, rate: int, wanted: Collection[str]) -> None:
        import librosa  # Here, because only driven dreams need it.

        self._rate, self._wanted = rate, wanted
        self._stft = make_stft(rate, STEP_SECONDS / SPECTRA_PER_STEP)
        self._bank = make_filterbank(BAND_EDGES, self._stft)
        hz = self._stft.frequencies
        # Its curve has no value at 0 Hz.
        self._ear = np.where(hz > 0, 10 ** (librosa.A_weighting(np.maximum(hz, 1.0)) / 10), 0.0)
        self._low = hz < BASS_HZ
        self._tones = (hz >= PITCH_RANGE_HZ[0]) & (hz <= PITCH_RANGE_HZ[1])
        self._octaves = np.log2(hz[self._tones])
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in (*wanted, "power")}
        self._held = np.zeros((0, 0), np.float32)
        self._begins = 0  # Sample of the sound at which what is held begins.
        self._seen, self._done = 0, 0

    def feed(self, samples: np.ndarray) -> None:
        """Take the next block, float32 [channel, sample]; what is not a number counts as silence."""
        clean = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        self._held = np.concatenate((self._held, clean), axis=1) if self._held.size else clean
        self._seen += samples.shape[1]
        while self._seen >= self._at(self._done + BLOCK_STEPS + HALO_STEPS):
            self._hear(self._done + BLOCK_STEPS)

    def found(self) -> dict[str, np.ndarray]:
        """Each wanted feature, float64 [step]: loudness and bass in sones, onset in dB, pitch in octaves.

        The pitch is the centre of the power, as the ear weighs it, on a logarithmic scale of frequency: it
        follows a melody (correlation with the notes 0.98, of a pitch tracker 0.86, whose octaves jump), and
        there is one of music, crowds and rain, where a tracker finds a tone a quarter of the time. Value k
        belongs to the time from ``k * STEP`` to ``(k + 1) * STEP``. Empty for a sound without samples.
        """
        last = math.ceil(self._seen / (self._rate * STEP_SECONDS))
        if last > self._done:
            self._hear(last)
        whole = {name: np.concatenate(parts or [np.zeros(0)]) for name, parts in self._parts.items()}
        for values in whole.values():
            if len(values) > 2 * RIM_STEPS:
                values[:RIM_STEPS], values[-RIM_STEPS:] = values[RIM_STEPS], values[-RIM_STEPS - 1]
        power = whole.pop("power")
        if "pitch" in whole:
            whole["pitch"] = _hold_pitch(whole["pitch"], power)
        return whole

    def _at(self, step: int) -> int:
        """First sample of a step."""
        return round(step * STEP_SECONDS * self._rate)

    def _hear(self, stop: int) -> None:
        """Measure the steps up to `stop`, and let go of what is not needed any more."""
        first, self._done = self._done, stop
        for name, values in self._measured(first, stop).items():
            self._parts[name].append(values)
        kept = max(self._at(stop - HALO_STEPS) - self._begins, 0)
        self._held, self._begins = self._held[:, kept:], self._begins + kept

    def _stretch(self, low: int, high: int) -> np.ndarray:
        """Samples from `low` to `high`, silent beyond the sound."""
        start, stop = max(low - self._begins, 0), min(high - self._begins, self._held.shape[1])
        heard = self._held[:, start : max(stop, start)]
        before = max(self._begins - low, 0)
        return np.pad(heard, ((0, 0), (before, high - low - before - heard.shape[1])))

    def _measured(self, first: int, stop: int) -> dict[str, np.ndarray]:
        power = self._power(first, stop)
        steps = power[ONSET_LAG:].reshape(stop - first, SPECTRA_PER_STEP, -1).mean(1)
        heard = steps * self._ear
        found = {"power": heard.sum(1)}
        if "loudness" in self._wanted:
            found["loudness"] = found["power"] ** STEVENS_EXPONENT
        if "bass" in self._wanted:
            found["bass"] = steps[:, self._low].sum(1) ** STEVENS_EXPONENT
        if "onset" in self._wanted:
            level = 10 * np.log10(power @ self._bank + POWER_FLOOR)
            rise = np.maximum(level[ONSET_LAG:] - level[:-ONSET_LAG], 0.0).mean(1)
            found["onset"] = rise.reshape(stop - first, SPECTRA_PER_STEP).max(1)
        if "pitch" in self._wanted:
            tones = heard[:, self._tones]
            found["pitch"] = tones @ self._octaves / np.maximum(tones.sum(1), POWER_FLOOR * POWER_FLOOR)
        return found

    def _power(self, first: int, stop: int) -> np.ndarray:
        """Power of all channels, float32 [`ONSET_LAG` + spectrum, bin], a full-scale sine near 1."""
        stft, count = self._stft, (stop - first) * SPECTRA_PER_STEP + ONSET_LAG
        # Counted from the stretch's own first sample: a step is no whole number of samples at every rate.
        low = self._at(first) - ONSET_LAG * stft.hop + stft.hop // 2 - stft.window // 2
        heard = self._stretch(low, low + (count - 1) * stft.hop + stft.window)
        total = np.zeros((count, stft.n_bins), np.float32)
        for channel in heard:
            total += np.square(np.abs(forward_stft(channel[None], stft)[0]))
        return total


def _hold_pitch(pitch: np.ndarray, power: np.ndarray) -> np.ndarray:
    """A pitch that is held in pauses and before the first sound, float64 [step]; empty if all is silent."""
    loud = (
        np.flatnonzero(power > max(PAUSE_RATIO * np.percentile(power, 95), POWER_FLOOR))
        if len(power)
        else power
    )
    if not len(loud):
        return np.zeros(0)
    last = np.searchsorted(loud, np.arange(len(pitch)), side="right") - 1
    held = pitch[loud[np.maximum(last, 0)]]
    return np.asarray(scipy.ndimage.median_filter(held, PITCH_MEDIAN_STEPS, mode="nearest"))


def measure_video_features(
    found: Scan, beginning: Fraction, wanted: Collection[str]
) -> tuple[float, dict[str, np.ndarray]]:
    """Measure what is wanted of a picture, at constant and variable frame rates.

    Args:
        found: the scan, of at least one frame.
        beginning: the film's start on the clock of its time stamps.
        wanted: of motion, cuts and brightness.

    Returns:
        Seconds of the first value, and the values of each, float64 [step]: motion in shares of the longer
        side a second, cuts 1 where a shot begins that is not the first, brightness 0..1.
    """
    at = np.asarray(found.pts, np.float64) * float(found.time_base) - float(beginning)
    first = math.floor(at[0] / STEP_SECONDS) * STEP_SECONDS
    steps = first + STEP_SECONDS * (np.arange(math.floor((at[-1] - first) / STEP_SECONDS) + 1) + 0.5)
    measured: dict[str, np.ndarray] = {}
    if "motion" in wanted:
        speed = np.asarray(found.motion, np.float64)[1:] / np.maximum(np.diff(at), 1e-3)
        # What lies on either side of a cut, or of a flash, is no motion of anything.
        known = np.ones(len(at), bool)
        known[[shot.first for shot in found.shots]] = False
        for begun, stop in (flash for shot in found.shots for flash in shot.flashes):
            known[begun : stop + 1] = False
        known = known[1:]
        measured["motion"] = _interpolate_on(steps, at[1:][known], speed[known])
    if "brightness" in wanted:
        measured["brightness"] = _interpolate_on(steps, at, np.asarray(found.brightness, np.float64))
    if "cuts" in wanted:
        cuts = np.zeros(len(steps))
        places = ((at[shot.first] - first) / STEP_SECONDS for shot in found.shots[1:])
        cuts[[min(round(place), len(cuts) - 1) for place in places]] = 1.0
        measured["cuts"] = cuts
    return first, measured


def _interpolate_on(steps: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values brought to a grid, held where there are none."""
    return np.interp(steps, at, values) if len(at) else np.zeros(len(steps))
