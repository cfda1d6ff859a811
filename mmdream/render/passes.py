"""What one pass does to a frame, behind one form: a dream of a network, or the style of paintings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from mmdream.core.errors import Interrupted
from mmdream.core.report import Stopwatch
from mmdream.image import octaves, style_ascent
from mmdream.image.gradient import build_gradient, evaluate_objective
from mmdream.image.objective import build_objective, step_size
from mmdream.image.octaves import GradientFunction, OctavePass
from mmdream.networks.network import Network
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import FrameSettings, Schedule
from mmdream.settings.targets import GuideImage, Objective

TIMED_STEPS = 3
"""Steps that are timed."""


class PassRenderer(Protocol):
    """What a painter asks of a pass."""

    @property
    def network(self) -> Network:
        """What it sees with."""

    @property
    def schedule(self) -> Schedule:
        """Its settings over time."""

    @property
    def carried(self) -> float:
        """Share of the steps that a carried frame takes."""

    @property
    def smoothing(self) -> float | None:
        """Of a carried frame's steps, see `octaves.OctavePass`."""

    @property
    def momentum(self) -> float:
        """See `Card.momentum`."""

    def length(self, moment: FrameSettings) -> float:
        """RMS of a step, of the range 0..1; their mean where they grow shorter."""

    def gain(
        self,
        source: np.ndarray,
        detail: np.ndarray,
        visits: Sequence[OctavePass],
        moment: FrameSettings,
        place: Fraction,
        pace: np.ndarray | None = None,
        shown: Callable[[np.ndarray], None] | None = None,
    ) -> np.ndarray:
        """What a climb adds to `detail`, float32 of the size of `pace`, or of the source [H, W, 3].

        After each step `shown` is called with the picture so far, float32 [H, W, 3].
        """

    def scores(self, moment: FrameSettings, source: np.ndarray, result: np.ndarray) -> tuple[float, float]:
        """What is climbed, for both, float32 [H, W, 3]: more is better in a dream, less in a style."""

    def step_seconds(self, size: octaves.Size) -> float:
        """Trace the network, and time one step on a picture of a size."""


@dataclass(frozen=True)
class DreamPass:
    """A dream."""

    recipe: Recipe
    """Its schedule and wishes are the pass's."""
    network: Network
    clock: Stopwatch
    stopped: Callable[[], bool]
    guide: GuideImage | None = None
    """The one that its wishes name."""

    @property
    def schedule(self) -> Schedule:
        """The recipe's."""
        return self.recipe.schedule

    @property
    def carried(self) -> float:
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

    def length(self, moment: FrameSettings) -> float:
        """The card's, along what is climbed."""
        return step_size(self.network.card, self._wanted(moment))

    def gain(
        self,
        source: np.ndarray,
        detail: np.ndarray,
        visits: Sequence[OctavePass],
        moment: FrameSettings,
        place: Fraction,
        pace: np.ndarray | None = None,
        shown: Callable[[np.ndarray], None] | None = None,
    ) -> np.ndarray:
        """See `octaves.dream_octaves`."""
        return octaves.dream_octaves(
            source,
            detail,
            visits,
            self._slope(moment),
            self.length(moment),
            seed=self.recipe.seed,
            time=place,
            step_scale=pace,
            color=self.recipe.color,
            options=self.recipe.manner,
            on_step=shown,
        )

    def scores(self, moment: FrameSettings, source: np.ndarray, result: np.ndarray) -> tuple[float, float]:
        """The objective."""
        wanted = self._wanted(moment)
        return evaluate_objective(self.network, wanted, source), evaluate_objective(
            self.network, wanted, result
        )

    def step_seconds(self, size: octaves.Size) -> float:
        """Of the first moment's objective."""
        wanted = self._wanted(self.schedule.at(0.0))
        gradient, still = build_gradient(self.network, wanted), np.full((*size, 3), 0.5, np.float32)
        gradient(still)
        evaluate_objective(self.network, wanted, still)
        return _time_fastest(lambda: gradient(still))

    def _wanted(self, moment: FrameSettings) -> Objective:
        """What is climbed at a moment."""
        return build_objective(self.network.card, moment, self.recipe.wishes, self.guide)

    def _slope(self, moment: FrameSettings) -> GradientFunction:
        """The network's gradient, which gives up between two steps when the user wants to stop."""
        gradient = build_gradient(self.network, self._wanted(moment))

        def at(picture: np.ndarray) -> np.ndarray:
            if self.stopped():
                raise Interrupted
            with self.clock.time("network"):
                return gradient(picture)

        return at


@dataclass(frozen=True)
class StylePass:
    """A style."""

    easel: style_ascent.StyleTarget
    schedule: Schedule
    recipe: Recipe
    """Its seed and colour."""
    clock: Stopwatch
    stopped: Callable[[], bool]

    smoothing = None
    """Strokes are as fine as pixels."""
    carried = style_ascent.CARRIED_SHARE
    momentum = style_ascent.MOMENTUM

    @property
    def network(self) -> Network:
        """The easel's."""
        return self.easel.network

    def length(self, moment: FrameSettings) -> float:
        """The same at any moment."""
        return style_ascent.FIRST_STEP * (1 + style_ascent.LAST_STEP_SCALE) / 2

    def gain(
        self,
        source: np.ndarray,
        detail: np.ndarray,
        visits: Sequence[OctavePass],
        moment: FrameSettings,
        place: Fraction,
        pace: np.ndarray | None = None,
        shown: Callable[[np.ndarray], None] | None = None,
    ) -> np.ndarray:
        """See `styled.stylize_octaves`."""

        def asked() -> None:
            if self.stopped():
                raise Interrupted

        with self.clock.time("network"):
            return style_ascent.stylize_octaves(
                source, detail, visits, self.easel, seed=self.recipe.seed, time=place, step_scale=pace,
                color=self.recipe.color, on_step=shown, before_step=asked,
            )  # fmt: skip

    def scores(self, moment: FrameSettings, source: np.ndarray, result: np.ndarray) -> tuple[float, float]:
        """The distance from the style."""
        return self.easel.distance(source, source), self.easel.distance(result, source)

    def step_seconds(self, size: octaves.Size) -> float:
        """Of a step on a picture without anything in it."""
        still = np.full((*size, 3), 0.5, np.float32)
        visits = [OctavePass(size, 1)]

        def one() -> np.ndarray:
            return style_ascent.stylize_octaves(
                still, np.zeros_like(still), visits, self.easel, seed=0, time=Fraction(0)
            )

        one()
        return _time_fastest(one)


def _time_fastest(work: Callable[[], object]) -> float:
    took = []
    for _ in range(TIMED_STEPS):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return min(took)
