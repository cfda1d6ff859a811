"""Objectives of a dream: functions from a network's features to a scalar."""

from __future__ import annotations

from collections.abc import Sequence

from mmdream.networks.framework import tf


def energy(a: tf.Tensor) -> tf.Tensor:
    """Mean square of the activations, [1, h, w, c]: the L2 objective of google/deepdream (2015)."""
    return tf.reduce_mean(tf.square(tf.cast(a, tf.float32)))


def mean_activation(a: tf.Tensor) -> tf.Tensor:
    """Mean of the activations, [1, h, w, c]; less spotty than their squares."""
    return tf.reduce_mean(tf.cast(a, tf.float32))


MEASURES = {"energy": (energy, 1.0), "mean": (mean_activation, 0.5), "cosine": (energy, 1.0)}
"""What climbs a layer of an image where there is nothing to compare it with, by the name in the setting
`objective`, and the power of the usual energy that it grows with."""


def channel_cosine(a: tf.Tensor, channels: Sequence[int]) -> tf.Tensor:
    """Cosine between each cell's features [1, h, w, c] and some channels; mean over the cells.

    Raised by what shows these channels and nothing else (Olah et al. 2017, "Feature visualization").
    """
    a = tf.cast(a, tf.float32)
    selected = tf.reduce_sum(tf.gather(a, list(channels), axis=3), axis=3) / len(channels) ** 0.5
    return tf.reduce_mean(selected * tf.math.rsqrt(tf.reduce_sum(tf.square(a), axis=3) + 1e-6))


def guide_similarity(a: tf.Tensor, guide: tf.Tensor, cosine: bool) -> tf.Tensor:
    """Similarity of cells to the most similar cell of a guide, as in google/deepdream (2015).

    Of features [1, h, w, c] and a guide's, float32 [cell, c], the mean over the cells of the largest product,
    over the number of channels; with `cosine` of the largest cosine.
    """
    a = tf.cast(a, tf.float32)
    if cosine:
        a = a * tf.math.rsqrt(tf.reduce_sum(tf.square(a), axis=3, keepdims=True) + 1e-6)
        guide = guide * tf.math.rsqrt(tf.reduce_sum(tf.square(guide), axis=1, keepdims=True) + 1e-6)
    products = tf.reduce_max(tf.tensordot(a, guide, [[3], [1]]), axis=3)
    return tf.reduce_mean(products) / (1.0 if cosine else float(a.shape[3]))


def temporal_contrast(
    features: Sequence[tf.Tensor], mix: Sequence[tf.Tensor], share: tf.Tensor, span: tf.Tensor
) -> tf.Tensor:
    """Contrast energy of sound features: events in time, not a louder standing sound.

    Plain energy of a sound network is climbed fastest by a standing equaliser; squared deviations from the
    running mean can only be raised by what begins and ends. The logarithm is taken window by window: in
    short ones quiet passages are dreamed like loud ones, in any rungs weigh alike.

    `features` of each rung are [1, time, band, channel], all over the same time, its weights in `mix` float32
    [time]; `share` > 0 is the length of the running mean over the whole, `span` that of a window.
    """
    deviations = [squared_deviation(a, share) for a in features]
    return tf.add_n([_mean_log_energy(a, span, weight) for a, weight in zip(deviations, mix, strict=True)])


def class_evidence(logits: tf.Tensor, classes: Sequence[int], rivals: float) -> tf.Tensor:
    """Evidence for any of some classes in every window: logsumexp over them, less that of all `rivals` times.

    Of logits [window, class]; each window is free to choose among the classes. Without rivals a logit grows
    by making everything larger; with all of them, the log of the probability, the gradient dies once the
    class is won, which steps of fixed length do not mind.
    """
    evidence = tf.reduce_logsumexp(tf.gather(logits, list(classes), axis=1), axis=1)
    return evidence - rivals * tf.reduce_logsumexp(logits, axis=1)


def evidence_by_class(logits: tf.Tensor, rivals: float) -> tf.Tensor:
    """The evidence for each class alone in every window, see `class_evidence`: [window, class]."""
    return logits - rivals * tf.reduce_logsumexp(logits, axis=1, keepdims=True)


def squared_deviation(a: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Squared deviation of activations [1, time, band, channel] from their running mean over time, float32.

    `share` is the length of the running mean over the whole length, float32 > 0.
    """
    a = tf.cast(a, tf.float32)
    return tf.square(a - _running_mean(a, share))


def _mean_log_energy(squares: tf.Tensor, share: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Weighted mean over time of the log of the energy in windows of a share of the whole."""
    energy = tf.reduce_mean(squares, axis=(2, 3), keepdims=True)
    # A floor 20 dB under the mean: a pause is no reason to shout.
    floor = 0.01 * tf.stop_gradient(tf.reduce_mean(energy)) + 1e-12
    logs = tf.math.log(_running_mean(energy, share) + floor)
    return tf.reduce_mean(weight * logs[0, :, 0, 0])


def _running_mean(a: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Mean over a window of axis 1, over what there is of it at the rims.

    A product with a small banded matrix: the gradient of running sums is three times as dear.
    """
    n = tf.shape(a)[1]
    half = tf.maximum(1.0, tf.round(share * tf.cast(n, tf.float32) / 2))
    times = tf.range(tf.cast(n, tf.float32))
    window = tf.cast(tf.abs(times[:, None] - times) <= half, tf.float32)
    window /= tf.reduce_sum(window, axis=1, keepdims=True)
    return tf.reshape(window @ tf.reshape(a, (n, -1)), tf.shape(a))
