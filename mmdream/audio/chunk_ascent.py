"""Gradient ascent on the canvas of one chunk: coarse to fine along time, from the source's own spectrum.

A chunk depends on nothing but its context and its own stretch of the source.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from mmdream.ascent.engine import AscentProblem, ascend
from mmdream.audio.canvas import DB_PER_NEPER, N_BANDS, limit_canvas, smooth_gradient, soft_limit
from mmdream.audio.chunks import ALIGN_HOPS, Chunk, ChunkContext
from mmdream.audio.frontend import AudioFrontend, SpectrogramSlice
from mmdream.audio.gradient import make_gradient, measure_energies
from mmdream.audio.source import AudioSource
from mmdream.core.errors import Interrupted
from mmdream.core.rng import rng_for
from mmdream.settings.schedule import FrameSettings

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
"""Log-spectral distance that gains may open between source and dream; larger gains are scaled back to it:
beyond, a voice cannot be made out."""
POWER_FLOOR = 1e-8
"""Of the loudest group of bins: 80 dB under it nothing is heard, and no distance counted."""


def count_octaves(octaves: int, scale: float) -> int:
    """How many octaves of a sound fit: the next one would be coarser than `MAX_SIGMA_HOPS`."""
    return min(octaves, 1 + int(math.log(MAX_SIGMA_HOPS / MIN_SIGMA_HOPS) / (2 * math.log(scale))))


def measure_chunk_energies(
    context: ChunkContext, sound: AudioSource, chunk: Chunk, terms: tuple[int, ...], factor: float
) -> np.ndarray:
    """Energies of some of the front end's terms over a chunk's new sound under a factor, float32 [term]."""
    ratio = context.stft.hop / context.frontend.stft.hop
    first = context.column_range(chunk)[0]
    inner = chunk.first * ratio - first, chunk.stop * ratio - first
    return measure_energies(context.frontend, context.read_slice(sound, chunk, factor), terms, *inner)


def ascend_chunk(
    context: ChunkContext, chunk: Chunk, frame: FrameSettings, depths: np.ndarray, source_energy: float = 0.0
) -> np.ndarray:
    """Dream one chunk under the schedule at its centre and the depths, 0..1, at each of its hops.

    Gives for each voice its log gain and, where something is invented, that, softly limited: nepers, float32
    [chunk.high - chunk.low, voice * context.canvas_width]; Interrupted where the context asks to stop.
    """
    voices = range(len(context.voices))
    canvases = [_ascend_voice(context, chunk, frame, depths, source_energy, voice) for voice in voices]
    return np.concatenate(canvases, axis=1)


def _ascend_voice(
    context: ChunkContext, chunk: Chunk, frame: FrameSettings, depths: np.ndarray, energy: float, voice: int
) -> np.ndarray:
    """Dream one chunk of one voice."""
    frontend, voices = context.frontend, context.voices
    # A single channel has its share of the power of all of them.
    source = context.read_slice(voices[voice], chunk, context.level_factor * math.sqrt(len(voices)))
    column_depths = depths[np.rint(source.positions).astype(int)]
    invent = context.settings.options.invent
    compute_gradient = make_gradient(frontend, source, column_depths, invent, energy)
    canvas, step, mask = _start_canvas(context, chunk, source, depths, voice)
    measure_distance = _make_distance(frontend, source)
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
            # The same roll for every chunk: the network's pooling grid then lies alike on both sides of a
            # seam.
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


def _start_canvas(
    context: ChunkContext, chunk: Chunk, source: SpectrogramSlice, depths: np.ndarray, voice: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A voice's first canvas, its step sizes, and a mask of where it may change; float32 [hop, width]."""
    frontend = context.frontend
    # Where the source lies under the network's floor a gain has nothing to lift. This is also the floor under
    # the RMS of nearly silent chunks: their steps shrink instead of being blown up.
    mask = frontend.measure_audibility(source.power)[_nearest_columns(context, chunk)]
    step = np.tile(frontend.step_sizes(depths)[:, None], (1, N_BANDS))
    canvas = START_GAIN_RMS * _start_noise(context, chunk, voice, "start") * mask
    if context.settings.options.invent:
        allowed = np.tile((frontend.typical_power > 0).astype(np.float32), (len(step), 1))
        new = START_INVENTED_RMS * _start_noise(context, chunk, voice, "new") * allowed
        canvas, mask = np.hstack((canvas, new)), np.hstack((mask, allowed))
        step = np.hstack((step, 2 * step))
    return canvas, step, mask


def _normalize_rms(gradient: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A plane's gradient at RMS 1 where it may change: gains and what is invented weigh alike."""
    power = float(np.sum(np.square(gradient * mask))) / max(float(mask.sum()), 1e-6)
    return gradient * np.float32(1.0 / math.sqrt(power)) if power > 1e-40 else np.zeros_like(gradient)


def _make_distance(frontend: AudioFrontend, source: SpectrogramSlice) -> Callable[[np.ndarray], float]:
    """The log-spectral distance in dB that a canvas of gains [hop, band] opens, where the source is heard.

    Mean over the hops of the RMS over bins (Gray and Markel 1976).
    """
    sizes = frontend.group_sizes
    bin_power = source.power / sizes
    present = bin_power > POWER_FLOOR * bin_power.max(initial=1e-30)
    share = (present * (sizes / sizes.sum())).astype(np.float32)
    columns = np.rint(source.positions).astype(int)

    def measure(canvas: np.ndarray) -> float:
        gain = (soft_limit(canvas) @ frontend.band_to_group)[columns]
        # What the gain makes louder on the whole is turned down again.
        power = np.array([source.power.sum(), (source.power * np.exp(2 * gain)).sum()]) + 1e-30
        louder = 0.5 * math.log(power[1] / power[0])
        deviation = np.square(gain - np.float32(louder)) * share
        return float(DB_PER_NEPER * np.sqrt(deviation.sum(axis=1)).mean())

    return measure


def _nearest_columns(context: ChunkContext, chunk: Chunk) -> np.ndarray:
    """The network's column that is nearest to each hop of a chunk, int [hop], counted from its first."""
    first, stop = context.column_range(chunk)
    columns = np.rint(np.arange(chunk.low, chunk.high) * (context.stft.hop / context.frontend.stft.hop))
    return np.clip(columns.astype(int) - first, 0, stop - first - 1)


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
