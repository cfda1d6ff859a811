"""What tells made pictures from real ones: small heads over pixels and over a frozen network's features.

Heads over features that were learned from far more pictures need fewer of them and fewer steps (Sauer et al.
2021, "Projected GANs"). Every head gives a logit for each place, higher where a picture seems real for its
class: a linear one and the class's share in it (Miyato and Koyama 2018, "Projection discriminator"). It is
shown groups of pictures of one class, and told how much each place differs in them (Karras et al. 2018,
"Progressive growing", section 3): or a generator would make one picture of each class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmdream.generators.augment import augment_pictures
from mmdream.generators.examples import GROUP
from mmdream.generators.task import CriticNetwork
from mmdream.networks.framework import keras, tf
from mmdream.networks.network import load_shared_network

layers, ops = keras.layers, keras.ops

SEEN_RATIO = 2
"""Side of a picture as a network is shown it over its own: it learned from larger ones."""
HEAD_CHANNELS, ENTRY_CHANNELS = 64, 32
"""Of a head; of its first layer where its map is large."""
LARGE_MAP = 8
"""Places along the side of a map; of larger ones every other is judged."""
SCALE_FLOOR = 0.2
"""Of the mean deviation of a layer's channels, that is added to each: hardly any ever answer."""
STAT_BATCH = 32
"""Examples that channels are measured on at once."""

ViewFunction = Callable[[tf.Tensor, tf.Tensor], list[tf.Tensor]]
"""Examples, as a generator makes them, and a seed, int32 [2] -> maps, float32 [n, h, w, c], one for each
head."""
MapFunction = Callable[[tf.Tensor], list[tf.Tensor]]
"""Examples -> maps of features."""


@dataclass(frozen=True)
class Discriminator:
    """What is trained against a generator."""

    view: ViewFunction
    """What does not learn."""
    heads: list[keras.Model]
    """What does: each from ``[map, shares of classes]`` to logits, float32 [n, h, w]."""


def build_discriminator(network: CriticNetwork | None, pictures: np.ndarray, classes: int) -> Discriminator:
    """A discriminator by pixels and a network's features, or with None by pixels alone.

    `pictures`, float32 [n, side, side, 3], 0..1, are real ones, by which features are brought to one size.
    """
    side = pictures.shape[1]
    if network is None:
        head = build_pixel_head(classes, side // LARGE_MAP)
        return Discriminator(lambda x, seed: [2 * augment_pictures(x, side, seed) - 1], [head])
    seen = side * SEEN_RATIO
    loaded = load_shared_network(network.card, network.weights)
    features = loaded.layer_features(judged_layers(network))
    scale, heads = scale_features(lambda x: features(tf.image.resize(x, (seen, seen))), pictures, classes)

    def view(x: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
        # Pixels as they are: enlarged ones hide what a network that withstands noise does not see either.
        return [2 * x - 1, *scale(features(augment_pictures(x, seen, seed)))]

    return Discriminator(view, [build_pixel_head(classes, 4), *heads])


def scale_features(
    features: MapFunction, examples: np.ndarray, classes: int
) -> tuple[Callable[[list[tf.Tensor]], list[tf.Tensor]], list[keras.Model]]:
    """What brings all features to one size, by those of real examples, and a head for each of their maps."""
    moments = []
    for first in range(0, len(examples), STAT_BATCH):
        maps = features(tf.constant(examples[first : first + STAT_BATCH]))
        moments.append([(tf.reduce_mean(a, (0, 1, 2)), tf.reduce_mean(a * a, (0, 1, 2))) for a in maps])
    shifts, scales = [], []
    for each in zip(*moments, strict=True):
        mean, square = (np.mean([pair[k].numpy() for pair in each], axis=0) for k in (0, 1))
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        shifts.append(mean)
        scales.append(1 / (deviation + SCALE_FLOOR * deviation.mean() + 1e-6))

    def scale(found: list[tf.Tensor]) -> list[tf.Tensor]:
        return [(a - shift) * factor for a, shift, factor in zip(found, shifts, scales, strict=True)]

    return scale, [_build_head(int(a.shape[1]), int(a.shape[-1]), classes) for a in maps]


def judged_layers(network: CriticNetwork) -> tuple[str, ...]:
    """The layers whose features are told apart: every other of those of style, and the deepest rung."""
    card = network.card
    shallow = card.style or tuple(rung.layer for rung in card.rungs)
    return tuple(dict.fromkeys((*shallow[::2], card.rungs[-1].layer)))


def _build_head(size: int, channels: int, classes: int) -> keras.Model:
    """A head over maps of `channels`, about `size` places wide."""
    large = size > LARGE_MAP
    x = maps = keras.Input((None, None, channels))
    x = _convolve(x, ENTRY_CHANNELS if large else HEAD_CHANNELS, 1)
    return add_logits(maps, x, classes, 2 if large else 1)


def build_pixel_head(classes: int, stride: int, colors: int = 3) -> keras.Model:
    """A head with layers of its own from pixels on, down to a map of a `stride`, a power of two."""
    x = pixels = keras.Input((None, None, colors))
    width = ENTRY_CHANNELS // 2
    while stride > 1:
        x, width, stride = _convolve(x, width, 4, 2), min(2 * width, 2 * HEAD_CHANNELS), stride // 2
    return add_logits(pixels, x, classes)


def _convolve(x: keras.KerasTensor, width: int, side: int, stride: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(width, side, stride, "same", kernel_initializer="he_normal")(x)
    return layers.LeakyReLU(0.2)(x)


def add_logits(inputs: keras.KerasTensor, x: keras.KerasTensor, classes: int, stride: int = 1) -> keras.Model:
    """A head that ends on features `x`, [n, h, w, c], of its `inputs`."""
    x = _convolve(GroupDeviation()(x), HEAD_CHANNELS, 3, stride)
    shares = keras.Input((classes,))
    normal = keras.initializers.RandomNormal(0, HEAD_CHANNELS**-0.5)
    embedded = layers.Dense(HEAD_CHANNELS, use_bias=False, kernel_initializer=normal)
    own = layers.Conv2D(1, 1, kernel_initializer="lecun_normal")(x)
    logits = own[..., 0] + ops.sum(x * embedded(shares)[:, None, None, :], -1)
    return keras.Model([inputs, shares], logits)


class GroupDeviation(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Adds to maps, [n, h, w, c], a channel of how much each place differs in its group of pictures.

    `GROUP` pictures that follow each other are one; the standard deviation is averaged over the channels.
    """

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """[n, h, w, c] -> [n, h, w, c + 1]."""
        n, h, w, c = ops.shape(x)
        groups = ops.reshape(x, (n // GROUP, GROUP, h, w, c))
        centred = groups - ops.mean(groups, 1, keepdims=True)
        deviation = ops.mean(ops.sqrt(ops.mean(ops.square(centred), 1) + 1e-8), -1, keepdims=True)
        return ops.concatenate([x, ops.repeat(deviation, GROUP, 0)], -1)

    def compute_output_shape(self, shape: Any) -> Any:
        """Of symbolic tensors."""
        return (*shape[:-1], shape[-1] + 1)
