"""How far a picture is from a style and from its content, and the gradient of that.

A style is told by the moments of a network's features (`objectives.STYLE_DISTANCES`), and by those of the pixels
themselves (`grain`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from mmdream.ascent.objectives import (
    STYLE_DISTANCES,
    FeatureMoments,
    TextureStatistics,
    measure_feature_moments,
)
from mmdream.core import rng
from mmdream.core.memory import cache_in_traces
from mmdream.image.tiles import apply_tiled, slices_within, split_tiles
from mmdream.networks.framework import tf
from mmdream.networks.network import Network
from mmdream.networks.preprocess import extend_edges

pass

MAX_STYLE_CHANNELS = 96
"""Channels of wider layers are mixed down to so many by a fixed random rotation: a square root of 512 by 512
costs more than the network, and what random mixtures agree in, the channels agree in."""
PIXEL_STYLE_WEIGHT = 1.0
"""Weight of the pixels' own statistics, all together, over that of all layers."""
CONTENT_WEIGHT = 0.06
"""Weight of the distance from the content, over the content's variance, beside that from the style."""
PADDING_RANGE = 8, 16
"""Least and largest reflected rim in px: the network's zeros around a picture would be painted, and another
rim each step keeps its grid from showing."""
SIDE_MULTIPLE = 32
"""Sides of what the network sees are multiples of this."""

StyleMoments = list[FeatureMoments]
"""Moments of the pixels' `grains`, then of the layers."""


@dataclass(frozen=True)
class StyleLoss:
    """A style and what matters of it, at one size."""

    network: Network
    wanted: list[TextureStatistics]
    """As `StyleMoments`."""
    statistic: str
    content: float
    """Weight of the content, 1 as usual."""
    smooth: float
    """Weight of total variation."""

    def gradient(self, picture: np.ndarray, varied: float, rim: np.random.Generator) -> np.ndarray:
        """The way to the style.

        Args:
            picture: float32 [H, W, 7]: the picture 0..1, its content, and the share 0..1 of each place in the
                style.
            varied: `measure_content_variance` of the content.
            rim: draws the reflected rim.

        Returns:
            float32 [H, W, 3]: the descent of the distance, times the number of pixels.
        """
        # A tile has a share of the whole's style, but as much content for each of its pixels.
        weights = tf.constant(
            [picture.shape[0] * picture.shape[1] * 3, self.content * CONTENT_WEIGHT / varied]
        )
        rims = rim.integers(PADDING_RANGE[0], PADDING_RANGE[1] + 1, size=2)
        # Of a picture in tiles each tile alone has another style: the rest of the whole belongs to it.
        tiled = len(split_tiles(*picture.shape[:2])) > 1
        whole = measure_masked_moments(self.network, picture) if tiled else []
        widths = tuple(int(each.mean.shape[0]) for each in self.wanted)
        traced = _traced_style_gradient(self.network, self.statistic, tiled, widths)

        def at(part: np.ndarray) -> np.ndarray:
            return traced(
                tf.convert_to_tensor(part[None]), tf.constant(rims), self.wanted, whole, weights
            ).numpy()[0]

        return apply_tiled(at, picture) - self.smooth * _total_variation_gradient(picture[..., :3])

    def distances(self, picture: np.ndarray) -> tuple[float, float]:
        """How far a picture, as `gradient` takes it, is from the style, and from its content."""
        found = measure_masked_moments(self.network, picture)
        style = _style_distance(self.statistic, found, self.wanted)
        away = _traced_content_distance(self.network)
        parts = [float(away(tf.constant(picture[seen][None]))) for seen, _ in split_tiles(*picture.shape[:2])]
        # Of like textures rounding can leave less than nothing.
        return max(0.0, float(style)), float(np.mean(parts)) / measure_content_variance(
            self.network, picture[..., 3:6]
        )


def measure_masked_moments(network: Network, picture: np.ndarray) -> StyleMoments:
    """The style of a picture of any size, float32 [H, W, 7] as `Painting.gradient` takes it."""
    traced, found = _traced_moments(network), None
    for seen, kept in split_tiles(*picture.shape[:2]):
        part = np.array(picture[seen])
        share = np.zeros(part.shape[:2], np.float32)
        inner = slices_within(seen, kept)
        share[inner] = part[inner][..., 6]
        part[..., 6] = share
        here = traced(tf.convert_to_tensor(part[None]))
        found = here if found is None else _add_moments(found, here)
    assert found is not None
    return found


def measure_moments(network: Network, painting: np.ndarray) -> StyleMoments:
    """The style of a whole painting, float32 [H, W, 3], 0..1."""
    height, width = painting.shape[:2]
    return measure_masked_moments(
        network, np.concatenate((painting, painting, np.ones((height, width, 1), np.float32)), axis=2)
    )


