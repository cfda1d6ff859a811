"""What a dream climbs: each objective is one function from a network's features to a scalar."""

from __future__ import annotations

from collections.abc import Sequence

from mmdream.networks.framework import tf


def energy(features: Sequence[tf.Tensor], mix: Sequence[float], scales: Sequence[float]) -> tf.Tensor:
    """Mean square of the activations, each rung over its own usual energy.

    The L2 objective of google/deepdream (2015). Dividing by a rung's usual energy makes weights
    mean the same on every rung; it is a constant and not the energy met here, so that tiles add up
    to the whole.

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


def contrast(features: Sequence[tf.Tensor], mix: Sequence[tf.Tensor], share: tf.Tensor) -> tf.Tensor:
    """Contrast energy of sound features: events in time, not a louder standing sound.

    Plain energy of a sound network is climbed fastest by a standing equaliser; squared departures
    from the running mean can only be raised by what begins and ends. The logarithm is taken window
    by window, a fifth of the running mean long: quiet passages are dreamed like loud ones, instead
    of one figure growing to the limit of its gain, and rungs of different size weigh alike.

    Args:
        features: one tensor [1, time, band, channel] for each rung, all over the same stretch of
            time.
        mix: weight of each rung.
        share: length of the running mean over the length of the stretch, float32 > 0.

    Returns:
        float32 scalar, nepers of energy.
    """
    return tf.add_n(
        [weight * _local(departures(a, share), share / 5) for a, weight in zip(features, mix, strict=True)]
    )


def target(logits: tf.Tensor, wanted: Sequence[int]) -> tf.Tensor:
    """Likeness to any of the wanted classes, in every window of time.

    Args:
        logits: [window, class].
        wanted: places of the classes; each window is free to choose among them.

    Returns:
        float32 scalar: mean of logsumexp over the wanted classes, less half of that over all.
        Without the half a logit grows by making everything larger, with the whole the gradient dies
        once the class is won (measured on barks in rain).
    """
    chosen = tf.reduce_logsumexp(tf.gather(logits, list(wanted), axis=1), axis=1)
    return tf.reduce_mean(chosen - 0.5 * tf.reduce_logsumexp(logits, axis=1))


def departures(a: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Squared departure of activations from their running mean over time.

    Args:
        a: [1, time, band, channel].
        share: length of the running mean over the length of the stretch, float32 > 0.

    Returns:
        float32, the shape of `a`.
    """
    a = tf.cast(a, tf.float32)
    return tf.square(a - _running_mean(a, share))


def _local(squares: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Mean over time of the log of the energy in windows of a share of the stretch."""
    energy = tf.reduce_mean(squares, axis=(2, 3), keepdims=True)
    # A floor 20 dB under the mean: a pause is no reason to shout.
    floor = 0.01 * tf.stop_gradient(tf.reduce_mean(energy)) + 1e-12
    return tf.reduce_mean(tf.math.log(_running_mean(energy, share) + floor))


def _running_mean(a: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Mean over a window of axis 1, over what there is of it at the rims.

    A product with a small banded matrix: the gradient of running sums is three times as dear.
    """
    n = tf.shape(a)[1]
    half = tf.maximum(1.0, tf.round(share * tf.cast(n, tf.float32) / 2))
    places = tf.range(tf.cast(n, tf.float32))
    near = tf.cast(tf.abs(places[:, None] - places) <= half, tf.float32)
    near /= tf.reduce_sum(near, axis=1, keepdims=True)
    return tf.reshape(near @ tf.reshape(a, (n, -1)), tf.shape(a))
