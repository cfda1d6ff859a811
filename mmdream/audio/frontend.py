"""What a network is given of a sound: the power of its STFT in groups of bins, then in its own bands.

A front end also knows how these lie on the canvas's grid, and which terms its network can climb.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmdream.audio import spectra
from mmdream.audio.canvas import BAND_EDGES, DB_PER_NEPER, soft_limit
from mmdream.audio.loudness import meter_loudness
from mmdream.audio.source import ArraySource, AudioSource
from mmdream.audio.spectra import read_spectra, sum_power
from mmdream.settings.targets import NO_TARGETS, Targets, Term

if TYPE_CHECKING:
    from mmdream.networks.card import AudioInput
    from mmdream.networks.network import Network

MAX_GUIDE_SECONDS = 30.0
"""Of a guide that are used."""
MAX_GUIDE_CELLS = 2048
"""Of a guide: every cell of the dream is compared with all of them."""
POWER_FLOOR = 1e-8
"""Of the loudest group of bins: 80 dB under it nothing is heard, and no distance counted."""


@dataclass(frozen=True)
class SpectrogramSlice:
    """A stretch of sound in the columns of a network's spectrogram."""

    power: np.ndarray
    """float32 [column, group], levelled."""
    positions: np.ndarray
    """float32 [column]: where each lies on the canvas, in hops, held at its ends."""

    @property
    def hops(self) -> np.ndarray:
        """The nearest hop of the canvas to each column, int [column]."""
        return np.rint(self.positions).astype(int)


