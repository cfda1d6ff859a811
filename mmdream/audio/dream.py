"""A whole sound, dreamed in constant memory: metered, climbed chunk by chunk into a file, which is mastered.

A chunk's canvas is climbed from coarse to fine along time, from the source's own spectrum. It depends on
nothing but the context and its own stretch of the source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmdream.ascent.engine import AscentProblem, ascend
from mmdream.audio import chunks, mastering
from mmdream.audio.canvas import DB_PER_NEPER, N_BANDS, limit_canvas, smooth_gradient
from mmdream.audio.chunks import ALIGN_HOPS, AudioDreamSettings, Chunk, ChunkContext, ChunkStore, DreamHooks
from mmdream.audio.frontend import SpectrogramSlice, make_distance
from mmdream.audio.gradient import make_gradient, measure_energies
from mmdream.audio.loudness import meter_loudness
from mmdream.audio.resynthesis import apply_gains, fit_dream_phases, resynthesize
from mmdream.audio.source import AudioSource
from mmdream.core.errors import Interrupted
from mmdream.core.rng import rng_for
from mmdream.settings.report import Report, SettingsChange, drop_repeats
from mmdream.settings.schedule import Schedule

if TYPE_CHECKING:
    from mmdream.networks.network import Network

MIN_SIGMA_HOPS = 0.7
"""Blur of the last octave's gradient. Each octave before it is blurred by the square of the octave scale
more. Resampling the sound in time instead dreams worse: the objective rises by up to a third less."""
MAX_SIGMA_HOPS = 24.0
"""Beyond that an octave would only move the volume of the chunk."""
START_GAIN_RMS = 0.03
"""RMS of the noise that a canvas starts from. Where a sound is stationary it decides what happens when."""
START_INVENTED_RMS = 0.3
"""The same of invented energy; on a smooth one no figure would ever begin."""
MAX_DISTANCE_DB = 10.0
"""Log-spectral distance that gains may open between source and dream: beyond, no voice can be made out."""


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


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """What the schedule asks of a chunk."""

    chunk: Chunk
    center: SettingsChange
    depths: np.ndarray
    """0..1, float [hop]."""
    weights: np.ndarray
    """Mean weight of each term of the front end."""

    @property
    def terms(self) -> list[int]:
        """Those whose weight is not 0."""
        return np.flatnonzero(self.weights).tolist()


def dream_source(
    source: AudioSource,
    write: Callable[[np.ndarray], None],
    network: Network,
    settings: AudioDreamSettings,
    *,
    start_seconds: float | Fraction = 0,
    folder: Path | None = None,
    store: ChunkStore | None = None,
    hooks: DreamHooks = chunks.NO_HOOKS,
) -> AudioDreamReport:
    """Dream a sound: same rate, channels, length and loudness.

    `source` is read about twelve seconds at a time; `write` takes the dream in order, float32 [channel,
    sample]. The first sample lies at `start_seconds` as a player shows it: chunks, rolls and schedule belong
    to this clock, so an excerpt is dreamed like that part of the whole. `folder`, None: the system's, holds a
    temporary file, as large as the sound in float32; in `store` finished chunks outlive the run.

    Raises:
        UserError: a sample is not a number.
        Interrupted: `hooks.should_stop` said so.
        OSError: ENOSPC, no room for the temporary file.
    """
    if not source.n_samples:
        silence = -math.inf
        return AudioDreamReport(0, source.rate, source.channels, silence, silence, silence, 1.0, 0.0, ())
    meter, strength = meter_loudness(source), settings.schedule.curve("strength")
    context = ChunkContext(source, network, meter, settings, start_seconds, hooks)
    dreamed: list[tuple[ChunkPlan, np.ndarray]] = []
    gain_sum, hops = 0.0, 0

    def on_gain(gain: np.ndarray) -> None:
        nonlocal gain_sum, hops
        gain_sum += float(DB_PER_NEPER * np.abs(gain).mean(axis=(0, 2)).sum())
        hops += gain.shape[1]
        if hooks.on_gain is not None:
            hooks.on_gain(gain.mean(axis=0))

    def share(samples: np.ndarray) -> np.ndarray:
        """How much of the loudness gain acts at these samples, 0..1."""
        return np.asarray(np.minimum(strength.at((context.offset + samples) / source.rate), 1.0))

    canvases = chunks.crossfade_chunks(_dream_chunks(context, store, dreamed))
    spectra = apply_gains(context, canvases, strength, on_gain)
    if settings.options.phase == "griffin-lim":
        spectra = fit_dream_phases(spectra, context.stft)
    with mastering.store_raw(resynthesize(context, spectra), source, folder) as (raw, raw_meter):
        curve = mastering.match_dream_loudness(raw_meter, meter, source.rate, share, settings.loudness)
        report = mastering.write_mastered(raw, curve, source, meter, write)
        gain = _measure_objective_gain(context, raw, dreamed, curve)
    hooks.progress(1.0)
    schedule = tuple(plan.center for plan, _ in dreamed)
    return AudioDreamReport(
        **vars(report), objective_gain=gain, strength=gain_sum / max(hops, 1), schedule=schedule
    )


def _dream_chunks(
    context: ChunkContext, store: ChunkStore | None, dreamed: list[tuple[ChunkPlan, np.ndarray]]
) -> Iterator[tuple[Chunk, np.ndarray]]:
    """Each chunk with its canvas; stored ones are not dreamed again. Plans and energies go to `dreamed`."""
    grid = chunks.split_into_chunks(*context.hop_range)
    for number, chunk in enumerate(grid):
        plan = _plan_chunk(context, chunk)
        arrays = chunks.load_or_make(store, number, partial(render_chunk, context, plan))
        dreamed.append((plan, arrays["energies"]))
        yield chunk, arrays["gain"]
        context.hooks.progress(0.95 * (number + 1) / len(grid))


def _plan_chunk(context: ChunkContext, chunk: Chunk) -> ChunkPlan:
    schedule, seconds = context.settings.schedule, float(context.hop_seconds(chunk.center))
    depths = schedule.curve("depth").at(context.hop_seconds(np.arange(chunk.low, chunk.high)))
    weights = np.abs(context.frontend.term_weights(depths)).mean(axis=0)
    return ChunkPlan(chunk, SettingsChange(seconds, schedule.at(seconds)), depths, weights)


def render_chunk(context: ChunkContext, plan: ChunkPlan) -> dict[str, np.ndarray]:
    """Dream a chunk, the unit of a sound's work: its source's energies, and its canvas, 0 at strength 0.

    For each voice the canvas ("gain") holds its log gain and what is invented, if anything, softly limited:
    nepers, float32 [chunk.high - chunk.low, voice * context.canvas_width].
    """
    chunk, voices = plan.chunk, range(len(context.voices))
    energies = _measure_energies(context, context.source, chunk, plan.terms, context.level_factor)
    strength = context.settings.schedule.curve("strength")
    gain = np.zeros((chunk.high - chunk.low, len(voices) * context.canvas_width), np.float32)
    if np.any(strength.at(context.hop_seconds(np.arange(chunk.low, chunk.high)))):
        energy = float(np.average(energies, weights=plan.weights[plan.terms])) if plan.terms else 0.0
        gain = np.concatenate([_dream_voice(context, plan, energy, voice) for voice in voices], axis=1)
    return {"energies": energies, "gain": gain}


def _dream_voice(context: ChunkContext, plan: ChunkPlan, energy: float, voice: int) -> np.ndarray:
    frontend, chunk, frame = context.frontend, plan.chunk, plan.center.moment
    # A single channel has its share of the power of all of them.
    factor = context.level_factor * math.sqrt(len(context.voices))
    source = context.read_slice(context.voices[voice], chunk, factor)
    column_depths = plan.depths[np.rint(source.positions).astype(int)]
    compute_gradient = make_gradient(frontend, source, column_depths, context.settings.options.invent, energy)
    canvas, step, mask = _start_canvas(context, plan, source, voice)
    measure_distance = make_distance(frontend, source)
    octaves = count_octaves(frame.octaves, frame.octave_scale)
    on_canvas, total = context.hooks.on_canvas if voice == 0 else None, octaves * frame.steps
    # What lies between two columns of the network can only follow them.
    min_sigma = max(MIN_SIGMA_HOPS, frontend.spec.decimation * frontend.stft.hop / context.stft.hop / 2)

    def settle(x: np.ndarray) -> np.ndarray:
        x[:, :N_BANDS] *= min(1.0, MAX_DISTANCE_DB / max(measure_distance(x[:, :N_BANDS]), 1e-9))
        return x

    for finer in reversed(range(octaves)):
        sigma = max(MIN_SIGMA_HOPS * frame.octave_scale ** (2 * finer), min_sigma)

        def gradient(x: np.ndarray, number: int, finer: int = finer, sigma: float = sigma) -> np.ndarray:
            if context.hooks.should_stop():
                raise Interrupted
            if on_canvas is not None:
                on_canvas(chunk, total - (finer + 1) * frame.steps + number, total, limit_canvas(x))
            # The same for every chunk: the network's pooling grid then lies alike on both sides of a seam.
            roll = int(rng_for(context.settings.seed, "sound", "roll", finer, number).integers(ALIGN_HOPS))
            result = compute_gradient(x, roll)
            for first in range(0, x.shape[1], N_BANDS):
                plane = slice(first, first + N_BANDS)
                result[:, plane] = _normalize_rms(smooth_gradient(result[:, plane], sigma), mask[:, plane])
            return result

        canvas = ascend(AscentProblem(canvas, step, gradient, settle, mask), frame.steps)
    canvas = limit_canvas(canvas)
    if on_canvas is not None:
        on_canvas(chunk, total, total, canvas)
    return canvas


def count_octaves(octaves: int, scale: float) -> int:
    """How many octaves of a sound fit: the next one would be coarser than `MAX_SIGMA_HOPS`."""
    return min(octaves, 1 + int(math.log(MAX_SIGMA_HOPS / MIN_SIGMA_HOPS) / (2 * math.log(scale))))


def _start_canvas(
    context: ChunkContext, plan: ChunkPlan, source: SpectrogramSlice, voice: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A voice's first canvas, its step sizes, and a mask of where it may change; float32 [hop, width]."""
    frontend, chunk = context.frontend, plan.chunk
    first, stop = context.column_range(chunk)
    columns = np.rint(np.arange(chunk.low, chunk.high) * context.columns_per_hop).astype(int) - first
    # Where the source lies under the network's floor a gain has nothing to lift. This is also the floor under
    # the RMS of nearly silent chunks: their steps shrink instead of being blown up.
    mask = frontend.measure_audibility(source.power)[np.clip(columns, 0, stop - first - 1)]
    step = np.tile(frontend.step_sizes(plan.depths)[:, None], (1, N_BANDS))
    canvas = START_GAIN_RMS * _start_noise(context, chunk, voice, "start") * mask
    if context.settings.options.invent:
        allowed = np.tile((frontend.typical_power > 0).astype(np.float32), (len(step), 1))
        new = START_INVENTED_RMS * _start_noise(context, chunk, voice, "new") * allowed
        canvas, mask = np.hstack((canvas, new)), np.hstack((mask, allowed))
        step = np.hstack((step, 2 * step))
    return canvas, step, mask


