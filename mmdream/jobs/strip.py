"""The curves that followed a film, drawn under its contact sheet: a line for each driven setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from mmdream.jobs.captions import DIM, INK, ground, written

TALL, WORDS = 64, 22
"""px of a curve, and of the words over it."""
FINE = 8
"""Bits of a pixel that a line is placed by: it is drawn smooth."""

Keys = list[list[Any]]
"""[seconds, value] of each key, seconds rising."""


def numbered(driven: dict[str, dict[str, Keys]]) -> dict[str, Keys]:
    """The curves of a report that are numbers, each once, by what to call them."""
    found: dict[str, Keys] = {}
    for medium, curves in driven.items():
        for name, keys in curves.items():
            if name != "motif" and keys not in found.values():
                told = name.replace("_", " ")
                found[f"{told} of the sound" if medium == "sound" else told] = keys
    return found


def strips(curves: dict[str, Keys], moments: Sequence[float], width: int) -> np.ndarray:
    """Draw curves over one another on one clock.

    Args:
        curves: by name.
        moments: seconds that are marked, rising; the film reaches about as far on either side of them.
        width: px.

    Returns:
        uint8 [h, width, 3].
    """
    sheet = ground(len(curves) * (TALL + WORDS), width)
    half = (moments[-1] - moments[0]) / max(2 * (len(moments) - 1), 1) or 0.5
    first, last = moments[0] - half, moments[-1] + half
    for number, (name, keys) in enumerate(curves.items()):
        top = number * (TALL + WORDS)
        at = np.linspace(first, last, width)
        values = np.interp(at, [when for when, _ in keys], [value for _, value in keys])
        most = max(float(values.max()), 1e-9)
        for when in moments:
            x = round((when - first) / (last - first) * (width - 1))
            cv2.line(sheet, (x, top + WORDS), (x, top + WORDS + TALL), (60, 60, 60), 1)
        rows = top + WORDS + 2 + (TALL - 6) * (1 - values / most)
        points = np.stack([np.arange(width), rows], axis=1) * 2**FINE
        line = [np.rint(points).astype(np.int32).reshape(-1, 1, 2)]
        cv2.polylines(sheet, line, False, (INK, INK, INK), 1, cv2.LINE_AA, FINE)
        told = f"{name} {values.min():.2f} to {values.max():.2f}"
        written(sheet, told, (0, top + WORDS - 5), 14, DIM)
    return sheet
