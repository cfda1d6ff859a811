"""One chunk of a sound, climbed: coarse to fine along time, from the source's own spectrum.

What all chunks of a sound share - the level the network hears it at, the rolls and the grid - is
held in one value, so a chunk depends on nothing but that and its own stretch of the source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from mmdream.ascent import Canvas, ascend
from mmdream.chance import rng
from mmdream.errors import Interrupted
from mmdream.schedule import Moment
from mmdream.sound.canvas import Ear, audible, ear, smoothed
from mmdream.sound.chunks import ALIGN, Chunk
from mmdream.sound.level import Meter, level_factor
from mmdream.sound.source import Source, padded
from mmdream.sound.stft import REACH, Stft, spectra, stft_for

if TYPE_CHECKING:
    from mmdream.networks.card import Card, MelInput
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
    card: Card
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
) -> Stage:
    """Set up what the chunks share.

    Args:
        source: the sound.
        network: a sound network.
        metered: a meter that has heard the whole source.
        seed: of rolls and first noise.
        start_seconds: time of the first sample as a player shows it.
        stopped: asked before each step; True ends the dream.
    """
    front = cast("MelInput", network.card.input)
    stft = stft_for(source.rate, front.hop_seconds)
    factor = level_factor(metered.level(), front.level_dbfs)
    offset = round(start_seconds * source.rate)
    return Stage(source, network.card, ear(network, stft), stft, factor, offset, seed, stopped)


def climbed(on: Stage, chunk: Chunk, moment: Moment) -> np.ndarray:
    """Dream one chunk.

    Args:
        on: what it shares with the others.
        chunk: where it lies.
        moment: the schedule at its centre.

    Returns:
        Log gain in nepers, softly limited, float32 [chunk.high - chunk.low, band].
    """
    power = on.ear.gather(on.spectra(on.source, chunk.low, chunk.high)) * np.float32(on.factor**2)
    bands = on.ear.bands(power)
    # Where the source lies under the network's floor a gain has nothing to lift. This is also the
    # floor under the RMS of nearly silent chunks: their steps shrink instead of being blown up.
    inside = bands / (bands + np.float32(on.ear.front.floor))
    step = on.card.step(moment.depth)
    canvas = _start(on, chunk) * inside
    for octave in range(moment.octaves):
        finer = moment.octaves - 1 - octave
        sigma = min(FINEST_SIGMA * moment.octave_scale ** (2 * finer), COARSEST_SIGMA)

        def slope(x: np.ndarray, number: int, finer: int = finer, sigma: float = sigma) -> np.ndarray:
            if on.stopped():
                raise Interrupted
            # The same roll for every chunk: the network's pooling grid then lies alike on both
            # sides of a seam.
            roll = int(rng(on.seed, "sound", "roll", finer, number).integers(ALIGN))
            return smoothed(on.ear.slope(x, power, moment.depth, roll), sigma)

        canvas = ascend(Canvas(canvas, step, slope, lambda x: x, inside), moment.steps)
    return audible(canvas)


def energies(on: Stage, sound: Source, chunk: Chunk, rungs: tuple[int, ...], factor: float) -> np.ndarray:
    """Contrast energy of each rung over a chunk's new sound, float32 [rung], under a level."""
    power = on.ear.gather(on.spectra(sound, chunk.low, chunk.high)) * np.float32(factor**2)
    return on.ear.energies(power, rungs, chunk.first - chunk.low, chunk.stop - chunk.low)


def _start(on: Stage, chunk: Chunk) -> np.ndarray:
    """Smooth noise that belongs to the absolute grid, float32 [hop, band]."""
    rows = [
        rng(on.seed, "sound", "start", number).standard_normal((ALIGN, on.ear.front.bands))
        for number in range(chunk.low // ALIGN, -(-chunk.high // ALIGN))
    ]
    noise = np.concatenate(rows)[: chunk.high - chunk.low].astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), sigmaX=1.0, sigmaY=3.0)
    # Gaussians of sigma 1 and 3 leave 1 / sqrt(4 pi sigma sigma) of white noise's RMS.
    return soft * np.float32(START_NEPERS * np.sqrt(4 * np.pi * 3.0))
