"""How like real pictures made ones are, by the features of a network that neither of the two learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from mmdream.generators.task import CriticNetwork
from mmdream.networks.card import ImageInput
from mmdream.networks.framework import tf
from mmdream.networks.network import load_shared_network

BATCH = 16
"""Pictures that the judge is shown at once."""
NEIGHBOURS = 3
"""Within the distance of which a picture lies among others, as in the paper."""

FeatureFunction = Callable[[np.ndarray], np.ndarray]
"""Pictures, float32 [n, h, w, 3], 0..1 -> features, float64 [n, c]."""


@dataclass(frozen=True)
class Likeness:
    """Made pictures beside real ones."""

    distance: float
    """Frechet distance of their features, 0: none."""
    precision: float
    """Share of the made ones that lie among real ones."""
    recall: float
    """Share of the real ones that lie among made ones."""


def build_judge(judge: CriticNetwork, progress: Callable[[], None]) -> FeatureFunction:
    """Features of a network's deepest rung, averaged over the picture, which it is shown at its own size.

    `progress` is called after each batch, and may raise.
    """
    network = load_shared_network(judge.card, judge.weights)
    assert isinstance(judge.card.input, ImageInput)
    features, side = network.layer_features((judge.card.rungs[-1].layer,)), judge.card.input.side

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)], autograph=False)
    def traced(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.cast(features(tf.image.resize(x, (side, side)))[0], tf.float32), (1, 2))

    def compute(pictures: np.ndarray) -> np.ndarray:
        parts = []
        for first in range(0, len(pictures), BATCH):
            parts.append(traced(tf.constant(pictures[first : first + BATCH])).numpy())
            progress()
        return np.concatenate(parts).astype(np.float64)

    return compute


def measure_likeness(real: np.ndarray, made: np.ndarray) -> Likeness:
    """Compare features of real and of made pictures, float [n, c] and [m, c]."""
    near_real, near_made = find_radii(real), find_radii(made)
    distances = cdist(made, real)
    return Likeness(
        frechet_distance(real, made),
        float((distances <= near_real).any(1).mean()),
        float((distances <= near_made[:, None]).any(0).mean()),
    )


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Of the normal distributions of two sets of features, [n, c] (Heusel et al. 2017, FID's formula)."""
    means = first.mean(0) - second.mean(0)
    one, other = (np.cov(each, rowvar=False) for each in (first, second))
    # The trace of (C1 C2)^1/2 is that of (C1^1/2 C2 C1^1/2)^1/2, whose matrix is symmetric.
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    return float(means @ means + np.trace(one) + np.trace(other) - 2 * shared)


def find_radii(features: np.ndarray) -> np.ndarray:
    """Distance of each, [n, c], to its `NEIGHBOURS`-th nearest (Kynkaanniemi et al. 2019), [n]."""
    distances = np.sort(cdist(features, features), axis=1)
    radii: np.ndarray = distances[:, min(NEIGHBOURS, len(features) - 1)]
    return radii
