"""How much moves between two small pictures, without following anything: in a hundredth of a flow's time."""

from __future__ import annotations

import numpy as np

from mmdream.film.cuts import FLAT_DEVIATION


def measure_motion(previous: np.ndarray, current: np.ndarray) -> float:
    """How far a picture moved, as its mean change over its mean slope.

    Both pictures are brought to one light and one contrast first, so that flicker and fades are no motion.
    True for small motions; a large one reads as less than it is, as it leaves the picture's slopes.

    Args:
        previous: uint8 [h, w], luma of a small picture.
        current: the same of the next one.

    Returns:
        Share of the longer side, >= 0; 0 where either picture shows nothing.
    """
    before, after = previous.astype(np.float32), current.astype(np.float32)
    spreads = float(before.std()), float(after.std())
    if min(spreads) < FLAT_DEVIATION:
        return 0.0
    before, after = (before - before.mean()) / spreads[0], (after - after.mean()) / spreads[1]
    slope = float(np.abs(np.diff(after, axis=0)).mean() + np.abs(np.diff(after, axis=1)).mean())
    return float(np.abs(after - before).mean()) / slope / max(after.shape)