def _start_noise(context: ChunkContext, chunk: Chunk, voice: int, name: str) -> np.ndarray:
    """Smooth noise of RMS 1 on the absolute grid, float32 [hop, band]; each voice has its own."""
    address = (voice,) if voice else ()
    rows = [
        rng_for(context.settings.seed, "sound", name, number, *address).standard_normal((ALIGN_HOPS, N_BANDS))
        for number in range(chunk.low // ALIGN_HOPS, -(-chunk.high // ALIGN_HOPS))
    ]
    noise = np.concatenate(rows)[: chunk.high - chunk.low].astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), sigmaX=1.0, sigmaY=3.0)
    # Gaussians of sigma 1 and 3 leave 1 / sqrt(4 pi sigma sigma) of white noise's RMS.
    return soft * np.float32(np.sqrt(4 * np.pi * 3.0))


def _normalize_rms(gradient: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A plane's gradient at RMS 1 where it may change: gains and what is invented weigh alike."""
    power = float(np.sum(np.square(gradient * mask))) / max(float(mask.sum()), 1e-6)
    return gradient * np.float32(1.0 / math.sqrt(power)) if power > 1e-40 else np.zeros_like(gradient)


def _measure_energies(
    context: ChunkContext, sound: AudioSource, chunk: Chunk, terms: list[int], factor: float
) -> np.ndarray:
    """Energies of some of the front end's terms over a chunk's new sound under a factor, float32 [term]."""
    first, _ = context.column_range(chunk)
    inner = (hop * context.columns_per_hop - first for hop in (chunk.first, chunk.stop))
    return measure_energies(context.frontend, context.read_slice(sound, chunk, factor), tuple(terms), *inner)


def _measure_objective_gain(
    context: ChunkContext,
    raw: AudioSource,
    dreamed: list[tuple[ChunkPlan, np.ndarray]],
    curve: mastering.SampleCurve,
) -> float:
    """Contrast energy of the result over the source's, as the network is given both."""
    sums, before, after = np.zeros((3, len(context.frontend.terms)))
    for plan, source_energies in dreamed:
        chunk, terms = plan.chunk, plan.terms
        center = np.array([chunk.center * context.stft.hop - context.offset])
        factor = context.level_factor * math.exp(float(curve(center)[0]))
        weights = (chunk.stop - chunk.first) * plan.weights[terms]
        sums[terms] += weights
        before[terms] += weights * source_energies
        after[terms] += weights * _measure_energies(context, raw, chunk, terms, factor)
    if not before.any():
        return math.nan  # Silence has none.
    return float(sums @ (after / np.maximum(before, 1e-12)) / max(sums.sum(), 1e-12))


def measure_contrast_energies(source: AudioSource, sound: AudioSource, network: Network) -> np.ndarray:
    """Contrast energy of a sound on each rung, float64 [rung]: what a dream raises, mean over all hops.

    `source` sets the level at which `sound`, itself or what was made of it, is measured.
    """
    settings = AudioDreamSettings(Schedule())
    context = ChunkContext(source, network, meter_loudness(source), settings)
    grid, rungs = chunks.split_into_chunks(*context.hop_range), list(range(len(context.frontend.terms)))
    energies = [_measure_energies(context, sound, chunk, rungs, context.level_factor) for chunk in grid]
    return np.average(energies, axis=0, weights=[chunk.stop - chunk.first for chunk in grid])
