"""A picture painted in a style on octaves, from small to large, on the same engine as a dream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from mmdream.ascent.engine import AscentProblem, ascend
from mmdream.ascent.objectives import to_texture_statistics
from mmdream.core import rng
from mmdream.image import style
from mmdream.image.octaves import OctavePass, Size, resize, resize_step_scale, to_grey
from mmdream.image.spectrum import blur_cascade
from mmdream.networks.network import Network
from mmdream.settings.passes import Style

FIRST_STEP = 0.014
"""RMS of the first step, of the range 0..1: longer ones leave noise, by which a picture ends further from its
content and no nearer to the style; shorter ones do not reach a style far from the content;"""
LAST_STEP_SCALE = 0.1
"""of the last one, over the first's."""
STYLE_BETAS = 0.8, 0.99
"""See `ascent.ADAM_BETAS`; with the usual 0.9 steps overshoot, as few as they are."""
CARRIED_SHARE = 0.034
"""Share of the steps that a carried film frame takes;"""
CARRIED_STEP_SCALE = 0.5
"""their length over the first step's. They go along the gradient itself: it is large where something has come
into view, while Adam would move every place alike, and what has settled would tremble."""
MAX_STEP_SCALE = 4.0
"""Times that length at most."""
MOMENTUM = 0.0
"""See `Card.momentum`: a style settles, and what it adds to one frame is not to go on in the next."""
GRADIENT_SIGMA = 2.0
"""px of the gradient's smoothing: strokes, not grain."""
MIN_PAINTING_SIDE, MAX_PAINTING_SIDE = 16, 1024
"""px: the least side and the longest one that a painting is shrunk or enlarged to."""


@dataclass(frozen=True)
class StyleTarget:
    """Paintings whose style is wanted, as a network tells it at any size."""

    network: Network
    wanted: Style
    models: tuple[tuple[np.ndarray, float], ...]
    """Pictures, float32 [H, W, 3], 0..1, with their weights."""
    known: dict[int, style.StyleLoss] = field(default_factory=dict)
    """By the longest side of what is painted, px; filled as sizes come."""

    def painting(self, size: Size) -> style.StyleLoss:
        """The style as it is wanted on a picture of this size."""
        longest = max(size)
        if longest not in self.known:
            told = [
                (style.measure_moments(self.network, self._sized(model, longest)), weight)
                for model, weight in self.models
            ]
            textures = [to_texture_statistics(sums) for sums in style.blend_moments(told)]
            wanted = self.wanted
            self.known[longest] = style.StyleLoss(
                self.network, textures, wanted.statistic, wanted.content_weight, wanted.smooth
            )
        return self.known[longest]

    def distance(self, picture: np.ndarray, content: np.ndarray) -> float:
        """How far a picture is from the style, both float32 [H, W, 3]."""
        whole = np.ones((*picture.shape[:2], 1), np.float32)
        size = picture.shape[0], picture.shape[1]
        return self.painting(size).distances(np.concatenate((picture, content, whole), axis=2))[0]

    def _sized(self, model: np.ndarray, longest: int) -> np.ndarray:
        """A painting as large as a picture, times the scale."""
        sides = model.shape[:2]
        factor = min(self.wanted.scale * longest, MAX_PAINTING_SIDE) / max(sides)
        height, width = (max(MIN_PAINTING_SIDE, round(side * factor)) for side in sides)
        return np.clip(resize(model, (height, width)), 0, 1)


def stylize_octaves(
    source: np.ndarray,
    detail: np.ndarray,
    visits: Sequence[OctavePass],
    easel: StyleTarget,
    *,
    seed: int,
    time: Fraction,
    step_scale: np.ndarray | None = None,
    color: str = "full",
    mask: np.ndarray | None = None,
    on_step: Callable[[np.ndarray], None] | None = None,
    before_step: Callable[[], None] | None = None,
) -> np.ndarray:
    """Climb towards a style through the visits.

    Args:
        source: float32 [H, W, 3], 0..1: the content.
        detail: float32 [H, W, 3], painting minus source that is there already; zeros for a fresh one.
        visits: octaves in the order they are climbed.
        easel: what is wanted.
        seed: the user's seed.
        time: the frame's time in seconds; addresses the rims.
        step_scale: float32 [h, w], how many times longer steps are; None: 1.
        color: "full", or "source" to keep the source's chroma.
        mask: float32 [H, W], 0..1, how much of each place is painted; None: all.
        on_step: called after each step with the painting so far, float32 [H, W, 3].
        before_step: called before each step; what it raises ends the painting.

    Returns:
        What was gained, float32 [H, W, 3]; `octaves.make_detail_limiter` has still to cut down detail and gain.
    """
    gain = np.zeros_like(source)
    for visit in visits:
        on = _StyleOctave(source, source + detail + gain, visit.size, mask)
        rims = rng.rng_for(seed, "rims", time, *visit.size)
        canvas = AscentProblem(
            start=np.zeros_like(on.base),
            step=FIRST_STEP
            if step_scale is None
            else FIRST_STEP
            * CARRIED_STEP_SCALE
            * np.minimum(resize_step_scale(step_scale, visit.size), MAX_STEP_SCALE),
            slope=on.slope(easel.painting(visit.size), rims, color, before_step),
            settle=on.settle(on_step),
            inside=None if mask is None else on.share,
        )
        climbed = (
            ascend(canvas, visit.steps, "adam", LAST_STEP_SCALE, STYLE_BETAS)
            if step_scale is None
            else ascend(canvas, visit.steps, "normalized")
        )
        gain = gain + resize(climbed, source.shape[:2])
    return gain


class _StyleOctave:
    """What is painted on at one octave."""

    def __init__(self, source: np.ndarray, begun: np.ndarray, size: Size, share: np.ndarray | None) -> None:
        self.begun = begun
        self.base = np.clip(resize(begun, size), 0, 1)
        content = np.clip(resize(source, size), 0, 1)
        whole = np.ones(source.shape[:2], np.float32) if share is None else share
        self.share = np.clip(resize(whole[..., None], size), 0, 1)
        self.beside = np.concatenate((content, self.share), axis=2)

    def slope(
        self,
        painting: style.StyleLoss,
        rims: np.random.Generator,
        color: str,
        asked: Callable[[], None] | None,
    ) -> Callable[[np.ndarray, int], np.ndarray]:
        varied = style.measure_content_variance(painting.network, self.beside[..., :3])

        def at(gained: np.ndarray, number: int) -> np.ndarray:
            if asked is not None:
                asked()
            shown = np.concatenate((self.base + gained, self.beside), axis=2)
            gradient = painting.gradient(shown, varied, rims)
            return blur_cascade(to_grey(gradient) if color == "source" else gradient, GRADIENT_SIGMA)

        return at

    def settle(self, shown: Callable[[np.ndarray], None] | None) -> Callable[[np.ndarray], np.ndarray]:
        def settled(gained: np.ndarray) -> np.ndarray:
            gained = np.clip(self.base + gained, 0, 1) - self.base
            if shown is not None:
                shown(np.clip(self.begun + resize(gained, self.begun.shape[:2]), 0, 1))
            return gained

        return settled
