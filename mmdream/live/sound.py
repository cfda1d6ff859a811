"""The sound's part of live play: dreamed in short blocks, each climbed while its own past is held.

The window that the network hears ends a little behind the block that goes out: what lies ahead of it is
climbed too, and again when its turn comes. Only gains are drawn; grains ask for more sound than has come.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.signal

from mmdream.audio.canvas import N_BANDS, limit_canvas, smooth_gradient
from mmdream.audio.chunks import ALIGN_HOPS
from mmdream.audio.frontend import SpectrogramSlice, get_frontend
from mmdream.audio.gradient import make_gradient, measure_energies
from mmdream.audio.loudness import k_weighting
from mmdream.audio.resynthesis import make_gain_interpolation
from mmdream.audio.spectra import (
    HALF_WINDOW_HOPS,
    forward_stft,
    inverse_stft,
    make_stft,
)
from mmdream.core.rng import rng_for
from mmdream.networks.network import Network
from mmdream.settings.schedule import FrameSettings, Schedule
from mmdream.settings.targets import Targets

BLOCK_HOPS = 6
"""That go out together, 70 ms."""
AHEAD_HOPS = 3
"""Behind the block, that are climbed too."""
PAST_HOPS = 87
"""Before it, that are heard and held: 1 s; by .6 s a third less is dreamed. All make a multiple of eight."""
STEP_FACTOR = 30.0
"""Of a block's one step over the card's: a hop gets one or two, where a whole sound's has forty. Two steps of
half the length climb a tenth higher for nearly twice the time."""
SIGMAS_HOPS = 2.4, 0.7
"""Blur of the gradient along time, block by block in turns: swells and attacks."""
START_GAIN_RMS = 0.03
ENERGY_BLOCKS, ENERGY_SHARE = 10, 0.3
"""How often the window's own energy is measured, and what a new figure decides of it."""
LEVEL_SECONDS, LOUDNESS_SECONDS = 10.0, 1.5
"""Of the running means: of the level that the network is given, and of the loudness that is kept."""
GRADIENT_BLOCKS = 60
"""Of the running mean of the gradient's power: so a block of little gets little."""
QUIET = 0.1
"""Power under this share of the mean is a pause, and no level."""
MAX_MATCH = 4.0
"""By how much the loudness is raised or lowered at most, amplitude."""
CEILING = 0.9
"""Amplitude from which peaks are rounded off."""


@dataclass(frozen=True, slots=True)
class SoundBlock:
    """A dreamed stretch."""

    samples: np.ndarray
    """float32 [channel, sample]."""
    rate: int
    seconds: float
    """Of its first sample, on the session's clock."""


