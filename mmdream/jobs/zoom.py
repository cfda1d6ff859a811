"""A picture that is dreamed again and again while it moves: each frame is the dream of the one before it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from fractions import Fraction

import cv2
import numpy as np

from mmdream.analysis.optical_flow import half_size
from mmdream.core.errors import UserError
from mmdream.image import octaves
from mmdream.image.gradient import build_objective, read_guide, step_size
from mmdream.image.motion import (
    CameraMotion,
    PyramidLimits,
    balance_pyramid,
    measure_pyramid_limits,
    unwarp_change,
    warp_affine,
)
from mmdream.networks.network import Network
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import FrameSettings
from mmdream.settings.targets import GuideImage

MAX_SECONDS = 3600.0
"""Seconds."""
FRAME_RATE_RANGE = 1.0, 120.0
"""Frames a second, least and most."""
DEFAULT_FRAME_RATE = 25
"""Frames a second at which a frame takes steps of the usual length, times"""
STEP_SCALE = 1.0
"""this: a dream renews itself within about a second. At other rates steps are as much longer or shorter."""
MAX_CORNER_DISTANCE = 16.0
"""px that the frame's corners may have moved away from the canvas before the canvas is moved after them. It
is moved by Lanczos then; moved at every frame, a picture would blur, or creep by steps of 1/32 px."""
BALANCE_RATE = 4.0
"""Part of what is too strong or too weak in a picture that is made good in a second."""


@dataclass(frozen=True, slots=True)
class ZoomSettings:
    """A film that is made of one picture; checked where it is made.

    Raises:
        UserError: a value out of range.
    """

    seconds: float
    motion: CameraMotion = field(default_factory=CameraMotion)
    rate: Fraction = Fraction(DEFAULT_FRAME_RATE)
    """Frames a second."""

    def __post_init__(self) -> None:
        if not FRAME_RATE_RANGE[0] <= self.rate <= FRAME_RATE_RANGE[1]:
            raise UserError(
                f"--fps is {float(self.rate):g}; choose between {FRAME_RATE_RANGE[0]:g} and {FRAME_RATE_RANGE[1]:g}"
            )
        if not 1 / self.rate <= self.seconds <= MAX_SECONDS:
            raise UserError(
                f"--ouroboros is {self.seconds:g} seconds; choose between one frame and {MAX_SECONDS:g}"
            )

    @property
    def frames(self) -> int:
        """How many."""
        return max(1, round(self.seconds * self.rate))


def dream_zoom_frames(
    start: np.ndarray, network: Network, recipe: Recipe, voyage: ZoomSettings
) -> Generator[np.ndarray, None, None]:
    """Dream a picture on and on.

    The canvas stays where it is while the view of it moves; what a frame gains is laid back on the canvas,
    and only when the view has gone far is the canvas moved after it. So nothing is resampled 25 times a
    second, and the motion is exact.

    Args:
        start: float32 [H, W, 3], 0..1. The first frame is its dream, of as few steps as that of any other:
            the dream grows within the first second.
        network: a picture network.
        recipe: how to dream; its schedule is asked at each frame's time.
        voyage: how long, how fast and whereto.

    Yields:
        Frames, float32 [H, W, 3], 0..1.
    """
    rate, motion = voyage.rate, voyage.motion
    size = start.shape[0], start.shape[1]
    canvas, anchored = start, 0.0
    guide = read_guide(recipe.wishes)
    kept = _measure_start(start, network, recipe, guide)
    pace = np.full(half_size(size), STEP_SCALE * DEFAULT_FRAME_RATE / float(rate), np.float32)
    for number in range(voyage.frames):
        at = number / rate
        moment, since = recipe.schedule.at(float(at)), float(at) - anchored
        if motion.reach(since, size) > MAX_CORNER_DISTANCE:
            canvas = np.clip(warp_affine(canvas, motion.after(since, size), cv2.INTER_LANCZOS4), 0, 1)
            anchored, since = float(at), 0.0
        way = motion.after(since, size)
        view = np.clip(warp_affine(canvas, way), 0, 1)
        if moment.strength and moment.steps:
            steps = min(moment.steps, max(1, round(moment.steps * network.card.carried)))
            visits = octaves.plan_carried_passes(
                octaves.octave_sizes(*size, moment), steps, number, network.card.smoothing
            )
            gain = _dream_view(view, visits, network, recipe, moment, at, guide, pace)
            canvas = canvas + np.float32(moment.strength) * unwarp_change(gain, way, size)
            canvas = balance_pyramid(canvas, kept, BALANCE_RATE / float(rate))
            view = np.clip(warp_affine(canvas, way), 0, 1)
        yield view


def _measure_start(
    start: np.ndarray, network: Network, recipe: Recipe, guide: GuideImage | None
) -> PyramidLimits:
    """How strong detail may be: as in the picture, and in its dream in full."""
    moment = recipe.schedule.at(0.0)
    visits = octaves.plan_full_passes(
        octaves.octave_sizes(start.shape[0], start.shape[1], moment), moment.steps
    )
    gain = _dream_view(start, visits, network, recipe, moment, Fraction(0), guide)
    return measure_pyramid_limits([start, start + octaves.make_detail_limiter(start, recipe.color)(gain)])


def _dream_view(
    view: np.ndarray,
    visits: list[octaves.OctavePass],
    network: Network,
    recipe: Recipe,
    moment: FrameSettings,
    at: Fraction,
    guide: GuideImage | None,
    pace: np.ndarray | None = None,
) -> np.ndarray:
    """What a picture's dream adds to it, float32 of the size of `pace`, or of the picture."""
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.image.gradient import build_gradient

    wanted = build_objective(network.card, moment, recipe.wishes, guide)
    return octaves.dream_octaves(
        view,
        np.zeros_like(view),
        visits,
        build_gradient(network, wanted),
        step_size(network.card, wanted),
        seed=recipe.seed,
        time=at,
        step_scale=pace,
        color=recipe.color,
        options=recipe.manner,
    )
