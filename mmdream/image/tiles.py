"""The gradient of an image too large for memory, tile by tile.

Tiles cover every pixel once; each is computed with a halo of its real neighbours, so the result is that of
the whole image wherever receptive fields fit into the halo. It is normalised only once it is whole.
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

TileSlices = tuple[slice, slice]
"""Rows and columns."""
TileBox = tuple[float, float, float, float]
"""Top, left, bottom and right of a part of an image, each over the image's side."""
WHOLE: TileBox = 0.0, 0.0, 1.0, 1.0


def apply_tiled(
    gradient: Callable[..., np.ndarray],
    image: np.ndarray,
    core: int = MAX_TILE_SIDE,
    halo: int = HALO,
    placed: bool = False,
) -> np.ndarray:
    """Apply a gradient function, float32 [h, w, c] -> [h, w, 3], to an image of any size, [H, W, c].

    A `placed` one also takes the `TileBox` of what it is given.
    """
    height, width = image.shape[:2]
    tiles = split_tiles(height, width, core, halo)
    if len(tiles) == 1:
        return gradient(image)
    result = np.empty((height, width, 3), np.float32)
    for window, kept in tiles:
        box = (_box_of(window, height, width),) if placed else ()
        result[kept] = gradient(np.ascontiguousarray(image[window]), *box)[slices_within(window, kept)]
    return result


def _box_of(window: TileSlices, height: int, width: int) -> TileBox:
    rows, columns = window
    return rows.start / height, columns.start / width, rows.stop / height, columns.stop / width


def split_tiles(
    height: int, width: int, core: int = MAX_TILE_SIDE, halo: int = HALO
) -> list[tuple[TileSlices, TileSlices]]:
    """The tiles of an image: the window with its halo, and the core that is kept of it."""
    return [
        ((_window(*rows, height, halo), _window(*columns, width, halo)), (slice(*rows), slice(*columns)))
        for rows in _split_evenly(height, core)
        for columns in _split_evenly(width, core)
    ]


def slices_within(window: TileSlices, kept: TileSlices) -> TileSlices:
    """Where the kept core lies inside its window."""
    pairs = zip(window, kept, strict=True)
    rows, columns = (slice(core.start - out.start, core.stop - out.start) for out, core in pairs)
    return rows, columns


def _split_evenly(length: int, core: int) -> list[tuple[int, int]]:
    """Near-equal spans of at most `core` that cover 0..length."""
    count = -(-length // core)
    return list(pairwise(round(k * length / count) for k in range(count + 1)))


def _window(start: int, stop: int, length: int, halo: int) -> slice:
    """A span with its halo, aligned to the grid of the network's strides from either end.

    Off the grid gradients differ; and "same" padding shifts a network by the length modulo its stride, so a
    window's length must leave the same remainder as the whole.
    """
    first = max(0, start - halo) // STRIDE_GRID * STRIDE_GRID
    last = length - max(0, length - stop - halo) // STRIDE_GRID * STRIDE_GRID
    return slice(first, last)
