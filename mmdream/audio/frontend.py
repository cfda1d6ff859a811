"""A network's hearing: what it makes of a stretch of sound, in columns and bands of its own.

The canvas has its own grid of hops and bands, the same for every network; an ear knows how one lies on the
other, and what can be climbed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmdream.audio.canvas import BAND_EDGES
from mmdream.audio.filterbank import (
    compute_typical_power,
    group_bins,
    make_band_interpolation,
    make_filterbank,
    make_network_filterbank,
    make_network_stft,
    measure_band_power,
    network_band_edges,
    to_network_input,
)
from mmdream.audio.gradient import (
    EVENT_WEIGHT,
    MIN_EVENT_DEPTH,
    STATIONARY_ENERGY,
    extract_guide_cells,
    trace_energies,
    trace_gradient,
)
from mmdream.audio.loudness import LoudnessMeter, compute_level_factor
from mmdream.audio.source import ArraySource, AudioSource, read_blocks, read_padded
from mmdream.audio.stft import Stft, forward_stft, make_stft
from mmdream.settings.targets import NO_TARGETS, Targets, Term

if TYPE_CHECKING:
    from mmdream.core.memory import LruCache
    from mmdream.networks.card import AudioInput
    from mmdream.networks.network import Network


@dataclass(frozen=True)
class SpectrogramSlice:
    """A stretch of sound in the columns of a network's spectrogram."""

    power: np.ndarray
    """float32 [column, group], levelled."""
    positions: np.ndarray
    """float32 [column]: where each lies on the canvas, in hops, held at its rims."""


