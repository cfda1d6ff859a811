"""How a telephone held its film: the display matrix, applied to pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import SideData


@dataclass(frozen=True, slots=True)
class Orientation:
    """Any of the eight ways to lay a rectangle: transposed first, then mirrored."""

    transpose: bool = False
    flip_horizontal: bool = False
    flip_vertical: bool = False

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """Lay coded pixels [row, column, 3] as they are shown."""
        if self == UPRIGHT:
            return rgb
        if self.transpose:
            rgb = rgb.swapaxes(0, 1)
        if self.flip_horizontal:
            rgb = rgb[:, ::-1]
        if self.flip_vertical:
            rgb = rgb[::-1]
        return np.ascontiguousarray(rgb)

    @property
    def degrees(self) -> int:
        """Clockwise rotation from coded to shown, of the nearest one without a mirror."""
        if self.transpose:
            return 90 if self.flip_horizontal else 270
        return 180 if self.flip_vertical else 0


UPRIGHT = Orientation()


def read_orientation(frame: av.VideoFrame) -> Orientation:
    """Read a frame's display matrix.

    It maps coded to shown places, (x, y) -> (a x + c y, b x + d y) with y downwards; numbers a, b,
    c, d are the first, second, fourth and fifth of its nine. Turns other than quarters are taken as
    the nearest.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix)[:36])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transpose=True, flip_horizontal=c < 0, flip_vertical=b < 0)
    return Orientation(flip_horizontal=a < 0, flip_vertical=d < 0)
