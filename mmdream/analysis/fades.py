"""Fades: how much of its picture each frame of a shot shows.

A frame in a fade is a flatter copy of its neighbour, darker or whiter: once motion is undone, a gain and a
shade explain it. Contrast alone does not tell: a plain sky has a tenth of a meadow's, and is all there. So
the gains from frame to frame are measured on what both frames show, and added up along the shot: away from
where nothing is seen, or from a cut, up to where the picture no longer grows. A dissolve comes from no such
place: its two pictures add up to a whole one at any moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import numpy as np

from mmdream.analysis.optical_flow import FLAT_DEVIATION, fetch_each_other

MIN_COMMON_SHARE = 0.4
"""Of the pixels; if two frames share fewer, neither is a copy of the other."""
GROWTH, STEADY_FRAMES = 0.05, 12
"""Log of the contrast by which a fade grows within so many frames: slower is steady light, and noise."""
FADE_GONE = 0.1
"""Share of its picture below which a fade leaves nothing to dream on."""
FADED, BROKEN_OFF = 0.75, 0.4
"""Light under which the first frame beside nothing, or beside a cut, belongs to a fade: the light of a scene
changes, too."""


def measure_presence(light: float) -> float:
    """How much of a dream a fade leaves of a frame with a share of its picture's light, 0..1."""
    return max(0.0, light - FADE_GONE) / (1 - FADE_GONE)


def measure_gain(previous: np.ndarray, current: np.ndarray) -> float:
    """Log of the contrast of what two images, uint8 [h, w], show both: the later one's over the earlier's.

    0 where they show too little in common, and where the whole contrast grows or falls too slowly to ask.
    """
    whole = float(previous.std()), float(current.std())
    if min(whole) < FLAT_DEVIATION or abs(np.log(whole[1] / whole[0])) < GROWTH / STEADY_FRAMES:
        return 0.0
    gains = []
    for here, (fetched, common) in zip((current, previous), fetch_each_other(previous, current), strict=True):
        if common.mean() < MIN_COMMON_SHARE:
            return 0.0
        gains.append(np.log(max(float(here[common].std()), 1e-9) / max(float(fetched[common].std()), 1e-9)))
    # What is fetched is softer than what is there, both ways alike.
    return float(gains[0] - gains[1]) / 2


def measure_light(contrasts: Sequence[float], gains: Sequence[float], is_flash: np.ndarray) -> np.ndarray:
    """Share of its picture that each frame of a shot shows, float64 [frame], 0..1.

    Args:
        contrasts: deviation of each frame's luma, of 255; below 0: it is black.
        gains: `measure_gain` of each frame and the last one that is no flash; the first one's does not count.
        is_flash: bool [frame]. The neighbours of a flash are all the shot: white, it is a flat copy of it.
    """
    contrast, gain = np.asarray(contrasts, np.float64), np.asarray(gains, np.float64)
    own = ~is_flash
    largest = float(contrast[own].max(initial=0.0))
    if largest < FLAT_DEVIATION:
        return np.ones(len(contrast))  # A shot that shows nothing anywhere is not fading.
    light = np.clip(contrast / largest, 0.0, 1.0)
    light[own] = _follow_fades(contrast[own], gain[own].cumsum())
    return light


def _follow_fades(contrast: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The light of a shot's frames by their contrasts and by the log of their pictures' contrast."""
    light, shown = np.where(contrast < 0, 0.0, 1.0), contrast >= FLAT_DEVIATION
    edges = np.flatnonzero(np.diff(np.concatenate([[False], shown, [False]])))
    for first, stop in edges.reshape(-1, 2):
        forth = np.arange(first, stop)
        for places, beside in ((forth, range(first - 1, -1, -1)), (forth[::-1], range(stop, len(light)))):
            way = _climb(levels[places])
            if way[0] > (FADED if beside else BROKEN_OFF):
                continue
            light[places[: len(way)]] = np.minimum(light[places[: len(way)]], way)
            # Of what lies beside, all that is left of the same picture.
            for place in takewhile(lambda each: not shown[each], beside):
                left = np.clip(contrast[place] / contrast[places[0]], 0.0, 1.0)
                light[place] = min(light[place], way[0] * left)
    return light


def _climb(levels: np.ndarray) -> np.ndarray:
    """The light of the frames up to where the picture stops growing, by the log of its contrast."""
    mark, marked, best = levels[0], 0, 0
    for place, level in enumerate(levels):
        if level > levels[best]:
            best = place
        if level > mark + GROWTH:
            mark, marked = level, place
        elif place - marked >= STEADY_FRAMES:
            break
    return np.exp(np.minimum(levels[: best + 1] - levels[best], 0.0))
