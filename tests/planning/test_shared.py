"""What chains take beside each other, and what keeps them from being quicker."""

from __future__ import annotations

import pytest

from mmdream.planning.shared import estimate_shared, finish_seconds


def test_chains_are_taken_the_longest_first():
    assert finish_seconds([3, 1, 2], 1) == 6
    assert finish_seconds([1, 1, 1, 3], 2) == 3
    assert finish_seconds([5, 1], 4) == 5
    assert finish_seconds([], 3) == 0


@pytest.mark.parametrize(
    ("chains", "alone", "stage", "bound"),
    [
        ([10.0, 10.0, 10.0, 10.0], 2.0, "ascent", "the work of all frames"),
        ([40.0, 5.0, 5.0], 2.0, "ascent", "the longest chain, 40 s; see --seams"),
        ([10.0, 10.0], 60.0, "ascent", "what one process does alone"),
        ([10.0, 10.0, 10.0, 10.0], 2.0, "decode", "decoding"),
    ],
)
def test_what_bounds_the_work_is_told(chains: list[float], alone: float, stage: str, bound: str):
    estimate = estimate_shared(chains, 2, 1, alone, stage)
    assert estimate.seconds == finish_seconds(chains, 2)
    assert bound in estimate.describe(100)
    assert estimate.text == "2 workers of 1 thread"
