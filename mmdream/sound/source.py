"""Where a sound comes from: anything that can be read anywhere, a stretch at a time."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import soundfile

from mmdream.core.errors import UserError

BLOCK_SAMPLES = 65536
"""Samples read, metered or written at a time."""
MAX_AMPLITUDE = 1e10
"""Full scale is 1. Integers of 32 bits that were stored as floats lie below; the power of what lies far above
overflows."""


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


@dataclass(frozen=True)
class FileSource:
    """A sound in a file that soundfile reads and seeks in."""

    file: soundfile.SoundFile
    layout: str | None = None

    @property
    def rate(self) -> int:
        """Samples a second."""
        return int(self.file.samplerate)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.file.channels)

    @property
    def n_samples(self) -> int:
        """Length of each channel."""
        return int(self.file.frames)

    def read(self, start: int, stop: int) -> np.ndarray:
        """A stretch, float32 [channel, stop - start]."""
        self.file.seek(start)
        samples = self.file.read(stop - start, dtype="float32", always_2d=True)
        return np.ascontiguousarray(samples.T)


@dataclass(frozen=True, eq=False)
class ChannelSource:
    """One channel of a sound."""

    whole: AudioSource
    channel: int

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.whole.rate

    @property
    def channels(self) -> int:
        """One."""
        return 1

    @property
    def layout(self) -> str | None:
        """The usual one."""
        return None

    @property
    def n_samples(self) -> int:
        """Length of each channel."""
        return self.whole.n_samples

    def read(self, start: int, stop: int) -> np.ndarray:
        """A stretch, float32 [1, stop - start]."""
        return self.whole.read(start, stop)[self.channel : self.channel + 1]


def append_samples(file: soundfile.SoundFile, samples: np.ndarray) -> None:
    """Write a block, float32 [channel, sample].

    Raises:
        OSError: ENOSPC; libsndfile does not tell why a file stops growing, but a full disk is why.
    """
    try:
        file.write(samples.T)
    except (soundfile.LibsndfileError, AssertionError) as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name) from error


def read_padded(source: AudioSource, start: int, stop: int) -> np.ndarray:
    """A stretch that may reach over both ends, zeros there; float32 [channel, stop - start]."""
    low, high = (min(max(at, 0), source.n_samples) for at in (start, stop))
    samples = source.read(low, high)
    if high - low == stop - start:
        return samples
    return np.pad(samples, ((0, 0), (max(low - start, 0), stop - start - max(low - start, 0) - high + low)))


def read_blocks(source: AudioSource) -> Iterator[np.ndarray]:
    """The whole sound in order, float32 [channel, at most BLOCK].

    Raises:
        UserError: a sample is not a number, or beyond `MAX_AMPLITUDE`.
    """
    for start in range(0, source.n_samples, BLOCK_SAMPLES):
        samples = source.read(start, min(start + BLOCK_SAMPLES, source.n_samples))
        good = np.abs(samples) <= MAX_AMPLITUDE  # False for what is not a number, too.
        if not good.all():
            at = int(np.flatnonzero(~good.all(axis=0))[0])
            worst = float(samples[:, at][~good[:, at]][0])
            what = f"is {worst:.0e} times full scale" if math.isfinite(worst) else "is not a finite number"
            raise UserError(
                f"sample {start + at} of the sound, at {(start + at) / source.rate:.3f} s, {what}; "
                "repair the sound or cut that part off"
            )
        yield samples
