"""Where grains may begin in a sound: at its onsets, on its beat, and where something new is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.signal

from mmdream.audio.chunks import Chunk, ChunkContext
from mmdream.audio.source import read_padded

FILLER_SECONDS, FILLER_WEIGHT = 0.25, 0.05
"""Places where nothing begins, so far apart and at such a weight; an onset's is up to 1."""
PULSE_WEIGHT = 0.5
"""By how much more an onset weighs on the beat."""
NO_DEPTH, FULL_DEPTH = 0.4, 0.6
"""Depths between which grains come in, as creatures do in a picture."""
CLEAR_QUANTILE = 0.98
"""Of the rises in a window: from there on an onset is clear. The largest may be the sound's own beginning."""
ONSET_PROMINENCE, ONSET_DISTANCE_SECONDS = 0.15, 0.05
"""Of a clear rise: what stands out less is no onset; nor is what follows another so soon."""
BEAT_SECONDS, USUAL_BEAT_SECONDS, BEAT_REACH_SECONDS = (0.3, 1.2), 0.5, 0.03
"""Shortest and longest period of a beat, the usual one, and how far from a beat counts as on it."""
MIN_BEAT = 0.2
"""Share of the envelope's power that returns with a period which is a beat."""
EDGE_SECONDS = 0.06
"""At either end of a sound, where no grain begins: a dream begins no more abruptly than its source."""
LOUDNESS_SECONDS = 0.5
"""Over which the loudness around a place is measured."""
MIN_LOUDNESS = 0.4
"""Of the whole sound's RMS: a grain in a pause is as loud as in such a passage."""


@dataclass(frozen=True)
class Places:
    """Where a grain may begin in a window, in order of time."""

    hops: np.ndarray
    """int [place], on the absolute grid."""
    weights: np.ndarray
    """float [place]: what an atom's worth counts there."""
    levels: np.ndarray
    """float [place]: linear RMS, of full scale, that a grain gets."""


def coupling_amounts(context: ChunkContext, hops: np.ndarray) -> np.ndarray:
    """How much the picture counts at hops, 0..1."""
    return np.asarray(context.settings.schedule.curve("seen_to_heard").at(context.hop_seconds(hops)))


