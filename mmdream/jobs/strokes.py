"""A recipe's passes with their networks, paintings and masks loaded, and the painter of a film."""

from __future__ import annotations

from collections.abc import Callable

from mmdream.core.events import EventSink
from mmdream.core.report import Stopwatch
from mmdream.image.gradient import read_guide
from mmdream.image.style_ascent import StyleTarget
from mmdream.jobs.brushes import DreamPass, PassRenderer, StylePass
from mmdream.jobs.loaded import load_image_network
from mmdream.jobs.picture import BoundPass, FramePipeline
from mmdream.media import image
from mmdream.media.mask import open_mask
from mmdream.media.probe import VideoTrack
from mmdream.networks.network import Network
from mmdream.settings.passes import Pass
from mmdream.settings.recipe import Recipe, resolve_size


def build_frame_pipeline(
    picture: VideoTrack, recipe: Recipe, clock: Stopwatch, stopped: Callable[[], bool], listener: EventSink
) -> FramePipeline:
    """All that paints a film's picture.

    Raises:
        UserError: weights, paintings or masks that are missing or damaged; wishes that cannot be fulfilled.
    """
    strokes = load_passes(recipe, (picture.width, picture.height), clock, stopped, listener)
    width, height = resolve_size(recipe.size, picture.width, picture.height)
    rate = 2 * max(1, round(picture.rate or 25))
    return FramePipeline(recipe, strokes, (height, width), rate, clock)


def load_passes(
    recipe: Recipe, size: tuple[int, int], clock: Stopwatch, stopped: Callable[[], bool], listener: EventSink
) -> tuple[BoundPass, ...]:
    """The passes of a recipe, over a film or a picture of a width and height.

    Raises:
        UserError: as `build_frame_pipeline`.
    """
    loaded: dict[tuple[str, str], Network] = {}

    def brush(each: Pass) -> PassRenderer:
        own = recipe.of(each)
        key = own.net, str(own.weights)
        if key not in loaded:
            loaded[key] = load_image_network(own, listener)
        network = loaded[key]
        if each.style is None:
            network.check_terms(own.wishes.terms)
            return DreamPass(own, network, clock, stopped, read_guide(own.wishes))
        models = tuple((image.read_image(path), weight) for path, weight in each.style.models)
        return StylePass(StyleTarget(network, each.style, models), own.schedule, own, clock, stopped)

    def stroke(each: Pass) -> BoundPass:
        mask = None if each.mask is None else open_mask(each.mask, *size).at
        return BoundPass(brush(each), each.span, mask)

    return tuple(map(stroke, recipe.strokes))
