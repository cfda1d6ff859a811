"""Which grains a sound gets: what the network half hears at the source's onsets, window by window.

The gradient of the objective tells what more power in a band at a moment would bring; an atom's worth at a
place is the sum of that over its own spectrogram, times how far it would stand over what sounds there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.ndimage
import scipy.signal

from mmdream.audio.canvas import N_BANDS
from mmdream.audio.chunks import Chunk, ChunkContext
from mmdream.audio.gradient import make_gradient_pair
from mmdream.audio.grains.cues import PictureCues, find_cutoff, scale_level
from mmdream.audio.grains.grain import LEAD_COLUMNS, Grain, GrainBank, HeardGrains
from mmdream.audio.pitch import summarize_pitch
from mmdream.audio.source import read_padded
from mmdream.audio.spectra import read_spectra, sum_power
from mmdream.core.rng import rng_for

GRAINS_PER_SECOND = 2.4
"""At most; those that would bring nothing are left out."""
MAX_TRIES = 2
"""For each grain that a window may have."""
MIN_DISTANCE_SECONDS = 0.3
"""Between the attacks of two grains."""
ATOM_FATIGUE, KIND_FATIGUE = 0.5, 0.7
"""Share of its worth that an atom, and its kind, keep each time they are chosen in a window or beside it."""
OTHER_CLASS = 0.2
"""Share of its worth that an atom of another class keeps where a class is asked for, and some are of that."""
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
SEED_SPREAD = 0.2
"""Nepers by which the seed moves the worth of each atom."""
PITCH_HOPS = 2, 16
"""Hops behind an onset between which the source's pitch is taken."""
SURE_PITCH = 0.8
"""Confidence from which on a grain is transposed."""
INTERVALS = (1.0, 1.5)
"""The source's pitch, and the fifth over it, in any octave."""
MAX_TRANSPOSITION = math.sqrt(2)
"""Half an octave."""
BLOCK = 2
"""Columns, and bands, whose mean stands for them where atoms are weighed: four times as quick."""


@dataclass(frozen=True)
class GrainWindow:
    """A stretch of a sound that chooses its own grains, and what the dream asks of it."""

    chunk: Chunk
    depths: np.ndarray
    """0..1, float [hop], over all that the chunk hears."""
    energy: float
    """Contrast energy of the source."""
    cues: PictureCues | None = None
    """What the picture shows meanwhile; None: it does not matter."""


@dataclass(frozen=True)
class Places:
    """Where a grain may begin in a window, in order of time."""

    hops: np.ndarray
    """int [place], on the absolute grid."""
    weights: np.ndarray
    """float [place]: what an atom's worth counts there."""
    levels: np.ndarray
    """float [place]: linear RMS, of full scale, that a grain gets."""


