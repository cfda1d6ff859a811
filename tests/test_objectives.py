"""What is climbed, on arrays small enough to tell."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.networks.framework import tf
from mmdream.objectives import STATISTICS, moments, texture


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_flat_texture_can_be_wanted(statistic: str):
    cells = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32)
    whole = tf.ones((1, 8, 8, 1))
    wanted = texture(moments(tf.zeros_like(cells), whole))
    with tf.GradientTape() as tape:
        x = tf.constant(cells)
        tape.watch(x)
        apart = STATISTICS[statistic](moments(x, whole), wanted)
    slope = tape.gradient(apart, x).numpy()
    assert 0 < float(apart) < 1e12
    # The engine squares it in float32.
    assert 0 < np.sum(slope**2) < np.inf