def measure_content_variance(network: Network, content: np.ndarray) -> float:
    """How much features of a content, float32 [H, W, 3], differ from place to place: mean over channels."""
    traced = _traced_content_means(network)
    sums = [traced(tf.constant(content[seen][None])) for seen, _ in split_tiles(*content.shape[:2])]
    mean, square = (np.mean([each[place] for each in sums], axis=0) for place in (0, 1))
    # What is less than rounding is no measure for a content without any.
    return max(float(np.mean(square - mean * mean)), 1e-4 * float(np.mean(square))) + 1e-9


def blend_moments(styles: Sequence[tuple[StyleMoments, float]]) -> StyleMoments:
    """The moments of several paintings taken together, each by its share."""
    whole = sum(weight for _, weight in styles)

    def mixed(place: int) -> FeatureMoments:
        found = [(each[place], weight / whole) for each, weight in styles]
        # Over their number of cells: a larger painting is no stronger one.
        return (
            tf.constant(1.0),
            tf.add_n([share / sums[0] * sums[1] for sums, share in found]),
            tf.add_n([share / sums[0] * sums[2] for sums, share in found]),
        )

    return [mixed(place) for place in range(len(styles[0][0]))]


def _total_variation_gradient(rgb: np.ndarray) -> np.ndarray:
    """The gradient of total variation, float32 [H, W, 3]: the sum of the differences of neighbours."""
    slope = np.zeros_like(rgb)
    for axis in (0, 1):
        later, earlier = slope.swapaxes(0, axis)[1:], slope.swapaxes(0, axis)[:-1]
        signs = np.sign(np.diff(rgb.swapaxes(0, axis), axis=0))
        later += signs
        earlier -= signs
    return slope


def _add_moments(a: StyleMoments, b: StyleMoments) -> StyleMoments:
    return [tuple(x + y for x, y in zip(one, other, strict=True)) for one, other in zip(a, b, strict=True)]


def _moments_and_content(
    network: Network, rgb: tf.Tensor, share: tf.Tensor
) -> tuple[StyleMoments, tf.Tensor]:
    """Moments of a picture [1, H, W, 3], and its features at the layer of the content."""
    card = network.card
    names = tuple(dict.fromkeys((*card.style_layers, card.content_layer)))
    found = dict(zip(names, network.layers(names)(rgb), strict=True))
    sums = [measure_feature_moments(a, weight) for a, weight in extract_pixel_features(rgb, share)]
    for name in card.style_layers:
        a = _reduce_channels(found[name])
        weight = tf.image.resize(share, tf.shape(a)[1:3], method="area")
        sums.append(measure_feature_moments(a, weight))
    return sums, tf.cast(found[card.content_layer], tf.float32)


def _reduce_channels(a: tf.Tensor) -> tf.Tensor:
    """At most `MAX_STYLE_CHANNELS` channels, rotated out of [1, h, w, c]."""
    wide = a.shape[3]
    if wide <= MAX_STYLE_CHANNELS:
        return a
    draw = rng.rng_for(0, "sketch", wide).standard_normal((wide, MAX_STYLE_CHANNELS))
    rotation = np.linalg.qr(draw)[0].astype(np.float32)
    return tf.tensordot(tf.cast(a, tf.float32), tf.constant(rotation), 1)


def _style_distance(statistic: str, found: StyleMoments, wanted: Sequence[TextureStatistics]) -> tf.Tensor:
    """Mean over the layers, and the pixels' own by `PIXEL_STYLE_WEIGHT`."""
    apart = [STYLE_DISTANCES[statistic](a, b) for a, b in zip(found, wanted, strict=True)]
    grain, layers = apart[:PIXEL_FEATURE_SETS], apart[PIXEL_FEATURE_SETS:]
    return tf.add_n(layers) / len(layers) + PIXEL_STYLE_WEIGHT * tf.add_n(grain) / len(grain)


def _image_spec(depth: int) -> tf.TensorSpec:
    return tf.TensorSpec([1, None, None, depth], tf.float32)


@cache_in_traces
def _traced_moments(network: Network) -> Callable[[tf.Tensor], StyleMoments]:
    return tf.function(
        lambda x: _moments_and_content(network, x[..., :3], x[..., 6:])[0], input_signature=[_image_spec(7)]
    )


