"""A picture dreamed on octaves, from small to large, always on top of its own source.

The dream is kept as *detail*, dream minus source at full size. Each octave climbs on the source shrunk to
its size plus the detail gained so far, and adds what it gained: the source's own detail is never lost, and
a film frame that starts from carried detail takes the very same path with fewer steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np

from mmdream.ascent.engine import AscentProblem, ascend, normalize_rms
from mmdream.core import rng as chance
from mmdream.image.spectrum import (
    blur_cascade,
    cascade_sigma,
    flattening_gradient,
    gradient_under_affine,
    precondition_gradient,
)
from mmdream.image.tiles import apply_tiled
from mmdream.settings.recipe import AscentOptions
from mmdream.settings.schedule import FrameSettings

MIN_SIDE = 64
"""Shortest side of the smallest octave in px: four cells of a rung of stride 16."""
MAX_JITTER = 32
"""Largest roll in px, as in google/deepdream (2015)."""

NATURAL_STEP_FACTOR = 3.0
"""How much longer steps along natural gradients are: most of such a step lies in broad strokes of little
contrast, and no source is to be kept. Other networks tell class dreams from noise best there."""

GradientFunction = Callable[[np.ndarray], np.ndarray]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class OctavePass:
    """One octave's share of the work."""

    size: Size
    """Height, width in px."""
    steps: int
    smoothing: float | None = None
    """Sigma of the gradient's smoothing in px, and the climb's gain is kept at half size; None: it grows over
    the steps."""


DEFAULT_OPTIONS = AscentOptions()


def octave_sizes(height: int, width: int, moment: FrameSettings) -> list[Size]:
    """The octaves of a picture, small to large; the last is the picture's own size.

    Octaves whose shorter side would fall under `MIN_SIDE` are left out.
    """
    found = [(height, width)]
    for k in range(1, moment.octaves):
        factor = moment.octave_scale**-k
        size = (round(height * factor), round(width * factor))
        if min(size) < MIN_SIDE:
            break
        found.append(size)
    return found[::-1]


def plan_full_passes(octaves: Sequence[Size], steps: int) -> list[OctavePass]:
    """Every octave with all its steps: a still picture, or the first frame of a shot."""
    return [OctavePass(size, steps) for size in octaves]


