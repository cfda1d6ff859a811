"""The form of every pass: what it is asked, and how it goes on with carried frames."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Self

import numpy as np

from mmdream.image import octaves
from mmdream.image.gradient import ChannelGains
from mmdream.image.habituation import Fatigue
from mmdream.image.octaves import GradientFunction, OctavePass
from mmdream.networks.network import Network
from mmdream.settings.passes import Pass
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import FrameSettings, Schedule

Watch = Callable[[GradientFunction], GradientFunction]
"""Wraps what a pass does with an image at a step: what the wrapper raises ends the work."""
StepCallback = Callable[[np.ndarray], None]
"""Takes the image so far, float32 [H, W, 3], after a step."""
TIMED_STEPS = 3
"""Steps that are timed."""


def watch_nothing(take_step: GradientFunction) -> GradientFunction:
    """The `Watch` that does nothing."""
    return take_step


@dataclass(frozen=True, slots=True)
class CarriedFrames:
    """How a pass goes on with a dream that was carried from the frame before."""

    share: float
    """Of the steps that a frame in full takes."""
    smoothing: float | None
    """See `OctavePass`."""
    momentum: float
    """See `NetworkCard.momentum`."""
    every: int = 1
    """One frame in so many takes the steps of all of them; the others only move the dream."""
    strength: float = 1.0
    """That is steered to, over that of a full ascent, see `warp_state`."""


@dataclass(frozen=True, slots=True)
class AscentRequest:
    """An ascent that a pass is to make from source + detail, both float32 [H, W, 3]."""

    source: np.ndarray
    detail: np.ndarray
    octaves: Sequence[OctavePass]
    settings: FrameSettings
    time: Fraction
    """Of the frame in seconds: with the recipe's seed it addresses what is random."""
    step_scale: np.ndarray | None = None
    """float32 [h, w], factor of the steps at each place; None: 1."""
    fatigue: Fatigue = field(default_factory=dict)
    """Of what the dream has shown; empty where it begins."""
    hinted: ChannelGains = field(default_factory=dict)
    """What the source's hints make of the channels' energies."""
    heard: ChannelGains = field(default_factory=dict)
    """Likewise the sounds that are heard; what they favour does not tire."""
    on_step: StepCallback | None = None
    turn: int = 0
    """Of a carried frame, among those of its shot that take steps."""


@dataclass(frozen=True)
class PassRenderer(ABC):
    """Adds detail to an image by gradient ascent."""

    recipe: Recipe
    """The pass's own: its schedule, colour and seed count."""
    network: Network
    """The one whose gradient is followed."""
    watch: Watch = watch_nothing

    @classmethod
    @abstractmethod
    def load(cls, settings: Pass, recipe: Recipe, network: Network, watch: Watch) -> Self:
        """Make a renderer with all that the settings name.

        Raises:
            UserError: a file that cannot be read.
        """

    @property
    def schedule(self) -> Schedule:
        """The recipe's."""
        return self.recipe.schedule

    @property
    @abstractmethod
    def carried(self) -> CarriedFrames:
        """How it goes on with carried frames."""

    @abstractmethod
    def step_length(self, settings: FrameSettings) -> float:
        """RMS of a step, of the range 0..1; their mean where they grow shorter. 0: frames are not carried."""

    @abstractmethod
    def ascend(self, asked: AscentRequest) -> np.ndarray:
        """What an ascent adds to the detail: float32, of the size of `step_scale`, or of the source."""

    def tiring_energies(
        self, settings: FrameSettings, image: np.ndarray, is_carried: bool
    ) -> dict[str, np.ndarray]:
        """What `habituate` compares of an image, float32 [H, W, 3]; empty where nothing tires.

        `is_carried`: of a carried frame, and not of one that a dream begins with.
        """
        return {}

    @abstractmethod
    def score(self, settings: FrameSettings, source: np.ndarray, result: np.ndarray) -> tuple[float, float]:
        """The objective of both images, float32 [H, W, 3]: more is better in a dream, less in a style."""

    @abstractmethod
    def prepare_step(self, size: octaves.Size) -> Callable[[], object]:
        """Trace the network for images of a size, and return what takes one step on such an image."""

    def time_step(self, size: octaves.Size) -> float:
        """Seconds that a step takes on an image of a size."""
        take_step, seconds = self.prepare_step(size), []
        for _ in range(TIMED_STEPS):
            start = time.perf_counter()
            take_step()
            seconds.append(time.perf_counter() - start)
        return min(seconds)
