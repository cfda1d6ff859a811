"""The texture of a sound: which of its features go together, wherever they stand; and which way leads to it.

Two networks hear a canvas: a wide shallow one of random filters along time, with frequency as channels (after
D. Ulyanov and V. Lebedev, "Audio texture synthesis and style transfer", 2016), and the trained sound network
that dreams. The means of the products of their features, Gram matrices, are the texture (Gatys et al. 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmdream.audio.filterbank import compute_band_edges, make_network_filterbank, normalize_bands
from mmdream.audio.style_canvas import LEVELLED_ENERGY, LOG_SCALE, StyleGrid
from mmdream.core import rng
from mmdream.networks.framework import tf

if TYPE_CHECKING:
    from mmdream.networks.card import AudioInput
    from mmdream.networks.network import Network

FILTER_HOPS = 3, 7, 15
"""Lengths of the random filters, hops: 35, 81 and 174 ms. Ulyanov's has one length of 11; of several, short
ones hold attacks and long ones the way a note goes on."""
FILTERS_PER_LENGTH = 512
"""Of each length; 4096 of one length cost six times as much and hold no more of what can be measured."""
TRAINED_LAYERS = "c2", "c4", "c6"
"""Of the trained network."""
TRAINED_WEIGHT = 0.3
"""Weight of the trained network's layers beside the wide one's; at 1 it draws dots."""
ENVELOPE_BANDS = 32
"""Bands of the content's envelope: a third of an octave or wider, so that pitch is free."""
ENVELOPE_WEIGHT, PARTIALS_WEIGHT = 0.15, 0.02
"""Weight of the content's envelope at content weight 1, and of its partials, which grows with the square:
at 1 the style chooses the pitch, at 30 the content does."""
MIN_ENERGY_RATIO, MAX_ENERGY_RATIO = 0.1, 2.0
"""Energy that a hop may have, over the content's: -10 to +3 dB;"""
PAUSE_ENERGY = LEVELLED_ENERGY / 10
"""and in pauses that of a levelled sound less 10 dB."""
MAX_ROLL_HOPS = 8
"""Hops to one column of the trained network's deepest layer; its grid is moved by up to as many, or it would
show."""


@dataclass(frozen=True, eq=False)
class AudioTextureModel:
    """Two networks' hearing of one canvas; `network` None: the wide one alone."""

    middle: np.ndarray
    """float32 [run]: what the wide network takes as nothing, the style's mean. Without it the Gram matrices
    hold hardly more than a mean spectrum."""
    filters: tuple[np.ndarray, ...]
    """float32 [hop, run, filter]."""
    bank: np.ndarray
    """float32 [run, band of the network]."""
    network: Network | None

    def features(self, canvas: tf.Tensor, roll: tf.Tensor | int = 0) -> list[tf.Tensor]:
        """Features by layer, [time, band, channel], of a canvas [hop, run]; the wide network's first."""
        told = (canvas - tf.constant(self.middle))[None]
        found = [tf.nn.relu(tf.nn.conv1d(told, kernel, 1, "VALID"))[0, :, None] for kernel in self.filters]
        if self.network is None:
            return found
        front: AudioInput = self.network.card.input  # type: ignore[assignment]
        power = tf.square((tf.exp(canvas[roll:]) - 1.0) / LOG_SCALE) @ tf.constant(self.bank)
        shown = normalize_bands(power, front, tf.math.log, tf.exp)[None, :: front.decimation, :, None]
        return found + [a[0] for a in self.network.layers(TRAINED_LAYERS)(shown)]

    def weights(self) -> np.ndarray:
        """How much each layer counts, float32 [layer]; their sum is 1."""
        wide = np.ones(len(self.filters)) / len(self.filters)
        trained = (
            np.full(len(TRAINED_LAYERS), TRAINED_WEIGHT / len(TRAINED_LAYERS))
            if self.network
            else np.zeros(0)
        )
        whole = np.concatenate((wide, trained))
        return np.asarray(whole / whole.sum(), np.float32)


def build_texture_model(
    grid: StyleGrid,
    middle: np.ndarray,
    network: Network | None,
    seed: int,
    taps: Sequence[int] = FILTER_HOPS,
    count: int = FILTERS_PER_LENGTH,
) -> AudioTextureModel:
    """Draw the wide network's filters, and lay the trained one's bands on the canvas.

    Args:
        grid: of the canvas.
        middle: float32 [run].
        network: a sound network whose columns are the canvas's hops; None: none.
        seed: of the filters.
        taps: lengths of the filters, hops.
        count: filters of each length.
    """
    runs = len(grid.starts)
    scales = [np.float32(np.sqrt(2 / (length * runs))) for length in taps]  # He et al. 2015
    filters = tuple(
        rng.rng_for(seed, "style", length).standard_normal((length, runs, count), np.float32) * scale
        for length, scale in zip(taps, scales, strict=True)
    )
    if network is None:
        return AudioTextureModel(middle, filters, np.zeros((runs, 0), np.float32), None)
    full = make_network_filterbank(network.card.input, grid.stft)  # type: ignore[arg-type]
    return AudioTextureModel(middle, filters, np.add.reduceat(full, grid.starts, axis=0), network)