def find_places(
    context: ChunkContext, chunk: Chunk, bands: np.ndarray, appearances: np.ndarray | None = None
) -> Places:
    """Onsets of the source in a chunk, and places between them, with the loudness around.

    `bands` are the source's power in the network's bands, float32 [column, band]; at the seconds of
    `appearances` something begins in the picture that may sound.
    """
    stft = context.frontend.stft
    first, _ = context.column_range(chunk)
    rate = stft.rate / stft.hop
    envelope = measure_onsets(10 * np.log10(bands + context.frontend.power_floor))
    clear = max(float(np.quantile(envelope, CLEAR_QUANTILE)), 1e-9)
    onsets, _ = scipy.signal.find_peaks(
        envelope,
        prominence=ONSET_PROMINENCE * clear,
        distance=max(1, round(ONSET_DISTANCE_SECONDS * rate)),
    )
    weights = np.sqrt(np.minimum(envelope[onsets] / clear, 1.0))
    weights = weights * (1 + PULSE_WEIGHT * find_pulse(envelope, rate)[onsets])
    hops = np.rint((onsets + first) / context.columns_per_hop).astype(int)
    if appearances is not None:
        shown = np.rint(appearances * stft.rate / context.stft.hop).astype(int)
        hops = np.concatenate((hops, shown))
        weights = np.concatenate((weights, coupling_amounts(context, shown)))
    spacing = max(1, round(FILLER_SECONDS * stft.rate / context.stft.hop))
    fillers = np.arange(-(-chunk.first // spacing) * spacing, chunk.stop, spacing)
    if len(hops):
        fillers = fillers[np.abs(fillers[:, None] - hops).min(axis=1) > spacing // 2]
    hops = np.concatenate((hops, fillers))
    weights = np.concatenate((weights, np.full(len(fillers), FILLER_WEIGHT)))
    order = np.argsort(hops, kind="stable")
    hops, weights = hops[order], weights[order]
    begins = hops * context.stft.hop - context.offset
    edge = round(EDGE_SECONDS * context.source.rate)
    inside = (hops >= chunk.first) & (hops < chunk.stop)
    inside &= (begins >= edge) & (begins < context.source.n_samples - edge)
    hops, weights = hops[inside], weights[inside]
    levels = measure_loudness(context, hops) * _grain_share(context, hops)
    return Places(hops[levels > 0], weights[levels > 0], levels[levels > 0])


def measure_onsets(decibels: np.ndarray) -> np.ndarray:
    """How much begins in each column of a spectrogram, dB [column, band]; float [column], at least 0.

    Mean rise over the bands from one column to the next (spectral flux, as librosa's `onset_strength`, whose
    module takes seconds to import and compile).
    """
    rise = np.maximum(np.diff(decibels, axis=0, prepend=decibels[:1]), 0.0).mean(axis=1)
    # A window hears an onset before its centre does.
    return np.asarray(scipy.ndimage.uniform_filter1d(np.roll(rise, 1), 3))


def find_pulse(envelope: np.ndarray, rate: float) -> np.ndarray:
    """Which columns lie on a beat, 0 or 1, float [column]; 0 where there is none.

    `envelope` is that of `measure_onsets`, of `rate` columns a second. The beat's period is the best lag of
    its autocorrelation, weighed towards 120 a minute (Ellis 2007), its phase where most begins.
    """
    low, high = (round(seconds * rate) for seconds in BEAT_SECONDS)
    pulse, n = np.zeros(len(envelope)), len(envelope)
    if n < 4 * high:
        return pulse
    moving = envelope - envelope.mean()
    correlation = scipy.signal.correlate(moving, moving)[n - 1 :]
    lags = np.arange(low, high)
    near = np.exp(-0.5 * np.square(np.log2(lags / rate / USUAL_BEAT_SECONDS)))
    period = int(lags[np.argmax(correlation[lags] * near)])
    if correlation[period] <= MIN_BEAT * correlation[0]:
        return pulse
    phase = int(np.argmax([envelope[begin::period].sum() for begin in range(period)]))
    pulse[phase::period] = 1.0
    return np.asarray(scipy.ndimage.maximum_filter1d(pulse, 2 * round(BEAT_REACH_SECONDS * rate) + 1))


def _grain_share(context: ChunkContext, hops: np.ndarray) -> np.ndarray:
    """How much of the dream grains are at hops, 0..1: the setting, where a dream is deep enough."""
    seconds, schedule = context.hop_seconds(hops), context.settings.schedule
    dreamed = schedule.curve("strength").at(seconds) > 0
    depth = (schedule.curve("depth").at(seconds) - NO_DEPTH) / (FULL_DEPTH - NO_DEPTH)
    return np.asarray(dreamed * schedule.curve("grains").at(seconds) * np.clip(depth, 0.0, 1.0))


def measure_loudness(context: ChunkContext, hops: np.ndarray, least: float = MIN_LOUDNESS) -> np.ndarray:
    """RMS over all channels around hops, linear, float [hop]; at least so much of the whole sound's."""
    if not len(hops):
        return np.zeros(0)
    reach = round(LOUDNESS_SECONDS / 2 * context.source.rate)
    centers = hops * context.stft.hop - context.offset
    start, stop = int(centers.min()) - reach, int(centers.max()) + reach
    power = np.square(read_padded(context.source, start, stop), dtype=np.float64).sum(axis=0)
    sums = np.concatenate(([0.0], np.cumsum(power)))
    local = np.sqrt(
        np.maximum(sums[centers + reach - start] - sums[centers - reach - start], 0) / (2 * reach)
    )
    return np.maximum(local, least * context.rms)
