"""A dream of one image on octaves: gradient ascent from small to large sizes, always on top of the source.

The dream is kept as *detail*, dream minus source at full size. Each octave adds what it gains on the source
shrunk to its size plus the detail so far: the source stays sharp, and a film frame that begins with carried
detail takes the same path with fewer steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import cv2
import numpy as np

from mmdream.ascent.engine import AscentProblem, ascend, normalize_rms
from mmdream.core.rng import rng_for
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
contrast. Other networks tell class dreams from noise best there."""
DEFAULT_OPTIONS = AscentOptions()

GradientFunction = Callable[..., np.ndarray]
"""Image, float32 [H, W, 3], and its `TileBox` if it is a tile -> gradient of the image's shape."""
Size = tuple[int, int]
"""Height, width in px."""


@dataclass(frozen=True, slots=True)
class OctavePass:
    """The steps taken at one octave."""

    size: Size
    steps: int
    smoothing: float | None = None
    """Sigma of the gradient's blur, px, with the gain kept at half size; None: it grows with the steps."""


def octave_sizes(height: int, width: int, settings: FrameSettings) -> list[Size]:
    """Sizes of the octaves, small to large, none with a side under `MIN_SIDE` but the image's own size."""
    sizes = [(height, width)]
    for k in range(1, settings.octaves):
        factor = settings.octave_scale**-k
        size = (round(height * factor), round(width * factor))
        if min(size) < MIN_SIDE:
            break
        sizes.append(size)
    return sizes[::-1]


def plan_full_passes(sizes: Sequence[Size], steps: int) -> list[OctavePass]:
    """All steps at every octave: for a still image and the first frame of a shot."""
    return [OctavePass(size, steps) for size in sizes]


