"""What one pass does to an image, in one form for stills, films, zooms and galleries: a dream, or a style."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Self

import numpy as np

from mmdream.core.events import EventSink
from mmdream.core.memory import LruCache
from mmdream.image import feedforward, octaves, style_ascent
from mmdream.image.feedforward import FRAMES_PER_PASS, Dreamer, load_dreamer
from mmdream.image.gradient import (
    ChannelGains,
    build_gradient,
    count_places,
    evaluate_objective,
    measure_channel_energies,
)
from mmdream.image.habituation import Fatigue, drift_gains, fatigue_gains
from mmdream.image.objective import build_objective, step_size
from mmdream.image.octaves import GradientFunction, OctavePass
from mmdream.image.spectrum import temper_gradient
from mmdream.media import image
from mmdream.media.mask import open_mask
from mmdream.networks.network import Network
from mmdream.render.models import choose_dreamer, load_image_network, locate_image_network, read_guide
from mmdream.settings.passes import Pass, Span
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import FrameSettings, Schedule
from mmdream.settings.targets import GuideImage, Objective

Watch = Callable[[GradientFunction], GradientFunction]
"""Wraps what a pass does with an image at a step: what the wrapper raises ends the work."""
StepCallback = Callable[[np.ndarray], None]
"""Takes the image so far, float32 [H, W, 3], after a step."""
TIMED_STEPS = 3
"""Steps that are timed."""
MAX_KNOWN = 64
"""Settings whose gradient is remembered."""


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
    on_step: StepCallback | None = None


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

    def tiring_energies(self, settings: FrameSettings, image: np.ndarray) -> dict[str, np.ndarray]:
        """What `habituate` compares of an image, float32 [H, W, 3]; empty where nothing tires."""
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


@dataclass(frozen=True)
class DreamPass(PassRenderer):
    """A dream: ascent of an objective of the network's layers."""

    guide: GuideImage | None = None
    """The image that the targets name."""
    step_factor: float = 1.0
    """Of a step, over the card's."""
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

    def tiring_energies(self, settings: FrameSettings, image: np.ndarray) -> dict[str, np.ndarray]:
        """Mean square of each channel at places, float32 [row, column, c], of the layers that tire."""
        layers = _tiring_layers(settings, self._ascent(settings)[0])
        return measure_channel_energies(self.network, layers, image) if layers else {}

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
        # In the order of the terms, whatever is hinted at: in another one it would be traced again.
        for layer in dict.fromkeys(term.name for term in objective.terms if term.kind == "layer"):
            if layer in asked.hinted:
                gains[layer] = asked.hinted[layer]
            if layer in tiring:
                size = *places, self.network.channel_counts()[layer]
                gain = drift_gains(layer, size, habituation, self.recipe.seed, float(asked.time))
                if layer in asked.fatigue:
                    gain = gain * fatigue_gains(asked.fatigue[layer], habituation)
                gains[layer] = gain * gains.get(layer, np.float32(1))
        return gains


@dataclass(frozen=True)
class FeedforwardPass(DreamPass):
    """A dream that a dreamer goes on with, in few passes: it was taught what the ascent would add.

    A frame in full, where a dream begins, is climbed unless `climbs_first` is False.
    """

    dreamer: Dreamer = field(kw_only=True)

    climbs_first: bool = field(default=True, kw_only=True)

    @property
    def carried(self) -> CarriedFrames:
        """The card's; a pass stands for more steps than a frame takes."""
        return replace(super().carried, every=FRAMES_PER_PASS)

    @classmethod
    def load(cls, settings: Pass, recipe: Recipe, network: Network, watch: Watch) -> Self:
        """See `PassRenderer.load`."""
        about, weights = locate_image_network(recipe)
        card = choose_dreamer(about, weights, recipe.schedule)
        return cls(recipe, network, watch, dreamer=load_dreamer(card, network))

    def ascend(self, asked: AscentRequest) -> np.ndarray:
        """See `dream_in_passes`, or where a frame in full is climbed `octaves.dream_octaves`."""
        climbs = self.climbs_first and asked.step_scale is None
        return super().ascend(asked) if climbs else self.dream_in_passes(asked)

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


def _tiring_layers(settings: FrameSettings, objective: Objective) -> tuple[str, ...]:
    """The layers that habituation acts on: those that are climbed as a whole, and not towards a guide."""
    if not settings.habituation or objective.guide is not None:
        return ()
    return tuple(dict.fromkeys(term.name for term in objective.terms if term.kind == "layer"))


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
