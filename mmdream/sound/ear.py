"""A network's hearing: what it makes of a stretch of sound, in columns and bands of its own.

The canvas has its own grid of hops and bands, the same for every network; an ear knows how one lies on the
other, and what can be climbed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mmdream.sound.bands import shown
from mmdream.sound.canvas import EDGES
from mmdream.sound.front import bands_of, bank_of, bin_groups, filter_bank, spread, stft_of
from mmdream.sound.slope import EVENT_DEPTH, MOST_EVENT, gradient, measure
from mmdream.sound.source import Source, padded
from mmdream.sound.stft import Stft, spectra, stft_for
from mmdream.terms import Term

if TYPE_CHECKING:
    from mmdream.networks.card import SoundInput
    from mmdream.networks.network import Network


@dataclass(frozen=True)
class Heard:
    """A stretch of sound in the columns of a network's spectrogram."""

    power: np.ndarray
    """float32 [column, group], levelled."""
    places: np.ndarray
    """float32 [column]: where each lies on the canvas, in hops, held at its rims."""


@dataclass(frozen=True, eq=False)
class Ear:
    """A network's hearing at one sample rate."""

    network: Network
    terms: tuple[Term, ...]
    """What it can climb: the card's rungs, or what the user asks for in their place."""
    asked: bool
    """Whether the user asks for it."""
    stft: Stft
    """The network's own transform."""
    groups: np.ndarray
    """First bins of the runs that `gather` sums."""
    bank: np.ndarray
    """float32 [group, band of the network]."""
    canvas_bank: np.ndarray
    """float32 [group, band of the canvas], zero where the network hears nothing."""
    spread: np.ndarray
    """float32 [band of the canvas, group]."""

    @property
    def front(self) -> SoundInput:
        """The network's front end."""
        return self.network.card.input  # type: ignore[return-value]

    @property
    def alike(self) -> bool:
        """Whether the network's columns are the canvas's hops."""
        return self.stft.hop == stft_for(self.stft.rate).hop

    def weights(self, depth: float) -> np.ndarray:
        """Weight of each term at a depth 0..1, float32 [term]."""
        if self.asked:
            return np.array([term.weight for term in self.terms], np.float32)
        return self.network.card.mix(depth)

    def step(self, depth: float) -> float:
        """RMS of one ascent step, nepers."""
        about = self.network.card
        return about.step_along(self.terms, self.weights(depth)) if self.asked else about.step(depth)

    def listen(self, sound: Source, first: int, stop: int, offset: int, factor: float) -> np.ndarray:
        """A stretch of sound, silent beyond its ends.

        Args:
            sound: at the ear's rate.
            first: column of the stretch, counted on the absolute clock.
            stop: the column after its last one.
            offset: sample of that clock at which the sound begins.
            factor: brings the sound to the level that the network expects.

        Returns:
            float32 [column, group], levelled power.
        """
        low = first * self.stft.hop - self.stft.window // 2 - offset
        high = (stop - 1) * self.stft.hop + self.stft.window // 2 - offset
        return self.gather(spectra(padded(sound, low, high), self.stft)) * np.float32(factor**2)

    def gather(self, spectra: np.ndarray) -> np.ndarray:
        """Power of all channels in runs of bins, float32 [column, group] of [channel, column, bin]."""
        power = np.square(spectra.real).sum(axis=0) + np.square(spectra.imag).sum(axis=0)
        return np.add.reduceat(power, self.groups, axis=1)

    def shown(self, power: np.ndarray) -> np.ndarray:
        """What the network is given of a stretch, float32 [1, column, band, 1] of [column, group]."""
        return shown((power @ self.bank)[None], self.front)

    def audible(self, power: np.ndarray) -> np.ndarray:
        """How far what is heard stands over the network's floor, in the canvas's bands.

        Args:
            power: float32 [column, group], as `gather` gives it.

        Returns:
            float32 [column, band], 0..1.
        """
        bands = power @ self.canvas_bank
        return np.asarray(bands / (bands + np.float32(self.front.floor / self.front.unit)))

    def slope(self, canvas: np.ndarray, stretch: Heard, depth: float, roll: int) -> np.ndarray:
        """The gradient of the objective.

        Args:
            canvas: float32 [hop, band], nepers.
            stretch: what is heard there without it.
            depth: 0..1.
            roll: of the network's columns.

        Returns:
            float32, the shape of `canvas`.
        """
        weights = self.weights(depth)
        wanted = tuple(int(place) for place in np.flatnonzero(weights))
        if not wanted:  # All that is asked for has weight 0.
            return np.zeros_like(canvas)
        event = MOST_EVENT * (max(depth - EVENT_DEPTH, 0.0) / (1 - EVENT_DEPTH)) ** 2
        found = gradient(self, wanted, bool(event) and not self.asked)(
            canvas,
            stretch.power,
            stretch.places,
            weights[list(wanted)],
            np.float32(event),
            np.int32(roll),
        )
        return np.asarray(found.numpy())

    def energies(self, stretch: Heard, wanted: tuple[int, ...], first: float, stop: float) -> np.ndarray:
        """What some terms come to between two columns of a stretch, float32 [term].

        Contrast energy of layers, plain energy of those without time, and the chance of a class.
        """
        if not wanted:
            return np.zeros(0, np.float32)
        found = measure(self, wanted)(stretch.power, np.float32(first), np.float32(stop))
        return np.asarray(found.numpy())


@lru_cache(maxsize=4)
def ear(network: Network, rate: int, wishes: tuple[Term, ...] = ()) -> Ear:
    """Build a network's hearing at a sample rate; kept, for tracing a step takes a second.

    Args:
        network: a sound network.
        rate: samples a second.
        wishes: what to climb in place of the rungs next to a depth.
    """
    front: SoundInput = network.card.input  # type: ignore[assignment]
    stft = stft_of(front, rate)
    starts = bin_groups(stft, EDGES, bands_of(front))
    widths = np.diff(np.append(starts, stft.n_bins)).astype(np.float32)
    bank = np.add.reduceat(bank_of(front, stft), starts, axis=0) / widths[:, None]
    canvas_bank = np.add.reduceat(filter_bank(EDGES, stft), starts, axis=0) / widths[:, None]
    canvas_bank[~bank.any(axis=1)] = 0.0
    spread_to = np.add.reduceat(spread(EDGES, stft), starts, axis=1) / widths
    terms = wishes or tuple(Term("layer", rung.layer) for rung in network.card.rungs)
    return Ear(network, terms, bool(wishes), stft, starts, bank, canvas_bank, spread_to)
