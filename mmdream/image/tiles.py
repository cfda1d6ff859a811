"""The gradient of a picture too large for memory, tile by tile.

Tiles cover every pixel; each is computed with a halo of its real neighbours and only its core
is kept, so that the sewn gradient is that of the whole wherever receptive fields fit into the halo. It is
normalised only after it is sewn.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

MAX_TILE_SIDE = 768
"""Longest side of a tile's core in px: a VGG-16 step then peaks near 3.5 GB in float32."""
HALO = 96
"""Real neighbours on each side, in px: about half the receptive field of the deep rungs."""

STRIDE_GRID = 32
"""The largest stride of any rung, px."""


def apply_tiled(
    slope: Callable[[np.ndarray], np.ndarray],
    picture: np.ndarray,
    core: int = MAX_TILE_SIDE,
    halo: int = HALO,
) -> np.ndarray:
    """Apply a gradient function to a picture of any size.

    Args:
        slope: float32 [h, w, c] -> gradient float32 [h, w, 3].
        picture: float32 [H, W, c]; beside the picture there may be what belongs to its pixels.
        core: longest side of the part of a tile that is kept, px.
        halo: neighbours around it, px.

    Returns:
        float32 [H, W, 3].
    """
    height, width = picture.shape[:2]
    tiles = split_tiles(height, width, core, halo)
    if len(tiles) == 1:
        return slope(picture)
    gradient = np.empty((height, width, 3), np.float32)
    for seen, kept in tiles:
        part = slope(np.ascontiguousarray(picture[seen]))
        gradient[kept] = part[slices_within(seen, kept)]
    return gradient


TileSlices = tuple[slice, slice]
"""Rows and columns."""


def split_tiles(
    height: int, width: int, core: int = MAX_TILE_SIDE, halo: int = HALO
) -> list[tuple[TileSlices, TileSlices]]:
    """The tiles of a picture: what is seen of it, and what is kept of that; the latter cover it once."""
    return [
        (
            (
                slice(*_aligned_window(top, bottom, height, halo)),
                slice(*_aligned_window(left, right, width, halo)),
            ),
            (slice(top, bottom), slice(left, right)),
        )
        for top, bottom in _split_evenly(height, core)
        for left, right in _split_evenly(width, core)
    ]


def slices_within(seen: TileSlices, kept: TileSlices) -> TileSlices:
    """Where what is kept lies in what is seen."""
    return (
        slice(kept[0].start - seen[0].start, kept[0].stop - seen[0].start),
        slice(kept[1].start - seen[1].start, kept[1].stop - seen[1].start),
    )


def _split_evenly(length: int, core: int) -> list[tuple[int, int]]:
    """Near-equal stretches of at most `core` that cover 0..length."""
    count = -(-length // core)
    edges = [round(k * length / count) for k in range(count + 1)]
    return list(pairwise(edges))


def _aligned_window(start: int, stop: int, length: int, halo: int) -> tuple[int, int]:
    """A stretch with its halo, aligned to the grid of the network's strides from either end.

    Off the grid gradients differ; and "same" padding shifts a network by the length modulo its stride, so a
    window's length must leave the same remainder as the whole.
    """
    first = max(0, start - halo) // STRIDE_GRID * STRIDE_GRID
    last = length - max(0, length - stop - halo) // STRIDE_GRID * STRIDE_GRID
    return first, last
