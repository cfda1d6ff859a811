"""What was dreamed at a smaller size brought to its picture's own, with edges as sharp as the picture's.

Enlarged as it is, a detail is soft: nothing in it is finer than a pixel of its own size. So its brightness is
made steeper, and cut off at the darkest and brightest of what lies around: slopes become edges, and no halo
stands beside them (an unsharp mask limited to the local extremes, as filters of videos have it). It is a
function of the detail alone and as calm as that, where a network's steps at the larger size would boil.
"""

from __future__ import annotations

import cv2
import numpy as np

from mmdream.image.octaves import Size, resize

CALMING_SIGMA = 0.6
"""Of the blur before, px of the detail: what is as fine as its pixels flickers."""
SURROUND_SIGMA = 1.5
"""Of the surround that a place is set off from, px of the detail."""
STEEPNESS, MOST_STEEPENED = 5.6, 3.0
"""How many times what sets a place off from its surround is added to it where the detail's sides are doubled,
and so much more for each time more: at half and a third of a film's size .8 of the sharpness is kept so. From
`MOST_STEEPENED` times on it becomes no more: a dream would fall into flat spots."""
AROUND, OVERSHOOT = 5, 0.1
"""Side of the square, px of the detail, whose range a place may leave by this part of it."""
BAND_ROWS = 64
"""Rows that luma is added to at once: of a film of 2160p all three channels have 100 MB."""
LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)
"""BT.601: of an edge, brightness is what is seen."""


def enlarge_detail(detail: np.ndarray, size: Size) -> np.ndarray:
    """A detail, float32 [h, w, 3], at a size (height, width); where it grows, with sharp edges."""
    enlarged = resize(detail, size)
    factor = (size[0] * size[1] / (detail.shape[0] * detail.shape[1])) ** 0.5
    if factor <= 1:
        return enlarged
    steeper, least, most = _steepen(
        cv2.transform(detail, LUMA), STEEPNESS * (min(factor, MOST_STEEPENED) - 1)
    )
    added = _enlarge(steeper, size)
    cv2.max(added, _enlarge(least, size), dst=added)
    cv2.min(added, _enlarge(most, size), dst=added)
    for top in range(0, size[0], BAND_ROWS):
        band = enlarged[top : top + BAND_ROWS]
        cv2.add(band, cv2.cvtColor(added[top : top + BAND_ROWS], cv2.COLOR_GRAY2RGB), dst=band)
    return enlarged


def _steepen(luma: np.ndarray, steepness: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What makes a luma, float32 [h, w], steeper, and the least and the most of it that may be added."""
    calm = cv2.GaussianBlur(luma, (0, 0), CALMING_SIGMA)
    steeper = np.float32(steepness) * (calm - cv2.GaussianBlur(calm, (0, 0), SURROUND_SIGMA))
    around = np.ones((AROUND, AROUND), np.uint8)
    # Blurred, as squares would show.
    lowest = np.minimum(cv2.blur(cv2.erode(calm, around), (3, 3)), luma)
    highest = np.maximum(cv2.blur(cv2.dilate(calm, around), (3, 3)), luma)
    beyond = np.float32(OVERSHOOT) * (highest - lowest)
    return steeper, lowest - beyond - luma, highest + beyond - luma


def _enlarge(plane: np.ndarray, size: Size) -> np.ndarray:
    return cv2.resize(plane, size[::-1], interpolation=cv2.INTER_CUBIC)
