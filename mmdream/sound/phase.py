"""Phases for amplitudes that were changed: Griffin-Lim, begun with the phases that the sound had.

A spectrogram of overlapping windows cannot have any phases it likes; what does not fit together cancels where
windows overlap. Going forth and back between samples and wanted amplitudes finds phases that fit.

Measured on styled amplitudes (vibraphone as strings, trumpet as whale, strings as vibraphone; 8 s of stereo),
||STFT(iSTFT(S)) - S|| / ||S||, and the log-spectral distance to what was wanted: the content's phases 0.39,
0.30, 0.37 and 1.1 dB; phase-gradient heap integration (the package pghipy) 0.18, 0.10, 0.16 and 0.9 dB;
Griffin-Lim from random phases 0.08, 0.05, 0.08 and 0.5 dB; from the content's phases 0.06, 0.03, 0.07 and
0.4 dB, and onsets that correlate with the wanted ones by 0.995 or more, where heap integration's do by 0.97.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mmdream.sound.stft import HALF_WINDOW_HOPS, Stft, forward_stft, inverse_stft

GRIFFIN_LIM_ITERATIONS = 32
"""Twice as many take another 0.01 off the inconsistency."""
MOMENTUM = 0.99
"""Of the fast variant (Perraudin, Balazs and Sondergaard 2013)."""
OVERLAPPING_FRAMES = 2 * HALF_WINDOW_HOPS - 1
"""Frames on either side that share samples with one."""
LOOKAHEAD_FRAMES = 4 * HALF_WINDOW_HOPS
"""Frames at the end of a stretch that wait for the next one."""


def stream_griffin_lim(
    stretches: Iterable[tuple[np.ndarray, np.ndarray]], stft: Stft
) -> Iterator[np.ndarray]:
    """Spectra of a long sound, a stretch at a time, whose phases fit together across the stretches.

    Frames that are given out stay as they are, and those that follow are fitted to them.

    Args:
        stretches: wanted amplitudes, float32 [channel, frame, bin], and spectra whose phases they begin with.
        stft: the transform.

    Yields:
        complex64 [channel, frame, bin], as many frames in all.
    """
    held: np.ndarray | None = None
    waiting: tuple[np.ndarray, np.ndarray] | None = None
    for amplitudes, start in stretches:
        if waiting is not None:
            amplitudes = np.concatenate((waiting[0], amplitudes), axis=1)
            start = np.concatenate((waiting[1], start), axis=1)
        found = griffin_lim(amplitudes, start, stft, held)
        ready = max(0, found.shape[1] - LOOKAHEAD_FRAMES)
        waiting = amplitudes[:, ready:], found[:, ready:]
        if ready:
            before = found[:, :ready] if held is None else np.concatenate((held, found[:, :ready]), axis=1)
            held = before[:, -OVERLAPPING_FRAMES:]
            yield found[:, :ready]
    if waiting is not None:
        yield waiting[1]


def griffin_lim(
    amplitudes: np.ndarray,
    start: np.ndarray,
    stft: Stft,
    held: np.ndarray | None = None,
    rounds: int = GRIFFIN_LIM_ITERATIONS,
) -> np.ndarray:
    """Phases under which amplitudes change least on their way through samples.

    librosa's `griffinlim` begins with random phases or with none, cannot be given any, and knows no
    neighbours.

    Args:
        amplitudes: float32 [channel, frame, bin].
        start: complex, the same shape; only its phases are used.
        stft: the transform.
        held: complex [channel, up to AROUND, bin], frames before that are settled; None: silence.
        rounds: how often to go forth and back.

    Returns:
        complex64, of exactly these amplitudes.
    """
    current = _apply_phases(amplitudes, start)
    last = np.zeros_like(current)
    for number in range(rounds):
        found = project_spectra(current, stft, held)
        way = found + MOMENTUM * (found - last) if number else found
        current, last = _apply_phases(amplitudes, way), found
    return current


def project_spectra(found: np.ndarray, stft: Stft, held: np.ndarray | None = None) -> np.ndarray:
    """Spectra [channel, frame, bin] on their way through samples: those of the sound that they come to.

    The projection of Griffin and Lim (1984). Silence lies behind them, and before them too unless `held`
    does, see `griffin_lim`.
    """
    around = np.zeros((len(found), OVERLAPPING_FRAMES, stft.n_bins), np.complex64)
    before = around if held is None else np.concatenate((around, held), axis=1)[:, -OVERLAPPING_FRAMES:]
    return forward_stft(inverse_stft(np.concatenate((before, found, around), axis=1), stft), stft)


def measure_inconsistency(found: np.ndarray, stft: Stft) -> float:
    """How far spectra [channel, frame, bin] are from those of any sound: ||STFT(iSTFT(S)) - S|| / ||S||."""
    away = (project_spectra(found, stft) - found)[:, OVERLAPPING_FRAMES:-OVERLAPPING_FRAMES]
    return float(
        np.linalg.norm(away)
        / max(float(np.linalg.norm(found[:, OVERLAPPING_FRAMES:-OVERLAPPING_FRAMES])), 1e-20)
    )


def _apply_phases(amplitudes: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Amplitudes with the phases of other spectra, complex64."""
    size = np.abs(way)
    turns = np.divide(way, size, out=np.ones_like(way), where=size > 1e-30)
    return np.asarray(amplitudes * turns, np.complex64)


@dataclass(frozen=True)
class SpectraBlock:
    """Some frames of a sound and what a dream makes of them."""

    first: int
    """Hop of the first one."""
    source: np.ndarray
    """complex64 [channel, frame, bin]."""
    dream: np.ndarray
    """complex64, the same shape."""


def fit_dream_phases(stretches: Iterable[SpectraBlock], stft: Stft) -> Iterator[SpectraBlock]:
    """Dreams with phases that fit together; frames that no dream has changed stay as they are.

    Args:
        stretches: in order, each beginning where the last one ended.
        stft: the transform.

    Yields:
        The same frames in order, in other stretches.
    """
    waiting: list[SpectraBlock] = []

    def asked() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for stretch in stretches:
            waiting.append(stretch)
            yield np.abs(stretch.dream), stretch.dream

    for found in stream_griffin_lim(asked(), stft):
        first, done = waiting[0].first, found.shape[1]
        source, dream = (
            np.concatenate([getattr(stretch, name) for stretch in waiting], axis=1)
            for name in ("source", "dream")
        )
        changed = np.any(dream[:, :done] != source[:, :done], axis=(0, 2))
        yield SpectraBlock(first, source[:, :done], np.where(changed[:, None], found, source[:, :done]))
        waiting[:] = [SpectraBlock(first + done, source[:, done:], dream[:, done:])]
