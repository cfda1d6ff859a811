"""Parts: they cover the film, stay small, and keep a shot's first frames together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mmdream.analysis.shots import Shot
from mmdream.render.parts import MAX_PART_FRAMES, plan_parts


def shots(*lengths: int) -> list[Shot]:
    edges = np.cumsum([0, *lengths]).tolist()
    return [Shot(first, stop, (0, 1, 0, 1)) for first, stop in pairwise(edges)]


@pytest.mark.parametrize("seed", range(20))
def test_parts_cover_every_frame_once_and_are_small(seed: int):
    rng = np.random.default_rng(seed)
    found = shots(*rng.integers(1, rng.choice([3, 30, 60, 400]), rng.integers(1, 40)).tolist())
    plan = plan_parts(found)
    frames = [frame for part in plan for frame in range(part.first, part.stop)]
    assert frames == list(range(found[-1].stop))
    assert [part.number for part in plan] == list(range(len(plan)))
    assert max(part.frames for part in plan) <= MAX_PART_FRAMES
    begins = {shot.first for shot in found}
    for part in plan:
        inside = [first for first in begins if part.first < first < part.stop]
        if part.first not in begins:
            assert not inside  # it goes on with one shot and ends with it, or before
    for shot in found:
        holder = next(part for part in plan if part.first <= shot.first < part.stop)
        assert holder.stop >= min(shot.stop, shot.first + 24)


def test_a_strobe_does_not_make_thousands_of_parts():
    plan = plan_parts(shots(*[1] * 5000))
    assert len(plan) == -(-5000 // MAX_PART_FRAMES)


def test_a_long_shot_is_cut_evenly():
    lengths = [part.frames for part in plan_parts(shots(49))]
    assert lengths == [24, 25]
    lengths = [part.frames for part in plan_parts(shots(1000))]
    assert max(lengths) - min(lengths) <= 1


def test_nothing_has_no_parts():
    assert plan_parts([]) == ()
