"""What a graph takes of an image or a spectrogram; training and dreaming share it, so that they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmdream.networks.card import AudioInput, ImageInput

if TYPE_CHECKING:
    import tensorflow as tf


def preprocess(x: tf.Tensor, network_input: ImageInput | AudioInput) -> tf.Tensor:
    """The input of `Network.rung_features` as the network's graph takes it."""
    if isinstance(network_input, ImageInput):
        return _preprocess_pixels(x, network_input)
    return swap_time_and_bands(x) if network_input.transposed else x


def swap_time_and_bands(x: tf.Tensor) -> tf.Tensor:
    """Swap time and bands of [n, time, band, c]; what has neither stays."""
    from mmdream.networks.framework import tf

    return tf.transpose(x, (0, 2, 1, 3)) if len(x.shape) == 4 else x


def extend_edges(x: tf.Tensor, smallest: int) -> tf.Tensor:
    """Repeat the last row and column of [n, H, W, c] until both sides have `smallest` px."""
    from mmdream.networks.framework import tf

    sides = tf.shape(x)[1:3]

    def extend() -> tf.Tensor:
        y = x
        for axis in (0, 1):
            places = tf.minimum(tf.range(tf.maximum(sides[axis], smallest)), sides[axis] - 1)
            y = tf.gather(y, places, axis=axis + 1)
        return y

    return tf.cond(tf.reduce_min(sides) < smallest, extend, lambda: x)


def _preprocess_pixels(pixels: tf.Tensor, network_input: ImageInput) -> tf.Tensor:
    """RGB 0..1 [n, H, W, 3] as the network takes it, sides at least `network_input.smallest`."""
    from mmdream.networks.framework import tf

    scale = network_input.scale
    if network_input.order == "RGB":
        x = scale * pixels
    else:
        # Order and scale as one product: a slice with its gradient costs ten times as much.
        x = tf.tensordot(pixels, tf.constant(scale * np.eye(3, dtype=np.float32)[::-1]), 1)
    x -= tf.constant(network_input.mean, tf.float32)
    return extend_edges(x, network_input.smallest)
