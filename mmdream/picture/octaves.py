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

from mmdream import chance
from mmdream.ascent import Canvas, ascend, unit
from mmdream.picture.smooth import cascade, flattening, width
from mmdream.picture.spectrum import natural
from mmdream.picture.tiles import sewn
from mmdream.picture.wander import wandered
from mmdream.recipe import Manner
from mmdream.schedule import Moment

SMALLEST = 64
"""Shortest side of the smallest octave in px: four cells of a rung of stride 16."""
JITTER = 32
"""Largest roll in px, as in google/deepdream (2015)."""

BROAD = 3.0
"""How much longer steps along natural gradients are: most of such a step lies in broad strokes of little
contrast, and no source is to be kept. Other networks tell class dreams from noise best there."""

Slope = Callable[[np.ndarray], np.ndarray]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Visit:
    """One octave's share of the work."""

    size: Size
    """Height, width in px."""
    steps: int
    smoothing: float | None = None
    """Sigma of the gradient's smoothing in px, and the climb's gain is kept at half size; None: it grows over
    the steps."""


PLAIN = Manner()


def sizes(height: int, width: int, moment: Moment) -> list[Size]:
    """The octaves of a picture, small to large; the last is the picture's own size.

    Octaves whose shorter side would fall under `SMALLEST` are left out.
    """
    found = [(height, width)]
    for k in range(1, moment.octaves):
        factor = moment.octave_scale**-k
        size = (round(height * factor), round(width * factor))
        if min(size) < SMALLEST:
            break
        found.append(size)
    return found[::-1]


def in_full(octaves: Sequence[Size], steps: int) -> list[Visit]:
    """Every octave with all its steps: a still picture, or the first frame of a shot."""
    return [Visit(size, steps) for size in octaves]


