"""How far an image is from a style and from its content, and the gradient of that.

A style is described by moments (`ascent.style_statistics`) of a network's features and of pixels: colours and
rectified random filters at several sizes. No network sees grain well behind its first stride; random filters
tell strokes from noise (Ustyuzhaninov et al. 2017, "What does it take to generate natural textures?").
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from mmdream.ascent.style_statistics import (
    STYLE_DISTANCES,
    FeatureMoments,
    TextureStatistics,
    measure_feature_moments,
)
from mmdream.core.memory import cache_in_traces
from mmdream.core.rng import rng_for
from mmdream.image.tiles import apply_tiled, slices_within, split_tiles
from mmdream.networks.framework import extend_edges, tf
from mmdream.networks.network import Network
from mmdream.settings.passes import Style

MAX_STYLE_CHANNELS = 96
"""Wider layers are mixed down to so many channels by a fixed random rotation: a square root of 512 by 512
costs more than the network, and what random mixtures agree in, the channels agree in."""
PIXEL_STYLE_WEIGHT = 1.0
"""Weight of the pixels' own statistics, all together, over that of all layers."""
CONTENT_WEIGHT = 0.06
"""Weight of the distance from the content, over the content's variance, beside that from the style."""
PADDING_RANGE = 8, 16
"""Least and largest reflected rim in px: the network's zeros around an image would be painted, and another
rim each step keeps its grid from showing."""
SIDE_MULTIPLE = 32
"""Sides of what the network sees are multiples of this."""
PIXEL_SCALES = 1, 2, 4
"""px of the image that are one of the filters'; each a multiple of the one before."""
FILTER_COUNT, FILTER_SIDE, FILTER_STRIDE = 32, 4, 2
CHROMA_WEIGHT = 3.0
"""Weight of colour over brightness in the filters: the eye minds its noise at any contrast."""
PIXEL_FEATURE_SETS = 1 + len(PIXEL_SCALES)
"""Sets of features that `extract_pixel_features` gives."""

IMAGE_SPEC = tf.TensorSpec([1, None, None, 7])
"""An image, its content and the share of each place, see `StyleLoss.gradient`."""

StyleMoments = list[FeatureMoments]
"""Moments of the pixels' own features, then of the layers."""


@dataclass(frozen=True)
class StyleLoss:
    """The distance from a style and from a content, at one size of image."""

    network: Network
    style: Style
    targets: list[TextureStatistics]
    """As `StyleMoments`."""

    def gradient(self, image: np.ndarray, content_variance: float, rng: np.random.Generator) -> np.ndarray:
        """The descent of the distance, times the number of pixels, float32 [H, W, 3].

        Args:
            image: float32 [H, W, 7]: the image, its content, and the share of each place in the style, 0..1.
            content_variance: see `measure_content_variance`.
            rng: draws the reflected rim.
        """
        height, width = image.shape[:2]
        # A tile has a share of the whole's style, but as much content for each of its pixels.
        content_weight = self.style.content_weight * CONTENT_WEIGHT / content_variance
        weights = tf.constant([height * width * 3, content_weight])
        padding = rng.integers(PADDING_RANGE[0], PADDING_RANGE[1] + 1, size=2)
        tiled = len(split_tiles(height, width)) > 1  # Each tile alone has another style than the whole.
        whole = measure_masked_moments(self.network, image) if tiled else []
        channels = tuple(int(each.mean.shape[0]) for each in self.targets)
        traced = _traced_style_gradient(self.network, self.style.statistic, tiled, channels)

        def at(tile: np.ndarray) -> np.ndarray:
            pixels = tf.convert_to_tensor(tile[None])
            return traced(pixels, tf.constant(padding), self.targets, whole, weights).numpy()[0]

        return apply_tiled(at, image) - self.style.smooth * _total_variation_gradient(image[..., :3])

    def distances(self, image: np.ndarray) -> tuple[float, float]:
        """How far an image, as `gradient` takes it, is from the style, and from its content."""
        moments = measure_masked_moments(self.network, image)
        style = _style_distance(self.style.statistic, moments, self.targets)
        distance = _traced_content_distance(self.network)
        tiles = split_tiles(*image.shape[:2])
        content = [float(distance(tf.constant(image[window][None]))) for window, _ in tiles]
        variance = measure_content_variance(self.network, image[..., 3:6])
        # Of like textures rounding can leave less than nothing.
        return max(0.0, float(style)), float(np.mean(content)) / variance


def measure_masked_moments(network: Network, image: np.ndarray) -> StyleMoments:
    """The style of an image of any size, float32 [H, W, 7] as `StyleLoss.gradient` takes it."""
    traced, total = _traced_moments(network), None
    for window, kept in split_tiles(*image.shape[:2]):
        tile = np.array(image[window])
        share = np.zeros(tile.shape[:2], np.float32)
        core = slices_within(window, kept)
        share[core] = tile[core][..., 6]
        tile[..., 6] = share
        moments = traced(tf.convert_to_tensor(tile[None]))
        pairs = None if total is None else zip(total, moments, strict=True)
        total = moments if pairs is None else [tuple(map(operator.add, a, b)) for a, b in pairs]
    assert total is not None
    return total


