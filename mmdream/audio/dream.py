"""A whole sound, dreamed in constant memory.

The source is metered; its chunks are dreamed into a temporary file; that file is mastered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream.audio import mastering
from mmdream.audio.canvas import DB_PER_NEPER
from mmdream.audio.chunk_ascent import ascend_chunk, measure_chunk_energies
from mmdream.audio.chunks import (
    NO_HOOKS,
    AudioDreamSettings,
    Chunk,
    ChunkContext,
    ChunkStore,
    DreamHooks,
    crossfade_chunks,
    load_or_make,
    make_chunk_context,
    split_into_chunks,
)
from mmdream.audio.loudness import meter_loudness
from mmdream.audio.resynthesis import apply_gains, fit_dream_phases, resynthesize
from mmdream.audio.source import AudioSource
from mmdream.settings.report import Report, SettingsChange, drop_repeats
from mmdream.settings.schedule import FrameSettings, Schedule

if TYPE_CHECKING:
    from mmdream.networks.network import Network


@dataclass(frozen=True)
class AudioDreamReport(mastering.AudioReport):
    """What was done to a sound."""

    objective_gain: float
    """Contrast energy of the dream over the source's, weighted as it was climbed; NaN for silence."""
    strength: float
    """Mean |gain| as applied, dB, over all hops and bands."""
    schedule: tuple[SettingsChange, ...]
    """The schedule at each chunk's centre."""

    def extend_report(self, report: Report) -> Report:
        """A report with these figures."""
        return replace(
            super().extend_report(report),
            objective_gain={**report.objective_gain, "sound": self.objective_gain},
            strength={**report.strength, "sound": self.strength},
            schedule={**report.schedule, "sound": drop_repeats(self.schedule)},
        )


@dataclass
class _ChunkTally:
    """What the chunks leave behind for the report."""

    settings: list[SettingsChange] = field(default_factory=list)
    gain_sum: float = 0.0
    """Of the mean |gain|, dB, of so many hops."""
    hops: int = 0
    energies: list[tuple[Chunk, np.ndarray, np.ndarray]] = field(default_factory=list)
    """Chunk, mean weight of each term, the source's energies of those whose weight is not 0."""


def dream_source(
    source: AudioSource,
    write: Callable[[np.ndarray], None],
    network: Network,
    settings: AudioDreamSettings,
    *,
    start_seconds: float | Fraction = 0,
    folder: Path | None = None,
    store: ChunkStore | None = None,
    hooks: DreamHooks = NO_HOOKS,
) -> AudioDreamReport:
    """Dream a sound: same rate, channels, length and loudness.

    Args:
        source: read about twelve seconds at a time.
        write: takes the dream in order, float32 [channel, sample], `source.n_samples` in all.
        network: a sound network.
        settings: how to dream.
        start_seconds: time of the first sample as a player shows it. Chunks, rolls and schedule belong to
            this clock, so an excerpt is dreamed like that part of the whole.
        folder: for a temporary file, as large as the sound in float32; None: the system's place.
        store: where finished chunks outlive the run; None: nowhere.
        hooks: what is called meanwhile.

    Raises:
        UserError: a sample is not a number.
        Interrupted: `hooks.should_stop` said so.
        OSError: ENOSPC, no room for the temporary file.
    """
    if not source.n_samples:
        silence = -math.inf
        return AudioDreamReport(0, source.rate, source.channels, silence, silence, silence, 1.0, 0.0, ())
    meter, strength, tally = meter_loudness(source), settings.schedule.curve("strength"), _ChunkTally()
    context = make_chunk_context(source, network, meter, settings, start_seconds, hooks)

    def on_gain(gain: np.ndarray) -> None:
        tally.gain_sum += float(DB_PER_NEPER * np.abs(gain).mean(axis=(0, 2)).sum())
        tally.hops += gain.shape[1]
        if hooks.on_gain is not None:
            hooks.on_gain(gain.mean(axis=0))

    def share(samples: np.ndarray) -> np.ndarray:
        """How much of the loudness gain acts at these samples, 0..1."""
        return np.asarray(np.minimum(strength.at((context.offset + samples) / source.rate), 1.0))

    canvases = crossfade_chunks(_dream_chunks(context, tally, store))
    spectra = apply_gains(context, canvases, strength, on_gain)
    if settings.options.phase == "griffin-lim":
        spectra = fit_dream_phases(spectra, context.stft)
    with mastering.store_raw(resynthesize(context, spectra), source, folder) as (raw, raw_meter):
        curve = mastering.match_dream_loudness(raw_meter, meter, source.rate, share, settings.loudness)
        report = mastering.write_mastered(raw, curve, source, meter, write)
        gain = _measure_objective_gain(context, raw, tally, curve)
    hooks.progress(1.0)
    return AudioDreamReport(
        **vars(report),
        objective_gain=gain,
        strength=tally.gain_sum / max(tally.hops, 1),
        schedule=tuple(tally.settings),
    )


