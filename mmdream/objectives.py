"""What a dream climbs: each objective is one function from a network's features to a scalar."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def energy(
    features: Sequence[tf.Tensor], mix: Sequence[float], scales: Sequence[float]
) -> tf.Tensor:
    """Mean square of the activations, each rung over its own usual energy.

    The L2 objective of google/deepdream (2015). Dividing by a rung's usual energy makes weights mean the
    same on every rung; it is a constant and not the energy met here, so that tiles add up to the whole.

    Args:
        features: one tensor [1, h, w, c] for each rung.
        mix: weight of each rung.
        scales: usual mean square of each rung, > 0.

    Returns:
        float32 scalar.
    """
    return tf.add_n(
        [
            weight / scale * tf.reduce_mean(tf.square(tf.cast(a, tf.float32)))
            for a, weight, scale in zip(features, mix, scales, strict=True)
        ]
    )


def contrast(features: Sequence[tf.Tensor], mix: Sequence[float], share: float) -> tf.Tensor:
    """Weighted sum of the rungs' log contrast energies: events in time, not a louder standing sound.

    Plain energy of a sound network is climbed fastest by a standing equaliser; departures from the running
    mean can only be raised by what begins and ends. The logarithm makes rungs of different size weigh
    alike, and the gradient one of relative change.

    Args:
        features: one tensor [1, time, band, channel] for each rung, all over the same stretch of time.
        mix: weight of each rung.
        share: length of the running mean over the length of the stretch, > 0.

    Returns:
        float32 scalar, in nepers of energy.
    """
    return tf.add_n(
        [
            weight * tf.math.log(tf.reduce_mean(departures(a, share)) + 1e-12)
            for a, weight in zip(features, mix, strict=True)
        ]
    )


def departures(a: tf.Tensor, share: float) -> tf.Tensor:
    """Squared departure of activations from their running mean over time.

    At the rims the mean is taken over what there is.

    Args:
        a: [1, time, band, channel].
        share: length of the running mean over the length of the stretch.

    Returns:
        float32, the shape of `a`.
    """
    a = tf.cast(a, tf.float32)
    n = tf.shape(a)[1]
    half = tf.maximum(1, tf.cast(tf.round(share * tf.cast(n, tf.float32) / 2), tf.int32))
    sums = tf.pad(tf.cumsum(a, axis=1), ((0, 0), (1, 0), (0, 0), (0, 0)))
    here = tf.range(n)
    low, high = tf.maximum(here - half, 0), tf.minimum(here + half + 1, n)
    counts = tf.cast(high - low, tf.float32)[None, :, None, None]
    mean = (tf.gather(sums, high, axis=1) - tf.gather(sums, low, axis=1)) / counts
    return tf.square(a - mean)
