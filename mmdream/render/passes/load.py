"""Loads a recipe's passes, with their networks, paintings and masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mmdream.core.events import EventSink
from mmdream.media.mask import open_mask
from mmdream.networks.network import Network
from mmdream.render.models import load_image_network
from mmdream.render.passes.dream import DreamPass
from mmdream.render.passes.feedforward import FeedforwardPass
from mmdream.render.passes.renderer import PassRenderer, Watch, watch_nothing
from mmdream.render.passes.style import StylePass
from mmdream.settings.passes import Pass, Span
from mmdream.settings.recipe import Recipe

RENDERERS: dict[str, type[PassRenderer]] = {"dream": DreamPass, "style": StylePass}
"""What renders each of `mmdream.settings.passes.PASS_KINDS`."""


@dataclass(frozen=True, slots=True)
class BoundPass:
    """A pass with its network and files loaded."""

    renderer: PassRenderer
    span: Span
    read_mask: Callable[[Fraction], np.ndarray] | None = None
    """Seconds of the source -> float32 [H, W], 0..1, at the source's resolution; None: it acts everywhere."""


def load_passes(
    recipe: Recipe, size: tuple[int, int], sink: EventSink, watch: Watch = watch_nothing
) -> tuple[BoundPass, ...]:
    """Load a recipe's passes over a video or an image of a width and height.

    Raises:
        UserError: weights, paintings or masks that are missing or damaged; targets that cannot be reached.
    """
    networks: dict[tuple[str, str], Network] = {}

    def bind(settings: Pass) -> BoundPass:
        read_mask = None if settings.mask is None else open_mask(settings.mask, *size).at
        own = recipe.for_pass(settings)
        key = own.net, str(own.weights)
        if key not in networks:
            networks[key] = load_image_network(own, sink)
        networks[key].check_terms(own.wishes.terms)
        kind = FeedforwardPass if own.engine == "feedforward" else RENDERERS[settings.kind]
        renderer = kind.load(settings, own, networks[key], watch)
        return BoundPass(renderer, settings.span, read_mask)

    return tuple(map(bind, recipe.effective_passes))