def measure_moments(network: Network, painting: np.ndarray) -> StyleMoments:
    """The style of a whole painting, float32 [H, W, 3], 0..1."""
    share = np.ones((*painting.shape[:2], 1), np.float32)
    return measure_masked_moments(network, np.concatenate((painting, painting, share), axis=2))


def measure_content_variance(network: Network, content: np.ndarray) -> float:
    """Variance over places of a content's features, float32 [H, W, 3]; mean over channels, > 0."""
    traced = _traced_content_means(network)
    tiles = [traced(tf.constant(content[window][None])) for window, _ in split_tiles(*content.shape[:2])]
    mean, square = (np.mean([each[place] for each in tiles], axis=0) for place in (0, 1))
    # What is less than rounding is no measure for a content without any.
    return max(float(np.mean(square - mean * mean)), 1e-4 * float(np.mean(square))) + 1e-9


def blend_moments(styles: Sequence[tuple[StyleMoments, float]]) -> StyleMoments:
    """The moments of several paintings taken together, each by its weight."""
    total = sum(weight for _, weight in styles)

    def blend(place: int) -> FeatureMoments:
        shares = [(moments[place], weight / total) for moments, weight in styles]
        # Over their number of cells: a larger painting is no stronger one.
        first, second = (tf.add_n([share / sums[0] * sums[k] for sums, share in shares]) for k in (1, 2))
        return tf.constant(1.0), first, second

    return [blend(place) for place in range(len(styles[0][0]))]