def choose_grains(
    context: ChunkContext,
    window: GrainWindow,
    bank: GrainBank,
    beside: Iterable[tuple[GrainBank, Sequence[Grain]]] = (),
) -> list[Grain]:
    """The grains that begin in a window, in order of time; `beside` are those of its neighbours."""
    chunk = window.chunk
    source = context.read_slice(context.source, chunk, context.level_factor)
    bands = source.power @ context.frontend.filterbank
    cues = window.cues
    places = find_places(context, chunk, bands, None if cues is None else cues.appearances())
    if not len(places.hops) or not bank.atoms:
        return []
    depths = window.depths[np.rint(source.positions).astype(int)]
    gradient = make_gradient_pair(context.frontend, source, depths, source_energy=window.energy, whole=True)
    canvas = np.zeros((chunk.high - chunk.low, N_BANDS), np.float32)
    floor = context.frontend.power_floor
    rises = _measure_rises(context, chunk, bank, places, bands)
    tired, taken = Counter[str](), list[int]()
    for other, grains in beside:
        taken += [grain.hop for grain in grains]
        for grain in grains:
            tired.update((other.atoms[grain.atom].name, other.atoms[grain.atom].kind))
    wanted = _find_wanted(context, bank)
    # Who asks for a class gets that class, and does not tire of it.
    kind_fatigue = KIND_FATIGUE if wanted is None else 1.0
    rng = rng_for(context.settings.seed, "sound", "grains", chunk.number)
    taste = np.exp(SEED_SPREAD * rng.standard_normal(len(bank.atoms)))
    if wanted is not None:
        taste = taste * np.where(wanted, 1.0, OTHER_CLASS)
    matches = np.full(len(bank.atoms), -1)
    if cues is not None:
        matches = cues.match_atoms(context.frontend.network.card, [atom.kind for atom in bank.atoms])
        seconds = np.asarray(context.hop_seconds(places.hops))
        favour = cues.favour(seconds, matches, _coupling_amounts(context, places.hops))
        # Half a dream's grains would come at the lowest worth, so a smaller worth alone keeps nothing out.
        chances = rng.random((len(places.hops), 1))
        taste = np.where(favour >= chances, taste * favour, 0.0)
    chosen: list[Grain] = []
    tried: Grain | None = None
    best_value = -math.inf
    most = math.ceil(GRAINS_PER_SECOND * float(context.hop_seconds(chunk.stop - chunk.first)))
    for _ in range(MAX_TRIES * most):
        candidates = [*chosen, tried] if tried else chosen
        more = hear_grains(context, chunk, [(grain, bank) for grain in candidates]).power(canvas[:, 0])
        value, _, power_slopes = gradient(canvas, more, 0)
        if value > best_value:
            chosen, best_value = candidates, value
            slopes = power_slopes * (bands + more + floor)
            worth = _weigh_atoms(context, chunk, places, slopes, rises) * places.weights[:, None] * taste
        # Else what was tried is left out; its place stays closed, and its kind has had its turn.
        keep = [ATOM_FATIGUE ** tired[atom.name] * kind_fatigue ** tired[atom.kind] for atom in bank.atoms]
        left = np.where(_find_free(context, places, taken)[:, None], worth * keep, 0.0)
        place, atom = map(int, np.unravel_index(int(left.argmax()), left.shape))
        if left[place, atom] <= 0 or len(chosen) == most:
            break
        tried = _make_grain(context, places, place, bank, atom)
        if cues is not None:
            tried = _place_by_picture(context, cues, tried, int(matches[atom]))
        taken.append(tried.hop)
        tired.update((bank.atoms[atom].name, bank.atoms[atom].kind))
    return sorted(chosen, key=lambda grain: grain.hop)


def _find_wanted(context: ChunkContext, bank: GrainBank) -> np.ndarray | None:
    """Which atoms are of a class that is asked for, bool [atom]; None: no class is."""
    card, terms = context.frontend.network.card, context.frontend.terms
    asked = {card.class_index(term.name) for term in terms if term.kind == "target" and term.weight > 0}
    if not asked:
        return None
    wanted = np.array([card.find_class(atom.kind) in asked for atom in bank.atoms])
    return wanted if wanted.any() else None


def hear_grains(
    context: ChunkContext, chunk: Chunk, grains: Iterable[tuple[Grain, GrainBank]]
) -> HeardGrains:
    """What the network hears of grains over a chunk's columns."""
    first, stop = context.column_range(chunk)
    heard = HeardGrains((stop - first, context.frontend.spec.bands))
    for grain, bank in grains:
        column = round(grain.hop * context.columns_per_hop) - first
        scale = np.float32((grain.level * context.level_factor) ** 2)
        heard.add(grain.hop - chunk.low, column, scale * bank.band_power(grain.atom, grain.ratio))
    return heard


def _make_grain(context: ChunkContext, places: Places, place: int, bank: GrainBank, atom: int) -> Grain:
    hop = int(places.hops[place])
    pitch = measure_source_pitch(context, hop)
    ratio = find_transposition(pitch, *bank.pitch(atom))
    return Grain(hop, atom, ratio, float(places.levels[place]), pitch)


def _coupling_amounts(context: ChunkContext, hops: np.ndarray) -> np.ndarray:
    """How much the picture counts at hops, 0..1."""
    return np.asarray(context.settings.schedule.curve("seen_to_heard").at(context.hop_seconds(hops)))


def _place_by_picture(context: ChunkContext, cues: PictureCues, grain: Grain, kind: int) -> Grain:
    """A grain at its motif's side, as loud and as bright as that is large; itself where it is not shown."""
    shown = cues.place(float(context.hop_seconds(grain.hop)), kind)
    amount = float(_coupling_amounts(context, np.array([grain.hop]))[0])
    if shown is None or not amount:
        return grain
    _, side, size = shown
    level, cutoff = grain.level * scale_level(size, amount), find_cutoff(size, amount)
    return replace(grain, level=level, side=side, sidedness=amount, cutoff=cutoff)


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
        weights = np.concatenate((weights, _coupling_amounts(context, shown)))
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


