"""A dream: ascent of an objective of a network's layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Self

import numpy as np

from mmdream.core.memory import LruCache
from mmdream.image import octaves
from mmdream.image.gradient import (
    ChannelGains,
    build_gradient,
    combine_gains,
    count_places,
    evaluate_objective,
    measure_channel_energies,
)
from mmdream.image.habituation import drift_gains, fatigue_gains
from mmdream.image.hints import HEARD_GAIN
from mmdream.image.objective import build_objective, step_size
from mmdream.image.octaves import GradientFunction
from mmdream.image.spectrum import temper_gradient
from mmdream.networks.network import Network
from mmdream.render.models import read_guide
from mmdream.render.passes.renderer import AscentRequest, CarriedFrames, PassRenderer, Watch
from mmdream.settings.passes import Pass
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import FrameSettings
from mmdream.settings.targets import GuideImage, Objective

MAX_KNOWN = 64
"""Settings whose gradient is remembered."""


@dataclass(frozen=True)
class DreamPass(PassRenderer):
    """A dream: ascent of an objective of the network's layers."""

    guide: GuideImage | None = None
    """The image that the targets name."""
    step_factor: float = 1.0
    """Of a step, over the card's."""
    tiring_scale: float = 1.0
    """Of an image's sides, at which a carried dream is looked at for what tires."""
    first_tiring_scale: float = 1.0
    """Likewise a frame in full."""
    _known: LruCache = field(default_factory=lambda: LruCache(MAX_KNOWN))

    @classmethod
    def load(cls, settings: Pass, recipe: Recipe, network: Network, watch: Watch) -> Self:
        """See `PassRenderer.load`."""
        return cls(recipe, network, watch, read_guide(recipe.wishes))

    @property
    def carried(self) -> CarriedFrames:
        """The card's."""
        card = self.network.card
        return CarriedFrames(card.carried, card.smoothing, card.momentum)

    def step_length(self, settings: FrameSettings) -> float:
        """The card's, for the objective."""
        return self._ascent(settings)[1]

    def ascend(self, asked: AscentRequest) -> np.ndarray:
        """See `octaves.dream_octaves`."""
        step = self.step_length(asked.settings)
        gradient = self._gradient(asked)
        return octaves.dream_octaves(
            asked.source, asked.detail, asked.octaves, self.watch(gradient), step, seed=self.recipe.seed,
            time=asked.time, step_scale=asked.step_scale, color=self.recipe.color,
            options=self.recipe.manner, on_step=asked.on_step,
        )  # fmt: skip

    def tiring_energies(
        self, settings: FrameSettings, image: np.ndarray, is_carried: bool
    ) -> dict[str, np.ndarray]:
        """Mean square of each channel at places, float32 [row, column, c], of the layers that tire."""
        layers = _tiring_layers(settings, self._ascent(settings)[0])
        if not layers:
            return {}
        height, width = image.shape[:2]
        scale = self.tiring_scale if is_carried else self.first_tiring_scale
        size = max(1, round(height * scale)), max(1, round(width * scale))
        return measure_channel_energies(
            self.network, layers, octaves.resize(image, size), count_places((height, width))
        )

    def score(self, settings: FrameSettings, source: np.ndarray, result: np.ndarray) -> tuple[float, float]:
        """The objective of both."""
        objective = self._ascent(settings)[0]
        before = evaluate_objective(self.network, objective, source)
        return before, evaluate_objective(self.network, objective, result)

    def prepare_step(self, size: octaves.Size) -> Callable[[], object]:
        """See `PassRenderer.prepare_step`; of the objective at second 0, on grey."""
        grey, settings = np.full((*size, 3), 0.5, np.float32), self.schedule.at(0.0)
        objective, _ = self._ascent(settings)
        gradient = self._gradient(AscentRequest(grey, grey, (), settings, Fraction(0)))
        gradient(grey)
        evaluate_objective(self.network, objective, grey)
        return lambda: gradient(grey)

    def _ascent(self, settings: FrameSettings) -> tuple[Objective, float]:
        """Objective and length of a step; they are the same for many frames."""

        def prepare() -> tuple[Objective, float]:
            objective = build_objective(self.network.card, settings, self.recipe.wishes, self.guide)
            return objective, self.step_factor * step_size(self.network.card, objective)

        return self._known.get(settings, prepare)

    def _gradient(self, asked: AscentRequest) -> GradientFunction:
        objective, _ = self._ascent(asked.settings)
        color, margin = self.network.card.tempering_along(objective.terms, objective.weights)
        gradient = build_gradient(self.network, objective, self._gains(asked, objective))
        return temper_gradient(gradient, color, margin)

    def _gains(self, asked: AscentRequest, objective: Objective) -> ChannelGains:
        """What habituation, drift and hints make of the channels' energies."""
        settings = asked.settings
        habituation, places = settings.habituation, count_places(asked.source.shape[:2])
        tiring, gains = _tiring_layers(settings, objective), dict[str, np.ndarray]()
        favoured = combine_gains(asked.hinted, asked.heard)
        # In the order of the terms, whatever is hinted at: in another one it would be traced again.
        for layer in dict.fromkeys(term.name for term in objective.terms if term.kind == "layer"):
            if layer in favoured:
                gains[layer] = favoured[layer]
            if layer in tiring:
                size = *places, self.network.channel_counts()[layer]
                gain = drift_gains(layer, size, habituation, self.recipe.seed, float(asked.time))
                if layer in asked.fatigue:
                    gain = gain * fatigue_gains(asked.fatigue[layer], habituation)
                # What is surely heard does not tire while it is: it would be gone in a second.
                if layer in asked.heard:
                    gain = gain ** np.maximum(1 - (asked.heard[layer] - 1) / np.float32(HEARD_GAIN), 0)
                gains[layer] = gain * gains.get(layer, np.float32(1))
        return gains


def _tiring_layers(settings: FrameSettings, objective: Objective) -> tuple[str, ...]:
    """The layers that habituation acts on: those that are climbed as a whole, and not towards a guide."""
    if not settings.habituation or objective.guide is not None:
        return ()
    return tuple(dict.fromkeys(term.name for term in objective.terms if term.kind == "layer"))
