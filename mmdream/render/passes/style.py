"""A style: ascent towards the statistics of paintings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Self

import numpy as np

from mmdream.image import octaves, style_ascent
from mmdream.image.octaves import OctavePass
from mmdream.media import image
from mmdream.networks.network import Network
from mmdream.render.passes.renderer import AscentRequest, CarriedFrames, PassRenderer, Watch
from mmdream.settings.passes import Pass
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import FrameSettings


@dataclass(frozen=True)
class StylePass(PassRenderer):
    """A style: ascent towards the statistics of paintings."""

    target: style_ascent.StyleTarget = field(kw_only=True)

    @classmethod
    def load(cls, settings: Pass, recipe: Recipe, network: Network, watch: Watch) -> Self:
        """See `PassRenderer.load`."""
        assert settings.style is not None
        paintings = tuple((image.read_image(path), weight) for path, weight in settings.style.models)
        target = style_ascent.StyleTarget(network, settings.style, paintings)
        return cls(recipe, network, watch, target=target)

    @property
    def carried(self) -> CarriedFrames:
        """Strokes are as fine as pixels."""
        return CarriedFrames(style_ascent.CARRIED_SHARE, None, style_ascent.MOMENTUM)

    def step_length(self, settings: FrameSettings) -> float:
        """The same at any time."""
        return style_ascent.FIRST_STEP * (1 + style_ascent.LAST_STEP_SCALE) / 2

    def ascend(self, asked: AscentRequest) -> np.ndarray:
        """See `style_ascent.stylize_octaves`."""
        check = self.watch(lambda image: image)

        def before_step() -> None:
            check(asked.source)

        def stylize(source: np.ndarray) -> np.ndarray:
            return style_ascent.stylize_octaves(
                source, asked.detail, asked.octaves, self.target, seed=self.recipe.seed, time=asked.time,
                step_scale=asked.step_scale, color=self.recipe.color, on_step=asked.on_step,
                before_step=before_step,
            )  # fmt: skip

        return self.watch(stylize)(asked.source)

    def score(self, settings: FrameSettings, source: np.ndarray, result: np.ndarray) -> tuple[float, float]:
        """The distance of both from the style."""
        return self.target.distance(source, source), self.target.distance(result, source)

    def prepare_step(self, size: octaves.Size) -> Callable[[], object]:
        """See `PassRenderer.prepare_step`; on grey."""
        grey, one_step = np.full((*size, 3), 0.5, np.float32), [OctavePass(size, 1)]

        def take_step() -> np.ndarray:
            zeros = np.zeros_like(grey)
            return style_ascent.stylize_octaves(grey, zeros, one_step, self.target, seed=0, time=Fraction(0))

        take_step()
        return take_step
