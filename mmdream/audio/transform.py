"""What a clip goes through before it is dreamed again: a change of length, of pitch or of frequency.

All channels get the same phases, so the place of a sound between them stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import librosa
import numpy as np
import scipy.fft

from mmdream.core.errors import UserError

LIMITS = {"stretch": (0.5, 2.0), "shift": (-10_000.0, 10_000.0), "pitch": (-24.0, 24.0)}
"""Least and most of each: a factor of the length, Hz, semitones."""
WINDOW_SECONDS = 2048 / 44100
"""Of the phase vocoder."""
WINDOW_OVERLAP = 4
"""Windows over each sample."""


@dataclass(frozen=True, slots=True)
class Transform:
    """A transform of a clip; raises UserError for an unknown kind, or an amount out of range."""

    kind: str = "none"
    """none, stretch, shift or pitch."""
    amount: float = 0.0

    def __post_init__(self) -> None:
        if self.kind == "none":
            return
        if self.kind not in LIMITS:
            raise _unknown_transform(self.kind)
        low, high = LIMITS[self.kind]
        if not low <= self.amount <= high:
            raise UserError(f"{self.kind} is {self.amount:g}; choose between {low:g} and {high:g}")

    @property
    def length_factor(self) -> float:
        """Length of its result over that of what it is given."""
        return self.amount if self.kind == "stretch" else 1.0

    def __call__(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Transform a clip, float32 [channel, sample]; `length_factor` times as long, at least one sample."""
        return TRANSFORMS[self.kind](samples, rate, self.amount)


def parse_transform(text: str) -> Transform:
    """Read "none", "stretch=0.95", "shift=500" or "pitch=-2"; UserError: none of these."""
    kind, equals, number = text.strip().lower().partition("=")
    if kind == "none" and not equals:
        return Transform()
    try:
        amount = float(number)
    except ValueError:
        raise _unknown_transform(text) from None
    if kind not in LIMITS:
        raise _unknown_transform(text)
    return Transform(kind, amount)


def _unknown_transform(text: str) -> UserError:
    return UserError(f"transform is {text!r}; write none, stretch=0.95, shift=HZ or pitch=SEMITONES")


def stretch_time(samples: np.ndarray, rate: int, factor: float) -> np.ndarray:
    """A clip, float32 [channel, sample], `factor` times as long at the same pitch, at least one sample.

    A phase vocoder with identity phase locking (Laroche and Dolson 1999, "Improved phase vocoder time-scale
    modification of audio"). A window is rotated so that it follows the one written before it as, in the clip,
    it follows what lies one hop earlier; for a factor of 1 not at all. One rotation serves all channels.
    """
    hop = max(1, round(rate * WINDOW_SECONDS / WINDOW_OVERLAP))
    size = WINDOW_OVERLAP * hop
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size)).astype(np.float32)
    length = max(1, round(samples.shape[1] * factor))
    frames = -(-length // hop) + WINDOW_OVERLAP
    # Room for the first window, for the look one hop back, and for the last one.
    source = np.pad(samples, ((0, 0), (size + hop, size + hop)))
    out = np.zeros((samples.shape[0], frames * hop + size), np.float32)

    def spectrum(at: int) -> np.ndarray:
        """The spectrum of the clip at a sample, complex64 [channel, bin]."""
        start = min(max(at + size // 2 + hop, 0), source.shape[1] - size)
        return np.asarray(scipy.fft.rfft(source[:, start : start + size] * window))

    written = np.zeros(0)
    for frame in range(frames):
        # Centre of the window in the result is frame * hop - size / 2, and the same time in the clip.
        at = round((frame - WINDOW_OVERLAP // 2) * hop / factor)
        current = spectrum(at)
        if not frame:
            written = current
        else:
            rotation = np.sum(written * np.conj(spectrum(at - hop)), axis=0)
            power = np.sum(np.square(np.abs(current)), axis=0)
            written = current * _lock_phases(rotation, power)
        out[:, frame * hop : frame * hop + size] += scipy.fft.irfft(written, size) * window
    # Squared roots of Hann windows, four over each sample, add up to 2.
    return np.ascontiguousarray(out[:, size : size + length]) / np.float32(WINDOW_OVERLAP / 2)


def _lock_phases(rotation: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Rotations of length 1, each bin's that of the spectral peak nearest to it; complex64 [bin]."""
    padded = np.pad(power, 2, constant_values=-1.0)
    neighbours = np.maximum.reduce([padded[:-4], padded[1:-3], padded[3:-1], padded[4:]])
    peaks = np.flatnonzero((power >= neighbours) & (power > 0))
    if not len(peaks):
        return np.ones(len(power), np.complex64)
    rotation = rotation[peaks]
    size = np.abs(rotation)
    rotation = np.where(size > 0, rotation / np.maximum(size, 1e-30), 1.0).astype(np.complex64)
    nearest = np.searchsorted((peaks[1:] + peaks[:-1]) / 2, np.arange(len(power)))
    return np.asarray(rotation[nearest])


def shift_pitch(samples: np.ndarray, rate: int, semitones: float) -> np.ndarray:
    """A clip, float32 [channel, sample], moved in pitch, as long as before: stretched, then resampled."""
    ratio = 2 ** (semitones / 12)
    longer = stretch_time(samples, rate, ratio)
    back = librosa.resample(longer, orig_sr=rate * ratio, target_sr=rate, res_type="soxr_hq")
    return np.asarray(librosa.util.fix_length(back, size=samples.shape[1]), np.float32)


def shift_frequency(samples: np.ndarray, rate: int, hz: float) -> np.ndarray:
    """A clip, float32 [channel, sample], with every frequency moved by the same number of Hz.

    Single sideband by the analytic signal. What would pass 0 Hz or half the rate is left out: it would come
    back from there, mirrored.
    """
    length = samples.shape[1]
    # Padded by its own length's share, so that its end does not ring into its beginning.
    n = scipy.fft.next_fast_len(length + round(0.1 * rate))
    spectrum = scipy.fft.fft(samples, n)
    frequencies = scipy.fft.fftfreq(n, 1 / rate)
    passed = (frequencies > max(-hz, 0.0)) & (frequencies < rate / 2 - max(hz, 0.0))
    analytic = scipy.fft.ifft(spectrum * (2.0 * passed).astype(np.float32))[:, :length]
    phases = np.exp(2j * np.pi * ((hz / rate * np.arange(length)) % 1.0))
    return np.ascontiguousarray((analytic * phases).real, np.float32)


TRANSFORMS: dict[str, Callable[[np.ndarray, int, float], np.ndarray]] = {
    "none": lambda samples, _rate, _amount: samples,
    "stretch": stretch_time,
    "shift": shift_frequency,
    "pitch": shift_pitch,
}
"""How each kind goes: (samples, rate, amount) -> samples."""
