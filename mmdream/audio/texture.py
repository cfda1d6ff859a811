"""The texture of a sound: which of its features go together; and the gradient that leads a canvas to it.

The canvas holds amplitudes in runs of bins on a log scale. Two networks read it: a wide shallow one of random
filters along time, with frequency as channels (D. Ulyanov and V. Lebedev, "Audio texture synthesis and style
transfer", 2016), and the trained one that dreams. The texture is their features' Gram matrices (Gatys et al.
2015).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.ndimage

from mmdream.audio import spectra
from mmdream.audio.canvas import BAND_EDGES
from mmdream.audio.spectra import make_stft, sum_power
from mmdream.core.rng import rng_for
from mmdream.networks.framework import tf

if TYPE_CHECKING:
    from mmdream.networks.card import AudioInput
    from mmdream.networks.network import Network
    from mmdream.settings.passes import AudioStyleSettings

LOG_SCALE = 2000.0
"""Where the canvas's scale turns from linear to logarithmic, one over the amplitude: -66 dB under a levelled
full scale. Ulyanov's 512 leaves out the upper octaves of most recordings."""
MIN_CANVAS_HZ = 30.0
"""What lies below stays as it is."""
MAX_SINGLE_BIN_HZ = 600.0
"""Bins below stay single; above, runs hold several, which makes a step four times cheaper."""
LEVELLED_ENERGY = 3 * 10 ** (-23 / 10)
"""Of a hop of a levelled sound: three times the mean square, because of the Hann windows."""
AUDIBLE_ENERGY = LEVELLED_ENERGY / 100
"""Of a hop that counts half, 20 dB softer."""
RING_HOPS = 5
"""Hops to either side over which a sound is heard too."""
PANNING_SIZE = (5, 5)
"""Hops and bins over which the place of new sound between the channels is averaged."""
FILTER_HOPS = 3, 7, 15
"""Lengths of the random filters: 35, 81 and 174 ms. Short ones hold attacks, long ones how a note goes on."""
FILTERS_PER_LENGTH = 512
"""4096 of one length cost six times as much and hold no more of what can be measured."""
TRAINED_LAYERS = "c2", "c4", "c6"
TRAINED_WEIGHT = 0.3
"""Weight of the trained network's layers beside the wide one's; at 1 it draws dots."""
ENVELOPE_BANDS = 32
"""Bands of the content's envelope: a third of an octave or wider, so that pitch is free."""
ENVELOPE_WEIGHT, PARTIALS_WEIGHT = 0.15, 0.02
"""At content weight 1, of partials by its square: at 1 the style chooses the pitch, at 30 the content."""
MIN_ENERGY_RATIO, MAX_ENERGY_RATIO = 0.1, 2.0
"""Energy that a hop may have, over the content's: -10 to +3 dB; in pauses, PAUSE_ENERGY."""
PAUSE_ENERGY = LEVELLED_ENERGY / 10
MAX_ROLL_HOPS = 8
"""Hops to a column of the trained network's deepest layer; its grid moves by up to as many, or it shows."""

WeightedPieces = Iterable[tuple[np.ndarray, np.ndarray]]
"""Canvases, float32 [hop, run], and how much each of their hops counts, float32 [hop]."""


class StyleGrid:
    """The canvas at one sample rate: runs of bins."""

    def __init__(self, rate: int) -> None:
        self.stft = make_stft(rate)
        hz = self.stft.frequencies
        single = np.flatnonzero((hz >= MIN_CANVAS_HZ) & (hz < MAX_SINGLE_BIN_HZ))
        starts = np.union1d(single, spectra.group_bins(self.stft, BAND_EDGES))
        self.run_starts = starts[starts >= single[0]]
        """int [run], the first bin of each."""
        self.run_sizes = np.diff(np.append(self.run_starts, self.stft.n_bins)).astype(np.float32)
        """float32 [run], bins."""

    def to_canvas(self, frames: np.ndarray, factor: float) -> np.ndarray:
        """A sound's frames, complex64 [channel, hop, bin], on the canvas's scale: float32 [hop, run], >= 0.

        ln(1 + LOG_SCALE * amplitude), all channels together; `factor` brings the sound to a common level.
        """
        power = np.add.reduceat(sum_power(frames), self.run_starts, axis=1) / self.run_sizes
        return np.asarray(np.log1p(np.float32(LOG_SCALE * factor) * np.sqrt(power)), np.float32)

    def measure_presence(self, canvas: np.ndarray) -> np.ndarray:
        """How much of a sound there is at each hop of a canvas, float32 [hop], 0 in pauses to 1."""
        energy = np.square(np.expm1(canvas) / np.float32(LOG_SCALE)) @ self.run_sizes
        near = scipy.ndimage.maximum_filter1d(energy, 2 * RING_HOPS + 1)
        return np.asarray(near / (near + AUDIBLE_ENERGY), np.float32)

    def to_amplitudes(self, canvas: np.ndarray, frames: np.ndarray, factor: float) -> np.ndarray:
        """The amplitudes, float32 [channel, hop, bin], of a canvas [hop, run] and its content's frames.

        What was there keeps its place between the channels and its shape inside a run; what is new is spread
        evenly over a run, and over the channels as the sound lies around it. So the canvas of a sound gives
        that sound's own amplitudes, whatever its channels hold, and no two channels can cancel.
        """
        power = np.square(np.abs(frames))
        first = int(self.run_starts[0])
        sizes = self.run_sizes.astype(int)
        old = power[..., first:]
        means = np.add.reduceat(old.sum(axis=0), self.run_starts - first, axis=1) / self.run_sizes
        before = np.repeat(means, sizes, axis=1)
        after = np.repeat(np.square(np.expm1(canvas) / np.float32(LOG_SCALE * factor)), sizes, axis=1)
        new = np.square(np.maximum(np.sqrt(after) - np.sqrt(before), 0.0))
        near = np.stack([scipy.ndimage.uniform_filter(channel, PANNING_SIZE) for channel in old])
        share = (near + 1e-20) / (near + 1e-20).sum(axis=0)
        least = np.float32(1e-30)
        mixed = (old + (new + least) * share) / (before + new + least)
        amplitudes = np.sqrt(power)
        amplitudes[..., first:] = np.sqrt(after * mixed)
        return np.asarray(amplitudes, np.float32)


