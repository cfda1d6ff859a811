"""The engine: gradient ascent on an array, be it an image's pixels or a sound's log gains.

It knows neither octaves nor networks: they come in as a gradient, and what a medium allows as a constraint.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ADAM_BETAS = 0.9, 0.99
"""Shares that Adam's two running means keep."""


@dataclass(frozen=True)
class AscentProblem:
    """What is climbed and how."""

    start: np.ndarray
    """float32, any shape."""
    step: float | np.ndarray
    """RMS of one step, in the array's own unit (images: share of the range 0..1; sounds: nepers);
    an array broadcastable to `start` where places differ."""
    gradient: Callable[[np.ndarray, int], np.ndarray]
    """(array, number of the step) -> gradient of the same shape: jitter, network and smoothing."""
    constrain: Callable[[np.ndarray], np.ndarray]
    """Back into what the medium allows."""
    mask: np.ndarray | None = None
    """Where steps may go, 0..1, broadcastable to `start`; None: everywhere."""


def ascend(
    problem: AscentProblem,
    steps: int,
    optimizer: str = "normalized",
    last_step_scale: float = 1.0,
    betas: tuple[float, float] = ADAM_BETAS,
) -> np.ndarray:
    """Take steps uphill, each of the same RMS, or ever shorter by the last one's `last_step_scale`.

    The optimizer "normalized" goes along the gradient; "adam" along its running mean, over what is usual at
    each place (Kingma and Ba 2015), which reaches flat places too.

    Returns:
        float32, the shape of `problem.start`; the start itself for 0 steps.
    """
    x = problem.start
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for number in range(steps):
        direction = problem.gradient(x, number)
        if optimizer == "adam":
            direction = normalize_rms(direction)
            mean = betas[0] * mean + (1 - betas[0]) * direction
            square = betas[1] * square + (1 - betas[1]) * np.square(direction)
            # The means' start at zero scales every place alike; `normalize_rms` takes care of it.
            direction = mean / (np.sqrt(square / (1 - betas[1] ** (number + 1))) + np.float32(0.1))
        length = problem.step * np.float32(1 - (1 - last_step_scale) * number / max(steps - 1, 1))
        x = problem.constrain(x + length * normalize_rms(direction, problem.mask))
    return x


def normalize_rms(gradient: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Scale a gradient, float32 of any shape, to RMS 1 over the part that may change; zero outside.

    The RMS of the *whole* array is taken: normalising tile by tile would draw the tiles. A gradient of
    zeros (a network that does not answer) stays zero instead of becoming amplified rounding noise.
    """
    share = 1.0 if mask is None else float(np.mean(mask))
    if mask is not None:
        gradient = gradient * mask
    flat = gradient.reshape(-1)
    rms = math.sqrt(float(np.dot(flat, flat)) / (flat.size * max(share, 1e-6)))
    if not rms > 1e-20:
        return np.zeros_like(gradient)
    return gradient * np.float32(1.0 / rms)
