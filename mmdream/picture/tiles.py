"""The gradient of a picture too large for memory, tile by tile.

Tiles cover every pixel; each is computed with a halo of its real neighbours and only its core
is kept, so that the sewn gradient is that of the whole wherever receptive fields fit into the halo. It is
normalised only after it is sewn.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

CORE = 768
"""Longest side of a tile's core in px: a VGG-16 step then peaks near 3.5 GB in float32."""
HALO = 96
"""Real neighbours on each side, in px: about half the receptive field of the deep rungs."""

GRID = 32
"""The largest stride of any rung, px."""


def sewn(
    slope: Callable[[np.ndarray], np.ndarray],
    picture: np.ndarray,
    core: int = CORE,
    halo: int = HALO,
) -> np.ndarray:
    """Apply a gradient function to a picture of any size.

    Args:
        slope: float32 [h, w, 3] -> gradient of the same shape.
        picture: float32 [H, W, 3].
        core: longest side of the part of a tile that is kept, px.
        halo: neighbours around it, px.

    Returns:
        float32 [H, W, 3].
    """
    height, width = picture.shape[:2]
    rows, columns = _cuts(height, core), _cuts(width, core)
    if len(rows) == len(columns) == 1:
        return slope(picture)
    gradient = np.empty_like(picture)
    for top, bottom in rows:
        above, below = _window(top, bottom, height, halo)
        for left, right in columns:
            before, after = _window(left, right, width, halo)
            part = slope(np.ascontiguousarray(picture[above:below, before:after]))
            gradient[top:bottom, left:right] = part[
                top - above : bottom - above, left - before : right - before
            ]
    return gradient


def _cuts(length: int, core: int) -> list[tuple[int, int]]:
    """Near-equal stretches of at most `core` that cover 0..length."""
    count = -(-length // core)
    edges = [round(k * length / count) for k in range(count + 1)]
    return list(pairwise(edges))


def _window(start: int, stop: int, length: int, halo: int) -> tuple[int, int]:
    """A stretch with its halo, aligned to the grid of the network's strides from either end.

    Off the grid gradients differ; and "same" padding shifts a network by the length modulo its stride, so a
    window's length must leave the same remainder as the whole.
    """
    first = max(0, start - halo) // GRID * GRID
    last = length - max(0, length - stop - halo) // GRID * GRID
    return first, last
