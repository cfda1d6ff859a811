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

from mmdream.ascent import Canvas, ascend
from mmdream.chance import rng
from mmdream.errors import Interrupted
from mmdream.schedule import Moment
from mmdream.sound.canvas import BANDS, audible, smoothed
from mmdream.sound.chunks import ALIGN, Chunk
from mmdream.sound.ear import Ear, Heard, ear
from mmdream.sound.level import Meter, level_factor
from mmdream.sound.source import Source, padded
from mmdream.sound.stft import REACH, Stft, spectra, stft_for
from mmdream.terms import Term

if TYPE_CHECKING:
    from mmdream.networks.network import Network

FINEST_SIGMA = 1.5
"""Hops; blur of the last octave's gradient. Each octave before it is blurred by the square of the
octave scale more: 1.4 halves the blur from one octave to the next."""
COARSEST_SIGMA = 24.0
"""Hops; beyond that an octave would only move the volume of the chunk."""
START_NEPERS = 0.03
"""RMS of the noise that a canvas starts from. Where a sound stands still it decides what happens
when."""


@dataclass(frozen=True)
class Stage:
    """What the chunks of a sound share."""

    source: Source
    ear: Ear
    stft: Stft
    factor: float
    """Brings the source to the level that the network expects."""
    offset: int
    """Sample of the absolute clock at which the source begins."""
    seed: int
    stopped: Callable[[], bool]
    """Asked before each step; True ends the dream."""

    @property
    def hops(self) -> tuple[int, int]:
        """First frame that touches the sound and one past the last, on the absolute grid."""
        last = self.offset + max(self.source.n_samples, 1)
        return self.offset // self.stft.hop - REACH + 1, -(-last // self.stft.hop) + REACH

    def seconds(self, hop: float | np.ndarray) -> float | np.ndarray:
        """Time of a hop as a player shows it."""
        return hop * self.stft.hop / self.stft.rate

    def heard(self, sound: Source, chunk: Chunk, factor: float) -> Heard:
        """A chunk of `sound`, which shares the source's clock, as the network hears it under a factor."""
        own = self.ear.stft
        first, stop = self.columns(chunk)
        power = self.ear.listen(sound, first, stop, self.offset, factor)
        places = np.arange(first, stop) * (own.hop / self.stft.hop) - chunk.low
        return Heard(power, np.clip(places, 0, chunk.high - chunk.low - 1).astype(np.float32))

    def columns(self, chunk: Chunk) -> tuple[int, int]:
        """The network's columns over a chunk, half open.

        From a multiple of ALIGN, or of the decimation near it: the network's pooling grid, too, lies the same
        way in all chunks.
        """
        thinned = self.ear.front.decimation
        grid = max(ALIGN // thinned, 1) * thinned
        ratio = self.stft.hop / self.ear.stft.hop
        return int(chunk.low * ratio) // grid * grid, math.ceil(chunk.high * ratio)

    def spectra(self, sound: Source, low: int, high: int) -> np.ndarray:
        """Frames low to high (half open) of `sound`, which shares the source's clock."""
        start = (low - REACH) * self.stft.hop - self.offset
        stop = (high - 1 + REACH) * self.stft.hop - self.offset
        return spectra(padded(sound, start, stop), self.stft)


def stage(
    source: Source,
    network: Network,
    metered: Meter,
    seed: int,
    start_seconds: float | Fraction,
    stopped: Callable[[], bool],
    wishes: tuple[Term, ...] = (),
) -> Stage:
    """Set up what the chunks share.

    Args:
        source: the sound.
        network: a sound network.
        metered: a meter that has heard the whole source.
        seed: of rolls and first noise.
        start_seconds: time of the first sample as a player shows it.
        stopped: asked before each step; True ends the dream.
        wishes: what to climb in place of the rungs next to the schedule's depth.
    """
    listening = ear(network, source.rate, wishes)
    factor = level_factor(metered.level(), listening.front.level_dbfs)
    offset = round(start_seconds * source.rate)
    return Stage(source, listening, stft_for(source.rate), factor, offset, seed, stopped)


def climbed(on: Stage, chunk: Chunk, moment: Moment) -> np.ndarray:
    """Dream one chunk.

    Args:
        on: what it shares with the others.
        chunk: where it lies.
        moment: the schedule at its centre.

    Returns:
        Log gain in nepers, softly limited, float32 [chunk.high - chunk.low, band].
    """
    stretch = on.heard(on.source, chunk, on.factor)
    # Where the source lies under the network's floor a gain has nothing to lift. This is also the
    # floor under the RMS of nearly silent chunks: their steps shrink instead of being blown up.
    inside = on.ear.audible(stretch.power)[_nearest(on, chunk)]
    step = on.ear.step(moment.depth)
    # What lies between two columns that the network hears can only follow them.
    finest = max(FINEST_SIGMA, on.ear.front.decimation * on.ear.stft.hop / on.stft.hop / 2)
    canvas = _start(on, chunk) * inside
    for octave in range(moment.octaves):
        finer = moment.octaves - 1 - octave
        sigma = min(finest * moment.octave_scale ** (2 * finer), max(COARSEST_SIGMA, finest))

        def slope(x: np.ndarray, number: int, finer: int = finer, sigma: float = sigma) -> np.ndarray:
            if on.stopped():
                raise Interrupted
            # The same roll for every chunk: the network's pooling grid then lies alike on both
            # sides of a seam.
            roll = int(rng(on.seed, "sound", "roll", finer, number).integers(ALIGN))
            return smoothed(on.ear.slope(x, stretch, moment.depth, roll), sigma)

        canvas = ascend(Canvas(canvas, step, slope, lambda x: x, inside), moment.steps)
    return audible(canvas)


def energies(on: Stage, sound: Source, chunk: Chunk, wanted: tuple[int, ...], factor: float) -> np.ndarray:
    """What some of the ear's terms come to over a chunk's new sound, float32 [term], under a level."""
    ratio, first = on.stft.hop / on.ear.stft.hop, on.columns(chunk)[0]
    inner = chunk.first * ratio - first, chunk.stop * ratio - first
    return on.ear.energies(on.heard(sound, chunk, factor), wanted, *inner)


def _nearest(on: Stage, chunk: Chunk) -> np.ndarray:
    """The network's column that is nearest to each hop of a chunk, int [hop], counted from its first."""
    first, stop = on.columns(chunk)
    hops = np.arange(chunk.low, chunk.high)
    return np.clip(np.rint(hops * (on.stft.hop / on.ear.stft.hop)).astype(int) - first, 0, stop - first - 1)


def _start(on: Stage, chunk: Chunk) -> np.ndarray:
    """Smooth noise that belongs to the absolute grid, float32 [hop, band]."""
    rows = [
        rng(on.seed, "sound", "start", number).standard_normal((ALIGN, BANDS))
        for number in range(chunk.low // ALIGN, -(-chunk.high // ALIGN))
    ]
    noise = np.concatenate(rows)[: chunk.high - chunk.low].astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), sigmaX=1.0, sigmaY=3.0)
    # Gaussians of sigma 1 and 3 leave 1 / sqrt(4 pi sigma sigma) of white noise's RMS.
    return soft * np.float32(START_NEPERS * np.sqrt(4 * np.pi * 3.0))