def extract_pixel_features(rgb: tf.Tensor, share: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Colours, and the answers of random filters at each of the `PIXEL_SCALES`, of [1, H, W, 3], 0..1.

    Each with the weights of its cells: `PIXEL_FEATURE_SETS` pairs [1, h, w, c], [1, h, w, 1].
    """
    features = [(rgb, share)]
    rgb, share = (extend_edges(x, FILTER_SIDE * PIXEL_SCALES[-1]) for x in (rgb, share))
    for before, scale in pairwise((1, *PIXEL_SCALES)):
        if scale > before:
            factor = scale // before
            rgb, share = (tf.nn.avg_pool2d(x, factor, factor, "VALID") for x in (rgb, share))
        answers = tf.nn.relu(tf.nn.conv2d(rgb, tf.constant(_random_filters()), FILTER_STRIDE, "VALID"))
        features.append((answers, tf.nn.avg_pool2d(share, FILTER_SIDE, FILTER_STRIDE, "VALID")))
    return features


@cache
def _random_filters() -> np.ndarray:
    """Filters of length 1 that do not see even colour; float32 [side, side, 3, filter]."""
    filters = rng_for(0, "grain").standard_normal((FILTER_SIDE, FILTER_SIDE, 3, FILTER_COUNT))
    filters -= filters.mean((0, 1))
    bright = filters.mean(2, keepdims=True)
    filters = bright + CHROMA_WEIGHT * (filters - bright)
    return (filters / np.sqrt(np.square(filters).sum((0, 1, 2)))).astype(np.float32)


def _total_variation_gradient(rgb: np.ndarray) -> np.ndarray:
    """Gradient of the sum of absolute differences of neighbours, float32 [H, W, 3]."""
    down, right = np.sign(np.diff(rgb, axis=0)), np.sign(np.diff(rgb, axis=1))
    gradient = np.zeros_like(rgb)
    gradient[1:] += down
    gradient[:-1] -= down
    gradient[:, 1:] += right
    gradient[:, :-1] -= right
    return gradient


def _moments_and_content(
    network: Network, rgb: tf.Tensor, share: tf.Tensor
) -> tuple[StyleMoments, tf.Tensor]:
    """Moments of an image [1, H, W, 3], and its features at the layer of the content, float32."""
    card = network.card
    names = tuple(dict.fromkeys((*card.style_layers, card.content_layer)))
    features = dict(zip(names, network.layer_features(names)(rgb), strict=True))
    moments = [measure_feature_moments(a, weight) for a, weight in extract_pixel_features(rgb, share)]
    for name in card.style_layers:
        a = _reduce_channels(features[name])
        weight = tf.image.resize(share, tf.shape(a)[1:3], method="area")
        moments.append(measure_feature_moments(a, weight))
    return moments, tf.cast(features[card.content_layer], tf.float32)


def _reduce_channels(a: tf.Tensor) -> tf.Tensor:
    """At most `MAX_STYLE_CHANNELS` channels, rotated out of [1, h, w, c]."""
    if (channels := a.shape[3]) <= MAX_STYLE_CHANNELS:
        return a
    random = rng_for(0, "sketch", channels).standard_normal((channels, MAX_STYLE_CHANNELS))
    rotation = np.linalg.qr(random)[0].astype(np.float32)
    return tf.tensordot(tf.cast(a, tf.float32), tf.constant(rotation), 1)


def _style_distance(statistic: str, moments: StyleMoments, targets: Sequence[TextureStatistics]) -> tf.Tensor:
    """Mean distance over the layers, and over the pixels' own features by `PIXEL_STYLE_WEIGHT`."""
    distances = [STYLE_DISTANCES[statistic](a, b) for a, b in zip(moments, targets, strict=True)]
    pixels, layers = distances[:PIXEL_FEATURE_SETS], distances[PIXEL_FEATURE_SETS:]
    return tf.add_n(layers) / len(layers) + PIXEL_STYLE_WEIGHT * tf.add_n(pixels) / len(pixels)


def _content_features(network: Network, rgb: tf.Tensor) -> tf.Tensor:
    return tf.cast(network.layer_features((network.card.content_layer,))(rgb)[0], tf.float32)


@cache_in_traces
def _traced_moments(network: Network) -> Callable[[tf.Tensor], StyleMoments]:
    return tf.function(
        lambda x: _moments_and_content(network, x[..., :3], x[..., 6:])[0],
        input_signature=[IMAGE_SPEC],
        autograph=False,
    )


@cache_in_traces
def _traced_content_distance(network: Network) -> Callable[[tf.Tensor], tf.Tensor]:
    """Mean squared distance of the features of an image and its content, [1, h, w, 7] -> scalar."""

    def distance(x: tf.Tensor) -> tf.Tensor:
        image, content = _content_features(network, x[..., :3]), _content_features(network, x[..., 3:6])
        return tf.reduce_mean(tf.square(image - content))

    return tf.function(distance, input_signature=[IMAGE_SPEC], autograph=False)


@cache_in_traces
def _traced_content_means(network: Network) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Means over all places of a content's features, and of their squares, [c]."""

    def means(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        a = _content_features(network, content)
        return tf.reduce_mean(a, axis=(0, 1, 2)), tf.reduce_mean(tf.square(a), axis=(0, 1, 2))

    return tf.function(means, input_signature=[tf.TensorSpec([1, None, None, 3])], autograph=False)


@cache_in_traces
def _traced_style_gradient(
    network: Network, statistic: str, tiled: bool, channels: tuple[int, ...]
) -> Callable[..., tf.Tensor]:
    """(tile [1, h, w, 7], padding [2], targets, moments of the whole, weights [2]) -> [1, h, w, 3].

    Traced once for all sizes, which takes seconds; `channels` are those of the features in a style.
    """
    targets = [TextureStatistics(*map(tf.TensorSpec, ([c], [c, c], [c, c]))) for c in channels]
    whole = [tuple(map(tf.TensorSpec, ([], [c], [c, c]))) for c in channels] if tiled else []
    signature = [IMAGE_SPEC, tf.TensorSpec([2], tf.int64), targets, whole, tf.TensorSpec([2])]

    @tf.function(input_signature=signature, autograph=False)
    def gradient(
        tile: tf.Tensor,
        padding: tf.Tensor,
        targets: list[TextureStatistics],
        whole: StyleMoments,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        rgb, content, share = tile[..., :3], tile[..., 3:6], tile[..., 6:]
        with tf.GradientTape() as tape:
            tape.watch(rgb)
            # Mirrored pixels do not pull on those they mirror: in corners four would pull on one.
            fixed = tf.stop_gradient(rgb)
            padded = _pad(fixed, padding) + _pad(rgb - fixed, padding, "CONSTANT")
            moments, features = _moments_and_content(network, padded, _pad(share, padding))
            if tiled:
                moments = [_anchor_to_whole(*pair) for pair in zip(moments, whole, strict=True)]
            away = tf.reduce_mean(tf.square(features - _content_features(network, _pad(content, padding))))
            away *= tf.cast(tf.size(rgb), tf.float32)
            # Times the pixels: the more there are, the less does each count, and float16 has to hold it.
            loss = weights[0] * _style_distance(statistic, moments, targets) + weights[1] * away
        return -tape.gradient(loss, rgb)

    return gradient


def _anchor_to_whole(tile: FeatureMoments, whole: FeatureMoments) -> FeatureMoments:
    """The whole's moments, with the gradient of a tile's own."""
    return tuple(w + t - tf.stop_gradient(t) for t, w in zip(tile, whole, strict=True))


def _pad(x: tf.Tensor, padding: tf.Tensor, mode: str = "REFLECT") -> tf.Tensor:
    """Pad [1, h, w, c] on all sides, up to sides that are multiples of `SIDE_MULTIPLE`."""
    sides = tf.shape(x)[1:3]
    before = tf.minimum(tf.cast(padding, tf.int32), sides - 1)
    after = tf.minimum(before + (-(sides + 2 * before)) % SIDE_MULTIPLE, sides - 1)
    return tf.pad(x, [(0, 0), (before[0], after[0]), (before[1], after[1]), (0, 0)], mode)
