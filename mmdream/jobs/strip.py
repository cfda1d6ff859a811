"""The curves that followed a film, drawn under its contact sheet: a line for each driven setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from mmdream.jobs.captions import DIM_GREY, TEXT_GREY, blank_canvas, draw_text

CURVE_HEIGHT, LABEL_HEIGHT = 64, 22
"""px of a curve, and of the words over it."""
SUBPIXEL_BITS = 8
"""Bits of a pixel that a line is placed by: it is drawn smooth."""

CurveKeys = list[list[Any]]
"""[seconds, value] of each key, seconds rising."""


def select_numeric_curves(driven: dict[str, dict[str, CurveKeys]]) -> dict[str, CurveKeys]:
    """The curves of a report that are numbers, each once, by what to call them."""
    found: dict[str, CurveKeys] = {}
    for medium, curves in driven.items():
        for name, keys in curves.items():
            if name != "motif" and keys not in found.values():
                told = name.replace("_", " ")
                found[f"{told} of the sound" if medium == "sound" else told] = keys
    return found


def draw_curves(curves: dict[str, CurveKeys], moments: Sequence[float], width: int) -> np.ndarray:
    """Draw curves over one another on one clock.

    Args:
        curves: by name.
        moments: seconds that are marked, rising; the film reaches about as far on either side of them.
        width: px.

    Returns:
        uint8 [h, width, 3].
    """
    sheet = blank_canvas(len(curves) * (CURVE_HEIGHT + LABEL_HEIGHT), width)
    half = (moments[-1] - moments[0]) / max(2 * (len(moments) - 1), 1) or 0.5
    first, last = moments[0] - half, moments[-1] + half
    for number, (name, keys) in enumerate(curves.items()):
        top = number * (CURVE_HEIGHT + LABEL_HEIGHT)
        at = np.linspace(first, last, width)
        values = np.interp(at, [when for when, _ in keys], [value for _, value in keys])
        most = max(float(values.max()), 1e-9)
        for when in moments:
            x = round((when - first) / (last - first) * (width - 1))
            cv2.line(sheet, (x, top + LABEL_HEIGHT), (x, top + LABEL_HEIGHT + CURVE_HEIGHT), (60, 60, 60), 1)
        rows = top + LABEL_HEIGHT + 2 + (CURVE_HEIGHT - 6) * (1 - values / most)
        points = np.stack([np.arange(width), rows], axis=1) * 2**SUBPIXEL_BITS
        line = [np.rint(points).astype(np.int32).reshape(-1, 1, 2)]
        cv2.polylines(sheet, line, False, (TEXT_GREY, TEXT_GREY, TEXT_GREY), 1, cv2.LINE_AA, SUBPIXEL_BITS)
        told = f"{name} {values.min():.2f} to {values.max():.2f}"
        draw_text(sheet, told, (0, top + LABEL_HEIGHT - 5), 14, DIM_GREY)
    return sheet