def _dream_chunks(
    context: ChunkContext, tally: _ChunkTally, store: ChunkStore | None
) -> Iterator[tuple[Chunk, np.ndarray]]:
    """Each chunk with its canvas, as `ascend_chunk` gives it; stored ones are not dreamed again."""
    chunks = split_into_chunks(*context.hop_range)
    for number, chunk in enumerate(chunks):
        settings = plan_chunk(context, chunk)
        arrays = load_or_make(store, number, partial(render_chunk, context, chunk, settings))
        tally.settings.append(SettingsChange(settings.seconds, settings.frame))
        tally.energies.append((chunk, settings.weights, arrays["energies"]))
        yield chunk, arrays["gain"]
        context.hooks.progress(0.95 * (number + 1) / len(chunks))


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """What the schedule asks of a chunk."""

    seconds: float
    """Of its center."""
    frame: FrameSettings
    """At its center."""
    depths: np.ndarray
    """Of each hop."""
    weights: np.ndarray
    """Mean weight of each term."""


def plan_chunk(context: ChunkContext, chunk: Chunk) -> ChunkSettings:
    """Ask the schedule."""
    schedule, seconds = context.settings.schedule, float(context.hop_seconds(chunk.center))
    depths = schedule.curve("depth").at(context.hop_seconds(np.arange(chunk.low, chunk.high)))
    weights = np.abs(context.frontend.term_weights(depths)).mean(axis=0)
    return ChunkSettings(seconds, schedule.at(seconds), depths, weights)


def render_chunk(context: ChunkContext, chunk: Chunk, settings: ChunkSettings) -> dict[str, np.ndarray]:
    """Dream one chunk; chunks depend on the context only, and may be rendered in any order, anywhere.

    Returns:
        The source's energies in the chunk, and its canvas ("gain"), zero where the strength is zero.
    """
    frame, depths, weights = settings.frame, settings.depths, settings.weights
    terms = _weighted_terms(weights)
    energies = measure_chunk_energies(context, context.source, chunk, terms, context.level_factor)
    strength = context.settings.schedule.curve("strength")
    if np.any(strength.at(context.hop_seconds(np.arange(chunk.low, chunk.high)))):
        source_energy = float(np.average(energies, weights=weights[list(terms)])) if terms else 0.0
        return {"energies": energies, "gain": ascend_chunk(context, chunk, frame, depths, source_energy)}
    width = len(context.voices) * context.canvas_width
    return {"energies": energies, "gain": np.zeros((chunk.high - chunk.low, width), np.float32)}


def _measure_objective_gain(
    context: ChunkContext, raw: AudioSource, tally: _ChunkTally, curve: mastering.SampleCurve
) -> float:
    """Contrast energy of the result over the source's, as the network is given both."""
    n_terms = len(context.frontend.terms)
    sums, before, after = np.zeros(n_terms), np.zeros(n_terms), np.zeros(n_terms)
    for chunk, weights, source_energies in tally.energies:
        terms = _weighted_terms(weights)
        center = np.array([chunk.center * context.stft.hop - context.offset])
        factor = context.level_factor * math.exp(float(curve(center)[0]))
        energies = measure_chunk_energies(context, raw, chunk, terms, factor)
        chunk_weights = (chunk.stop - chunk.first) * weights[list(terms)]
        sums[list(terms)] += chunk_weights
        before[list(terms)] += chunk_weights * source_energies
        after[list(terms)] += chunk_weights * energies
    if not before.any():
        return math.nan  # Silence has none.
    return float(sums @ (after / np.maximum(before, 1e-12)) / max(sums.sum(), 1e-12))


def _weighted_terms(weights: np.ndarray) -> tuple[int, ...]:
    """The terms whose weight is not 0."""
    return tuple(int(term) for term in np.flatnonzero(weights))


def measure_contrast_energies(source: AudioSource, sound: AudioSource, network: Network) -> np.ndarray:
    """Contrast energy of a sound on each rung, float64 [rung]: what a dream raises, mean over all hops.

    `source` sets the level at which `sound`, itself or what was made of it, is measured.
    """
    context = make_chunk_context(source, network, meter_loudness(source), AudioDreamSettings(Schedule()))
    chunks = split_into_chunks(*context.hop_range)
    rungs, factor = tuple(range(len(context.frontend.terms))), context.level_factor
    energies = [measure_chunk_energies(context, sound, chunk, rungs, factor) for chunk in chunks]
    return np.average(energies, axis=0, weights=[chunk.stop - chunk.first for chunk in chunks])
