"""A recipe's passes with their networks, paintings and masks loaded, and the painter of a film."""

from __future__ import annotations

from collections.abc import Callable

from mmdream.film.source import VideoTrack
from mmdream.jobs.brushes import Brush, Dreaming, Styling
from mmdream.jobs.loaded import eyes
from mmdream.jobs.masks import open_mask
from mmdream.jobs.picture import Painter, Stroke
from mmdream.jobs.stopwatch import Clock
from mmdream.listen import Listener
from mmdream.networks.network import Network
from mmdream.passes import Pass
from mmdream.picture import files
from mmdream.picture.styled import StyleTarget
from mmdream.picture.wanted import read_guide
from mmdream.recipe import Recipe, working_size


def painter_of(
    picture: VideoTrack, recipe: Recipe, clock: Clock, stopped: Callable[[], bool], listener: Listener
) -> Painter:
    """All that paints a film's picture.

    Raises:
        UserError: weights, paintings or masks that are missing or damaged; wishes that cannot be fulfilled.
    """
    strokes = strokes_of(recipe, (picture.width, picture.height), clock, stopped, listener)
    width, height = working_size(recipe.size, picture.width, picture.height)
    rate = 2 * max(1, round(picture.rate or 25))
    return Painter(recipe, strokes, (height, width), rate, clock)


def strokes_of(
    recipe: Recipe, size: tuple[int, int], clock: Clock, stopped: Callable[[], bool], listener: Listener
) -> tuple[Stroke, ...]:
    """The passes of a recipe, over a film or a picture of a width and height.

    Raises:
        UserError: as `painter_of`.
    """
    loaded: dict[tuple[str, str], Network] = {}

    def brush(each: Pass) -> Brush:
        own = recipe.of(each)
        key = own.net, str(own.weights)
        if key not in loaded:
            loaded[key] = eyes(own, listener)
        network = loaded[key]
        if each.style is None:
            network.check_terms(own.wishes.terms)
            return Dreaming(own, network, clock, stopped, read_guide(own.wishes))
        models = tuple((files.read_image(path), weight) for path, weight in each.style.models)
        return Styling(StyleTarget(network, each.style, models), own.schedule, own, clock, stopped)

    def stroke(each: Pass) -> Stroke:
        mask = None if each.mask is None else open_mask(each.mask, *size).at
        return Stroke(brush(each), each.span, mask)

    return tuple(map(stroke, recipe.strokes))
