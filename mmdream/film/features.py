"""What a schedule can follow of a picture, from its scan: motion, cuts and brightness on a grid of `STEP`."""

from __future__ import annotations

import math
from collections.abc import Collection
from fractions import Fraction

import numpy as np

from mmdream.curves import STEP_SECONDS
from mmdream.film.shots import Scan


def measure_video_features(
    found: Scan, beginning: Fraction, wanted: Collection[str]
) -> tuple[float, dict[str, np.ndarray]]:
    """Measure what is wanted of a picture, at constant and variable frame rates.

    Args:
        found: the scan, of at least one frame.
        beginning: the film's start on the clock of its time stamps.
        wanted: of motion, cuts and brightness.

    Returns:
        Seconds of the first value, and the values of each, float64 [step]: motion in shares of the longer
        side a second, cuts 1 where a shot begins that is not the first, brightness 0..1.
    """
    at = np.asarray(found.pts, np.float64) * float(found.time_base) - float(beginning)
    first = math.floor(at[0] / STEP_SECONDS) * STEP_SECONDS
    steps = first + STEP_SECONDS * (np.arange(math.floor((at[-1] - first) / STEP_SECONDS) + 1) + 0.5)
    measured: dict[str, np.ndarray] = {}
    if "motion" in wanted:
        speed = np.asarray(found.motion, np.float64)[1:] / np.maximum(np.diff(at), 1e-3)
        # What lies on either side of a cut, or of a flash, is no motion of anything.
        known = np.ones(len(at), bool)
        known[[shot.first for shot in found.shots]] = False
        for begun, stop in (flash for shot in found.shots for flash in shot.flashes):
            known[begun : stop + 1] = False
        known = known[1:]
        measured["motion"] = _interpolate_on(steps, at[1:][known], speed[known])
    if "brightness" in wanted:
        measured["brightness"] = _interpolate_on(steps, at, np.asarray(found.brightness, np.float64))
    if "cuts" in wanted:
        cuts = np.zeros(len(steps))
        places = ((at[shot.first] - first) / STEP_SECONDS for shot in found.shots[1:])
        cuts[[min(round(place), len(cuts) - 1) for place in places]] = 1.0
        measured["cuts"] = cuts
    return first, measured


def _interpolate_on(steps: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values brought to a grid, held where there are none."""
    return np.interp(steps, at, values) if len(at) else np.zeros(len(steps))
