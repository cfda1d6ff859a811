"""Sounds that can be read anywhere, a stretch at a time: in memory, in a file, one channel, or crossfaded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
import soundfile

from mmdream.core.errors import UserError

BLOCK_SAMPLES = 65536
"""Samples read, metered or written at a time."""
MAX_AMPLITUDE = 1e10
"""Full scale is 1. Integers of 32 bits stored as floats lie below; the power of larger values overflows."""
CROSSFADE_SECONDS = 1.0
"""Of a crossfade, but at most 1 / CROSSFADE_DIVISOR of either clip."""
CROSSFADE_DIVISOR = 4


class AudioSource(Protocol):
    """A sound with random access."""

    @property
    def rate(self) -> int:
        """Samples a second."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def n_samples(self) -> int:
        """Length of each channel."""

    @property
    def layout(self) -> str | None:
        """FFmpeg's name of the channel layout; None: the usual one."""

    def read(self, start: int, stop: int) -> np.ndarray:
        """float32 [channel, stop - start], -1..1, for 0 <= start <= stop <= n_samples."""


@dataclass(frozen=True, eq=False)
class ArraySource:
    """A sound in memory."""

    samples: np.ndarray
    """float [channel, sample], -1..1."""
    rate: int
    layout: str | None = None

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def n_samples(self) -> int:
        """Length of each channel."""
        return int(self.samples.shape[1])

    def read(self, start: int, stop: int) -> np.ndarray:
        """A stretch, float32 [channel, stop - start]."""
        return np.asarray(self.samples[:, start:stop], dtype=np.float32)


class FileSource:
    """A sound in a file that soundfile reads and seeks in.

    Args:
        file: open for reading.
        layout: FFmpeg's name of the channel layout; None: the usual one.
    """

    def __init__(self, file: soundfile.SoundFile, layout: str | None = None) -> None:
        self.file, self.layout = file, layout
        self.rate, self.channels, self.n_samples = int(file.samplerate), int(file.channels), int(file.frames)

    def read(self, start: int, stop: int) -> np.ndarray:
        """A stretch, float32 [channel, stop - start]."""
        self.file.seek(start)
        samples = self.file.read(stop - start, dtype="float32", always_2d=True)
        return np.ascontiguousarray(samples.T)


class ChannelSource:
    """One channel of a sound.

    Args:
        source: the sound.
        channel: from 0.
    """

    channels = 1
    layout = None

    def __init__(self, source: AudioSource, channel: int) -> None:
        self.source, self.channel = source, channel
        self.rate, self.n_samples = source.rate, source.n_samples

    def read(self, start: int, stop: int) -> np.ndarray:
        """A stretch, float32 [1, stop - start]."""
        return self.source.read(start, stop)[self.channel : self.channel + 1]


@dataclass(frozen=True)
class CrossfadedSource:
    """Clips of one rate and channel layout, one after the other, each faded into the next.

    The fades are of equal power (sine and cosine), because neighbouring clips are uncorrelated.
    """

    clips: tuple[AudioSource, ...]
    """At least one."""

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.clips[0].rate

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.clips[0].channels

    @property
    def layout(self) -> str | None:
        """FFmpeg's name of the channel layout."""
        return self.clips[0].layout

    @cached_property
    def fades(self) -> tuple[int, ...]:
        """Length of the fade into each clip, and behind the last one; samples."""
        return (0, *_fade_lengths([clip.n_samples for clip in self.clips], self.rate), 0)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first sample of each clip, and the end of all."""
        starts = [0]
        for clip, fade in zip(self.clips, self.fades[1:], strict=True):
            starts.append(starts[-1] + clip.n_samples - fade)
        return tuple(starts)

    @property
    def n_samples(self) -> int:
        """Length of each channel."""
        return self.starts[-1]

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
    return [
        min(longest, one // CROSSFADE_DIVISOR, two // CROSSFADE_DIVISOR) for one, two in pairwise(lengths)
    ]


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
    """The whole sound in order, float32 [channel, at most BLOCK_SAMPLES].

    Raises:
        UserError: a sample is not a number, or beyond `MAX_AMPLITUDE`.
    """
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
