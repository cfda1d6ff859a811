"""Motion between two frames: optical flow, where it can be trusted, and images warped along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

MIN_SIDE = 16
"""px; DIS cannot take less."""
FLOW_TOLERANCE_PX = 0.35
"""By which flow there and back may miss a pixel."""
UNLIKE_LEVELS = 6
"""Of 255, mean over 5x5: a larger difference is another thing."""
STANDARD_DEVIATION, UNLIKE_DEVIATION = 32.0, 24.0
"""Of 255: what two images are brought to before they are compared, and what is another thing then."""
HIDDEN_TRUST = 0.7
"""Trust of a place that seems to have been hidden: much of what lies nearby is a calmer beginning there than
none (R of a street scene .102 instead of .120)."""
FAST_MOTION = 0.5
"""px, by `measure_motion`, which reads large motions as less: a faster image is fast."""
FINE_SIDE = 300
"""px: images whose shorter side has so many show their motion finely enough at half of it; to the pixel, the
flow of drawn films gets worse (R .11 instead of .08)."""
FLAT_DEVIATION = 2.5
"""Standard deviation of luma, of 255, under which an image shows nothing that could be found again."""


@dataclass(frozen=True, slots=True)
class OpticalFlow:
    """How to fetch the previous frame's pixels for this frame."""

    backward: np.ndarray
    """float32 [h, w, 2]: a pixel (x, y) of this frame lay at (x, y) + backward in the previous one, px."""
    trust: np.ndarray
    """float32 [h, w], 0..1: 0 where the pixel was outside the frame, `HIDDEN_TRUST` where it was hidden or on
    a motion edge."""


