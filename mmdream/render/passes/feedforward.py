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
    STEPS_PER_PASS,
    Dreamer,
    load_dreamer,
)
from mmdream.networks.network import Network
from mmdream.render.models import choose_dreamer, locate_image_network
from mmdream.render.passes.dream import DreamPass
from mmdream.render.passes.renderer import AscentRequest, CarriedFrames, Watch
from mmdream.settings.passes import Pass
from mmdream.settings.recipe import Recipe

STRENGTH = 1.06
"""That is steered to, over an ascent's, where it climbs besides: frames that take no step lose more of a
dream than is made up."""
DREAMER_TURNS = 3
"""One carried frame in so many of those that take steps is the dreamer's, where it climbs besides."""
TIRING_SCALE = 0.5
"""Of an image's sides, at which a carried dream is looked at for what tires: at all of them that takes the
network half as long as the dreaming itself, and what was shown lately is plain on a quarter of the pixels. A
shot's first frame is looked at in full: its strength is what the shot is held at, and grew by a seventh."""


@dataclass(frozen=True)
class FeedforwardPass(DreamPass):
    """A dream that a dreamer goes on with, in few passes: it was taught what the ascent would add.

    A frame in full, where a dream begins, takes all its steps along the gradient, and for each pass of the
    dreamer two carried frames take one long step along it: a dreamer that is left to itself comes back to a
    few shapes and colours.
    """

    dreamer: Dreamer = field(kw_only=True)
    climbs_first: bool = field(default=True, kw_only=True)
    """Frames in full take all their steps along the gradient; else passes of the dreamer."""
    climbs_on: bool = field(default=True, kw_only=True)
    """Carried frames take turns with the gradient."""
    steps_per_pass: int = field(default=STEPS_PER_PASS, kw_only=True)
    """Of an ascent, that one pass of the dreamer takes the place of."""
    tiring_scale: float = TIRING_SCALE

    @property
    def carried(self) -> CarriedFrames:
        """The card's; a pass stands for more steps than a frame takes."""
        if not self.climbs_on:
            return replace(super().carried, every=FRAMES_PER_PASS)
        return replace(super().carried, every=CLIMBING_FRAMES, strength=STRENGTH)

    @classmethod
    def load(cls, settings: Pass, recipe: Recipe, network: Network, watch: Watch) -> Self:
        """See `PassRenderer.load`."""
        about, weights = locate_image_network(recipe)
        card = choose_dreamer(about, weights, recipe.schedule)
        return cls(recipe, network, watch, dreamer=load_dreamer(card, network))

    def ascend(self, asked: AscentRequest) -> np.ndarray:
        """See `dream_in_passes`, or along the gradient `octaves.dream_octaves`."""
        if asked.step_scale is None and self.climbs_first:
            return super().ascend(asked)
        if asked.step_scale is not None and self.climbs_on and asked.turn % DREAMER_TURNS != 1:
            return self._take_long_step(asked)
        return self.dream_in_passes(asked)

    def _take_long_step(self, asked: AscentRequest) -> np.ndarray:
        """One step along the gradient at each octave, as long as a pass of the dreamer."""
        once = [replace(octave, steps=1) for octave in asked.octaves]
        longer = np.float32(CLIMB_LENGTH * asked.octaves[-1].steps)
        return super().ascend(replace(asked, octaves=once)) * longer

    def dream_in_passes(self, asked: AscentRequest) -> np.ndarray:
        """See `feedforward.dream_in_passes`."""
        weights, dreamer = self.channel_weights(asked), self.dreamer

        def direction(source: np.ndarray, detail: np.ndarray, size: octaves.Size) -> np.ndarray:
            return self.watch(lambda image: dreamer.directions(image, detail, size, weights))(source)

        return feedforward.dream_in_passes(
            asked.source, asked.detail, asked.octaves, direction, self.step_length(asked.settings),
            step_scale=asked.step_scale, color=self.recipe.color, steps_per_pass=self.steps_per_pass,
            on_step=asked.on_step,
        )  # fmt: skip

    def channel_weights(self, asked: AscentRequest) -> np.ndarray:
        """What the ascent's gradient would weigh channels by, see `feedforward.weigh_channels`."""
        objective, _ = self._ascent(asked.settings)
        gains, counts = self._gains(asked, objective), self.network.channel_counts()
        return feedforward.weigh_channels(
            objective, gains, counts, self.dreamer.layers, asked.source.shape[:2]
        )
