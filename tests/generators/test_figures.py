"""Distance, precision and recall of features whose answers are known; augmentation as it says."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.generators.augment import augment_pictures
from mmdream.generators.figures import frechet_distance, measure_likeness
from mmdream.networks.framework import tf

RNG = np.random.default_rng(0)
CLOUD = RNG.normal(size=(400, 4))
SEED = tf.constant([3, 4])


def test_the_distance_of_normal_clouds_is_that_of_the_formula():
    assert frechet_distance(CLOUD, CLOUD) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(CLOUD, CLOUD + np.array([3, 0, 0, 4])) == pytest.approx(25)
    # Of covariances C and 4 C: the trace of C + 4 C - 2 (2 C).
    trace = np.trace(np.cov(CLOUD, rowvar=False))
    assert frechet_distance(CLOUD - CLOUD.mean(0), 2 * (CLOUD - CLOUD.mean(0))) == pytest.approx(trace)


def test_copies_are_precise_and_what_is_elsewhere_is_not():
    same = measure_likeness(CLOUD, CLOUD)
    assert (same.precision, same.recall) == (1, 1)
    away = measure_likeness(CLOUD, CLOUD + 100)
    assert (away.precision, away.recall) == (0, 0)


def test_one_picture_over_and_over_is_precise_and_recalls_little():
    collapsed = measure_likeness(CLOUD, CLOUD[:1] + 1e-3 * RNG.normal(size=(400, 4)))
    assert collapsed.precision == 1
    assert collapsed.recall < 0.05


def test_augmentation_is_drawn_by_its_seed_and_has_a_gradient():
    pictures = tf.constant(RNG.random((16, 32, 32, 3)), tf.float32)
    first, again = (augment_pictures(pictures, 64, SEED).numpy() for _ in range(2))
    assert first.shape == (16, 64, 64, 3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - augment_pictures(pictures, 64, -SEED).numpy()).max() > 0.1
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        total = tf.reduce_sum(augment_pictures(pictures, 64, SEED))
    assert (np.abs(tape.gradient(total, pictures).numpy()).sum((1, 2, 3)) > 0).all()


def test_augmentation_mirrors_and_cuts_but_invents_nothing():
    ramp = tf.constant(
        np.tile(np.linspace(0.4, 0.6, 32, dtype=np.float32)[None, None, :, None], (64, 32, 1, 3))
    )
    rows = augment_pictures(ramp, 32, SEED).numpy().mean((1, 3))
    slopes = rows[:, -1] - rows[:, 0]
    assert 16 < (slopes < 0).sum() < 48
    assert np.abs(slopes).max() < 0.2 * 1.3
    assert (np.diff(rows, axis=1) * np.sign(slopes)[:, None] > -1e-5).all()
