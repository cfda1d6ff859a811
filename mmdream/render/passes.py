"""What one pass does to an image, in one form for stills, films and zooms: a dream, or a style."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from mmdream.image import octaves, style_ascent
from mmdream.image.gradient import build_gradient, evaluate_objective
from mmdream.image.objective import build_objective, step_size
from mmdream.image.octaves import OctavePass
from mmdream.networks.network import Network
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import FrameSettings, Schedule
from mmdream.settings.targets import GuideImage, Objective

AroundStep = Callable[[], AbstractContextManager[None]]
"""Stands around every gradient step of a pass; what it raises ends the work."""
StepCallback = Callable[[np.ndarray], None]
"""Takes the image so far, float32 [H, W, 3], after a step."""
TIMED_STEPS = 3
"""Steps that are timed."""


class PassRenderer(Protocol):
    """Adds detail to an image by gradient ascent."""

    @property
    def network(self) -> Network:
        """The network whose gradient is followed."""

    @property
    def schedule(self) -> Schedule:
        """The pass's settings over time."""

    @property
    def carried_share(self) -> float:
        """Share of the steps that a carried frame takes."""

    @property
    def smoothing(self) -> float | None:
        """Of a carried frame's steps, see `OctavePass`."""

    @property
    def momentum(self) -> float:
        """See `NetworkCard.momentum`."""

    def step_length(self, settings: FrameSettings) -> float:
        """RMS of a step, of the range 0..1; their mean where they grow shorter."""

    def ascend(
        self,
        source: np.ndarray,
        detail: np.ndarray,
        octave_passes: Sequence[OctavePass],
        settings: FrameSettings,
        time: Fraction,
        step_scale: np.ndarray | None = None,
        on_step: StepCallback | None = None,
    ) -> np.ndarray:
        """What an ascent from source + detail, float32 [H, W, 3], adds to the detail.

        Returns:
            float32, of the size of `step_scale`, or of the source.
        """

    def score(self, settings: FrameSettings, source: np.ndarray, result: np.ndarray) -> tuple[float, float]:
        """The objective of both images, float32 [H, W, 3]: more is better in a dream, less in a style."""

    def time_step(self, size: octaves.Size) -> float:
        """Trace the network for images of a size, and return the seconds that a step on one takes."""


@dataclass(frozen=True)
class DreamPass:
    """A dream: ascent of an objective of the network's layers."""

    recipe: Recipe
    """The pass's own: its schedule, targets, ascent options, colour and seed count."""
    network: Network
    guide: GuideImage | None = None
    """The image that the targets name."""
    around_step: AroundStep = nullcontext

    @property
    def schedule(self) -> Schedule:
        """The recipe's."""
        return self.recipe.schedule

    @property
    def carried_share(self) -> float:
        """The card's."""
        return self.network.card.carried

    @property
    def smoothing(self) -> float:
        """The card's."""
        return self.network.card.smoothing

    @property
    def momentum(self) -> float:
        """The card's."""
        return self.network.card.momentum

    def step_length(self, settings: FrameSettings) -> float:
        """The card's, for the objective."""
        return step_size(self.network.card, self.objective(settings))

    def objective(self, settings: FrameSettings) -> Objective:
        """What is ascended at a time of the schedule."""
        return build_objective(self.network.card, settings, self.recipe.wishes, self.guide)

    def ascend(
        self,
        source: np.ndarray,
        detail: np.ndarray,
        octave_passes: Sequence[OctavePass],
        settings: FrameSettings,
        time: Fraction,
        step_scale: np.ndarray | None = None,
        on_step: StepCallback | None = None,
    ) -> np.ndarray:
        """See `PassRenderer.ascend` and `octaves.dream_octaves`."""
        gradient = build_gradient(self.network, self.objective(settings))

        def watched_gradient(image: np.ndarray) -> np.ndarray:
            with self.around_step():
                return gradient(image)

        return octaves.dream_octaves(
            source, detail, octave_passes, watched_gradient, self.step_length(settings),
            seed=self.recipe.seed, time=time, step_scale=step_scale, color=self.recipe.color,
            options=self.recipe.manner, on_step=on_step,
        )  # fmt: skip

    def score(self, settings: FrameSettings, source: np.ndarray, result: np.ndarray) -> tuple[float, float]:
        """The objective of both."""
        objective = self.objective(settings)
        return (
            evaluate_objective(self.network, objective, source),
            evaluate_objective(self.network, objective, result),
        )

    def time_step(self, size: octaves.Size) -> float:
        """See `PassRenderer.time_step`; of the objective at second 0, on grey."""
        objective, grey = self.objective(self.schedule.at(0.0)), np.full((*size, 3), 0.5, np.float32)
        gradient = build_gradient(self.network, objective)
        gradient(grey)
        evaluate_objective(self.network, objective, grey)
        return _time_fastest(lambda: gradient(grey))


@dataclass(frozen=True)
class StylePass:
    """A style: ascent towards the statistics of paintings."""

    target: style_ascent.StyleTarget
    recipe: Recipe
    """The pass's own: its schedule, colour and seed count."""
    around_step: AroundStep = nullcontext

    smoothing = None
    """Strokes are as fine as pixels."""
    carried_share = style_ascent.CARRIED_SHARE
    momentum = style_ascent.MOMENTUM

    @property
    def network(self) -> Network:
        """The target's."""
        return self.target.network

    @property
    def schedule(self) -> Schedule:
        """The recipe's."""
        return self.recipe.schedule

    def step_length(self, settings: FrameSettings) -> float:
        """The same at any time."""
        return style_ascent.FIRST_STEP * (1 + style_ascent.LAST_STEP_SCALE) / 2

    def ascend(
        self,
        source: np.ndarray,
        detail: np.ndarray,
        octave_passes: Sequence[OctavePass],
        settings: FrameSettings,
        time: Fraction,
        step_scale: np.ndarray | None = None,
        on_step: StepCallback | None = None,
    ) -> np.ndarray:
        """See `PassRenderer.ascend` and `style_ascent.stylize_octaves`."""

        def before_step() -> None:
            with self.around_step():
                pass

        with self.around_step():
            return style_ascent.stylize_octaves(
                source, detail, octave_passes, self.target, seed=self.recipe.seed, time=time,
                step_scale=step_scale, color=self.recipe.color, on_step=on_step, before_step=before_step,
            )  # fmt: skip

    def score(self, settings: FrameSettings, source: np.ndarray, result: np.ndarray) -> tuple[float, float]:
        """The distance of both from the style."""
        return self.target.distance(source, source), self.target.distance(result, source)

    def time_step(self, size: octaves.Size) -> float:
        """See `PassRenderer.time_step`; on grey."""
        grey = np.full((*size, 3), 0.5, np.float32)

        def take_step() -> np.ndarray:
            return style_ascent.stylize_octaves(
                grey, np.zeros_like(grey), [OctavePass(size, 1)], self.target, seed=0, time=Fraction(0)
            )

        take_step()
        return _time_fastest(take_step)


def _time_fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(TIMED_STEPS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
