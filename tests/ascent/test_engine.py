"""The engine climbs, keeps to its mask, and addresses chance by place."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from mmdream.ascent.engine import AscentProblem, ascend, normalize_rms
from mmdream.core import rng as chance


def test_an_ascent_climbs_to_the_top_of_a_hill():
    top = np.linspace(-1, 1, 12, dtype=np.float32)
    canvas = AscentProblem(np.zeros(12, np.float32), 0.05, lambda x, _: top - x, lambda x: x)
    heights = [np.square(ascend(canvas, steps) - top).sum() for steps in range(0, 12, 2)]
    assert heights == sorted(heights, reverse=True)


def test_a_step_has_the_size_it_was_given():
    rng = np.random.default_rng(1)
    gradient = rng.normal(size=(8, 9, 3)).astype(np.float32) * 1e-7
    assert np.isclose(np.sqrt(np.mean(normalize_rms(gradient) ** 2)), 1, atol=1e-5)
    inside = np.zeros((8, 9, 1), np.float32)
    inside[:, 3:7] = 1
    masked = normalize_rms(gradient, inside)
    assert np.all(masked[:, :3] == 0)
    assert np.isclose(np.sqrt(np.mean(masked[:, 3:7] ** 2)), 1, atol=1e-5)


def test_a_network_that_does_not_answer_moves_nothing():
    start = np.ones(4, np.float32)
    canvas = AscentProblem(start, 1.0, lambda x, _: np.zeros_like(x), lambda x: x)
    assert np.array_equal(ascend(canvas, 5), start)


def test_chance_depends_on_place_and_seed_alone():
    def draw(*place):
        return chance.rng_for(*place).integers(1 << 60)

    assert draw(1, "jitter", Fraction(1, 25)) == draw(1, "jitter", Fraction(1, 25))
    assert len({draw(1, "a"), draw(2, "a"), draw(1, "b"), draw(1, "a", 1), draw(11, "a")}) == 5
