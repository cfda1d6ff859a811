"""Dreams in few passes: as long as the ascent's steps, and weighed as the ascent's gradient is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mmdream.image.feedforward import (
    FULL_PASS_LENGTH,
    GRID,
    PASS_LENGTH,
    dream_in_passes,
    grid_size,
    plan_dreamer_passes,
    weigh_channels,
)
from mmdream.image.gradient import count_places, evaluate_objective
from mmdream.image.objective import objective_at_depth
from mmdream.image.octaves import OctavePass, Size
from mmdream.networks.framework import tf
from mmdream.networks.network import Network
from mmdream.settings.targets import Objective, parse_channel
from mmdream.training.dreamer_loss import ClimbMeter

STEP = 0.002


@pytest.mark.parametrize("steps", [0, 1, 4, 5, 10, 33])
def test_passes_take_all_steps_and_nearly_as_many_each(steps: int):
    portions = [each.steps for each in plan_dreamer_passes(OctavePass((90, 160), steps, 2.0))]
    assert sum(portions) == steps
    assert not portions or max(portions) - min(portions) <= 1


@pytest.mark.parametrize("size", [(360, 640), (91, 127), (3, 5)])
def test_a_dreamer_sees_half_the_size_in_whole_cells(size: Size):
    grid = grid_size(size)
    assert all(side % GRID == 0 and side > 0 for side in grid)
    assert all(
        abs(side - whole / 2) <= max(GRID / 2, GRID - whole / 2)
        for side, whole in zip(grid, size, strict=True)
    )


def test_channels_are_weighed_as_the_objective_weighs_them(network: Network, picture: np.ndarray):
    """A dreamer learns by these weights, and the ascent goes by the objective: both must climb the same."""
    layers, counts = ("c3b", "p4c"), network.channel_counts()
    meter = ClimbMeter(network, layers)
    dark = picture * np.float32(0.6)
    for objective in (
        objective_at_depth(network.card, 0.9),
        objective_at_depth(network.card, 0.7),
        Objective((parse_channel("p4c:55,115,504"), parse_channel("p4c:390")), (0.75, 0.25)),
    ):
        weights = weigh_channels(objective, {}, counts, layers, picture.shape[:2])
        assert weights.shape == (*count_places(picture.shape[:2]), counts["c3b"] + counts["p4c"])
        assert np.abs(weights).mean() == pytest.approx(1, rel=1e-4)
        both = tf.constant(np.stack([picture, dark]))
        climbed = meter.measure(both, tf.constant(np.repeat(weights[None], 2, 0))).numpy()
        ratio = evaluate_objective(network, objective, picture) / evaluate_objective(network, objective, dark)
        assert climbed[0] / climbed[1] == pytest.approx(ratio, rel=2e-3)


def test_gains_weigh_the_channels_of_a_whole_layer_alone(network: Network):
    objective = Objective((*objective_at_depth(network.card, 1.0).terms,), (1.0, *[0.0] * 99)[:3])
    size, counts = (96, 128), network.channel_counts()
    gains = np.ones((*count_places(size), counts["p4c"]), np.float32)
    gains[..., 7] = 5
    weights = weigh_channels(objective, {"p4c": gains}, counts, ("p4c",), size)
    assert weights[..., 7] == pytest.approx(5 * weights[..., 8])


def make_direction(drawn: int) -> Callable[[np.ndarray, np.ndarray, Size], np.ndarray]:
    pattern = np.random.default_rng(drawn)

    def direction(source: np.ndarray, detail: np.ndarray, size: Size) -> np.ndarray:
        change = pattern.standard_normal((*grid_size(size), 3), np.float32)
        return change / np.sqrt(np.mean(np.square(change)))

    return direction


def test_a_pass_is_as_long_as_its_steps(picture: np.ndarray):
    scale = np.full((48, 64), 1.5, np.float32)
    octaves, zeros = [OctavePass((96, 128), 3, 2.6)], np.zeros_like(picture)
    gain = dream_in_passes(picture, zeros, octaves, make_direction(0), STEP, step_scale=scale)
    assert np.sqrt(np.mean(np.square(gain))) == pytest.approx(1.5 * 3 * PASS_LENGTH * STEP, rel=1e-4)
    full = dream_in_passes(picture, zeros, octaves, make_direction(0), STEP)
    assert full.shape == picture.shape
    assert 0 < np.sqrt(np.mean(np.square(full))) < 3 * FULL_PASS_LENGTH * STEP


def test_no_steps_leave_the_detail_and_source_colour_stays(picture: np.ndarray):
    zeros = np.zeros_like(picture)
    nothing = dream_in_passes(picture, zeros, [OctavePass((96, 128), 0)], make_direction(1), STEP)
    assert not nothing.any()
    grey = dream_in_passes(
        picture, zeros, [OctavePass((96, 128), 2)], make_direction(1), STEP, color="source"
    )
    assert grey.any()
    assert np.ptp(grey, axis=2).max() < 1e-6