@dataclass(frozen=True, eq=False)
class AudioFrontend:
    """A network's hearing at one sample rate."""

    network: Network
    terms: tuple[Term, ...]
    """What it can climb: what the user asks for, and the card's rungs where it is looked for at a depth."""
    asked: tuple[float, ...]
    """Weights of those that the user asks for."""
    measure: str
    """How layers and channels are climbed, see `terms.MEASURES`."""
    guide: dict[str, np.ndarray]
    """Features to go towards, float32 [cell, channel], by layer."""
    stft: Stft
    """The network's own transform."""
    groups: np.ndarray
    """First bins of the runs that `gather` sums."""
    bank: np.ndarray
    """float32 [group, band of the network]."""
    canvas_filterbank: np.ndarray
    """float32 [group, band of the canvas], zero where the network hears nothing."""
    spread: np.ndarray
    """float32 [band of the canvas, group]."""
    widths: np.ndarray
    """float32 [group]: bins in each."""
    typical_power: np.ndarray
    """float32 [band of the canvas]: power of a bin in a sound as the network knows them, levelled."""

    @property
    def traces(self) -> LruCache:
        """Where what is traced of it is kept: with its network."""
        return self.network.traces

    @property
    def front(self) -> AudioInput:
        """The network's front end."""
        return self.network.card.input  # type: ignore[return-value]

    @property
    def alike(self) -> bool:
        """Whether the network's columns are the canvas's hops."""
        return self.stft.hop == make_stft(self.stft.rate).hop

    def is_guided(self, term: Term) -> bool:
        """Whether a term goes towards the guide."""
        return term.kind == "layer" and term.name in self.guide

    def weights(self, depths: np.ndarray) -> np.ndarray:
        """Weight of each term at depths 0..1, float32 [depth, term]."""
        asked = np.tile(np.array(self.asked, np.float32), (len(depths), 1))
        if len(self.asked) == len(self.terms):
            return asked
        return np.concatenate((asked, self.network.card.mix(depths)), axis=1)

    def step(self, depths: np.ndarray) -> np.ndarray:
        """RMS of one ascent step at depths 0..1, nepers, float32 [depth]."""
        weights, places = np.unique(self.weights(depths), axis=0, return_inverse=True)
        found = [self.network.card.step_along(self.terms, row) for row in weights]
        return np.array(found, np.float32)[places.reshape(-1)]

    def read_power(self, sound: AudioSource, first: int, stop: int, offset: int, factor: float) -> np.ndarray:
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
        return self.gather(forward_stft(read_padded(sound, low, high), self.stft)) * np.float32(factor**2)

    def gather(self, spectra: np.ndarray) -> np.ndarray:
        """Power of all channels in runs of bins, float32 [column, group] of [channel, column, bin]."""
        power = np.square(spectra.real).sum(axis=0) + np.square(spectra.imag).sum(axis=0)
        return np.add.reduceat(power, self.groups, axis=1)

    def shown(self, power: np.ndarray) -> np.ndarray:
        """What the network is given of a stretch, float32 [1, column, band, 1] of [column, group]."""
        return to_network_input((power @ self.bank)[None], self.front)

    def measure_audibility(self, power: np.ndarray) -> np.ndarray:
        """How far what is heard stands over the network's floor, in the canvas's bands.

        Args:
            power: float32 [column, group], as `gather` gives it.

        Returns:
            float32 [column, band], 0..1.
        """
        bands = power @ self.canvas_filterbank
        return np.asarray(bands / (bands + np.float32(self.front.floor / self.front.unit)))

    def slope(
        self,
        canvas: np.ndarray,
        stretch: SpectrogramSlice,
        depth: float | np.ndarray,
        roll: int,
        invent: float = 0.0,
        lively: float = 0.0,
    ) -> np.ndarray:
        """The gradient of the objective.

        Args:
            canvas: float32 [hop, band], nepers; twice as wide where something is to be invented.
            stretch: what is heard there without it.
            depth: 0..1, one or float [column].
            roll: of the network's columns.
            invent: amplitude of what is invented.
            lively: contrast energy that the source has of its own.

        Returns:
            float32, the shape of `canvas`.
        """
        depths = np.broadcast_to(np.asarray(depth), len(stretch.power))
        weights = self.weights(depths)
        wanted = tuple(int(place) for place in np.flatnonzero(weights.any(axis=0)))
        if not wanted:  # All that is asked for has weight 0.
            return np.zeros_like(canvas)
        event = EVENT_WEIGHT * (np.maximum(depths - MIN_EVENT_DEPTH, 0.0) / (1 - MIN_EVENT_DEPTH)) ** 2
        event = event / (1 + lively / STATIONARY_ENERGY)
        free = not self.asked and not self.guide
        found = trace_gradient(
            self, wanted, free and bool(event.any()), canvas.shape[1] > len(BAND_EDGES) - 2
        )(
            canvas,
            stretch.power,
            stretch.positions,
            weights[:, list(wanted)],
            event.astype(np.float32),
            np.int32(roll),
            np.float32(invent),
        )
        return np.asarray(found.numpy())

    def measure_energies(
        self, stretch: SpectrogramSlice, wanted: tuple[int, ...], first: float, stop: float
    ) -> np.ndarray:
        """What some terms come to between two columns of a stretch, float32 [term].

        Contrast energy of layers, plain energy of those without time, likeness to a guide, and the chance of
        a class.
        """
        if not wanted:
            return np.zeros(0, np.float32)
        found = trace_energies(self, wanted)(stretch.power, np.float32(first), np.float32(stop))
        return np.asarray(found.numpy())


MAX_GUIDE_SECONDS = 30.0
"""Of a guide that are heard."""


def get_frontend(
    network: Network, rate: int, wishes: Targets = NO_TARGETS, guide: ArraySource | None = None
) -> AudioFrontend:
    """A network's hearing at a sample rate; kept with the network, for tracing a step takes a second.

    Args:
        network: a sound network.
        rate: samples a second.
        wishes: what to climb in place of, or besides, the rungs next to a depth.
        guide: the sound that the dream goes towards.
    """
    # By its sound, not by its file, which may be another one the next time.
    told = None if guide is None else (guide.rate, hashlib.sha256(guide.samples.tobytes()).hexdigest())
    key = get_frontend, rate, wishes.terms, wishes.measure, told
    return network.traces.get(key, lambda: _build_frontend(network, rate, wishes, guide))