def _measure_rises(
    context: ChunkContext, chunk: Chunk, bank: GrainBank, places: Places, bands: np.ndarray
) -> np.ndarray:
    """Log power that atoms add to the source, float32 [place, atom, column, band], in blocks."""
    atoms = [bank.band_power(number, 1.0) for number in range(len(bank.atoms))]
    length = max(map(len, atoms))
    stacked = _average_blocks(np.stack([_fit_rows(atom, length) for atom in atoms]))
    starts = _first_columns(context, chunk, places)
    floor = context.frontend.power_floor
    under = np.stack([_fit_rows(bands[max(start, 0) :][:length], length) for start in starts]) + floor
    scale = np.square(places.levels * context.level_factor).astype(np.float32)
    return np.log1p(scale[:, None, None, None] * stacked[None] / _average_blocks(under)[:, None])


def _weigh_atoms(
    context: ChunkContext, chunk: Chunk, places: Places, slopes: np.ndarray, rises: np.ndarray
) -> np.ndarray:
    """What each atom would bring at each place, float [place, atom], along slopes [column, band]."""
    starts, length = _first_columns(context, chunk, places), BLOCK * rises.shape[2]
    around = np.stack([_fit_rows(slopes[max(start, 0) :][:length], length) for start in starts])
    summed = BLOCK**2 * _average_blocks(around)
    return np.stack([np.tensordot(rise, place, 2) for rise, place in zip(rises, summed, strict=True)])


def _first_columns(context: ChunkContext, chunk: Chunk, places: Places) -> list[int]:
    """Where the atoms' power begins in a chunk's columns, at each place."""
    first, _ = context.column_range(chunk)
    return (np.rint(places.hops * context.columns_per_hop).astype(int) - LEAD_COLUMNS - first).tolist()


def _fit_rows(rows: np.ndarray, length: int) -> np.ndarray:
    return np.pad(rows, ((0, length - len(rows)), (0, 0)))


def _average_blocks(power: np.ndarray) -> np.ndarray:
    """Means over `BLOCK` columns and bands, [..., column, band]; zeros fill the last blocks up."""
    *_, columns, bands = power.shape
    margin = [(0, 0)] * (power.ndim - 2) + [(0, -columns % BLOCK), (0, -bands % BLOCK)]
    padded = np.pad(power, margin)
    shape = (*padded.shape[:-2], padded.shape[-2] // BLOCK, BLOCK, padded.shape[-1] // BLOCK, BLOCK)
    return np.asarray(padded.reshape(shape).mean(axis=(-3, -1)), np.float32)


def _find_free(context: ChunkContext, places: Places, taken: Sequence[int]) -> np.ndarray:
    """Which places lie far enough from what is taken, bool [place]."""
    if not taken:
        return np.ones(len(places.hops), bool)
    apart = np.abs(places.hops[:, None] - np.array(taken)).min(axis=1)
    return np.asarray(context.hop_seconds(apart) >= MIN_DISTANCE_SECONDS)


def measure_source_pitch(context: ChunkContext, hop: int) -> float:
    """Pitch of what begins at a hop, Hz; 0: it has none, or is not sure."""
    first, stop = (hop + each for each in PITCH_HOPS)
    power = sum_power(read_spectra(context.source, context.stft, first, stop, context.offset))
    pitch, confidence = summarize_pitch(power, context.stft)
    return pitch if confidence >= SURE_PITCH else 0.0


def find_transposition(source: float, atom: float, confidence: float) -> float:
    """The ratio that brings an atom's pitch, Hz, to the source's or its fifth, in the nearest octave.

    1 where either has none, or the atom's is not sure.
    """
    if not source or not atom or confidence < SURE_PITCH:
        return 1.0
    ratios = [2 ** ((math.log2(interval * source / atom) + 0.5) % 1 - 0.5) for interval in INTERVALS]
    nearest = min(ratios, key=lambda ratio: abs(math.log(ratio)))
    return nearest if 1 / MAX_TRANSPOSITION <= nearest <= MAX_TRANSPOSITION else 1.0