class AudioFrontend:
    """A network's front end at one sample rate, and what it climbs; `get_frontend` caches it."""

    def __init__(self, network: Network, rate: int, targets: Targets, guide: ArraySource | None) -> None:
        self.network, self.traces, self.measure = network, network.traces, targets.measure
        self.terms = targets.terms
        """The user's targets, and the card's rungs where they count by depth."""
        if not self.terms or (guide is not None and all(term.kind != "layer" for term in self.terms)):
            # A guide alone names no layers.
            self.terms += tuple(Term("layer", rung.layer) for rung in network.card.rungs)
        self.target_weights = tuple(term.weight for term in targets.terms)
        """Of the user's targets, the first of the terms."""
        self.guide = {} if guide is None else self._extract_guide(guide)
        """Features to go towards, float32 [cell, channel], by layer."""
        self.stft = stft = spectra.make_network_stft(self.spec, rate)
        starts = spectra.group_bins(stft, BAND_EDGES, spectra.network_band_edges(self.spec))
        self.group_starts = starts
        """int [group]: first bins of the groups that `group_power` sums."""
        self.group_sizes = np.diff(np.append(starts, stft.n_bins)).astype(np.float32)
        """float32 [group]: bins in each."""
        bank = spectra.make_network_filterbank(self.spec, stft)
        self.filterbank = np.add.reduceat(bank, starts, axis=0) / self.group_sizes[:, None]
        """float32 [group, band of the network]."""
        canvas_bank = spectra.make_filterbank(BAND_EDGES, stft)
        self.canvas_filterbank = np.add.reduceat(canvas_bank, starts, axis=0) / self.group_sizes[:, None]
        """float32 [group, band of the canvas], zero where the network takes nothing."""
        self.canvas_filterbank[~self.filterbank.any(axis=1)] = 0.0
        interpolation = spectra.make_band_interpolation(BAND_EDGES, stft)
        self.band_to_group = np.add.reduceat(interpolation, starts, axis=1) / self.group_sizes
        """float32 [band of the canvas, group]."""
        # Nothing is invented where the network takes nothing.
        typical = spectra.compute_typical_power(self.spec, BAND_EDGES) * self.canvas_filterbank.any(axis=0)
        self.typical_power = typical.astype(np.float32)
        """float32 [band of the canvas]: levelled power of a bin in an average sound."""

    def _extract_guide(self, guide: ArraySource) -> dict[str, np.ndarray]:
        """A guide's features at the layers among the terms, evenly spread."""
        samples = guide.read(0, min(guide.n_samples, round(MAX_GUIDE_SECONDS * guide.rate))).mean(axis=0)
        power = spectra.measure_band_power(samples, guide.rate, self.spec)
        given, features = spectra.to_network_input(power[None], self.spec), {}
        for layer in (term.name for term in self.terms if term.kind == "layer"):
            cells = np.asarray(self.network.layer_features((layer,))(given)[0], np.float32)
            cells = cells.reshape(-1, cells.shape[3])
            features[layer] = cells[:: -(-len(cells) // MAX_GUIDE_CELLS)]
        return features

    @property
    def spec(self) -> AudioInput:
        """What the network takes."""
        return self.network.card.input  # type: ignore[return-value]

    @property
    def power_floor(self) -> np.float32:
        """Levelled power under which the network hears nothing."""
        return np.float32(self.spec.floor / self.spec.unit)

    @property
    def goes_by_classes(self) -> bool:
        """Whether a dream climbs classes besides its layers: who says what to dream of gets that alone."""
        return not self.target_weights and not self.guide

    def is_guided(self, term: Term) -> bool:
        """Whether a term goes towards the guide."""
        return term.kind == "layer" and term.name in self.guide

    def term_weights(self, depths: np.ndarray) -> np.ndarray:
        """Weight of each term at depths 0..1, float32 [depth, term]."""
        targets = np.tile(np.array(self.target_weights, np.float32), (len(depths), 1))
        if len(self.target_weights) == len(self.terms):
            return targets
        return np.concatenate((targets, self.network.card.mix(depths)), axis=1)

    def step_sizes(self, depths: np.ndarray) -> np.ndarray:
        """RMS of one ascent step at depths 0..1, nepers, float32 [depth]."""
        weights, rows = np.unique(self.term_weights(depths), axis=0, return_inverse=True)
        steps = [self.network.card.step_along(self.terms, row) for row in weights]
        return np.array(steps, np.float32)[rows.reshape(-1)]

    def read_power(self, sound: AudioSource, first: int, stop: int, offset: int, factor: float) -> np.ndarray:
        """Levelled power of a stretch of sound, silence beyond its ends, float32 [column, group].

        Columns lie on the absolute clock, where the sound begins at sample `offset`; `factor` levels it.
        """
        return self.group_power(read_spectra(sound, self.stft, first, stop, offset)) * np.float32(factor**2)

    def group_power(self, frames: np.ndarray) -> np.ndarray:
        """Power of all channels in groups of bins, float32 [column, group] of [channel, column, bin]."""
        return np.add.reduceat(sum_power(frames), self.group_starts, axis=1)

    def measure_audibility(self, power: np.ndarray) -> np.ndarray:
        """How far power [column, group] stands over the network's floor, float32 [column, band], 0..1."""
        bands = power @ self.canvas_filterbank
        return np.asarray(bands / (bands + self.power_floor))


def get_frontend(
    network: Network, rate: int, targets: Targets = NO_TARGETS, guide: ArraySource | None = None
) -> AudioFrontend:
    """A network's front end at a sample rate; cached with the network, for tracing a step takes a second.

    `targets` are climbed in place of, or besides, the rungs; `guide` is a sound to go towards.
    """
    # By its sound, not by its file, which may be another one the next time.
    guide_key = None if guide is None else (guide.rate, hashlib.sha256(guide.samples.tobytes()).hexdigest())
    key = get_frontend, rate, targets.terms, targets.measure, guide_key
    return network.traces.get(key, lambda: AudioFrontend(network, rate, targets, guide))


def make_distance(frontend: AudioFrontend, source: SpectrogramSlice) -> Callable[[np.ndarray], float]:
    """Log-spectral distance, dB, that a canvas of gains [hop, band] opens where the source is heard."""
    sizes = frontend.group_sizes
    bin_power = source.power / sizes
    present = bin_power > POWER_FLOOR * bin_power.max(initial=1e-30)
    share = (present * (sizes / sizes.sum())).astype(np.float32)
    columns = source.hops

    def measure(canvas: np.ndarray) -> float:
        gain = (soft_limit(canvas) @ frontend.band_to_group)[columns]
        # What the gain makes louder on the whole is turned down again.
        power = np.array([source.power.sum(), (source.power * np.exp(2 * gain)).sum()]) + 1e-30
        louder = 0.5 * math.log(power[1] / power[0])
        deviation = np.square(gain - np.float32(louder)) * share
        # Mean over the hops of the RMS over bins (Gray and Markel 1976).
        return float(DB_PER_NEPER * np.sqrt(deviation.sum(axis=1)).mean())

    return measure


def read_windows(
    source: AudioSource,
    network: Network,
    seconds: float,
    max_windows: int | None = None,
    hop_seconds: float | None = None,
) -> Iterator[tuple[float, np.ndarray]]:
    """Windows of some seconds over a whole sound, evenly spaced, for a network to name.

    They begin `hop_seconds` apart, or None where the last one ends; with at most `max_windows`, further.

    Each is the second at which it begins and what the network is given, float32 [1, column, band, 1]. They
    cover the sound up to `max_windows`, at least one; behind a shorter sound lies silence. Raises UserError
    where a sample is not a number.
    """
    frontend = get_frontend(network, source.rate)
    hop = frontend.stft.hop
    factor = meter_loudness(source).level_factor(frontend.spec.level_dbfs)
    columns = max(1, round(seconds * source.rate / hop))
    total = max(columns, -(-source.n_samples // hop))
    step = columns if hop_seconds is None else max(1, round(hop_seconds * source.rate / hop))
    count = -(-(total - columns) // step) + 1
    count = count if max_windows is None else min(max_windows, count)
    for first in np.rint(np.linspace(0, total - columns, count)).astype(int).tolist():
        power = frontend.read_power(source, first, first + columns, 0, factor)
        given = spectra.to_network_input((power @ frontend.filterbank)[None], frontend.spec)
        yield first * hop / source.rate, given
