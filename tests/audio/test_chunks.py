"""The grid: every hop once, the same chunks for an excerpt, no step at a seam."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mmdream.audio.chunks import (
    ALIGN_HOPS,
    CHUNK_HOPS,
    FADE_HOPS,
    HALO_HOPS,
    crossfade_chunks,
    split_into_chunks,
)

SPANS = [(-1, 3), (-1, 480), (-1, 491), (-1, 2700), (37, 38), (475, 2100), (-1200, 1201), (1000, 2330)]


@pytest.mark.parametrize(("first", "stop"), SPANS)
def test_new_sound_covers_every_hop_once(first: int, stop: int) -> None:
    grid = split_into_chunks(first, stop)
    assert grid[0].first == first
    assert grid[-1].stop == stop
    assert all(a.stop == b.first for a, b in itertools.pairwise(grid))
    for chunk in grid:
        # 8 kHz has the longest hop for its nominal length: 93 samples.
        assert (chunk.stop - chunk.first) * 93 / 8000 <= 8.0
        assert chunk.low <= chunk.first
        assert chunk.high >= chunk.stop
        assert chunk.low % ALIGN_HOPS == 0


def test_an_excerpt_meets_the_same_chunks() -> None:
    whole = {chunk.number: chunk for chunk in split_into_chunks(-1, 9000)}
    for chunk in split_into_chunks(1700, 6100)[2:-2]:
        assert chunk == whole[chunk.number]


@pytest.mark.parametrize(("first", "stop"), SPANS)
def test_chunks_that_agree_are_joined_without_a_trace(first: int, stop: int) -> None:
    line = np.sin(np.arange(first - 3 * HALO_HOPS, stop + CHUNK_HOPS + 3 * HALO_HOPS) / 9.0)[:, None]
    line = line.astype(np.float32)
    offset = first - 3 * HALO_HOPS
    parts = [(c, line[c.low - offset : c.high - offset]) for c in split_into_chunks(first, stop)]
    done = list(crossfade_chunks(parts))
    assert done[0][0] == first
    joined = np.concatenate([gain for _, gain in done])
    np.testing.assert_allclose(joined, line[first - offset : stop - offset], atol=1e-6)
    at = first
    for start, gain in done:
        assert start == at
        at += len(gain)


def test_chunks_that_disagree_are_faded_over_the_seam() -> None:
    grid = split_into_chunks(0, 4 * CHUNK_HOPS)
    parts = [(c, np.full((c.high - c.low, 2), c.number % 2, np.float32)) for c in grid]
    joined = np.concatenate([gain for _, gain in crossfade_chunks(parts)])
    assert np.abs(np.diff(joined, axis=0)).max() <= np.pi / 2 / FADE_HOPS + 1e-6
