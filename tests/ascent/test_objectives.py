"""What is climbed, on arrays small enough to tell."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.ascent.style_statistics import STYLE_DISTANCES, measure_feature_moments, to_texture_statistics
from mmdream.networks.framework import tf


@pytest.mark.parametrize("statistic", STYLE_DISTANCES)
def test_a_flat_texture_can_be_wanted(statistic: str):
    cells = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32)
    whole = tf.ones((1, 8, 8, 1))
    expected = to_texture_statistics(measure_feature_moments(tf.zeros_like(cells), whole))
    with tf.GradientTape() as tape:
        x = tf.constant(cells)
        tape.watch(x)
        apart = STYLE_DISTANCES[statistic](measure_feature_moments(x, whole), expected)
    slope = tape.gradient(apart, x).numpy()
    assert 0 < float(apart) < 1e12
    # The engine squares it in float32.
    assert 0 < np.sum(slope**2) < np.inf