def _build_frontend(network: Network, rate: int, wishes: Targets, guide: ArraySource | None) -> AudioFrontend:
    """An ear that is not there yet."""
    front: AudioInput = network.card.input  # type: ignore[assignment]
    stft = make_network_stft(front, rate)
    starts = group_bins(stft, BAND_EDGES, network_band_edges(front))
    widths = np.diff(np.append(starts, stft.n_bins)).astype(np.float32)
    bank = np.add.reduceat(make_network_filterbank(front, stft), starts, axis=0) / widths[:, None]
    canvas_bank = np.add.reduceat(make_filterbank(BAND_EDGES, stft), starts, axis=0) / widths[:, None]
    canvas_bank[~bank.any(axis=1)] = 0.0
    # Where the network hears nothing nothing is invented either.
    typical = compute_typical_power(front, BAND_EDGES) * canvas_bank.any(axis=0)
    terms = wishes.terms
    if not terms or (guide is not None and all(term.kind != "layer" for term in terms)):
        # A guide alone says what is wanted.
        terms += tuple(Term("layer", rung.layer) for rung in network.card.rungs)
    return AudioFrontend(
        network=network,
        terms=terms,
        asked=tuple(term.weight for term in wishes.terms),
        measure=wishes.measure,
        guide={} if guide is None else _extract_guide_features(network, guide, terms),
        stft=stft,
        groups=starts,
        bank=bank,
        canvas_filterbank=canvas_bank,
        spread=np.add.reduceat(make_band_interpolation(BAND_EDGES, stft), starts, axis=1) / widths,
        widths=widths,
        typical_power=typical.astype(np.float32),
    )


def _extract_guide_features(
    network: Network, guide: ArraySource, terms: tuple[Term, ...]
) -> dict[str, np.ndarray]:
    """What a network makes of a guide at the layers among some terms."""
    front: AudioInput = network.card.input  # type: ignore[assignment]
    samples = guide.read(0, min(guide.n_samples, round(MAX_GUIDE_SECONDS * guide.rate))).mean(axis=0)
    given = to_network_input(measure_band_power(samples, guide.rate, front)[None], front)
    return {
        term.name: extract_guide_cells(network, given, term.name) for term in terms if term.kind == "layer"
    }


pass


@dataclass(frozen=True)
class AudioWindow:
    """A stretch of sound as a network is given it."""

    seconds: float
    """At which it begins, from the sound's first sample."""
    shown: np.ndarray
    """float32 [1, column, band, 1]."""


def read_windows(source: AudioSource, network: Network, seconds: float, most: int) -> Iterator[AudioWindow]:
    """Windows over a whole sound, as many as it takes to hear all of it, evenly spaced.

    Args:
        source: the sound; it is metered first, because a network hears it at a level of its own.
        network: a sound network.
        seconds: length of a window; a shorter sound is one window, with silence behind it.
        most: windows; of a longer sound the stretches between them are not heard.

    Yields:
        Windows in order, one at least.

    Raises:
        UserError: a sample is not a number.
    """
    meter = LoudnessMeter(source.rate, source.channels, source.layout)
    for samples in read_blocks(source):
        meter.feed(samples)
    on = get_frontend(network, source.rate)
    factor = compute_level_factor(meter.level(), on.front.level_dbfs)
    columns = max(1, round(seconds * source.rate / on.stft.hop))
    whole = max(columns, -(-source.n_samples // on.stft.hop))
    count = min(most, -(-whole // columns))
    for first in np.rint(np.linspace(0, whole - columns, count)).astype(int).tolist():
        power = on.read_power(source, first, first + columns, 0, factor)
        yield AudioWindow(first * on.stft.hop / source.rate, on.shown(power))