def plan_carried_passes(
    sizes: Sequence[Size], steps: int, turn: int, smoothing: float | None
) -> list[OctavePass]:
    """Steps at the largest octave and, in every third frame (`turn`) of a shot, at one of the others too."""
    *smaller, largest = sizes
    rotation = [smaller[turn // 3 % len(smaller)]] if smaller and turn % 3 == 0 else []
    return [OctavePass(size, steps, smoothing) for size in (*rotation, largest)]


def octave_cost(passes: Sequence[OctavePass]) -> float:
    """Cost of octave passes, in steps at the largest size among them."""
    areas = [octave.size[0] * octave.size[1] for octave in passes]
    return sum(octave.steps * area for octave, area in zip(passes, areas, strict=True)) / max(areas)


def dream_octaves(
    source: np.ndarray,
    detail: np.ndarray,
    passes: Sequence[OctavePass],
    gradient: GradientFunction,
    step: float,
    *,
    seed: int,
    time: Fraction,
    step_scale: np.ndarray | None = None,
    color: str = "full",
    options: AscentOptions = DEFAULT_OPTIONS,
    on_step: Callable[[np.ndarray], None] | None = None,
) -> np.ndarray:
    """Climb through octave passes, in order.

    Args:
        source: float32 [H, W, 3], 0..1.
        detail: float32 [H, W, 3], dream minus source so far, within its limits; zeros for a fresh dream.
        passes: see `plan_full_passes` and `plan_carried_passes`.
        gradient: of the network's objective, see `image.gradient.build_gradient`.
        step: RMS of one step in the range 0..1; of natural gradients `NATURAL_STEP_FACTOR` times that.
        seed: addresses the jitter, with the frame's `time` in seconds.
        time: see `seed`.
        step_scale: float32 [h, w], factor of the step at each place; None: 1.
        color: "full", or "source" to keep the source's chroma.
        options: of the ascent.
        on_step: called after each step with the dream so far, float32 [H, W, 3].

    Returns:
        The gain, float32 [h, w, 3] of the size of `step_scale`, or else of the source; its sum with the
        detail is still to be limited, see `make_detail_limiter`.
    """
    if options.natural:
        step *= NATURAL_STEP_FACTOR
    if color == "source":
        color_gradient, gradient = gradient, lambda *image: to_grey(color_gradient(*image))
    gain = np.zeros((*(source if step_scale is None else step_scale).shape[:2], 3), np.float32)
    dream = source + detail
    tiled = partial(apply_tiled, gradient, placed=True)
    for number, octave in enumerate(passes):
        if number:
            dream = source + detail + resize(gain, source.shape[:2])
        base = _clip(resize(dream, octave.size))
        height, width = octave.size
        size = octave.size if octave.smoothing is None else (max(1, height // 2), max(1, width // 2))
        rng = rng_for(seed, "jitter", time, *octave.size)
        problem = AscentProblem(
            start=np.zeros((*size, 3), np.float32),
            step=step if step_scale is None else step * resize_step_scale(step_scale, size),
            gradient=_step_gradient(tiled, base, octave, rng, options),
            # A gain of half size is limited when it is added to the image.
            constrain=keep_in_range(base if size == octave.size else None, dream, on_step),
        )
        gain += resize(ascend(problem, octave.steps, options.optimizer), gain.shape[:2])
    return gain


def make_detail_limiter(source: np.ndarray, color: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function that limits a detail, float32 [H, W, 3], so that source + detail stays within 0..1.

    With `color` "source" the detail is the same in all three channels: the source's chroma stays.
    """
    if color == "full":
        return lambda detail: np.clip(source + detail, 0.0, 1.0) - source
    room_up, room_down = 1 - source.max(axis=2), -source.min(axis=2)
    return lambda detail: cv2.cvtColor(np.clip(detail.mean(axis=2), room_down, room_up), cv2.COLOR_GRAY2RGB)


def keep_in_range(
    base: np.ndarray | None, dream: np.ndarray, on_step: Callable[[np.ndarray], None] | None
) -> Callable[[np.ndarray], np.ndarray]:
    """Keep base + gain within 0..1, where a base is given, and report the dream after each step."""

    def constrain(gain: np.ndarray) -> np.ndarray:
        if base is not None:
            gain = _clip(base + gain) - base
        if on_step is not None:
            on_step(_clip(dream + resize(gain, dream.shape[:2])))
        return gain

    return constrain


def resize(image: np.ndarray, size: Size) -> np.ndarray:
    """Resize float32 [h, w, c]: area when it shrinks (no aliasing), cubic when it grows."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    smaller = height * width < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    # OpenCV drops the last axis of a single channel.
    return cv2.resize(image, (width, height), interpolation=method).reshape(height, width, -1)


def resize_step_scale(step_scale: np.ndarray, size: Size) -> np.ndarray:
    """A step scale at another size, repeated for each channel: float32 [h, w] -> [*size, 3]."""
    return cv2.cvtColor(resize(step_scale[..., None], size)[..., 0], cv2.COLOR_GRAY2RGB)


def to_grey(gradient: np.ndarray) -> np.ndarray:
    """The gradient of brightness alone, float32 [h, w, 3]."""
    return cv2.cvtColor(gradient.mean(axis=2), cv2.COLOR_GRAY2RGB)


def _step_gradient(
    tiled: GradientFunction,
    base: np.ndarray,
    octave: OctavePass,
    rng: np.random.Generator,
    options: AscentOptions,
) -> Callable[[np.ndarray, int], np.ndarray]:
    """(gain, number of the step) -> gradient, jittered against the network's grid and blurred, [h, w, 3]."""
    # Even, so that a gradient of half size is rolled back by whole cells.
    shifts = 2 * rng.integers(-MAX_JITTER // 2, MAX_JITTER // 2 + 1, size=(max(octave.steps, 1), 2))
    # Drawn after the shifts, and always, so that these do not depend on `wander`.
    affine = rng.uniform(-1, 1, size=(max(octave.steps, 1), 2))
    cell = 1 if octave.smoothing is None else 2

    def at(gain: np.ndarray, number: int) -> np.ndarray:
        down, right = (int(shift) for shift in shifts[number])
        image = _clip(base + resize(gain, octave.size)) if number else base
        image = np.roll(image, (down, right), (0, 1))
        if options.wander:
            moved = gradient_under_affine(tiled, image, affine[number] * options.wander)
        else:
            moved = tiled(image)
        slope = np.roll(resize(moved, gain.shape[:2]), (-down // cell, -right // cell), (0, 1))
        if options.natural:
            slope = precondition_gradient(slope)
        else:
            sigma = cascade_sigma(number, octave.steps) if octave.smoothing is None else octave.smoothing
            slope = blur_cascade(slope, sigma / cell)
        if options.flatten:
            slope = normalize_rms(slope) + options.flatten * normalize_rms(flattening_gradient(gain))
        return slope

    return at


def _clip(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0.0, 1.0)
