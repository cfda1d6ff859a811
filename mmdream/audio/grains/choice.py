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

from mmdream.audio.canvas import N_BANDS
from mmdream.audio.chunks import Chunk, ChunkContext
from mmdream.audio.gradient import make_gradient_pair
from mmdream.audio.grains.cues import PictureCues, find_cutoff, scale_level
from mmdream.audio.grains.grain import LEAD_COLUMNS, Grain, GrainBank, HeardGrains
from mmdream.audio.grains.places import Places, coupling_amounts, find_places
from mmdream.audio.pitch import summarize_pitch
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
SHOWN_WEIGHT = 0.5
"""Of a place where something is shown, beside an onset's: it sounds as long as it is seen."""
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
    shown: np.ndarray | None = None
    """How surely each class is shown, 0..1, float32 [hop, class], over all that the chunk hears."""


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
    gradient = make_gradient_pair(
        context.frontend,
        source,
        window.depths[source.hops],
        source_energy=window.energy,
        shown=None if window.shown is None else window.shown[source.hops],
        whole=True,
    )
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
    matches, weights = np.full(len(bank.atoms), -1), places.weights
    shown = np.zeros((len(places.hops), len(bank.atoms)))
    if cues is not None:
        matches = cues.match_atoms(context.frontend.network.card, [atom.kind for atom in bank.atoms])
        seconds = np.asarray(context.hop_seconds(places.hops))
        amounts = coupling_amounts(context, places.hops)
        favour, shown = cues.favour(seconds, matches, amounts), cues.shares(seconds, matches)
        shown = shown * amounts[:, None]
        weights = np.maximum(weights, SHOWN_WEIGHT * shown.max(axis=1))
        # Half a dream's grains would come at the lowest worth, so a smaller worth alone keeps nothing out.
        chances = rng.random((len(places.hops), 1))
        taste = np.where(favour >= chances, taste * favour, 0.0)
    # What is shown sounds whether or not the dream climbs higher by it.
    is_certain = shown > rng.random((len(places.hops), 1))
    chosen: list[Grain] = []
    tried: Grain | None = None
    best_value, is_tried_certain = -math.inf, False
    most = math.ceil(GRAINS_PER_SECOND * float(context.hop_seconds(chunk.stop - chunk.first)))
    for _ in range(MAX_TRIES * most):
        candidates = [*chosen, tried] if tried else chosen
        more = hear_grains(context, chunk, [(grain, bank) for grain in candidates]).power(canvas[:, 0])
        value, _, power_slopes = gradient(canvas, more, 0)
        if value > best_value or is_tried_certain:
            chosen, best_value = candidates, value
            slopes = power_slopes * (bands + more + floor)
            worth = _weigh_atoms(context, chunk, places, slopes, rises)
            worth = _even_kinds(worth, matches, shown) * weights[:, None] * taste
        # Else what was tried is left out; its place stays closed, and its kind has had its turn.
        keep = [ATOM_FATIGUE ** tired[atom.name] * kind_fatigue ** tired[atom.kind] for atom in bank.atoms]
        left = np.where(_find_free(context, places, taken)[:, None], worth * keep, 0.0)
        place, atom = map(int, np.unravel_index(int(left.argmax()), left.shape))
        if left[place, atom] <= 0 or len(chosen) == most:
            break
        tried, is_tried_certain = _make_grain(context, places, place, bank, atom), is_certain[place, atom]
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


def _place_by_picture(context: ChunkContext, cues: PictureCues, grain: Grain, kind: int) -> Grain:
    """A grain at its motif's side, as loud and as bright as that is large; itself where it is not shown."""
    shown = cues.place(float(context.hop_seconds(grain.hop)), kind)
    amount = float(coupling_amounts(context, np.array([grain.hop]))[0])
    if shown is None or not amount:
        return grain
    _, side, size = shown
    level, cutoff = grain.level * scale_level(size, amount), find_cutoff(size, amount)
    return replace(grain, level=level, side=side, sidedness=amount, cutoff=cutoff)


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


def _even_kinds(worth: np.ndarray, matches: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Worth, float [place, atom], as surely as a kind is shown by its place among that of its kind alone.

    A bark brings more in a moment than waves do in a second: where both are shown, both are heard.
    """
    if not shown.any():
        return worth
    evened, most = worth.copy(), float(np.abs(worth).max())
    for kind in np.unique(matches[matches >= 0]):
        own = worth[:, matches == kind]
        evened[:, matches == kind] = most * (own - own.min()) / max(float(np.ptp(own)), 1e-12)
    return worth + shown * (evened - worth)


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