def plan_carried_passes(
    octaves: Sequence[Size], steps: int, turn: int, smoothing: float | None
) -> list[OctavePass]:
    """A few steps at the largest octave and, in every third frame, at one of the others by rotation.

    Args:
        octaves: small to large.
        steps: at each.
        turn: number of the frame within its shot.
        smoothing: see `OctavePass`.
    """
    *smaller, largest = octaves
    rotation = [smaller[turn // 3 % len(smaller)]] if smaller and turn % 3 == 0 else []
    return [OctavePass(size, steps, smoothing) for size in (*rotation, largest)]


def octave_cost(visits: Sequence[OctavePass]) -> float:
    """What visits cost, in steps on a picture of the largest one's size."""
    pixels = [height * width for height, width in (visit.size for visit in visits)]
    return sum(visit.steps * area for visit, area in zip(visits, pixels, strict=True)) / max(pixels)


def dream_octaves(
    source: np.ndarray,
    detail: np.ndarray,
    visits: Sequence[OctavePass],
    slope: GradientFunction,
    step: float,
    *,
    seed: int,
    time: Fraction,
    step_scale: np.ndarray | None = None,
    color: str = "full",
    options: AscentOptions = DEFAULT_OPTIONS,
    on_step: Callable[[np.ndarray], None] | None = None,
) -> np.ndarray:
    """Climb through the visits.

    Args:
        source: float32 [H, W, 3], 0..1.
        detail: float32 [H, W, 3], dream minus source that is there already, and allowed; zeros for a fresh
            dream.
        visits: octaves in the order they are climbed.
        slope: the network's gradient, `picture.slope.slope`.
        step: RMS of one step in the range 0..1; of natural gradients `NATURAL_STEP_FACTOR` times that.
        seed: the user's seed.
        time: the frame's time in seconds; addresses the jitter.
        step_scale: float32 [h, w], how many times longer steps are; None: 1.
        color: "full", or "source" to keep the source's chroma.
        options: of climbing.
        on_step: called after each step with the dream so far, float32 [H, W, 3].

    Returns:
        What was gained, float32 of the size of `step_scale`, or of the source; `make_detail_limiter` has still to cut down the
        sum of detail and gain.
    """
    if options.natural:
        step *= NATURAL_STEP_FACTOR
    gain = np.zeros((*(source if step_scale is None else step_scale).shape[:2], 3), np.float32)
    dreamed = source + detail
    for number, visit in enumerate(visits):
        if number:
            dreamed = source + detail + resize(gain, source.shape[:2])
        base = _clip(resize(dreamed, visit.size))
        size = visit.size if visit.smoothing is None else _half_size(visit.size)
        shifts = chance.rng_for(seed, "jitter", time, *visit.size)
        canvas = AscentProblem(
            start=np.zeros((*size, 3), np.float32),
            step=step if step_scale is None else step * resize_step_scale(step_scale, size),
            slope=_jitter_gradient(
                (lambda seen: to_grey(slope(seen))) if color == "source" else slope,
                base,
                visit,
                shifts,
                options,
            ),
            settle=_limit_gain(base) if size == visit.size else _keep_gain,
        )
        if on_step is not None:
            canvas = replace(canvas, settle=_report_steps(canvas.settle, dreamed, on_step))
        gain += resize(ascend(canvas, visit.steps, options.optimizer), gain.shape[:2])
    return gain


def make_detail_limiter(source: np.ndarray, color: str) -> Callable[[np.ndarray], np.ndarray]:
    """What a detail must be cut down to on a picture.

    Args:
        source: float32 [H, W, 3], 0..1.
        color: "full": source + detail lies within 0..1; "source": and the detail is the same in all three
            channels, so that the source's chroma (its differences of channels) stays.

    Returns:
        float32 [H, W, 3] -> float32 [H, W, 3].
    """
    if color == "full":
        return lambda detail: np.clip(source + detail, 0.0, 1.0) - source
    room_up, room_down = 1 - source.max(axis=2), -source.min(axis=2)
    return lambda detail: cv2.cvtColor(np.clip(detail.mean(axis=2), room_down, room_up), cv2.COLOR_GRAY2RGB)


def resize(picture: np.ndarray, size: Size) -> np.ndarray:
    """Resize float32 [h, w, c]: area when it shrinks (no aliasing), cubic when it grows."""
    height, width = size
    if picture.shape[:2] == (height, width):
        return picture
    smaller = height * width < picture.shape[0] * picture.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    # OpenCV drops the last axis of a single channel.
    return cv2.resize(picture, (width, height), interpolation=method).reshape(height, width, -1)


def to_grey(gradient: np.ndarray) -> np.ndarray:
    """The gradient of brightness alone, float32 [h, w, 3]."""
    return cv2.cvtColor(gradient.mean(axis=2), cv2.COLOR_GRAY2RGB)


def _half_size(size: Size) -> Size:
    return max(1, size[0] // 2), max(1, size[1] // 2)


def resize_step_scale(pace: np.ndarray, size: Size) -> np.ndarray:
    """A pace at another size, for each channel: float32 [h, w] -> [size, 3]."""
    return cv2.cvtColor(resize(pace[..., None], size)[..., 0], cv2.COLOR_GRAY2RGB)


def _jitter_gradient(
    slope: GradientFunction,
    base: np.ndarray,
    visit: OctavePass,
    rng: np.random.Generator,
    manner: AscentOptions,
) -> Callable[[np.ndarray, int], np.ndarray]:
    """Move, take the gradient, move back, smooth: no pixel keeps its place in the network's grid."""
    # Even, so that a gradient of half size is rolled back by whole cells.
    shifts = 2 * rng.integers(-MAX_JITTER // 2, MAX_JITTER // 2 + 1, size=(max(visit.steps, 1), 2))
    # Drawn after them, and always: what is rolled does not depend on what else moves.
    turns = rng.uniform(-1, 1, size=(max(visit.steps, 1), 2))

    def at(gain: np.ndarray, number: int) -> np.ndarray:
        down, right = (int(shift) for shift in shifts[number])
        picture = _clip(base + resize(gain, visit.size)) if number else base
        gradient = climbed(np.roll(picture, (down, right), (0, 1)), turns[number])
        gradient = resize(gradient, gain.shape[:2])
        cell = 1 if visit.smoothing is None else 2
        sigma = (cascade_sigma(number, visit.steps) if visit.smoothing is None else visit.smoothing) / cell
        gradient = np.roll(gradient, (-down // cell, -right // cell), (0, 1))
        gradient = precondition_gradient(gradient) if manner.natural else blur_cascade(gradient, sigma)
        return (
            gradient
            if not manner.flatten
            else normalize_rms(gradient) + manner.flatten * normalize_rms(flattening_gradient(gain))
        )

    def climbed(picture: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        if not manner.wander:
            return apply_tiled(slope, picture)
        return gradient_under_affine(lambda there: apply_tiled(slope, there), picture, drawn * manner.wander)

    return at


def _report_steps(
    settle: Callable[[np.ndarray], np.ndarray], dreamed: np.ndarray, shown: Callable[[np.ndarray], None]
) -> Callable[[np.ndarray], np.ndarray]:
    def settled(gain: np.ndarray) -> np.ndarray:
        gain = settle(gain)
        shown(_clip(dreamed + resize(gain, dreamed.shape[:2])))
        return gain

    return settled


def _limit_gain(base: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Keep base + gain within 0..1."""
    return lambda gain: _clip(base + gain) - base


def _keep_gain(gain: np.ndarray) -> np.ndarray:
    """A gain of half size is cut down when it is laid on the picture."""
    return gain


def _clip(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0.0, 1.0)
