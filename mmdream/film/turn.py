"""How a telephone held its film: the display matrix, applied to pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import SideData


@dataclass(frozen=True, slots=True)
class Turn:
    """Any of the eight ways to lay a rectangle: transposed first, then mirrored."""

    transpose: bool = False
    left_right: bool = False
    up_down: bool = False

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """Lay coded pixels [row, column, 3] as they are shown."""
        if self == UPRIGHT:
            return rgb
        if self.transpose:
            rgb = rgb.swapaxes(0, 1)
        if self.left_right:
            rgb = rgb[:, ::-1]
        if self.up_down:
            rgb = rgb[::-1]
        return np.ascontiguousarray(rgb)

    @property
    def degrees(self) -> int:
        """Clockwise rotation from coded to shown, of the nearest one without a mirror."""
        if self.transpose:
            return 90 if self.left_right else 270
        return 180 if self.up_down else 0


UPRIGHT = Turn()


def turn_of(frame: av.VideoFrame) -> Turn:
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
        return Turn(transpose=True, left_right=c < 0, up_down=b < 0)
    return Turn(left_right=a < 0, up_down=d < 0)
