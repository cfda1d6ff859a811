"""One chunk of a sound dreamed: its canvas climbed from coarse to fine along time, from its own spectrum.

It depends on nothing but what the chunks share, its own stretch of the source, and the grains laid there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from mmdream.ascent.engine import AscentProblem, ascend
from mmdream.audio.canvas import N_BANDS, limit_canvas, smooth_gradient
from mmdream.audio.chunks import ALIGN_HOPS, Chunk, ChunkContext
from mmdream.audio.frontend import SpectrogramSlice, make_distance
from mmdream.audio.gradient import make_gradient, make_gradient_pair, measure_energies
from mmdream.audio.grains.grain import HeardGrains, limit_level
from mmdream.audio.source import AudioSource
from mmdream.core.errors import Interrupted
from mmdream.core.rng import rng_for
from mmdream.settings.report import SettingsChange

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

    def average_energy(self, energies: np.ndarray) -> float:
        """The mean of the terms' energies, float [term], as the chunk weighs them."""
        return float(np.average(energies, weights=self.weights[self.terms])) if self.terms else 0.0


def plan_chunk(context: ChunkContext, chunk: Chunk) -> ChunkPlan:
    """Ask the schedule about a chunk."""
    schedule, seconds = context.settings.schedule, float(context.hop_seconds(chunk.center))
    depths = schedule.curve("depth").at(context.hop_seconds(np.arange(chunk.low, chunk.high)))
    weights = np.abs(context.frontend.term_weights(depths)).mean(axis=0)
    return ChunkPlan(chunk, SettingsChange(seconds, schedule.at(seconds)), depths, weights)


def render_chunk(
    context: ChunkContext,
    plan: ChunkPlan,
    heard: HeardGrains | None = None,
    shown: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Dream a chunk, the unit of a sound's work: its source's energies, and its canvas, 0 at strength 0.

    For each voice the canvas ("gain") holds its log gain, what is invented and the levels of grains, if any,
    softly limited: nepers, float32 [chunk.high - chunk.low, voice * context.canvas_width]. `shown` is how
    surely the picture shows each class of the network, 0..1, float32 [hop, class].
    """
    chunk, voices = plan.chunk, range(len(context.voices))
    energies = measure_chunk_energies(context, context.source, chunk, plan.terms, context.level_factor)
    strength = context.settings.schedule.curve("strength")
    gain = np.zeros((chunk.high - chunk.low, len(voices) * context.canvas_width), np.float32)
    if np.any(strength.at(context.hop_seconds(np.arange(chunk.low, chunk.high)))):
        energy = plan.average_energy(energies)
        gain = np.concatenate(
            [_dream_voice(context, plan, energy, voice, heard, shown) for voice in voices], axis=1
        )
    return {"energies": energies, "gain": gain}


def _dream_voice(
    context: ChunkContext,
    plan: ChunkPlan,
    energy: float,
    voice: int,
    heard: HeardGrains | None,
    shown: np.ndarray | None,
) -> np.ndarray:
    frontend, chunk, frame = context.frontend, plan.chunk, plan.center.moment
    # A single channel has its share of the power of all of them.
    factor = context.level_factor * math.sqrt(len(context.voices))
    source = context.read_slice(context.voices[voice], chunk, factor)
    compute_gradient = _make_voice_gradient(context, plan, source, energy, heard, shown)
    canvas, step, mask = _start_canvas(context, plan, source, voice, heard)
    measure_distance = make_distance(frontend, source)
    octaves = count_octaves(frame.octaves, frame.octave_scale)
    on_canvas, total = context.hooks.on_canvas if voice == 0 else None, octaves * frame.steps
    drawn = context.canvas_width - context.settings.has_grains
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
                on_canvas(
                    chunk, total - (finer + 1) * frame.steps + number, total, _limit(x, heard)[:, :drawn]
                )
            # The same for every chunk: the network's pooling grid then lies alike on both sides of a seam.
            roll = int(rng_for(context.settings.seed, "sound", "roll", finer, number).integers(ALIGN_HOPS))
            result = compute_gradient(x, roll)
            for first in range(0, x.shape[1], N_BANDS):
                plane = slice(first, first + N_BANDS)
                smooth = result[:, plane]
                if smooth.shape[1] == N_BANDS:  # A grain's level is its own.
                    smooth = smooth_gradient(smooth, sigma)
                result[:, plane] = _normalize_rms(smooth, mask[:, plane])
            return result

        canvas = ascend(AscentProblem(canvas, step, gradient, settle, mask), frame.steps)
    canvas = _limit(canvas, heard)
    if on_canvas is not None:
        on_canvas(chunk, total, total, canvas[:, :drawn])
    return canvas


def _make_voice_gradient(
    context: ChunkContext,
    plan: ChunkPlan,
    source: SpectrogramSlice,
    energy: float,
    heard: HeardGrains | None,
    shown: np.ndarray | None,
) -> Callable[[np.ndarray, int], np.ndarray]:
    """(canvas, roll) -> gradient of the same shape, float32."""
    depths, shown = plan.depths[source.hops], None if shown is None else shown[source.hops]
    given = context.frontend, source, depths, context.settings.options.invent, energy, shown
    if heard is None:
        return make_gradient(*given)
    compute_pair = make_gradient_pair(*given)

    def compute_gradient(x: np.ndarray, roll: int) -> np.ndarray:
        levels = x[:, -1]
        _, gain, power = compute_pair(x[:, :-1], heard.power(levels), roll)
        return np.hstack((gain, heard.level_gradient(power, levels)[:, None]))

    return compute_gradient


def _limit(canvas: np.ndarray, heard: HeardGrains | None) -> np.ndarray:
    """A voice's canvas, softly limited."""
    if heard is None:
        return limit_canvas(canvas)
    return np.hstack((limit_canvas(canvas[:, :-1]), limit_level(canvas[:, -1:])))


def count_octaves(octaves: int, scale: float) -> int:
    """How many octaves of a sound fit: the next one would be coarser than `MAX_SIGMA_HOPS`."""
    return min(octaves, 1 + int(math.log(MAX_SIGMA_HOPS / MIN_SIGMA_HOPS) / (2 * math.log(scale))))


def _start_canvas(
    context: ChunkContext, plan: ChunkPlan, source: SpectrogramSlice, voice: int, heard: HeardGrains | None
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
    if heard is not None:
        canvas = np.pad(canvas, ((0, 0), (0, 1)))
        mask, step = np.hstack((mask, heard.mask(len(canvas))[:, None])), np.hstack((step, 2 * step[:, :1]))
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


def measure_chunk_energies(
    context: ChunkContext, sound: AudioSource, chunk: Chunk, terms: list[int], factor: float
) -> np.ndarray:
    """Energies of some of the front end's terms over a chunk's new sound under a factor, float32 [term]."""
    first, _ = context.column_range(chunk)
    inner = (hop * context.columns_per_hop - first for hop in (chunk.first, chunk.stop))
    return measure_energies(context.frontend, context.read_slice(sound, chunk, factor), tuple(terms), *inner)