def compute_grams(on: AudioTextureModel, pieces: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """The texture of a sound that comes in pieces.

    Args:
        on: who hears it.
        pieces: canvases, float32 [hop, run] each, none shorter than the longest filter; and how much each of
            their hops counts, float32 [hop].

    Returns:
        float64 [channel, channel] of each layer: products of features, mean over all places.
    """

    def both(canvas: tf.Tensor, counts: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        return [sum_feature_products(a, counts) for a in on.features(canvas)]

    signature = [tf.TensorSpec((None, len(on.middle))), tf.TensorSpec((None,))]
    traced = tf.function(both, input_signature=signature, autograph=False)
    sums = [np.zeros(1)] * len(on.weights())
    whole = np.zeros(len(sums))
    for canvas, counts in pieces:
        for place, (found, count) in enumerate(traced(canvas, counts)):
            sums[place] = sums[place] + found.numpy()
            whole[place] += float(count)
    return [total / max(count, 1.0) for total, count in zip(sums, whole, strict=True)]


def sum_feature_products(a: tf.Tensor, counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Products of features, summed over all places.

    Args:
        a: [time, band, channel].
        counts: [hop], how much each hop of the canvas counts.

    Returns:
        [channel, channel]; and what all places count together.
    """
    times, hops = tf.shape(a)[0], tf.shape(counts)[0]
    here = tf.gather(counts, (2 * tf.range(times) + 1) * hops // (2 * times))
    told = tf.reshape(a * tf.sqrt(here)[:, None, None], (-1, a.shape[2]))
    return tf.matmul(told, told, transpose_a=True), tf.reduce_sum(here) * a.shape[1]


def gram_distances(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> np.ndarray:
    """Squared distances between Gram matrices, float64 [layer]."""
    return np.array([np.sum(np.square(a - b)) for a, b in zip(found, wanted, strict=True)])


def make_envelope_bands(grid: StyleGrid) -> np.ndarray:
    """Averages of a canvas's runs over wide bands, float32 [run, band]."""
    hz = (grid.starts + (grid.widths - 1) / 2) * grid.stft.rate / grid.stft.n_fft
    edges = compute_band_edges(ENVELOPE_BANDS, 40.0, 16000.0, "htk")
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    offset = hz[:, None] - centre
    bank = np.clip(1 - np.where(offset < 0, -offset / (centre - low), offset / (high - centre)), 0, None)
    bank = bank[:, bank.sum(axis=0) > 0.5]
    return np.asarray(bank / bank.sum(axis=0), np.float32)


@dataclass(frozen=True, eq=False)
class AudioStyleTarget:
    """Where a canvas is to go."""

    grams: Sequence[np.ndarray]
    """Of the style."""
    away: np.ndarray
    """float [layer]: squared distance of the whole content's Gram matrices from them."""
    content_variances: tuple[float, float]
    """Variance over time of the content's partials, and of its envelope."""
    content_weight: float
    keep_rhythm: bool


def trace_style_gradient(
    on: AudioTextureModel, grid: StyleGrid, aim: AudioStyleTarget
) -> Callable[..., tf.Tensor]:
    """Trace the way to a style that stays near a content.

    Returns:
        (canvas, content, counts, roll) -> gradient to *climb*: canvases and gradient float32 [hop, run], how
        much each hop counts float32 [hop], the roll int32.
    """
    wide_bands = make_envelope_bands(grid)
    wanted = [np.asarray(gram, np.float32) for gram in aim.grams]
    weights = np.asarray(on.weights() / aim.away, np.float32)
    partials = np.float32(PARTIALS_WEIGHT * aim.content_weight**2 / aim.content_variances[0])
    shape = np.float32(ENVELOPE_WEIGHT * aim.content_weight / aim.content_variances[1])

    def step(canvas: tf.Tensor, content: tf.Tensor, counts: tf.Tensor, roll: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(canvas)
            x = limit_hop_energy(canvas, content, grid.widths, aim.keep_rhythm)
            parts = []
            for a, gram, weight in zip(on.features(x, roll), wanted, weights, strict=True):
                found, whole = sum_feature_products(a, counts)
                parts.append(weight * tf.reduce_sum(tf.square(found / tf.maximum(whole, 1.0) - gram)))
            parts.append(partials * tf.reduce_mean(tf.square(x - content)))
            parts.append(shape * tf.reduce_mean(tf.square((x - content) @ tf.constant(wide_bands))))
            loss = -tf.add_n(parts)
        return tape.gradient(loss, canvas)

    like, counted = tf.TensorSpec((None, len(on.middle))), tf.TensorSpec((None,))
    signature = [like, like, counted, tf.TensorSpec((), tf.int32)]
    return tf.function(step, input_signature=signature, autograph=False)


def limit_hop_energy(canvas: tf.Tensor, content: tf.Tensor, widths: np.ndarray, exactly: bool) -> tf.Tensor:
    """A canvas whose energy in each hop is near the content's, or the same.

    Near is what mastering allows a finished sound: a style of few loud events would gather them in one place,
    and be turned down there.

    Args:
        canvas: float32 [hop, run].
        content: the same shape.
        widths: of the runs, bins.
        exactly: keep onsets and pauses as they are.

    Returns:
        float32 [hop, run].
    """
    amplitudes = tf.exp(canvas) - 1.0
    has = tf.reduce_sum(widths * tf.square(amplitudes), axis=1, keepdims=True) + 1e-6
    low = high = tf.reduce_sum(widths * tf.square(tf.exp(content) - 1.0), axis=1, keepdims=True) + 1e-6
    if not exactly:
        low, high = MIN_ENERGY_RATIO * low, tf.maximum(MAX_ENERGY_RATIO * high, PAUSE_ENERGY * LOG_SCALE**2)
    return tf.math.log1p(amplitudes * tf.sqrt(tf.clip_by_value(has, low, high) / has))
