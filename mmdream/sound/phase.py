"""The phase of a changed spectrogram, fitted so that its frames agree where they overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmdream.sound.stft import REACH, Stft, samples_of, spectra

ROUNDS = 32
"""Of Griffin-Lim, after which the inconsistency hardly falls (DreamSound takes as many)."""
TAIL = 16
"""Frames at the end of a stretch that are fitted again together with those behind them."""
RIM = 2 * REACH - 1
"""Frames in front of a stretch, and behind it, that complete the overlaps under its own."""


@dataclass(frozen=True)
class Stretch:
    """Some frames of a sound and what a dream makes of them."""

    first: int
    """Hop of the first one."""
    source: np.ndarray
    """complex64 [channel, frame, bin]."""
    dream: np.ndarray
    """complex64, the same shape."""


def fitted(stretches: Iterator[Stretch], stft: Stft) -> Iterator[Stretch]:
    """Griffin-Lim (1984) from the phase that is there; frames that no dream has changed stay as they are.

    Args:
        stretches: in order, each beginning where the last one ended.
        stft: the transform.

    Yields:
        The same frames in order, in other stretches.
    """
    held: Stretch | None = None
    before: np.ndarray | None = None
    for stretch in stretches:
        joined = stretch if held is None else _joined(held, stretch)
        before = np.zeros_like(joined.dream[:, :RIM]) if before is None else before
        dream = _agreed(joined, before, stft)
        done = max(dream.shape[1] - TAIL, 0)
        if done >= RIM:
            yield Stretch(joined.first, joined.source[:, :done], dream[:, :done])
            before = dream[:, done - RIM : done]
            held = Stretch(joined.first + done, joined.source[:, done:], joined.dream[:, done:])
        else:
            held = joined
    if held is not None and before is not None:
        yield Stretch(held.first, held.source, _agreed(held, before, stft))


def _joined(one: Stretch, other: Stretch) -> Stretch:
    parts = (one.source, other.source), (one.dream, other.dream)
    return Stretch(one.first, *(np.concatenate(pair, axis=1) for pair in parts))


def _agreed(stretch: Stretch, before: np.ndarray, stft: Stft) -> np.ndarray:
    """A stretch's frames with phases that agree, behind frames that stay as they are."""
    free = np.any(stretch.dream != stretch.source, axis=(0, 2))
    if not free.any():
        return stretch.dream
    height, found, behind = np.abs(stretch.dream), stretch.dream, np.zeros_like(before)
    for _ in range(ROUNDS):
        again = spectra(samples_of(np.concatenate((before, found, behind), axis=1), stft), stft)
        turned = height * again / np.maximum(np.abs(again), 1e-12)
        found = np.where(free[:, None], turned, stretch.dream).astype(np.complex64)
    return found