def half_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height, width of the grid that motion is kept on: DIS is 4x cheaper there, detail is soft anyway."""
    return max(1, size[0] // 2), max(1, size[1] // 2)


def to_gray(rgb: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """What flow is measured on, uint8 [h, w], of float32 [H, W, 3], 0..1; half size if none is told."""
    height, width = size or half_size((rgb.shape[0], rgb.shape[1]))
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return np.rint(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) * 255).astype(np.uint8)


def shrink_flow(flow: OpticalFlow, size: tuple[int, int]) -> OpticalFlow:
    """A flow on a coarser grid (height, width), in its px; on its own it is as it was."""
    rows, columns = flow.trust.shape
    if size == (rows, columns):
        return flow
    backward, trust = (
        cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA) for part in (flow.backward, flow.trust)
    )
    return OpticalFlow(backward * np.array([size[1] / columns, size[0] / rows], np.float32), trust)


def estimate_flow(previous: np.ndarray, current: np.ndarray) -> OpticalFlow:
    """Dense flow both ways (OpenCV's DIS, Kroeger et al. 2016) and its trust, of two images from `to_gray`.

    The medium preset, with wider steps between patches and fewer iterations, which halves its time and costs
    little (R of a street scene .133 instead of .128); the fast preset is wrong twice as often on skies and
    walls (R .18). It ends at half of the images' size, so around what leaps it misses by more than a pixel:
    that was most of a fast film's flicker. Where the image is fast, the flow back, along which dreams move,
    is measured to the pixel (R of leaping sprites .10 instead of .17), for four times its time; the flow
    there, which only checks it, more coarsely.

    Trust is by the tests of Ruder et al. (2016): forward and backward flow must agree, and the flow must not
    jump; their limits are squared pixels of the full size. A place that fails them is trusted all the same if
    the flow fetches the very image that is there: around moving people the flow is smeared over a still
    background, and a dream that starts anew there would boil. Under `MIN_SIDE` nothing is trusted.
    """
    height, width = current.shape
    if min(height, width) < MIN_SIDE:
        return OpticalFlow(np.zeros((height, width, 2), np.float32), np.zeros((height, width), np.float32))
    is_fast = (
        min(height, width) < FINE_SIDE
        and measure_motion(previous, current) * max(height, width) > FAST_MOTION
    )
    backward = _run_dis(current, previous, finest_scale=0 if is_fast else 1)
    forward = _run_dis(previous, current, finest_scale=2 if is_fast else 1)
    positions = _pixel_grid(height, width) + backward
    returned = _remap(forward, positions)
    lengths = _squared_length(returned) + _squared_length(backward)
    hidden = _squared_length(returned + backward) >= 0.01 * lengths + 0.5 / 4
    edge = _squared_gradient(backward) > 0.01 * 4 * _squared_length(backward) + 0.002
    unlike = cv2.blur(cv2.absdiff(_remap(previous, positions), current), (5, 5)) > UNLIKE_LEVELS
    trust = np.where((hidden | edge) & unlike, np.float32(HIDDEN_TRUST), np.float32(1))
    trust[~_lie_inside(positions)] = 0
    # The blur avoids a hard rim.
    return OpticalFlow(backward, cv2.blur(trust, (3, 3), borderType=cv2.BORDER_REPLICATE))


def _run_dis(image: np.ndarray, other: np.ndarray, finest_scale: int) -> np.ndarray:
    """Where each pixel of an image lies in the other: float32 [h, w, 2], px.

    Sides are halved `finest_scale` times where the search ends.
    """
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(finest_scale)
    dis.setPatchStride(4)
    dis.setGradientDescentIterations(16)
    dis.setVariationalRefinementIterations(3)
    return dis.calc(image, other, None)


def measure_motion(previous: np.ndarray, current: np.ndarray) -> float:
    """How far an image moved, as a share of its longer side: its mean change over its mean slope.

    Takes a hundredth of a flow's time on luma, uint8 [h, w]. Brought to one mean and one contrast, so that
    flicker and fades are no motion; flat images have none. A large motion reads as less than it is.
    """
    before, after = previous.astype(np.float32), current.astype(np.float32)
    deviations = float(before.std()), float(after.std())
    if min(deviations) < FLAT_DEVIATION:
        return 0.0
    before, after = (before - before.mean()) / deviations[0], (after - after.mean()) / deviations[1]
    slope = float(np.abs(np.diff(after, axis=0)).mean() + np.abs(np.diff(after, axis=1)).mean())
    return float(np.abs(after - before).mean()) / slope / max(after.shape)


def warp(sharp: np.ndarray, smooth: Sequence[np.ndarray], backward: np.ndarray) -> list[np.ndarray]:
    """Fetch images along a backward flow, float32 [h, w, 2], px of h, w.

    `sharp`, float32 [H, W, c] of any size, is interpolated cubic: linear would blur it away within a second;
    `smooth` ones, float32 [h, w] or [h, w, c], linear for a third of the time. All keep their shapes.
    """
    positions = _pixel_grid(*backward.shape[:2]) + backward
    warped = [_remap(image, positions) for image in smooth]
    (rows, columns), (height, width) = backward.shape[:2], sharp.shape[:2]
    if (height, width) != (rows, columns):
        backward = cv2.resize(backward, (width, height), interpolation=cv2.INTER_LINEAR)
        backward[..., 0] *= width / columns
        backward[..., 1] *= height / rows
        positions = _pixel_grid(height, width) + backward
    return [_remap(sharp, positions, cv2.INTER_CUBIC), *warped]


def warp_onto(previous: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, float]:
    """An image warped onto the next one, and the share of its pixels that the flow back leads to their place.

    Both are uint8 [h, w, 3], luma first; the result is float32. Not `estimate_flow`, whose trust asks how
    well a pixel may be warped and leans to yes: here both answers must weigh the same.
    """
    if min(current.shape[:2]) < MIN_SIDE:
        return previous.astype(np.float32), 0.0
    a, b = (np.ascontiguousarray(image[..., 0]) for image in (previous, current))
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    backward, forward = dis.calc(b, a, None), dis.calc(a, b, None)
    misses = np.square(backward + warp(forward, (), backward)[0]).sum(-1)
    trust = float((misses < 0.01 * np.square(backward).sum(-1) + FLOW_TOLERANCE_PX**2).mean())
    return warp(previous.astype(np.float32), (), backward)[0], trust


def fetch_each_other(previous: np.ndarray, current: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The earlier of two images fetched for the later one, and the later one for the earlier.

    They are compared in one light: brought to one mean and one deviation, so neither may be flat. A fast flow
    is enough: a pixel counts only if the way leads to the same thing, and back. Under `MIN_SIDE` nothing
    moves.

    Args:
        previous: uint8 [h, w].
        current: likewise.

    Returns:
        For each what is fetched, uint8 [h, w], and where it counts, bool [h, w].
    """
    (height, width), pair = current.shape, [_standardize(image) for image in (previous, current)]
    ways = [np.zeros((height, width, 2), np.float32)] * 2
    if min(height, width) >= MIN_SIDE:
        dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        ways = [dis.calc(pair[1], pair[0], None), dis.calc(pair[0], pair[1], None)]
    fetched = []
    for there, image in enumerate((previous, current)):
        way = ways[there]
        positions = _pixel_grid(height, width) + way
        misses = _squared_length(way + _remap(ways[1 - there], positions))
        returns = misses < 0.01 * _squared_length(way) + FLOW_TOLERANCE_PX**2
        alike = cv2.absdiff(_remap(pair[there], positions), pair[1 - there]) < UNLIKE_DEVIATION
        fetched.append((_remap(image, positions), _lie_inside(positions) & returns & alike))
    return fetched


def _standardize(image: np.ndarray) -> np.ndarray:
    """An image, uint8, with mean 128 and deviation `STANDARD_DEVIATION`."""
    scale = STANDARD_DEVIATION / float(image.std())
    levels = (np.arange(256) - float(image.mean())) * scale + 128
    return cv2.LUT(image, np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _remap(image: np.ndarray, positions: np.ndarray, method: int = cv2.INTER_LINEAR) -> np.ndarray:
    """The pixels of an image at positions (x, y), float32 [h, w, 2]; beyond its rim, those of the rim."""
    remap: Any = cv2.remap  # Its stubs do not know that both coordinates may lie in one array.
    return remap(image, positions, None, method, borderMode=cv2.BORDER_REPLICATE)


def _lie_inside(positions: np.ndarray) -> np.ndarray:
    """Whether positions (x, y), float32 [h, w, 2], lie in an image of h, w: bool [h, w]."""
    height, width = positions.shape[:2]
    x, y = positions[..., 0], positions[..., 1]
    return (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)


@lru_cache(maxsize=8)
def _pixel_grid(height: int, width: int) -> np.ndarray:
    """Each pixel's own x and y, float32 [h, w, 2]."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack((x, y), axis=-1)


def _squared_length(vectors: np.ndarray) -> np.ndarray:
    x, y = vectors[..., 0], vectors[..., 1]
    return x * x + y * y


def _squared_gradient(vectors: np.ndarray) -> np.ndarray:
    """Squared length of the flow's gradient, central differences."""
    dx = cv2.Sobel(vectors, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    dy = cv2.Sobel(vectors, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    return _squared_length(dx) + _squared_length(dy)