class SoundDreamer:
    """Dreams a sound that comes bit by bit; one goes out for each that comes, a little later.

    `settings_at` gives the settings at a second of the session's clock.
    """

    def __init__(
        self,
        network: Network,
        rate: int,
        channels: int,
        begin: float,
        targets: Targets,
        settings_at: Callable[[float], FrameSettings],
        seed: int = 0,
    ) -> None:
        self.rate, self._begin, self._settings_at, self._seed = rate, begin, settings_at, seed
        self._frontend = get_frontend(network, rate, targets)
        self._stft = make_stft(rate)
        self._to_bins = make_gain_interpolation(self._stft)
        self._columns_per_hop = self._stft.hop / self._frontend.stft.hop
        room = (PAST_HOPS + BLOCK_HOPS + AHEAD_HOPS + 4 * HALF_WINDOW_HOPS) * self._stft.hop
        self._samples = np.zeros((channels, room), np.float32)
        self._first = -room
        """Sample of the sound at which what is kept begins."""
        self._next_hop = 0
        """The first one whose gains are not settled."""
        self._sent = 0
        """Samples that have gone out."""
        self._canvas = np.zeros((PAST_HOPS + BLOCK_HOPS + AHEAD_HOPS, N_BANDS), np.float32)
        """From hop `_next_hop - PAST_HOPS` on."""
        self._level = _RunningMean(LEVEL_SECONDS)
        self._gradient_power = 0.0
        self._blocks = 0
        self._energy = 0.0
        self._weighting = k_weighting(rate)
        self._states = [np.zeros((len(self._weighting), channels, 2)) for _ in range(2)]
        self._powers = _RunningMean(LOUDNESS_SECONDS), _RunningMean(LOUDNESS_SECONDS)
        self._gain = 1.0

    @property
    def delay(self) -> float:
        """Seconds of sound that have to have come before a block's first sample goes out."""
        return (BLOCK_HOPS + AHEAD_HOPS + 2 * HALF_WINDOW_HOPS) * self._stft.hop / self.rate

    def feed(self, samples: np.ndarray, climbs: bool = True) -> list[SoundBlock]:
        """Take the next samples, float32 [channel, sample]; what can go out now.

        Where there is no time it `climbs` no further: what was not climbed ahead goes out as it came.
        """
        kept = np.concatenate((self._samples, samples), axis=1)
        room = max(self._samples.shape[1], kept.shape[1] - self._kept_from())
        self._first += kept.shape[1] - room
        self._samples = np.ascontiguousarray(kept[:, kept.shape[1] - room :])
        blocks = []
        need = BLOCK_HOPS + AHEAD_HOPS + HALF_WINDOW_HOPS
        while self._first + self._samples.shape[1] >= (self._next_hop + need) * self._stft.hop:
            blocks.append(self._dream_block(climbs))
        return [block for block in blocks if block.samples.shape[1]]

    def flush(self) -> list[SoundBlock]:
        """The rest, where the sound ends."""
        end = self._first + self._samples.shape[1]
        blocks = []
        while self._sent < end:
            need = (self._next_hop + BLOCK_HOPS + AHEAD_HOPS + 2 * HALF_WINDOW_HOPS) * self._stft.hop
            missing = max(0, need - (self._first + self._samples.shape[1]))
            blocks += self.feed(np.zeros((len(self._samples), missing), np.float32)) if missing else []
            if not missing:
                blocks.append(self._dream_block())
        rest, kept = end, []
        for block in blocks:
            start = round((block.seconds - self._begin) * self.rate)
            samples = block.samples[:, : max(0, rest - start)]
            kept += [SoundBlock(samples, self.rate, block.seconds)] if samples.shape[1] else []
        return kept

    def _kept_from(self) -> int:
        """Samples at the beginning of what is kept that no window reaches any more."""
        low = (self._next_hop - PAST_HOPS - 2 * HALF_WINDOW_HOPS) * self._stft.hop
        return max(0, low - self._first)

    def _read(self, first: int, stop: int) -> np.ndarray:
        """Samples of the sound, silence before its beginning; float32 [channel, stop - first]."""
        low = first - self._first
        samples = self._samples[:, max(low, 0) : stop - self._first]
        return np.pad(samples, ((0, 0), (stop - first - samples.shape[1], 0)))

    def _dream_block(self, climbs: bool = True) -> SoundBlock:
        hop, first = self._stft.hop, self._next_hop
        seconds = self._begin + first * hop / self.rate
        settings = self._settings_at(seconds)
        self._note_level(self._read(first * hop, (first + BLOCK_HOPS) * hop))
        if climbs and settings.strength:
            self._climb(first - PAST_HOPS, settings)
        block = self._compose(first, settings.strength)
        self._canvas = np.concatenate(
            (self._canvas[BLOCK_HOPS:], self._start_noise(first + BLOCK_HOPS + AHEAD_HOPS, BLOCK_HOPS))
        )
        self._next_hop, self._blocks = first + BLOCK_HOPS, self._blocks + 1
        return block

    def _climb(self, low: int, settings: FrameSettings) -> None:
        """A step of the hops that are not settled; `low` is the window's first hop."""
        source = self._slice(low)
        depths = np.full(len(source.power), settings.depth)
        if self._blocks % ENERGY_BLOCKS == 0:
            self._energy = self._measure_energy(source, settings.depth)
        gradient = make_gradient(self._frontend, source, depths, source_energy=self._energy)
        columns = np.clip(np.rint(np.arange(len(self._canvas)) * self._columns_per_hop), 0, len(depths) - 1)
        mask = self._frontend.measure_audibility(source.power)[columns.astype(int)]
        mask[:PAST_HOPS] = 0
        step = STEP_FACTOR * float(self._frontend.step_sizes(np.array([settings.depth]))[0])
        least = self._frontend.spec.decimation * self._frontend.stft.hop / self._stft.hop / 2
        roll = int(rng_for(self._seed, "live", "roll", self._blocks).integers(ALIGN_HOPS))
        sigma = SIGMAS_HOPS[self._blocks % len(SIGMAS_HOPS)]
        slope = smooth_gradient(gradient(self._canvas, roll), max(sigma, least)) * mask
        power = float(np.sum(np.square(slope))) / max(float(mask.sum()), 1e-6)
        self._gradient_power += (power - self._gradient_power) / min(GRADIENT_BLOCKS, self._blocks + 1)
        if self._gradient_power > 1e-40:
            self._canvas = self._canvas + np.float32(step / math.sqrt(self._gradient_power)) * slope

    def _measure_energy(self, source: SpectrogramSlice, depth: float) -> float:
        """How much of its own a sound has: the network's events are for those that have little."""
        weights = np.abs(self._frontend.term_weights(np.array([depth]))[0])
        terms = tuple(int(term) for term in np.flatnonzero(weights))
        energies = measure_energies(self._frontend, source, terms, 0, len(source.power))
        now = float(np.average(energies, weights=weights[list(terms)])) if terms else 0.0
        return now if not self._blocks else self._energy + ENERGY_SHARE * (now - self._energy)

    def _slice(self, low: int) -> SpectrogramSlice:
        """The window as the network is given it."""
        stft, grid = self._frontend.stft, self._frontend.spec.decimation
        first = math.floor(low * self._columns_per_hop / grid) * grid
        stop = math.ceil((low + len(self._canvas)) * self._columns_per_hop)
        start, end = first * stft.hop - stft.window // 2, (stop - 1) * stft.hop + stft.window // 2
        have = self._first + self._samples.shape[1]
        samples = self._read(start, min(end, have))
        samples = np.pad(samples, ((0, 0), (0, end - start - samples.shape[1])))
        factor = 10 ** (self._frontend.spec.level_dbfs / 20) / math.sqrt(max(self._level.value, 1e-12))
        power = self._frontend.group_power(forward_stft(samples, stft)) * np.float32(min(factor, 1e4) ** 2)
        positions = np.arange(first, stop) / self._columns_per_hop - low
        return SpectrogramSlice(power, np.clip(positions, 0, len(self._canvas) - 1).astype(np.float32))

    def _start_noise(self, first: int, hops: int) -> np.ndarray:
        noise = rng_for(self._seed, "live", "start", first).standard_normal((hops, N_BANDS))
        return (START_GAIN_RMS * noise).astype(np.float32)

    def _compose(self, first: int, strength: float) -> SoundBlock:
        """The samples that the gains up to the block's end settle, at the source's loudness."""
        hop, reach = self._stft.hop, HALF_WINDOW_HOPS
        stop = first + BLOCK_HOPS
        # Frames from here on reach the samples that go out; the gains of all but the block's are settled.
        begin = self._sent // hop - reach + 1
        low = first - PAST_HOPS
        gains = limit_canvas(self._canvas[begin - low : stop - low]) * np.float32(strength)
        source = self._read((begin - reach) * hop, (stop - 1 + reach) * hop)
        spectra = forward_stft(source, self._stft)
        change = inverse_stft(spectra * (np.exp(gains @ self._to_bins) - 1), self._stft)
        start = (begin + reach - 1) * hop
        plain = self._read(start, start + change.shape[1])
        cut = max(0, self._sent - start)
        samples = self._match(plain[:, cut:], (plain + change)[:, cut:])
        block = SoundBlock(samples, self.rate, self._begin + (start + cut) / self.rate)
        self._sent = start + cut + samples.shape[1]
        return block

    def _note_level(self, samples: np.ndarray) -> None:
        power = float(np.square(samples).mean())
        if power > QUIET * self._level.value:
            self._level.add(power, samples.shape[1] / self.rate)

    def _match(self, source: np.ndarray, dream: np.ndarray) -> np.ndarray:
        """A dream at its source's running loudness, its peaks rounded off."""
        if not dream.shape[1]:
            return dream
        for number, samples in enumerate((source, dream)):
            weighted, self._states[number] = scipy.signal.sosfilt(
                self._weighting, samples.astype(np.float64), axis=1, zi=self._states[number]
            )
            self._powers[number].add(float(np.square(weighted).mean()), samples.shape[1] / self.rate)
        ratio = math.sqrt((self._powers[0].value + 1e-12) / (self._powers[1].value + 1e-12))
        gain = min(max(ratio, 1 / MAX_MATCH), MAX_MATCH)
        ramp = np.linspace(self._gain, gain, dream.shape[1], dtype=np.float32)
        self._gain = gain
        loud = dream * ramp
        over = np.abs(loud) > CEILING
        if over.any():
            rounded = np.sign(loud) * (
                CEILING + (1 - CEILING) * np.tanh((np.abs(loud) - CEILING) / (1 - CEILING))
            )
            loud = np.where(over, rounded, loud)
        return np.asarray(loud, np.float32)


def prepare_sound(network: Network, rate: int, targets: Targets, depth: float) -> None:
    """Trace what a depth asks for, so that no block waits for it."""
    settings = replace(Schedule().at(0.0), depth=depth)
    dreamer = SoundDreamer(network, rate, 1, 0.0, targets, lambda _: settings)
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 2 * rate)).astype(np.float32)
    needed = (BLOCK_HOPS + AHEAD_HOPS + HALF_WINDOW_HOPS) * make_stft(rate).hop
    dreamer.feed(noise[:, :needed])


class _RunningMean:
    """Of a power, over some seconds; at first over all that has come."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._heard, self.value = seconds, 0.0, 0.0

    def add(self, value: float, seconds: float) -> None:
        """Take a stretch of some seconds."""
        self._heard = min(self._heard + seconds, self._seconds)
        self.value += (value - self.value) * seconds / self._heard
