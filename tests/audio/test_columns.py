"""A sound in few columns: whatever the blocks, the means are right."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.audio.canvas import BAND_EDGES, ColumnMeans, measure_column_power
from mmdream.audio.source import ArraySource


@pytest.mark.parametrize("rows", [1, 5, 19, 20, 21, 100, 333])
def test_columns_are_means_of_rows(rows: int) -> None:
    values = np.random.default_rng(rows).normal(0, 1, (rows, 3)).astype(np.float32)
    found = ColumnMeans(10)
    found.feed(values)
    each = found.rows_per_column
    assert len(found.means()) < 20
    assert rows < 20 or len(found.means()) >= 10
    expected = [values[k : k + each].mean(0) for k in range(0, rows, each)]
    np.testing.assert_allclose(found.means(), expected, atol=1e-5)


def test_blocks_do_not_matter() -> None:
    values = np.random.default_rng(0).normal(0, 1, (777, 2)).astype(np.float32)
    whole, pieces = ColumnMeans(16), ColumnMeans(16)
    whole.feed(values)
    for cut in np.split(values, [1, 2, 40, 41, 300, 776]):
        pieces.feed(cut)
    assert whole.rows_per_column == pieces.rows_per_column
    np.testing.assert_allclose(whole.means(), pieces.means(), atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_a_sine_lights_its_band_for_as_long_as_it_sounds(rate: int) -> None:
    at = np.arange(4 * rate) / rate
    sine = np.sin(2 * np.pi * 1000 * at) * (at >= 2)
    power, seconds = measure_column_power(
        ArraySource(np.stack([sine, sine]).astype(np.float32), rate), max_columns=100
    )
    assert abs(len(power) * seconds - 4) < 2 * seconds
    band = int(np.argmin(np.abs(BAND_EDGES[1:-1] - 1000)))
    quiet, loud = power[: int(1.8 / seconds)], power[int(2.2 / seconds) : -2]
    assert abs(int(loud.mean(0).argmax()) - band) <= 1
    assert quiet.max() < 1e-6 * loud.max()
