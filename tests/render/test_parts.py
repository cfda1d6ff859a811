"""Parts and chains: they cover the film, stay small, and what is missing of them is found as a set."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mmdream.analysis.shots import Shot
from mmdream.render.parts import (
    MAX_PART_FRAMES,
    find_missing_runs,
    outdated_states,
    plan_chains,
    plan_parts,
)


def make_shots(*lengths: int) -> list[Shot]:
    edges = np.cumsum([0, *lengths]).tolist()
    return [Shot(first, stop, (0, 1, 0, 1)) for first, stop in pairwise(edges)]


@pytest.mark.parametrize("seed", range(20))
def test_parts_cover_every_frame_once_and_are_small(seed: int):
    rng = np.random.default_rng(seed)
    found = make_shots(*rng.integers(1, rng.choice([3, 30, 60, 400]), rng.integers(1, 40)).tolist())
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
    plan = plan_parts(make_shots(*[1] * 5000))
    assert len(plan) == -(-5000 // MAX_PART_FRAMES)


def test_a_long_shot_is_cut_evenly():
    lengths = [part.frames for part in plan_parts(make_shots(49))]
    assert lengths == [24, 25]
    lengths = [part.frames for part in plan_parts(make_shots(1000))]
    assert max(lengths) - min(lengths) <= 1


def test_nothing_has_no_parts():
    assert plan_parts([]) == ()


def test_a_chain_begins_with_a_shot_and_holds_the_parts_of_that_shot():
    found = make_shots(10, 200, 5, 5, 100)
    chains = plan_chains(found)
    assert [part for chain in chains for part in chain] == list(plan_parts(found))
    begins = {shot.first for shot in found}
    for chain in chains:
        assert chain[0].first in begins
        assert not any(part.first in begins for part in chain[1:])


@pytest.mark.parametrize(
    ("done", "states", "runs"),
    [
        ({}, {}, [[0, 1, 2, 3, 4]]),
        ({0, 1, 2, 3, 4}, {}, []),
        ({0, 1}, {1}, [[2, 3, 4]]),
        ({0, 1}, {0}, [[1, 2, 3, 4]]),
        ({0, 1}, {}, [[0, 1, 2, 3, 4]]),
        ({1, 2, 3, 4}, {2, 3}, [[0]]),
        ({0, 1, 3, 4}, {1}, [[2]]),
        ({0, 2, 4}, {0, 2}, [[1], [3]]),
        ({0, 2, 4}, {0}, [[1, 2, 3]]),
    ],
)
def test_what_is_missing_begins_with_the_chain_or_behind_a_kept_state(done, states, runs):
    (chain,) = plan_chains(make_shots(5 * MAX_PART_FRAMES))
    frames = dict.fromkeys(done, MAX_PART_FRAMES)
    assert [[part.number for part in run] for run in find_missing_runs(chain, frames, states)] == runs


def test_a_part_that_has_too_few_frames_is_missing():
    (chain,) = plan_chains(make_shots(MAX_PART_FRAMES))
    assert find_missing_runs(chain, {0: MAX_PART_FRAMES - 1}, ()) == (chain,)


def test_three_states_are_kept_and_none_of_a_finished_chain():
    chains = plan_chains(make_shots(10, 6 * MAX_PART_FRAMES))
    parts = [part for chain in chains for part in chain]
    assert [list(outdated_states(chains, part)) for part in parts] == [[], [], [], [], [1], [2], [3, 4, 5]]
