"""Clips laid one after the other, each faded into the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from mmdream.sound.source import AudioSource

CROSSFADE_SECONDS = 1.0
"""Of a crossfade,"""
CROSSFADE_DIVISOR = 4
"""but no more than one such part of either clip."""


@dataclass(frozen=True)
class CrossfadedSource:
    """A sound made of clips that share rate and channels; read in stretches, as any source.

    The fades are of equal power (sine and cosine): what follows a clip is another stretch of sound, whose
    samples have nothing to do with those that it replaces.
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
            weight = _fade_weights(at - first, self.fades[number]) * _fade_weights(
                last - at, self.fades[number + 1]
            )
            found[:, low - start : high - start] += clip.read(low - first, high - first) * weight
        return found


def crossfaded_length(lengths: Sequence[int], rate: int) -> int:
    """Samples that clips of some lengths last when they are crossfaded."""
    return sum(lengths) - sum(_fade_lengths(lengths, rate))


def _fade_lengths(lengths: Sequence[int], rate: int) -> list[int]:
    most = round(CROSSFADE_SECONDS * rate)
    return [
        min(most, one // CROSSFADE_DIVISOR, next_ // CROSSFADE_DIVISOR) for one, next_ in pairwise(lengths)
    ]


def _fade_weights(samples: np.ndarray, length: int) -> np.ndarray:
    """Weight at so many samples from a clip's end, float32, 1 behind the fade."""
    if not length:
        return np.ones(len(samples), np.float32)
    return np.sin(np.pi / 2 * np.minimum(samples / length, 1.0)).astype(np.float32)
