"""What a dream climbs: each objective is one function from a network's features to a scalar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mmdream.networks.framework import tf


def energy(a: tf.Tensor) -> tf.Tensor:
    """Mean square of the activations, [1, h, w, c]: the L2 objective of google/deepdream (2015)."""
    return tf.reduce_mean(tf.square(tf.cast(a, tf.float32)))


def mean_activation(a: tf.Tensor) -> tf.Tensor:
    """Mean of the activations, [1, h, w, c]; less spotty than their squares."""
    return tf.reduce_mean(tf.cast(a, tf.float32))


def channel_cosine(a: tf.Tensor, channels: Sequence[int]) -> tf.Tensor:
    """Cosine between each cell's features [1, h, w, c] and the wanted channels; mean over the cells.

    Raised by what shows these channels and nothing else (the cosine of Olah et al. 2017, "Feature
    visualization", with all else held down).
    """
    a = tf.cast(a, tf.float32)
    wanted = tf.reduce_sum(tf.gather(a, list(channels), axis=3), axis=3) / len(channels) ** 0.5
    return tf.reduce_mean(wanted * tf.math.rsqrt(tf.reduce_sum(tf.square(a), axis=3) + 1e-6))


def guide_similarity(a: tf.Tensor, guide: tf.Tensor, cosine: bool) -> tf.Tensor:
    """How well each cell finds its like among a guide's features.

    google/deepdream's guided dream (2015): each cell goes towards the guide's cell that it is most like
    already. Only the direction counts with `cosine`.

    Args:
        a: features [1, h, w, c].
        guide: float32 [cell, c].
        cosine: compare directions, instead of products.

    Returns:
        float32 scalar: mean over the cells of the largest product, over the number of channels; or of the
        largest cosine.
    """
    a = tf.cast(a, tf.float32)
    if cosine:
        a = a * tf.math.rsqrt(tf.reduce_sum(tf.square(a), axis=3, keepdims=True) + 1e-6)
        guide = guide * tf.math.rsqrt(tf.reduce_sum(tf.square(guide), axis=1, keepdims=True) + 1e-6)
    products = tf.reduce_max(tf.tensordot(a, guide, [[3], [1]]), axis=3)
    return tf.reduce_mean(products) / (1.0 if cosine else float(a.shape[3]))


def temporal_contrast(features: Sequence[tf.Tensor], mix: Sequence[tf.Tensor], share: tf.Tensor) -> tf.Tensor:
    """Contrast energy of sound features: events in time, not a louder standing sound.

    Plain energy of a sound network is climbed fastest by a standing equaliser; squared departures
    from the running mean can only be raised by what begins and ends. The logarithm is taken window
    by window, a fifth of the running mean long: quiet passages are dreamed like loud ones, instead
    of one figure growing to the limit of its gain, and rungs of different size weigh alike.

    Args:
        features: one tensor [1, time, band, channel] for each rung, all over the same stretch of
            time.
        mix: weight of each rung, float32 [time] of its own.
        share: length of the running mean over the length of the stretch, float32 > 0.

    Returns:
        float32 scalar, nepers of energy.
    """
    return tf.add_n(
        [
            _mean_log_energy(squared_deviation(a, share), share / 5, weight)
            for a, weight in zip(features, mix, strict=True)
        ]
    )


def class_evidence(logits: tf.Tensor, wanted: Sequence[int], rivals: float) -> tf.Tensor:
    """Likeness to any of the wanted classes, in every window of time.

    Args:
        logits: [window, class].
        wanted: places of the classes; each window is free to choose among them.
        rivals: share of logsumexp over all classes that is taken off. Without it a logit grows by making
            everything larger; with the whole, the log of the probability, the gradient dies once the class
            is won, which steps of fixed length do not mind.

    Returns:
        float32 [window]: logsumexp over the wanted classes, less that share.
    """
    chosen = tf.reduce_logsumexp(tf.gather(logits, list(wanted), axis=1), axis=1)
    return chosen - rivals * tf.reduce_logsumexp(logits, axis=1)


FeatureMoments = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Sums over cells: of their weights, float32 scalar; of features, [c]; of products of features, [c, c]."""


def measure_feature_moments(a: tf.Tensor, weight: tf.Tensor) -> FeatureMoments:
    """What textures are told by: sums of features and of their products, wherever they stand.

    Args:
        a: features [1, h, w, c].
        weight: of each cell, float32 [1, h, w, 1].
    """
    cells = tf.reshape(tf.cast(a, tf.float32), (-1, a.shape[3]))
    share = tf.reshape(weight, (-1, 1))
    weighted = cells * share
    return (
        tf.reduce_sum(share),
        tf.reduce_sum(weighted, axis=0),
        tf.matmul(weighted, cells, transpose_a=True),
    )


class TextureStatistics(NamedTuple):
    """What features are to be like: `measure_feature_moments` as the distances take them, float32."""

    mean: tf.Tensor
    """[c]"""
    products: tf.Tensor
    """[c, c], their mean: a Gram matrix."""
    root: tf.Tensor
    """[c, c]: the covariance's square root."""


def to_texture_statistics(sums: FeatureMoments) -> TextureStatistics:
    """The texture that moments tell of."""
    mean, covariance = _mean_and_covariance(sums)
    values, vectors = tf.linalg.eigh(covariance)
    root = tf.matmul(vectors * tf.sqrt(tf.maximum(values, 0.0)), vectors, transpose_b=True)
    return TextureStatistics(mean, sums[2] / sums[0], root)


def gram_distance(found: FeatureMoments, wanted: TextureStatistics) -> tf.Tensor:
    """Squared distance of two Gram matrices, over the wanted one's square (Gatys et al. 2015).

    A little is added to the latter: a flat painting's pixels do not differ at all.

    Args:
        found: of a picture.
        wanted: what it is to be like.
    """
    apart = found[2] / found[0] - wanted.products
    return tf.reduce_sum(tf.square(apart)) / (tf.reduce_sum(tf.square(wanted.products)) + 1e-10)


def wasserstein_distance(found: FeatureMoments, wanted: TextureStatistics) -> tf.Tensor:
    """Squared Wasserstein-2 distance of the normal distributions with these means and covariances.

    After crowsonkb/style-transfer-pytorch. Over the wanted one's variance, so that layers weigh alike.

    Args:
        found: of a picture.
        wanted: what it is to be like.
    """
    mean, covariance = _mean_and_covariance(found)
    between = _trace_of_root(wanted.root @ covariance @ wanted.root)
    wide = tf.reduce_sum(tf.square(wanted.root))
    spread = tf.linalg.trace(covariance) + wide - 2 * between
    return (tf.reduce_sum(tf.square(mean - wanted.mean)) + spread) / wide


STYLE_DISTANCES = {"wasserstein": wasserstein_distance, "gram": gram_distance}
"""How far two textures are apart, by name."""


def _mean_and_covariance(sums: FeatureMoments) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean [c] and covariance [c, c]; flat textures keep a little variance."""
    count, firsts, seconds = sums
    mean = firsts / count
    covariance = seconds / count - mean[:, None] * mean[None]
    return mean, covariance + 1e-7 * tf.eye(mean.shape[0])


@tf.custom_gradient
def _trace_of_root(matrix: tf.Tensor) -> Any:
    """Trace of a positive matrix's square root; its gradient is half the inverse of that root."""
    values, vectors = tf.linalg.eigh(matrix)

    def slope(upstream: tf.Tensor) -> tf.Tensor:
        # What hardly varies would pull without bound.
        roots = tf.sqrt(tf.maximum(values, 1e-6 * values[-1]))
        return upstream * tf.matmul(vectors * (0.5 / roots), vectors, transpose_b=True)

    return tf.reduce_sum(tf.sqrt(tf.maximum(values, 0.0))), slope


def squared_deviation(a: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Squared departure of activations from their running mean over time.

    Args:
        a: [1, time, band, channel].
        share: length of the running mean over the length of the stretch, float32 > 0.

    Returns:
        float32, the shape of `a`.
    """
    a = tf.cast(a, tf.float32)
    return tf.square(a - _running_mean(a, share))


def _mean_log_energy(squares: tf.Tensor, share: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Weighted mean over time of the log of the energy in windows of a share of the stretch."""
    energy = tf.reduce_mean(squares, axis=(2, 3), keepdims=True)
    # A floor 20 dB under the mean: a pause is no reason to shout.
    floor = 0.01 * tf.stop_gradient(tf.reduce_mean(energy)) + 1e-12
    told = tf.math.log(_running_mean(energy, share) + floor)
    return tf.reduce_mean(weight * told[0, :, 0, 0])


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
