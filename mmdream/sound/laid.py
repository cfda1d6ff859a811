"""A sound and its log gains, brought together: the spectra of both, and the samples of the dream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy.ndimage import median_filter

from mmdream.settings.schedule import Curve
from mmdream.sound.canvas import BAND_EDGES, N_BANDS, compute_invented_power
from mmdream.sound.climb import ChunkContext
from mmdream.sound.front import make_band_interpolation
from mmdream.sound.invented import Excitation, fade_at_edges
from mmdream.sound.phase import SpectraBlock
from mmdream.sound.pitch import detect_pitch
from mmdream.sound.stft import HALF_WINDOW_HOPS, inverse_stft

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
