"""A dream that a dreamer goes on with, by turns with long steps along the gradient."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from mmdream.image import feedforward, octaves
from mmdream.image.feedforward import (
    CLIMB_LENGTH,
    CLIMBING_FRAMES,
    FRAMES_PER_PASS,
    Dreamer,
    load_dreamer,
)
from mmdream.networks.network import Network
from mmdream.render.models import choose_dreamer, locate_image_network
from mmdream.render.passes.dream import DreamPass
from mmdream.render.passes.renderer import AscentRequest, CarriedFrames, Watch
from mmdream.settings.passes import Pass
from mmdream.settings.recipe import Recipe

DREAMER_TURNS = 3
"""One carried frame in so many of those that take steps is the dreamer's, where it climbs besides."""

STEPS_PER_FULL_STEP = 2
"""Of a frame in full, that one step of it takes the place of, where it climbs."""


@dataclass(frozen=True)
class FeedforwardPass(DreamPass):
    """A dream that a dreamer goes on with, in few passes: it was taught what the ascent would add.

    Where it `climbs`, a frame in full, where a dream begins, takes its steps along the gradient, half as many
    and twice as long, and for each pass of the dreamer two carried frames take one long step along it: a
    dreamer that is left to itself comes back to a few shapes and colours.
    """

    dreamer: Dreamer = field(kw_only=True)
    climbs: bool = field(default=True, kw_only=True)

    @property
    def carried(self) -> CarriedFrames:
        """The card's; a pass stands for more steps than a frame takes."""
        return replace(super().carried, every=CLIMBING_FRAMES if self.climbs else FRAMES_PER_PASS)

    @classmethod
    def load(cls, settings: Pass, recipe: Recipe, network: Network, watch: Watch) -> Self:
        """See `PassRenderer.load`."""
        about, weights = locate_image_network(recipe)
        card = choose_dreamer(about, weights, recipe.schedule)
        return cls(recipe, network, watch, dreamer=load_dreamer(card, network))

    def ascend(self, asked: AscentRequest) -> np.ndarray:
        """See `dream_in_passes`, or where it climbs `octaves.dream_octaves`."""
        is_full = asked.step_scale is None
        if not self.climbs or (not is_full and asked.turn % DREAMER_TURNS == 1):
            return self.dream_in_passes(asked)
        steps = asked.octaves[-1].steps
        few, length = (-(-steps // STEPS_PER_FULL_STEP), 1.0) if is_full else (1, CLIMB_LENGTH)
        octaves = [replace(octave, steps=few) for octave in asked.octaves]
        return self.climb(replace(asked, octaves=octaves), length * steps / max(few, 1))

    def dream_in_passes(self, asked: AscentRequest) -> np.ndarray:
        """See `feedforward.dream_in_passes`."""
        weights, dreamer = self.channel_weights(asked), self.dreamer

        def direction(source: np.ndarray, detail: np.ndarray, size: octaves.Size) -> np.ndarray:
            return self.watch(lambda image: dreamer.directions(image, detail, size, weights))(source)

        return feedforward.dream_in_passes(
            asked.source, asked.detail, asked.octaves, direction, self.step_length(asked.settings),
            step_scale=asked.step_scale, color=self.recipe.color, on_step=asked.on_step,
        )  # fmt: skip

    def channel_weights(self, asked: AscentRequest) -> np.ndarray:
        """What the ascent's gradient would weigh channels by, see `feedforward.weigh_channels`."""
        objective, _ = self._ascent(asked.settings)
        gains, counts = self._gains(asked, objective), self.network.channel_counts()
        return feedforward.weigh_channels(
            objective, gains, counts, self.dreamer.layers, asked.source.shape[:2]
        )
