"""Clips laid one after the other, each faded into the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from mmdream.sound.source import Source

FADE_SECONDS = 1.0
"""Of a crossfade,"""
MOST = 4
"""but no more than one such part of either clip."""


@dataclass(frozen=True)
class Crossfaded:
    """A sound made of clips that share rate and channels; read in stretches, as any source.

    The fades are of equal power (sine and cosine): what follows a clip is another stretch of sound, whose
    samples have nothing to do with those that it replaces.
    """

    clips: tuple[Source, ...]
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
        return (0, *_between([clip.n_samples for clip in self.clips], self.rate), 0)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first sample of each clip, and the end of all."""
        at = [0]
        for clip, fade in zip(self.clips, self.fades[1:], strict=True):
            at.append(at[-1] + clip.n_samples - fade)
        return tuple(at)

    @property
    def n_samples(self) -> int:
        """Length of each channel."""
        return self.starts[-1]

    def read(self, start: int, stop: int) -> np.ndarray:
        """A stretch, float32 [channel, stop - start]."""
        found = np.zeros((self.channels, stop - start), np.float32)
        for number, (clip, first) in enumerate(zip(self.clips, self.starts[:-1], strict=True)):
            last = first + clip.n_samples
            low, high = max(start, first), min(stop, last)
            if low >= high:
                continue
            at = np.arange(low, high) + 0.5
            weight = _rise(at - first, self.fades[number]) * _rise(last - at, self.fades[number + 1])
            found[:, low - start : high - start] += clip.read(low - first, high - first) * weight
        return found


def length_of(lengths: Sequence[int], rate: int) -> int:
    """Samples that clips of some lengths last when they are crossfaded."""
    return sum(lengths) - sum(_between(lengths, rate))


def _between(lengths: Sequence[int], rate: int) -> list[int]:
    most = round(FADE_SECONDS * rate)
    return [min(most, one // MOST, next_ // MOST) for one, next_ in pairwise(lengths)]


def _rise(samples: np.ndarray, length: int) -> np.ndarray:
    """Weight at so many samples from a clip's end, float32, 1 behind the fade."""
    if not length:
        return np.ones(len(samples), np.float32)
    return np.sin(np.pi / 2 * np.minimum(samples / length, 1.0)).astype(np.float32)