class AudioTextureModel:
    """Two networks that read one canvas; `network` None: the wide one alone.

    `mean`, float32 [run], is the style's, which the wide network takes as zero, or its Gram matrices hold
    little else. The columns of `network` are the canvas's hops.
    """

    def __init__(
        self,
        grid: StyleGrid,
        mean: np.ndarray,
        network: Network | None,
        seed: int,
        filter_hops: Sequence[int] = FILTER_HOPS,
    ) -> None:
        self.mean, self.network, runs = mean, network, len(grid.run_starts)

        def draw(length: int) -> np.ndarray:
            shape, scale = (length, runs, FILTERS_PER_LENGTH), np.sqrt(2 / (length * runs))  # He et al. 2015
            return rng_for(seed, "style", length).standard_normal(shape, np.float32) * np.float32(scale)

        self.filters = [draw(length) for length in filter_hops]
        """float32 [hop, run, filter]."""
        if network is not None:
            bank = spectra.make_network_filterbank(network.card.input, grid.stft)  # type: ignore[arg-type]
            self.filterbank = np.add.reduceat(bank, grid.run_starts, axis=0)
            """float32 [run, band of the network]."""

    def features(self, canvas: tf.Tensor, roll: tf.Tensor | int = 0) -> list[tf.Tensor]:
        """Features by layer, [time, band, channel], of a canvas [hop, run]; the wide network's first."""
        centered = (canvas - tf.constant(self.mean))[None]
        wide = [tf.nn.relu(tf.nn.conv1d(centered, kernel, 1, "VALID"))[0, :, None] for kernel in self.filters]
        if self.network is None:
            return wide
        spec: AudioInput = self.network.card.input  # type: ignore[assignment]
        power = tf.square((tf.exp(canvas[roll:]) - 1.0) / LOG_SCALE) @ tf.constant(self.filterbank)
        given = spectra.normalize_bands(power, spec, tf.math.log, tf.exp)[None, :: spec.decimation, :, None]
        return wide + [a[0] for a in self.network.layer_features(TRAINED_LAYERS)(given)]

    @cached_property
    def traced_products(self) -> Callable[..., list[tuple[tf.Tensor, tf.Tensor]]]:
        """`sum_feature_products` by layer: (canvas [hop, run], counts [hop]), traced once for all sounds."""

        def products(canvas: tf.Tensor, counts: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
            return [sum_feature_products(a, counts) for a in self.features(canvas)]

        signature = [tf.TensorSpec((None, len(self.mean))), tf.TensorSpec((None,))]
        return tf.function(products, input_signature=signature, autograph=False)

    def layer_weights(self) -> np.ndarray:
        """How much each layer counts, float32 [layer]; their sum is 1."""
        wide = np.ones(len(self.filters)) / len(self.filters)
        n_trained = len(TRAINED_LAYERS) if self.network else 0
        weights = np.concatenate((wide, np.full(n_trained, TRAINED_WEIGHT / len(TRAINED_LAYERS))))
        return np.asarray(weights / weights.sum(), np.float32)


def compute_grams(model: AudioTextureModel, pieces: WeightedPieces) -> list[np.ndarray]:
    """The Gram matrices of a sound, mean products of its features: float64 [channel, channel] by layer."""
    sums = [np.zeros(1)] * len(model.layer_weights())
    totals = np.zeros(len(sums))
    for canvas, counts in pieces:
        for layer, (product, count) in enumerate(model.traced_products(canvas, counts)):
            sums[layer] = sums[layer] + product.numpy()
            totals[layer] += float(count)
    return [product / max(total, 1.0) for product, total in zip(sums, totals, strict=True)]


def sum_feature_products(a: tf.Tensor, counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Summed products [channel, channel] of features [time, band, channel] under counts [hop], and weight."""
    times, hops = tf.shape(a)[0], tf.shape(counts)[0]
    here = tf.gather(counts, (2 * tf.range(times) + 1) * hops // (2 * times))
    weighted = tf.reshape(a * tf.sqrt(here)[:, None, None], (-1, a.shape[2]))
    return tf.matmul(weighted, weighted, transpose_a=True), tf.reduce_sum(here) * a.shape[1]


def gram_distances(grams: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> np.ndarray:
    """Squared distances between Gram matrices, float64 [layer]."""
    return np.array([np.sum(np.square(a - b)) for a, b in zip(grams, others, strict=True)])


def make_envelope_bands(grid: StyleGrid) -> np.ndarray:
    """Averages of a canvas's runs over wide bands, float32 [run, band]."""
    hz = (grid.run_starts + (grid.run_sizes - 1) / 2) * grid.stft.rate / grid.stft.n_fft
    edges = spectra.compute_band_edges(ENVELOPE_BANDS, 40.0, 16000.0, "htk")
    center = edges[1:-1]
    bank = spectra.make_triangles(hz, center, center - edges[:-2], edges[2:] - center)
    bank = bank[:, bank.sum(axis=0) > 0.5]
    return np.asarray(bank / bank.sum(axis=0), np.float32)


@dataclass(frozen=True, eq=False)
class AudioStyleTarget:
    """Where a canvas is to go, and what holds it back."""

    grams: Sequence[np.ndarray]
    """Of the style."""
    content_distances: np.ndarray
    """float [layer]: squared distance of the whole content's Gram matrices from them."""
    partials_variance: float
    """Over time, of the content."""
    envelope_variance: float
    settings: AudioStyleSettings


def trace_style_gradient(
    model: AudioTextureModel, grid: StyleGrid, target: AudioStyleTarget
) -> Callable[..., tf.Tensor]:
    """Trace (canvas, content, counts, roll) -> gradient to *climb*, to a style but not far from a content.

    Canvases and gradient are float32 [hop, run], how much each hop counts float32 [hop], the roll int32.
    """
    envelope_bands = make_envelope_bands(grid)
    grams = [np.asarray(gram, np.float32) for gram in target.grams]
    weights = np.asarray(model.layer_weights() / target.content_distances, np.float32)
    content_weight = target.settings.content_weight
    partials = np.float32(PARTIALS_WEIGHT * content_weight**2 / target.partials_variance)
    envelope = np.float32(ENVELOPE_WEIGHT * content_weight / target.envelope_variance)

    def step(canvas: tf.Tensor, content: tf.Tensor, counts: tf.Tensor, roll: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(canvas)
            x = limit_hop_energy(canvas, content, grid.run_sizes, target.settings.keep_rhythm)
            losses = []
            for a, gram, weight in zip(model.features(x, roll), grams, weights, strict=True):
                product, total = sum_feature_products(a, counts)
                losses.append(weight * tf.reduce_sum(tf.square(product / tf.maximum(total, 1.0) - gram)))
            losses.append(partials * tf.reduce_mean(tf.square(x - content)))
            change = (x - content) @ tf.constant(envelope_bands)
            losses.append(envelope * tf.reduce_mean(tf.square(change)))
            value = -tf.add_n(losses)
        return tape.gradient(value, canvas)

    canvas, counts = tf.TensorSpec((None, len(model.mean))), tf.TensorSpec((None,))
    signature = [canvas, canvas, counts, tf.TensorSpec((), tf.int32)]
    return tf.function(step, input_signature=signature, autograph=False)


def limit_hop_energy(canvas: tf.Tensor, content: tf.Tensor, sizes: np.ndarray, exact: bool) -> tf.Tensor:
    """A canvas [hop, run] whose energy in each hop is near the content's, or exactly the same.

    Near is what mastering allows: few loud events would gather in one place. `sizes` are the runs', bins.
    """
    amplitudes = tf.exp(canvas) - 1.0
    energy = tf.reduce_sum(sizes * tf.square(amplitudes), axis=1, keepdims=True) + 1e-6
    low = high = tf.reduce_sum(sizes * tf.square(tf.exp(content) - 1.0), axis=1, keepdims=True) + 1e-6
    if not exact:
        low, high = MIN_ENERGY_RATIO * low, tf.maximum(MAX_ENERGY_RATIO * high, PAUSE_ENERGY * LOG_SCALE**2)
    return tf.math.log1p(amplitudes * tf.sqrt(tf.clip_by_value(energy, low, high) / energy))
