"""Statistics of a texture's features, and how far two textures are apart by each of them."""

from __future__ import annotations

from typing import Any, NamedTuple

from mmdream.networks.framework import tf

FeatureMoments = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Sums over cells: of their weights, float32 scalar; of features, [c]; of products of features, [c, c]."""


def measure_feature_moments(a: tf.Tensor, weight: tf.Tensor) -> FeatureMoments:
    """Sums of features [1, h, w, c] and their products over all cells, by weights, float32 [1, h, w, 1]."""
    cells = tf.reshape(tf.cast(a, tf.float32), (-1, a.shape[3]))
    share = tf.reshape(weight, (-1, 1))
    weighted = cells * share
    products = tf.matmul(weighted, cells, transpose_a=True)
    return tf.reduce_sum(share), tf.reduce_sum(weighted, axis=0), products


class TextureStatistics(NamedTuple):
    """Statistics of a target texture's features, float32."""

    mean: tf.Tensor
    """[c]"""
    gram: tf.Tensor
    """[c, c], mean of products."""
    covariance_root: tf.Tensor
    """[c, c]: the covariance's square root."""


def to_texture_statistics(sums: FeatureMoments) -> TextureStatistics:
    """What the distances need of a target's moments."""
    mean, covariance = _mean_and_covariance(sums)
    values, vectors = tf.linalg.eigh(covariance)
    root = tf.matmul(vectors * tf.sqrt(tf.maximum(values, 0.0)), vectors, transpose_b=True)
    return TextureStatistics(mean, sums[2] / sums[0], root)


def gram_distance(moments: FeatureMoments, target: TextureStatistics) -> tf.Tensor:
    """Squared distance of two Gram matrices, over the target's square (Gatys et al. 2015).

    A little is added to the latter: a flat painting's pixels do not differ at all.
    """
    difference = moments[2] / moments[0] - target.gram
    return tf.reduce_sum(tf.square(difference)) / (tf.reduce_sum(tf.square(target.gram)) + 1e-10)


def wasserstein_distance(moments: FeatureMoments, target: TextureStatistics) -> tf.Tensor:
    """Squared Wasserstein-2 distance of the normal distributions with these means and covariances.

    After crowsonkb/style-transfer-pytorch. Over the target's variance, so that layers weigh alike.
    """
    mean, covariance = _mean_and_covariance(moments)
    root = target.covariance_root
    variance = tf.reduce_sum(tf.square(root))
    spread = tf.linalg.trace(covariance) + variance - 2 * _trace_of_root(root @ covariance @ root)
    return (tf.reduce_sum(tf.square(mean - target.mean)) + spread) / variance


STYLE_DISTANCES = {"wasserstein": wasserstein_distance, "gram": gram_distance}
"""Distances of moments from a target texture, by name."""


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

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        # What hardly varies would pull without bound.
        roots = tf.sqrt(tf.maximum(values, 1e-6 * values[-1]))
        return upstream * tf.matmul(vectors * (0.5 / roots), vectors, transpose_b=True)

    return tf.reduce_sum(tf.sqrt(tf.maximum(values, 0.0))), gradient
