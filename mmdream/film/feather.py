"""A mask laid on a picture: brought to its size, its edges faded."""

from __future__ import annotations

import cv2
import numpy as np

BT709_LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
"""Of red, green and blue (ITU-R BT.709)."""
REFERENCE_HEIGHT = 360
"""Height, px, of the picture that feathers are given for."""
SNAP_DISTANCE = 2.5 / 255
"""What lies so close to black or white is meant to be: films are compressed."""
ROUNDING_TOLERANCE = 1e-4
"""More than sums of weights are off 1, and too little to be seen."""


def mask_luminance(rgb: np.ndarray) -> np.ndarray:
    """A mask's values, float32 [h, w, 3], 0..1 -> [h, w], 0..1; what is nearly white is white."""
    return _snap_to_black_and_white(cv2.transform(rgb, BT709_LUMA), SNAP_DISTANCE)


def fit_mask(values: np.ndarray, width: int, height: int, feather: float) -> np.ndarray:
    """Bring a mask to a picture's size and fade its edges; the borders of the picture are mirrors.

    Args:
        values: float32 [h, w], 0..1.
        width: of the picture, px.
        height: likewise.
        feather: px of a picture of `REFERENCE_HEIGHT` lines over which a sharp edge goes from 0 to 1.

    Returns:
        float32 [height, width], 0..1: exactly 0 and 1 where everything within half a ramp is.
    """
    if values.shape != (height, width):
        smaller = height * width < values.size
        # Linear, as cubic curves would leave 0..1.
        method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        values = cv2.resize(values, (width, height), interpolation=method)
    for reach in box_radii(feather * height / REFERENCE_HEIGHT):
        box = (2 * reach + 1, 2 * reach + 1)
        values = cv2.blur(values, box, borderType=cv2.BORDER_REFLECT)
    return _snap_to_black_and_white(values, ROUNDING_TOLERANCE)


def box_radii(ramp: float) -> list[int]:
    """Three boxes that turn a step into a ramp.

    Together they are near to a Gaussian (Wells, "Efficient synthesis of Gaussian filters by cascaded uniform
    filters", IEEE PAMI 8, 1986), take the same time at any width, and end, as a Gaussian does not.

    Args:
        ramp: px from 0 to 1, >= 0; rounded to an even number.

    Returns:
        What each box covers on either side of its middle, px; their sum is half a ramp.
    """
    half = round(ramp / 2)
    return [(half + number) // 3 for number in range(3)]


def _snap_to_black_and_white(values: np.ndarray, near: float) -> np.ndarray:
    _, values = cv2.threshold(values, near, 0, cv2.THRESH_TOZERO)
    values[values > 1 - near] = 1
    return values
