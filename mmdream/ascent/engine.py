"""The engine: gradient ascent on a canvas, whatever the canvas holds.

A picture climbs in its pixels and a sound in its log gains, through this one loop. It knows neither octaves
nor networks: they come in as a slope, and what a medium allows comes in as a settling rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AscentProblem:
    """What is climbed and how."""

    start: np.ndarray
    """float32, any shape."""
    step: float | np.ndarray
    """RMS of one step, in the canvas's own unit (pictures: share of the range 0..1; sounds: nepers);
    an array broadcastable to `start` where places differ."""
    slope: Callable[[np.ndarray, int], np.ndarray]
    """(canvas, number of the step) -> gradient of the same shape: jitter, network and smoothing."""
    settle: Callable[[np.ndarray], np.ndarray]
    """Back into what the medium allows."""
    inside: np.ndarray | None = None
    """Where steps may go, 0..1, broadcastable to `start`; None: everywhere."""


ADAM_BETAS = 0.9, 0.99
"""Shares that Adam's two running means keep."""


def ascend(
    canvas: AscentProblem,
    steps: int,
    optimizer: str = "normalized",
    last: float = 1.0,
    betas: tuple[float, float] = ADAM_BETAS,
) -> np.ndarray:
    """Take `steps` steps uphill, each of the same RMS, or ever shorter.

    Args:
        canvas: what is climbed.
        steps: how often.
        optimizer: "normalized": along the gradient; "adam": along its running mean, over what is usual at
            each place (Kingma and Ba 2015), which reaches flat places too.
        last: length of the last step over the first's; what is to settle must not tremble.
        betas: see `ADAM_BETAS`.

    Returns:
        float32, the shape of `canvas.start`; the start itself for 0 steps.
    """
    x = canvas.start
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for number in range(steps):
        way = canvas.slope(x, number)
        if optimizer == "adam":
            way = normalize_rms(way)
            mean = betas[0] * mean + (1 - betas[0]) * way
            square = betas[1] * square + (1 - betas[1]) * np.square(way)
            # The means' start at nothing scales every place alike; `normalize_rms` takes care of it.
            way = mean / (np.sqrt(square / (1 - betas[1] ** (number + 1))) + np.float32(0.1))
        length = canvas.step * np.float32(1 - (1 - last) * number / max(steps - 1, 1))
        x = canvas.settle(x + length * normalize_rms(way, canvas.inside))
    return x


def normalize_rms(gradient: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Scale a gradient to RMS 1 over the part that may change.

    The RMS of the *whole* canvas is taken: normalising tile by tile would draw the tiles. A gradient of
    nothing (a network that does not answer) stays zero instead of becoming amplified rounding noise.

    Args:
        gradient: float32, any shape.
        inside: 0..1, broadcastable to `gradient`.

    Returns:
        float32, the shape of `gradient`, zero outside.
    """
    if inside is not None:
        gradient = gradient * inside
        share = float(np.mean(inside))
    else:
        share = 1.0
    flat = gradient.reshape(-1)
    rms = math.sqrt(float(np.dot(flat, flat)) / (flat.size * max(share, 1e-6)))
    if not rms > 1e-20:
        return np.zeros_like(gradient)
    return gradient * np.float32(1.0 / rms)
