"""One chunk of a sound, climbed: coarse to fine along time, from the source's own spectrum.

What all chunks of a sound share - the level the network hears it at, the rolls and the grid - is
held in one value, so a chunk depends on nothing but that and its own stretch of the source.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmdream.ascent.engine import AscentProblem, ascend
from mmdream.audio.canvas import (
    DB_PER_NEPER,
    MAX_INVENTED,
    MIN_INVENTED,
    N_BANDS,
    smooth_gradient,
    soft_limit,
)
from mmdream.audio.chunks import ALIGN_HOPS, Chunk
from mmdream.audio.frontend import AudioFrontend, SpectrogramSlice, get_frontend
from mmdream.audio.loudness import LoudnessMeter, compute_level_factor
from mmdream.audio.source import ArraySource, AudioSource, ChannelSource, read_padded
from mmdream.audio.stft import HALF_WINDOW_HOPS, Stft, forward_stft, make_stft
from mmdream.core.errors import Interrupted
from mmdream.core.rng import rng_for
from mmdream.settings.recipe import DEFAULT_AUDIO_OPTIONS, AudioOptions
from mmdream.settings.schedule import FrameSettings
from mmdream.settings.targets import NO_TARGETS, Targets

if TYPE_CHECKING:
    from mmdream.networks.network import Network

MIN_SIGMA_HOPS = 0.7
"""Hops; blur of the last octave's gradient. Each octave before it is blurred by the square of the
octave scale more: 1.4 halves the blur from one octave to the next. Hearing the sound resampled in time
instead dreams worse: the objective rises by up to a third less, and barks in rain begin half as steeply."""
MAX_SIGMA_HOPS = 24.0
"""Hops; beyond that an octave would only move the volume of the chunk."""
START_GAIN_RMS = 0.03
"""RMS of the noise that a canvas starts from. Where a sound stands still it decides what happens
when."""
START_INVENTED_RMS = 0.3
"""The same of new energy; on a smooth one no figure would ever begin."""
MAX_DISTANCE_DB = 10.0
"""dB of log-spectral distance that gains may open between source and dream; a voice cannot be made out beyond
it. What passes it is drawn back: the steps of sources that are overdone come to less and less."""
POWER_FLOOR = 1e-8
"""Of the loudest run of bins: 80 dB under it nothing is heard, and no distance counted."""


@dataclass(frozen=True)
class ChunkContext:
    """What the chunks of a sound share."""

    source: AudioSource
    ear: AudioFrontend
    stft: Stft
    factor: float
    """Brings the source to the level that the network expects."""
    offset: int
    """Sample of the absolute clock at which the source begins."""
    seed: int
    manner: AudioOptions
    stopped: Callable[[], bool]
    """Asked before each step; True ends the dream."""
    shown: Callable[[Chunk, int, int, np.ndarray], None] | None = None
    """Takes a chunk of the first voice before its first step and after each: steps done, steps in all, its
    canvas so far, softly limited, as `ascend_chunk` gives it."""

    @property
    def voices(self) -> list[AudioSource]:
        """What is dreamed for itself: the whole sound, or each of its channels."""
        if self.manner.stereo == "linked" or self.source.channels == 1:
            return [self.source]
        return [ChannelSource(self.source, channel) for channel in range(self.source.channels)]

    @property
    def width(self) -> int:
        """Values that a hop of a voice's canvas has: gains, and as many again where something is invented."""
        return N_BANDS * (2 if self.manner.invent else 1)

    @property
    def hops(self) -> tuple[int, int]:
        """First frame that touches the sound and one past the last, on the absolute grid."""
        last = self.offset + max(self.source.n_samples, 1)
        return self.offset // self.stft.hop - HALF_WINDOW_HOPS + 1, -(
            -last // self.stft.hop
        ) + HALF_WINDOW_HOPS

    @property
    def span(self) -> tuple[int, int]:
        """The hops of the first sample and of the last."""
        return self.offset // self.stft.hop, (self.offset + self.source.n_samples) // self.stft.hop

    def seconds(self, hop: float | np.ndarray) -> float | np.ndarray:
        """Time of a hop as a player shows it."""
        return hop * self.stft.hop / self.stft.rate

    def heard(self, sound: AudioSource, chunk: Chunk, factor: float) -> SpectrogramSlice:
        """A chunk of `sound`, which shares the source's clock, as the network hears it under a factor."""
        own = self.ear.stft
        first, stop = self.columns(chunk)
        power = self.ear.read_power(sound, first, stop, self.offset, factor)
        places = np.arange(first, stop) * (own.hop / self.stft.hop) - chunk.low
        return SpectrogramSlice(power, np.clip(places, 0, chunk.high - chunk.low - 1).astype(np.float32))

    def columns(self, chunk: Chunk) -> tuple[int, int]:
        """The network's columns over a chunk, half open.

        From a multiple of ALIGN, or of the decimation near it: the network's pooling grid, too, lies the same
        way in all chunks.
        """
        thinned = self.ear.front.decimation
        grid = max(ALIGN_HOPS // thinned, 1) * thinned
        ratio = self.stft.hop / self.ear.stft.hop
        return int(chunk.low * ratio) // grid * grid, math.ceil(chunk.high * ratio)

    def spectra(self, sound: AudioSource, low: int, high: int) -> np.ndarray:
        """Frames low to high (half open) of `sound`, which shares the source's clock."""
        start = (low - HALF_WINDOW_HOPS) * self.stft.hop - self.offset
        stop = (high - 1 + HALF_WINDOW_HOPS) * self.stft.hop - self.offset
        return forward_stft(read_padded(sound, start, stop), self.stft)


def make_chunk_context(
    source: AudioSource,
    network: Network,
    metered: LoudnessMeter,
    seed: int,
    start_seconds: float | Fraction,
    stopped: Callable[[], bool],
    wishes: Targets = NO_TARGETS,
    guide: ArraySource | None = None,
    manner: AudioOptions = DEFAULT_AUDIO_OPTIONS,
) -> ChunkContext:
    """Set up what the chunks share.

    Args:
        source: the sound.
        network: a sound network.
        metered: a meter that has heard the whole source.
        seed: of rolls and first noise.
        start_seconds: time of the first sample as a player shows it.
        stopped: asked before each step; True ends the dream.
        wishes: what to climb in place of, or besides, the rungs next to the schedule's depth.
        guide: the sound that the dream goes towards.
        manner: how to dream.
    """
    listening = get_frontend(network, source.rate, wishes, guide)
    factor = compute_level_factor(metered.level(), listening.front.level_dbfs)
    offset = round(start_seconds * source.rate)
    return ChunkContext(source, listening, make_stft(source.rate), factor, offset, seed, manner, stopped)


def count_octaves(octaves: int, scale: float) -> int:
    """How many octaves of a sound fit: the next one would be coarser than `MAX_SIGMA_HOPS`."""
    return min(octaves, 1 + int(math.log(MAX_SIGMA_HOPS / MIN_SIGMA_HOPS) / (2 * math.log(scale))))


def ascend_chunk(
    on: ChunkContext, chunk: Chunk, moment: FrameSettings, depths: np.ndarray, lively: float = 0.0
) -> np.ndarray:
    """Dream one chunk.

    Args:
        on: what it shares with the others.
        chunk: where it lies.
        moment: the schedule at its centre, for octaves and steps.
        depths: 0..1, float [chunk.high - chunk.low].
        lively: contrast energy that the source has of its own there.

    Returns:
        For each voice its log gain and, where something is invented, that, softly limited: nepers, float32
        [chunk.high - chunk.low, voice * on.width].
    """
    found = [_ascend_voice(on, chunk, moment, depths, lively, place) for place in range(len(on.voices))]
    return np.concatenate(found, axis=1)


def _ascend_voice(
    on: ChunkContext, chunk: Chunk, moment: FrameSettings, depths: np.ndarray, lively: float, place: int
) -> np.ndarray:
    """Dream one chunk of one voice."""
    voice, count = on.voices[place], len(on.voices)
    # A single channel has its share of the power of all of them.
    stretch = on.heard(voice, chunk, on.factor * math.sqrt(count))
    invent, columns = on.manner.invent, np.rint(stretch.positions).astype(int)
    # Where the source lies under the network's floor a gain has nothing to lift. This is also the
    # floor under the RMS of nearly silent chunks: their steps shrink instead of being blown up.
    inside = on.ear.measure_audibility(stretch.power)[_nearest_columns(on, chunk)]
    step = np.tile(on.ear.step(depths)[:, None], (1, N_BANDS))
    canvas = START_GAIN_RMS * _start_noise(on, chunk, place, "start") * inside
    if invent:
        open_to = np.tile((on.ear.typical_power > 0).astype(np.float32), (len(step), 1))
        new = START_INVENTED_RMS * _start_noise(on, chunk, place, "new") * open_to
        canvas, inside = np.hstack((canvas, new)), np.hstack((inside, open_to))
        step = np.hstack((step, 2 * step))
    apart = _make_distance(on, stretch)
    octaves = count_octaves(moment.octaves, moment.octave_scale)
    shown, total = on.shown if place == 0 else None, octaves * moment.steps
    # What lies between two columns that the network hears can only follow them.
    finest = max(MIN_SIGMA_HOPS, on.ear.front.decimation * on.ear.stft.hop / on.stft.hop / 2)

    def settle(x: np.ndarray) -> np.ndarray:
        x[:, :N_BANDS] *= min(1.0, MAX_DISTANCE_DB / max(apart(x[:, :N_BANDS]), 1e-9))
        return x

    def limited(x: np.ndarray) -> np.ndarray:
        gain = soft_limit(x[:, :N_BANDS])
        return np.hstack((gain, soft_limit(x[:, N_BANDS:], MAX_INVENTED, MIN_INVENTED))) if invent else gain

    for octave in range(octaves):
        finer = octaves - 1 - octave
        sigma = max(MIN_SIGMA_HOPS * moment.octave_scale ** (2 * finer), finest)

        def slope(x: np.ndarray, number: int, finer: int = finer, sigma: float = sigma) -> np.ndarray:
            if on.stopped():
                raise Interrupted
            if shown is not None:
                shown(chunk, total - (finer + 1) * moment.steps + number, total, limited(x))
            # The same roll for every chunk: the network's pooling grid then lies alike on both
            # sides of a seam.
            roll = int(rng_for(on.seed, "sound", "roll", finer, number).integers(ALIGN_HOPS))
            way = on.ear.slope(x, stretch, depths[columns], roll, invent, lively)
            for first in range(0, x.shape[1], N_BANDS):
                plane = slice(first, first + N_BANDS)
                way[:, plane] = _normalize_rms(smooth_gradient(way[:, plane], sigma), inside[:, plane])
            return way

        canvas = ascend(AscentProblem(canvas, step, slope, settle, inside), moment.steps)
    if shown is not None:
        shown(chunk, total, total, limited(canvas))
    return limited(canvas)


def _normalize_rms(gradient: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A plane's gradient brought to RMS 1 where it may change: gains and what is invented weigh alike."""
    power = float(np.sum(np.square(gradient * inside))) / max(float(inside.sum()), 1e-6)
    return gradient * np.float32(1.0 / math.sqrt(power)) if power > 1e-40 else np.zeros_like(gradient)


def _make_distance(on: ChunkContext, stretch: SpectrogramSlice) -> Callable[[np.ndarray], float]:
    """The log-spectral distance in dB that a canvas of gains [hop, band] opens, where the source is heard.

    Mean over the hops of the RMS over bins (Gray and Markel 1976).
    """
    present = stretch.power / on.ear.widths > POWER_FLOOR * (stretch.power / on.ear.widths).max(initial=1e-30)
    share = (present * (on.ear.widths / on.ear.widths.sum())).astype(np.float32)
    columns = np.rint(stretch.positions).astype(int)

    def apart(canvas: np.ndarray) -> float:
        gain = (soft_limit(canvas) @ on.ear.spread)[columns]
        # What the gain makes louder on the whole is turned down again.
        power = np.array([stretch.power.sum(), (stretch.power * np.exp(2 * gain)).sum()]) + 1e-30
        louder = 0.5 * math.log(power[1] / power[0])
        return float(
            DB_PER_NEPER * np.sqrt((np.square(gain - np.float32(louder)) * share).sum(axis=1)).mean()
        )

    return apart


def measure_chunk_energies(
    on: ChunkContext, sound: AudioSource, chunk: Chunk, wanted: tuple[int, ...], factor: float
) -> np.ndarray:
    """What some of the ear's terms come to over a chunk's new sound, float32 [term], under a level."""
    ratio, first = on.stft.hop / on.ear.stft.hop, on.columns(chunk)[0]
    inner = chunk.first * ratio - first, chunk.stop * ratio - first
    return on.ear.measure_energies(on.heard(sound, chunk, factor), wanted, *inner)


def _nearest_columns(on: ChunkContext, chunk: Chunk) -> np.ndarray:
    """The network's column that is nearest to each hop of a chunk, int [hop], counted from its first."""
    first, stop = on.columns(chunk)
    hops = np.arange(chunk.low, chunk.high)
    return np.clip(np.rint(hops * (on.stft.hop / on.ear.stft.hop)).astype(int) - first, 0, stop - first - 1)


def _start_noise(on: ChunkContext, chunk: Chunk, voice: int, what: str) -> np.ndarray:
    """Smooth noise of RMS 1 on the absolute grid, float32 [hop, band]; each voice has its own."""
    apart = (voice,) if voice else ()
    rows = [
        rng_for(on.seed, "sound", what, number, *apart).standard_normal((ALIGN_HOPS, N_BANDS))
        for number in range(chunk.low // ALIGN_HOPS, -(-chunk.high // ALIGN_HOPS))
    ]
    noise = np.concatenate(rows)[: chunk.high - chunk.low].astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), sigmaX=1.0, sigmaY=3.0)
    # Gaussians of sigma 1 and 3 leave 1 / sqrt(4 pi sigma sigma) of white noise's RMS.
    return soft * np.float32(np.sqrt(4 * np.pi * 3.0))
