"""An image painted in a style on octaves, from small to large, on the same engine as a dream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from mmdream.ascent.engine import AscentProblem, ascend
from mmdream.ascent.style_statistics import to_texture_statistics
from mmdream.core.rng import rng_for
from mmdream.image.octaves import OctavePass, Size, keep_in_range, resize, resize_step_scale, to_grey
from mmdream.image.spectrum import blur_cascade
from mmdream.image.style import StyleLoss, blend_moments, measure_content_variance, measure_moments
from mmdream.networks.network import Network
from mmdream.settings.passes import Style

FIRST_STEP = 0.014
"""RMS of the first step, of the range 0..1: longer ones leave noise and come no nearer to the style; shorter
ones do not reach a style far from the content."""
LAST_STEP_SCALE = 0.1
"""Length of the last step over the first's."""
STYLE_BETAS = 0.8, 0.99
"""See `ascent.engine.ADAM_BETAS`; with the usual 0.9 steps overshoot, as few as they are."""
CARRIED_SHARE = 0.034
"""Share of the steps that a carried film frame takes."""
CARRIED_STEP_SCALE = 0.5
"""Length of a carried frame's steps over the first step's. They go along the gradient itself, large where
something has come into view: Adam would move every place alike, and what has settled would tremble."""
MAX_STEP_SCALE = 4.0
"""Times that length at most."""
MOMENTUM = 0.0
"""See `NetworkCard.momentum`: a style settles, and what it adds to one frame is not to go on in the next."""
GRADIENT_SIGMA = 2.0
"""px of the gradient's smoothing: strokes, not grain."""
MIN_PAINTING_SIDE, MAX_PAINTING_SIDE = 16, 1024
"""px: the least side and the longest one that a painting is shrunk or enlarged to."""


@dataclass(frozen=True)
class StyleTarget:
    """Paintings whose style is the target, as a network sees it at any size."""

    network: Network
    style: Style
    paintings: tuple[tuple[np.ndarray, float], ...]
    """Images, float32 [H, W, 3], 0..1, with their weights."""
    losses: dict[int, StyleLoss] = field(default_factory=dict)
    """By the longest side of the image, px; filled as sizes come."""

    def loss_at(self, size: Size) -> StyleLoss:
        """The loss of an image of this size; the paintings are as large, times the style's scale."""
        longest = max(size)
        if longest not in self.losses:
            moments = []
            for painting, weight in self.paintings:
                factor = min(self.style.scale * longest, MAX_PAINTING_SIDE) / max(painting.shape[:2])
                height, width = (max(MIN_PAINTING_SIDE, round(side * factor)) for side in painting.shape[:2])
                resized = np.clip(resize(painting, (height, width)), 0, 1)
                moments.append((measure_moments(self.network, resized), weight))
            targets = [to_texture_statistics(sums) for sums in blend_moments(moments)]
            self.losses[longest] = StyleLoss(self.network, self.style, targets)
        return self.losses[longest]

    def distance(self, image: np.ndarray, content: np.ndarray) -> float:
        """How far an image is from the style, both float32 [H, W, 3]."""
        share = np.ones((*image.shape[:2], 1), np.float32)
        loss = self.loss_at((image.shape[0], image.shape[1]))
        return loss.distances(np.concatenate((image, content, share), axis=2))[0]


def stylize_octaves(
    source: np.ndarray,
    detail: np.ndarray,
    passes: Sequence[OctavePass],
    target: StyleTarget,
    *,
    seed: int,
    time: Fraction,
    step_scale: np.ndarray | None = None,
    color: str = "full",
    mask: np.ndarray | None = None,
    on_step: Callable[[np.ndarray], None] | None = None,
    before_step: Callable[[], None] | None = None,
) -> np.ndarray:
    """Climb towards a style through octave passes, as `octaves.dream_octaves` does along an objective.

    The source is the content; `mask`, float32 [H, W], 0..1, is how much of each place is painted (None: all);
    what `before_step`, called before each step, raises, ends the painting. Returns the gain, float32
    [H, W, 3], of which the sum with the detail is still to be limited.
    """
    gain = np.zeros_like(source)
    step: float | np.ndarray = FIRST_STEP
    for octave in passes:
        start = source + detail + gain
        base, content = (np.clip(resize(image, octave.size), 0, 1) for image in (start, source))
        share = np.ones(source.shape[:2], np.float32) if mask is None else mask
        share = np.clip(resize(share[..., None], octave.size), 0, 1)
        if step_scale is not None:
            scale = np.minimum(resize_step_scale(step_scale, octave.size), MAX_STEP_SCALE)
            step = FIRST_STEP * CARRIED_STEP_SCALE * scale
        loss, rng = target.loss_at(octave.size), rng_for(seed, "rims", time, *octave.size)
        problem = AscentProblem(
            start=np.zeros_like(base),
            step=step,
            gradient=_step_gradient(loss, base, np.dstack((content, share)), rng, color, before_step),
            constrain=keep_in_range(base, start, on_step),
            mask=None if mask is None else share,
        )
        if step_scale is None:
            gained = ascend(problem, octave.steps, "adam", LAST_STEP_SCALE, STYLE_BETAS)
        else:
            gained = ascend(problem, octave.steps, "normalized")
        gain = gain + resize(gained, source.shape[:2])
    return gain


def _step_gradient(
    loss: StyleLoss,
    base: np.ndarray,
    content_and_share: np.ndarray,
    rng: np.random.Generator,
    color: str,
    before_step: Callable[[], None] | None,
) -> Callable[[np.ndarray, int], np.ndarray]:
    """Blurred descent of the loss at base + gain: (gain [h, w, 3], number of the step) -> [h, w, 3]."""
    content_variance = measure_content_variance(loss.network, content_and_share[..., :3])

    def at(gain: np.ndarray, number: int) -> np.ndarray:
        if before_step is not None:
            before_step()
        image = np.concatenate((base + gain, content_and_share), axis=2)
        gradient = loss.gradient(image, content_variance, rng)
        return blur_cascade(to_grey(gradient) if color == "source" else gradient, GRADIENT_SIGMA)

    return at