def carried(octaves: Sequence[Size], steps: int, turn: int, smoothing: float | None) -> list[Visit]:
    """A few steps at the largest octave and, in every third frame, at one of the others by rotation.

    Args:
        octaves: small to large.
        steps: at each.
        turn: number of the frame within its shot.
        smoothing: see `Visit`.
    """
    *smaller, largest = octaves
    rotation = [smaller[turn // 3 % len(smaller)]] if smaller and turn % 3 == 0 else []
    return [Visit(size, steps, smoothing) for size in (*rotation, largest)]


def work(visits: Sequence[Visit]) -> float:
    """What visits cost, in steps on a picture of the largest one's size."""
    pixels = [height * width for height, width in (visit.size for visit in visits)]
    return sum(visit.steps * area for visit, area in zip(visits, pixels, strict=True)) / max(pixels)


def dream(
    source: np.ndarray,
    detail: np.ndarray,
    visits: Sequence[Visit],
    slope: Slope,
    step: float,
    *,
    seed: int,
    place: Fraction,
    pace: np.ndarray | None = None,
    color: str = "full",
    manner: Manner = PLAIN,
    shown: Callable[[np.ndarray], None] | None = None,
) -> np.ndarray:
    """Climb through the visits.

    Args:
        source: float32 [H, W, 3], 0..1.
        detail: float32 [H, W, 3], dream minus source that is there already, and allowed; zeros for a fresh
            dream.
        visits: octaves in the order they are climbed.
        slope: the network's gradient, `picture.slope.slope`.
        step: RMS of one step in the range 0..1; of natural gradients `BROAD` times that.
        seed: the user's seed.
        place: the frame's time in seconds; addresses the jitter.
        pace: float32 [h, w], how many times longer steps are; None: 1.
        color: "full", or "source" to keep the source's chroma.
        manner: of climbing.
        shown: called after each step with the dream so far, float32 [H, W, 3].

    Returns:
        What was gained, float32 of the size of `pace`, or of the source; `allowed` has still to cut down the
        sum of detail and gain.
    """
    if manner.natural:
        step *= BROAD
    gain = np.zeros((*(source if pace is None else pace).shape[:2], 3), np.float32)
    dreamed = source + detail
    for number, visit in enumerate(visits):
        if number:
            dreamed = source + detail + resized(gain, source.shape[:2])
        base = _clip(resized(dreamed, visit.size))
        size = visit.size if visit.smoothing is None else _half(visit.size)
        shifts = chance.rng(seed, "jitter", place, *visit.size)
        canvas = Canvas(
            start=np.zeros((*size, 3), np.float32),
            step=step if pace is None else step * paced(pace, size),
            slope=_jittered(
                (lambda seen: grey(slope(seen))) if color == "source" else slope, base, visit, shifts, manner
            ),
            settle=_within(base) if size == visit.size else _free,
        )
        if shown is not None:
            canvas = replace(canvas, settle=_showing(canvas.settle, dreamed, shown))
        gain += resized(ascend(canvas, visit.steps, manner.optimizer), gain.shape[:2])
    return gain


def allowed(source: np.ndarray, color: str) -> Callable[[np.ndarray], np.ndarray]:
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


def resized(picture: np.ndarray, size: Size) -> np.ndarray:
    """Resize float32 [h, w, c]: area when it shrinks (no aliasing), cubic when it grows."""
    height, width = size
    if picture.shape[:2] == (height, width):
        return picture
    smaller = height * width < picture.shape[0] * picture.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    # OpenCV drops the last axis of a single channel.
    return cv2.resize(picture, (width, height), interpolation=method).reshape(height, width, -1)


def grey(gradient: np.ndarray) -> np.ndarray:
    """The gradient of brightness alone, float32 [h, w, 3]."""
    return cv2.cvtColor(gradient.mean(axis=2), cv2.COLOR_GRAY2RGB)


def _half(size: Size) -> Size:
    return max(1, size[0] // 2), max(1, size[1] // 2)


def paced(pace: np.ndarray, size: Size) -> np.ndarray:
    """A pace at another size, for each channel: float32 [h, w] -> [size, 3]."""
    return cv2.cvtColor(resized(pace[..., None], size)[..., 0], cv2.COLOR_GRAY2RGB)


def _jittered(
    slope: Slope, base: np.ndarray, visit: Visit, rng: np.random.Generator, manner: Manner
) -> Callable[[np.ndarray, int], np.ndarray]:
    """Move, take the gradient, move back, smooth: no pixel keeps its place in the network's grid."""
    # Even, so that a gradient of half size is rolled back by whole cells.
    shifts = 2 * rng.integers(-JITTER // 2, JITTER // 2 + 1, size=(max(visit.steps, 1), 2))
    # Drawn after them, and always: what is rolled does not depend on what else moves.
    turns = rng.uniform(-1, 1, size=(max(visit.steps, 1), 2))

    def at(gain: np.ndarray, number: int) -> np.ndarray:
        down, right = (int(shift) for shift in shifts[number])
        picture = _clip(base + resized(gain, visit.size)) if number else base
        gradient = climbed(np.roll(picture, (down, right), (0, 1)), turns[number])
        gradient = resized(gradient, gain.shape[:2])
        cell = 1 if visit.smoothing is None else 2
        sigma = (width(number, visit.steps) if visit.smoothing is None else visit.smoothing) / cell
        gradient = np.roll(gradient, (-down // cell, -right // cell), (0, 1))
        gradient = natural(gradient) if manner.natural else cascade(gradient, sigma)
        return gradient if not manner.flatten else unit(gradient) + manner.flatten * unit(flattening(gain))

    def climbed(picture: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        if not manner.wander:
            return sewn(slope, picture)
        return wandered(lambda there: sewn(slope, there), picture, drawn * manner.wander)

    return at


def _showing(
    settle: Callable[[np.ndarray], np.ndarray], dreamed: np.ndarray, shown: Callable[[np.ndarray], None]
) -> Callable[[np.ndarray], np.ndarray]:
    def settled(gain: np.ndarray) -> np.ndarray:
        gain = settle(gain)
        shown(_clip(dreamed + resized(gain, dreamed.shape[:2])))
        return gain

    return settled


def _within(base: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Keep base + gain within 0..1."""
    return lambda gain: _clip(base + gain) - base


def _free(gain: np.ndarray) -> np.ndarray:
    """A gain of half size is cut down when it is laid on the picture."""
    return gain


def _clip(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0.0, 1.0)
