"""Sounds that can be read anywhere, a stretch at a time: in memory, in a file, one channel, or crossfaded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
import soundfile

from mmdream.core.errors import UserError

BLOCK_SAMPLES = 65536
"""Samples read, metered or written at a time."""
MAX_AMPLITUDE = 1e10
"""Integers of 32 bits stored as floats lie below; the power of larger values overflows."""
CROSSFADE_SECONDS = 1.0
"""But at most 1 / CROSSFADE_DIVISOR of either clip."""
CROSSFADE_DIVISOR = 4


class AudioSource(Protocol):
    """A sound with random access."""

    rate: int
    """Samples a second."""
    channels: int
    n_samples: int
    """Length of each channel."""
    layout: str | None
    """FFmpeg's name of the channel layout; None: the usual one."""

    def read(self, start: int, stop: int) -> np.ndarray:
        """float32 [channel, stop - start], -1..1, for 0 <= start <= stop <= n_samples."""


class ArraySource:
    """A sound in memory, float [channel, sample], -1..1."""

    def __init__(self, samples: np.ndarray, rate: int, layout: str | None = None) -> None:
        self.samples, self.rate, self.layout = samples, rate, layout
        self.channels, self.n_samples = samples.shape

    def read(self, start: int, stop: int) -> np.ndarray:
        """A stretch, float32 [channel, stop - start]."""
        return np.asarray(self.samples[:, start:stop], dtype=np.float32)


class FileSource:
    """A sound in a file that soundfile reads and seeks in; `layout` is FFmpeg's name of its channels."""

    def __init__(self, file: soundfile.SoundFile, layout: str | None = None) -> None:
        self.file, self.layout = file, layout
        self.rate, self.channels, self.n_samples = int(file.samplerate), int(file.channels), int(file.frames)

    def read(self, start: int, stop: int) -> np.ndarray:
        """A stretch, float32 [channel, stop - start]."""
        self.file.seek(start)
        samples = self.file.read(stop - start, dtype="float32", always_2d=True)
        return np.ascontiguousarray(samples.T)


class ChannelSource:
    """One channel of a sound."""

    def __init__(self, source: AudioSource, channel: int) -> None:
        self.source, self.channel = source, channel
        self.rate, self.channels, self.n_samples = source.rate, 1, source.n_samples
        self.layout: str | None = None

    def read(self, start: int, stop: int) -> np.ndarray:
        """A stretch, float32 [1, stop - start]."""
        return self.source.read(start, stop)[self.channel : self.channel + 1]


class CrossfadedSource:
    """Clips of one rate and layout, each faded into the next at equal power, for they are uncorrelated."""

    def __init__(self, clips: Sequence[AudioSource]) -> None:
        self.clips, self.rate = clips, clips[0].rate
        self.channels, self.layout = clips[0].channels, clips[0].layout
        lengths = [clip.n_samples for clip in clips]
        self.fades = (0, *_fade_lengths(lengths, self.rate), 0)
        """Length of the fade into each clip, and behind the last one; samples."""
        steps = (length - fade for length, fade in zip(lengths, self.fades[1:], strict=True))
        self.starts = (0, *accumulate(steps))
        """The first sample of each clip, and the end of all."""
        self.n_samples = self.starts[-1]

    def read(self, start: int, stop: int) -> np.ndarray:
        """A stretch, float32 [channel, stop - start]."""
        samples = np.zeros((self.channels, stop - start), np.float32)
        for number, (clip, first) in enumerate(zip(self.clips, self.starts[:-1], strict=True)):
            last = first + clip.n_samples
            low, high = max(start, first), min(stop, last)
            if low >= high:
                continue
            at = np.arange(low, high) + 0.5
            weight = _fade_weights(at - first, self.fades[number])
            weight = weight * _fade_weights(last - at, self.fades[number + 1])
            samples[:, low - start : high - start] += clip.read(low - first, high - first) * weight
        return samples


def crossfaded_length(lengths: Sequence[int], rate: int) -> int:
    """Samples that clips of some lengths last when they are crossfaded."""
    return sum(lengths) - sum(_fade_lengths(lengths, rate))


def _fade_lengths(lengths: Sequence[int], rate: int) -> list[int]:
    longest = round(CROSSFADE_SECONDS * rate)
    return [min(longest, min(pair) // CROSSFADE_DIVISOR) for pair in pairwise(lengths)]


def _fade_weights(samples: np.ndarray, length: int) -> np.ndarray:
    """Weight at so many samples from a clip's end, float32, 1 behind the fade."""
    if not length:
        return np.ones(len(samples), np.float32)
    return np.sin(np.pi / 2 * np.minimum(samples / length, 1.0)).astype(np.float32)


def read_padded(source: AudioSource, start: int, stop: int) -> np.ndarray:
    """A stretch that may reach over both ends, zeros there; float32 [channel, stop - start]."""
    low, high = (min(max(at, 0), source.n_samples) for at in (start, stop))
    samples = source.read(low, high)
    if high - low == stop - start:
        return samples
    before = max(low - start, 0)
    return np.pad(samples, ((0, 0), (before, stop - start - before - (high - low))))


def read_blocks(source: AudioSource) -> Iterator[np.ndarray]:
    """The sound in order, float32 [channel, at most BLOCK_SAMPLES]; UserError: not finite, or too large."""
    for start in range(0, source.n_samples, BLOCK_SAMPLES):
        samples = source.read(start, min(start + BLOCK_SAMPLES, source.n_samples))
        valid = np.abs(samples) <= MAX_AMPLITUDE  # False for what is not a number, too.
        if not valid.all():
            at = int(np.flatnonzero(~valid.all(axis=0))[0])
            worst = float(samples[:, at][~valid[:, at]][0])
            what = f"is {worst:.0e} times full scale" if math.isfinite(worst) else "is not a finite number"
            raise UserError(
                f"sample {start + at} of the sound, at {(start + at) / source.rate:.3f} s, {what}; "
                "repair the sound or cut that part off"
            )
        yield samples
