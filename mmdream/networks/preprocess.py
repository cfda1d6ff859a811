"""What a graph takes of what it is shown; training and dreaming share it, so that they cannot differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmdream.networks.card import AudioInput, ImageInput

if TYPE_CHECKING:
    import tensorflow as tf


def preprocess(x: tf.Tensor, front: ImageInput | AudioInput) -> tf.Tensor:
    """What `Network.rungs` takes as the network's graph takes it; training and dreaming share it."""
    if isinstance(front, ImageInput):
        return _preprocess_pixels(x, front)
    return swap_time_and_bands(x) if front.transposed else x


def swap_time_and_bands(x: tf.Tensor) -> tf.Tensor:
    """Time and bands [n, time, band, c] the other way round; what has neither stays."""
    from mmdream.networks.framework import tf

    return tf.transpose(x, (0, 2, 1, 3)) if len(x.shape) == 4 else x


def _preprocess_pixels(pixels: tf.Tensor, front: ImageInput) -> tf.Tensor:
    """RGB 0..1 [n, H, W, 3] as the network wants it, sides at least `front.smallest`."""
    from mmdream.networks.framework import tf

    if front.order == "RGB":
        x = front.scale * pixels
    else:
        # Order and scale as one product: a slice with its gradient costs ten times as much.
        x = tf.tensordot(pixels, tf.constant(front.scale * np.eye(3, dtype=np.float32)[::-1]), 1)
    x -= tf.constant(front.mean, tf.float32)
    return extend_edges(x, front.smallest)


def extend_edges(x: tf.Tensor, smallest: int) -> tf.Tensor:
    """Repeat the last row and column of [n, H, W, c] until both sides have `smallest` px."""
    from mmdream.networks.framework import tf

    sides = tf.shape(x)[1:3]

    def longer() -> tf.Tensor:
        y = x
        for axis in (0, 1):
            places = tf.minimum(tf.range(tf.maximum(sides[axis], smallest)), sides[axis] - 1)
            y = tf.gather(y, places, axis=axis + 1)
        return y

    return tf.cond(tf.reduce_min(sides) < smallest, longer, lambda: x)