@cache_in_traces
def _traced_content_distance(network: Network) -> Callable[[tf.Tensor], tf.Tensor]:
    """Mean squared distance of the features of a picture and its content."""

    def away(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(
            tf.square(_content_features(network, x[..., :3]) - _content_features(network, x[..., 3:6]))
        )

    return tf.function(away, input_signature=[_image_spec(7)])


@cache_in_traces
def _traced_content_means(network: Network) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Means over all places of a content's features, and of their squares, [c]."""

    def told(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        a = _content_features(network, content)
        return tf.reduce_mean(a, axis=(0, 1, 2)), tf.reduce_mean(tf.square(a), axis=(0, 1, 2))

    return tf.function(told, input_signature=[_image_spec(3)])


def _content_features(network: Network, rgb: tf.Tensor) -> tf.Tensor:
    """Features at the layer of the content, float32."""
    return tf.cast(network.layers((network.card.content_layer,))(rgb)[0], tf.float32)


@cache_in_traces
def _traced_style_gradient(
    network: Network, statistic: str, tiled: bool, widths: tuple[int, ...]
) -> Callable[..., tf.Tensor]:
    """(part [1, h, w, 7], rims [2], what is wanted, the whole's style, weights [2]) -> [1, h, w, 3].

    Traced once for all sizes, which takes seconds; `widths` are the features' numbers in a style.
    """
    wanted = [TextureStatistics(*(tf.TensorSpec(shape) for shape in ([w], [w, w], [w, w]))) for w in widths]
    sums = [tuple(tf.TensorSpec(shape) for shape in ([], [w], [w, w])) for w in widths] if tiled else []
    signature = [_image_spec(7), tf.TensorSpec([2], tf.int64), wanted, sums, tf.TensorSpec([2])]

    @tf.function(input_signature=signature)
    def gradient(
        part: tf.Tensor,
        rims: tf.Tensor,
        wanted: list[TextureStatistics],
        whole: StyleMoments,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        rgb, content, share = part[..., :3], part[..., 3:6], part[..., 6:]
        with tf.GradientTape() as tape:
            tape.watch(rgb)
            # Mirrored pixels do not pull on those they mirror: in corners four would pull on one.
            held = tf.stop_gradient(rgb)
            padded = _pad(held, rims) + _pad(rgb - held, rims, "CONSTANT")
            beside = _pad(content, rims)
            found, a = _moments_and_content(network, padded, _pad(share, rims))
            if tiled:
                found = [_anchor_to_whole(own, all_) for own, all_ in zip(found, whole, strict=True)]
            away = tf.reduce_mean(tf.square(a - _content_features(network, beside))) * tf.cast(
                tf.size(rgb), tf.float32
            )
            # Times the pixels: the more there are, the less does each count, and float16 has to hold it.
            loss = weights[0] * _style_distance(statistic, found, wanted) + weights[1] * away
        return -tape.gradient(loss, rgb)

    return gradient


def _anchor_to_whole(own: FeatureMoments, whole: FeatureMoments) -> FeatureMoments:
    """The whole's moments, which move as a part's own do."""
    return tuple(all_ + here - tf.stop_gradient(here) for here, all_ in zip(own, whole, strict=True))


def _pad(x: tf.Tensor, rims: tf.Tensor, how: str = "REFLECT") -> tf.Tensor:
    """Lay a rim about [1, h, w, c], up to sides that are multiples of `SIDE_MULTIPLE`: reflected, or of zeros."""
    sides = tf.shape(x)[1:3]
    rims = tf.minimum(tf.cast(rims, tf.int32), sides - 1)
    behind = tf.minimum(rims + (-(sides + 2 * rims)) % SIDE_MULTIPLE, sides - 1)
    return tf.pad(x, [(0, 0), (rims[0], behind[0]), (rims[1], behind[1]), (0, 0)], how)


PIXEL_SCALES = 1, 2, 4
"""px of the picture that are one of the filters'; each a multiple of the one before."""
FILTER_COUNT, FILTER_SIDE, FILTER_STRIDE = 32, 4, 2
"""Their number, side and stride."""
CHROMA_WEIGHT = 3.0
"""What colour weighs in them, over brightness: the eye minds its noise at any contrast."""
PIXEL_FEATURE_SETS = 1 + len(PIXEL_SCALES)
"""Sets of features that `extract_pixel_features` gives."""


def extract_pixel_features(rgb: tf.Tensor, share: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Colours, and what the filters answer at each of the `PIXEL_SCALES`.

    Args:
        rgb: float32 [1, H, W, 3], 0..1.
        share: weight of each place, float32 [1, H, W, 1].

    Returns:
        `PIXEL_FEATURE_SETS` pairs: features [1, h, w, c] and the weights of their cells, [1, h, w, 1].
    """
    found = [(rgb, share)]
    rgb, share = (extend_edges(x, FILTER_SIDE * PIXEL_SCALES[-1]) for x in (rgb, share))
    for before, size in pairwise((1, *PIXEL_SCALES)):
        if size > before:
            rgb, share = (tf.nn.avg_pool2d(x, size // before, size // before, "VALID") for x in (rgb, share))
        answers = tf.nn.relu(tf.nn.conv2d(rgb, tf.constant(_random_filters()), FILTER_STRIDE, "VALID"))
        found.append((answers, tf.nn.avg_pool2d(share, FILTER_SIDE, FILTER_STRIDE, "VALID")))
    return found


@cache
def _random_filters() -> np.ndarray:
    """Random filters that see no even colour, of length 1; float32 [side, side, 3, filter]."""
    drawn = rng.rng_for(0, "grain").standard_normal((FILTER_SIDE, FILTER_SIDE, 3, FILTER_COUNT))
    drawn -= drawn.mean((0, 1))
    bright = drawn.mean(2, keepdims=True)
    drawn = bright + CHROMA_WEIGHT * (drawn - bright)
    return (drawn / np.sqrt(np.square(drawn).sum((0, 1, 2)))).astype(np.float32)
