"""A sound and its log gains, brought together: the spectra of both, and the samples of the dream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from scipy.ndimage import median_filter

from mmdream.audio.canvas import BAND_EDGES, N_BANDS, compute_invented_power
from mmdream.audio.chunk_ascent import ChunkContext
from mmdream.audio.filterbank import make_band_interpolation
from mmdream.audio.stft import HALF_WINDOW_HOPS, Stft, forward_stft, inverse_stft
from mmdream.audio.synthesis import Excitation, fade_at_edges
from mmdream.settings.schedule import Curve

pass
pass

MIN_GAIN_HZ = 20.0
"""What is lower is no sound, and keeps its level: a gain on it would add a direct current."""


def apply_gains(
    on: ChunkContext,
    canvases: Iterable[tuple[int, np.ndarray]],
    strength: Curve,
    applied: Callable[[np.ndarray], None],
) -> Iterator[SpectraBlock]:
    """Spectra of the source and of the dream, in order.

    Args:
        on: what is dreamed.
        canvases: first hop and canvas of each finished stretch, float32 [hop, voice * on.width], in order.
        strength: of the dream, by seconds.
        applied: takes the log gain as it is applied, float32 [voice, hop, band], nepers.
    """
    to_bins = make_band_interpolation(BAND_EDGES, on.stft) * np.minimum(
        on.stft.frequencies / MIN_GAIN_HZ, 1.0
    ).astype(np.float32)
    excited = Excitation(on.stft, on.seed)
    for first, canvas in canvases:
        hops = np.arange(first, first + len(canvas))
        share = strength.at(on.seconds(hops)).astype(np.float32)
        voices = canvas.reshape(len(canvas), len(on.voices), on.width).transpose(1, 0, 2)
        gain = voices[..., :N_BANDS] * share[:, None]
        applied(gain)
        source = on.spectra(on.source, first, first + len(canvas))
        dream = source * np.exp(gain @ to_bins)
        if on.manner.invent:
            power = compute_invented_power(voices[..., N_BANDS:], on.ear.typical_power) @ to_bins
            loud = on.manner.invent * share * fade_at_edges(hops, *on.span)
            height = loud[:, None] * np.sqrt(power / source.shape[0]) / on.factor
            dream = dream + height * excited.spectra(first, _find_excitation_pitch(on, source))
        yield SpectraBlock(first, source, dream.astype(np.complex64))


def _find_excitation_pitch(on: ChunkContext, source: np.ndarray) -> np.ndarray:
    """Pitch of what is invented, Hz, float64 [frame]: the source's, or else that of the class; 0: none."""
    classes = on.ear.network.card.pitches
    usual = [classes[term.name] for term in on.ear.terms if term.weight > 0 and term.name in classes]
    found = median_filter(detect_pitch(np.square(np.abs(source)).sum(axis=0), on.stft), 5)
    return np.where(found > 0, found, usual[0] if usual else 0.0)


def resynthesize(on: ChunkContext, spectra: Iterable[SpectraBlock]) -> Iterator[np.ndarray]:
    """The dream before its loudness is matched, in order, float32 [channel, sample].

    What has changed is added to the source's own samples, so that no change gives exactly the source.
    """
    hop = on.stft.hop
    waiting: np.ndarray | None = None
    for stretch in spectra:
        change = stretch.dream - stretch.source
        if waiting is not None:
            change = np.concatenate((waiting, change), axis=1)
        waiting = change[:, -(2 * HALF_WINDOW_HOPS - 1) :]
        if change.shape[1] < 2 * HALF_WINDOW_HOPS:
            continue
        added = inverse_stft(change, on.stft)
        stop_at = (stretch.first + stretch.dream.shape[1] - HALF_WINDOW_HOPS) * hop - on.offset
        start_at = stop_at - added.shape[1]
        low, high = max(start_at, 0), min(stop_at, on.source.n_samples)
        if high > low:
            yield on.source.read(low, high) + added[:, low - start_at : high - start_at]


MIN_PITCH_HZ, MAX_PITCH_HZ = 80.0, 1500.0
VOICED_THRESHOLD = 0.55
"""Height of the autocorrelation, 0..1, from which on a frame has a pitch (Praat's threshold is 0.45)."""


def detect_pitch(power: np.ndarray, stft: Stft) -> np.ndarray:
    """Pitch by autocorrelation, over that of the window (Boersma 1993).

    Args:
        power: float32 [frame, bin].
        stft: the transform; its window is a Hann window.

    Returns:
        float64 [frame], Hz; 0 where there is none.
    """
    lags = np.arange(int(stft.rate / MAX_PITCH_HZ), min(int(stft.rate / MIN_PITCH_HZ), stft.window // 2))
    found = np.zeros(len(power))
    if not len(lags):
        return found
    own = scipy.fft.irfft(power, axis=1)
    likeness = own[:, lags] / np.maximum(own[:, :1], 1e-20) / _window_autocorrelation(stft)[lags]
    # A period's multiples are as like; the shortest that comes near the best is the period.
    best = likeness.max(axis=1)
    place = np.argmax(likeness > 0.9 * best[:, None], axis=1)
    # Up the hill that it stands on.
    for _ in range(int(stft.rate / MAX_PITCH_HZ / 4)):
        further = np.minimum(place + 1, len(lags) - 1)
        up = np.take_along_axis(likeness, further[:, None], 1) > np.take_along_axis(
            likeness, place[:, None], 1
        )
        place = np.where(up[:, 0], further, place)
    clear = (best > VOICED_THRESHOLD) & (best < 1.2)
    found[clear] = stft.rate / lags[place[clear]]
    return found


@lru_cache(maxsize=8)
def _window_autocorrelation(stft: Stft) -> np.ndarray:
    """Autocorrelation of the transform's window, 1 at lag 0."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(stft.window) / stft.window)
    own = np.asarray(scipy.fft.irfft(np.square(np.abs(scipy.fft.rfft(window, stft.n_fft)))))
    return np.maximum(own / own[0], 1e-3)


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
