"""The picture's part of live play: each frame measured, dreamed on from the last one, and composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import cv2
import numpy as np

from mmdream.analysis.optical_flow import OpticalFlow, half_size
from mmdream.analysis.shots import Box
from mmdream.image.feedforward import Dreamer
from mmdream.image.gradient import NO_GAINS, ChannelGains
from mmdream.image.hints import shrink_look
from mmdream.image.octaves import Size, make_detail_limiter
from mmdream.live.controls import Controls
from mmdream.live.quality import Pacer, Quality, make_levels
from mmdream.live.scan import CausalScan, FrameScan, measure_frame
from mmdream.live.slots import Closed, LatestSlot
from mmdream.live.source import FrameFitter, Picture
from mmdream.media.video_reader import Frame
from mmdream.networks.dreamer_card import DreamerCard
from mmdream.networks.network import Network
from mmdream.render.frames import DetailLayer, FramePipeline
from mmdream.render.hints import FilmHints, look_at_shot
from mmdream.render.passes.dream import DreamPass
from mmdream.render.passes.feedforward import FeedforwardPass
from mmdream.render.passes.load import BoundPass
from mmdream.render.source import FrameContext, PassContext
from mmdream.render.temporal import TemporalState, move_state
from mmdream.settings.passes import Span
from mmdream.settings.recipe import Recipe, film_size, resolve_size
from mmdream.settings.schedule import FrameSettings, MotifCurve

TRACED_SIZE = 96, 128
"""Height, width of the picture on which networks are tried before a frame needs them."""
CLOCK = Fraction(1, 90_000)
"""Seconds of a tick of live frames."""
BEGINNING_STEPS, STEPS_PER_PASS = 3, 6
"""At each octave of a shot's first frame, along the gradient and by one pass of a dreamer: the frames behind
it add the others. So many a pass also take a dream that still grows no longer than one that has grown."""
TIRING_SCALE = 0.35
"""Of the sides that are dreamed, at which a dream is looked at for what tires."""
LOOK_SECONDS = 4.0
"""From one look for hints to the next in a shot."""
STILL_EVERY, SETTLED_AGE = 8, 40
"""Of frames that repeat the one before one in so many is dreamed on, once the dream has grown for so many."""


@dataclass
class FrameWork:
    """A frame on its way."""

    frame: Frame
    arrived: float
    scan: FrameScan
    context: FrameContext
    quality: Quality
    is_skipped: bool
    """It is moved along, and not climbed."""
    is_same: bool
    """It shows the very dream of the frame before."""
    begins: bool = False
    """There was no dream to go on with."""
    layers: list[DetailLayer] = field(default_factory=list)
    strength: float = 0.0


@dataclass(frozen=True)
class TaughtDreamer:
    """A dreamer that is loaded, and its card."""

    card: DreamerCard
    dreamer: Dreamer

    def was_taught(self, settings: FrameSettings) -> bool:
        """Whether it can dream these settings."""
        motifs = {name for name, share in settings.motifs if share}
        return self.card.was_taught(motifs, (settings.depth,))


class HintWatcher:
    """Looks for what shots hint at, in a thread of its own; frames go by what it has found."""

    def __init__(self, network: Network | None, seed: int) -> None:
        self._network, self._seed = network, seed
        self._slot: LatestSlot[tuple[int, float, np.ndarray]] = LatestSlot()
        self._found = FilmHints(())
        self._asked = -1, 0.0

    @property
    def is_active(self) -> bool:
        """Whether anything is looked for."""
        return self._network is not None

    def ask(self, shot: int, seconds: float, rgb: np.ndarray) -> None:
        """Look at a frame of a shot, float32 [H, W, 3], if it is time."""
        if self._network is not None and (shot != self._asked[0] or seconds - self._asked[1] >= LOOK_SECONDS):
            self._asked = shot, seconds
            self._slot.offer((shot, seconds, shrink_look(rgb)))

    def gains(self, shot: int, seconds: float, size: tuple[int, int]) -> ChannelGains:
        """What the energies of channels are multiplied by."""
        if self._network is None:
            return NO_GAINS
        return self._found.gains(self._network, shot, seconds, size)

    def run(self) -> None:
        """Work until it is closed."""
        assert self._network is not None
        while True:
            try:
                asked = self._slot.take()
            except Closed:
                return
            assert asked is not None
            shot, seconds, look = asked
            keys = look_at_shot(self._network, shot, [(seconds, look)], self._seed)
            self._found = FilmHints((*self._found.keys[-1:], *keys))

    def close(self) -> None:
        """End the thread."""
        self._slot.close()


class PictureDreamer:
    """Dreams frames in causal order; `measure`, `ascend` and `compose` may run in a thread each."""

    def __init__(
        self,
        recipe: Recipe,
        network: Network,
        dreamers: Sequence[TaughtDreamer],
        controls: Controls,
        hints: HintWatcher,
        fitter: FrameFitter,
        rate: float,
    ) -> None:
        self._recipe, self._network, self._dreamers = recipe, network, tuple(dreamers)
        self._controls, self._hints, self._fitter = controls, hints, fitter
        self.pacer = Pacer(make_levels(bool(dreamers)), 1 / rate)
        self._scan, self._shots, self._number = CausalScan(), -1, 0
        self._previous: tuple[np.ndarray, Box] | None = None
        self._before_cut: tuple[np.ndarray, Box] | None = None
        self._state: tuple[TemporalState, Box] | None = None
        self._state_before: tuple[TemporalState, Box] | None = None
        self._renderers: dict[int, DreamPass] = {}
        self._shown: np.ndarray | None = None
        self._has_dreamer = bool(dreamers)
        self.cuts: list[float] = []
        """Seconds of the source."""

    @property
    def size(self) -> tuple[int, int]:
        """Width, height of the frames, px."""
        assert self._fitter.size is not None
        return self._fitter.size

    @property
    def has_resized(self) -> bool:
        """Whether a frame of another size has come."""
        return self._fitter.has_resized

    def prepare(self, settings: FrameSettings) -> None:
        """Trace what settings ask for, so that no frame waits for it."""
        curve = MotifCurve(((0.0, tuple(name for name, _ in settings.motifs)),)) if settings.motifs else None
        schedule = self._recipe.schedule.with_settings(motif=curve, depth=settings.depth)
        recipe = replace(self._recipe, schedule=schedule)
        DreamPass(recipe, self._network).prepare_step(TRACED_SIZE)()

    def measure(self, picture: Picture) -> FrameWork:
        """Look at a frame as it came, and find its motion."""
        rgb = self._fitter(picture.frame)
        pts = round(picture.seconds / CLOCK)
        frame = Frame(rgb, pts, CLOCK, self._number, pts * CLOCK)
        self._number += 1
        scan = self._scan.scan(frame)
        if scan.kind == "cut":
            self._shots += 1
            self.cuts.append(picture.seconds)
            self._before_cut, self._previous = self._previous, None
        elif scan.kind == "back":
            self._shots += 1
            self.cuts.pop()
            self._previous = self._before_cut
        settings = self._controls.at(picture.seconds)
        dreamer = self._choose_dreamer(settings)
        self._use_levels(dreamer is not None)
        quality = self.pacer.quality
        size = self._working_size(quality)
        previous = self._previous if self._previous and self._previous[1] == scan.shot.box else None
        own = PassContext(settings, True, settings.strength * scan.presence, None, NO_GAINS)
        context = measure_frame(
            frame, scan, size, None if previous is None else previous[0], (own,), quality.is_fine
        )
        if self._previous is not None and previous is None and context.small.size:
            context = replace(context, motion=_no_motion(context.small))
        if context.small.size and scan.presence > 0:
            self._previous = context.gray, scan.shot.box
            if not settings.motifs:
                self._hints.ask(self._shots, picture.seconds, rgb)
                hinted = self._hints.gains(self._shots, picture.seconds, context.small.shape[:2])
                context = replace(context, passes=(replace(own, hinted=hinted),))
        age = 0 if self._state is None else self._state[0].age
        rests = scan.is_still and age > SETTLED_AGE and frame.index % STILL_EVERY != 0
        skips = quality.every > 1 and frame.index % quality.every != 0 and age > 1
        return FrameWork(frame, picture.arrived, scan, context, quality, skips, rests)

    def ascend(self, work: FrameWork) -> None:
        """Dream a frame on from the state of the last one; to be called in order."""
        context, kind = work.context, work.scan.kind
        if kind == "cut":
            self._state_before, self._state = self._state, None
        elif kind == "back":
            self._state, self._state_before = self._state_before, None
        if work.is_same and self._state is not None:
            return
        work.is_same = False
        pipeline = self._pipeline(work)
        state = None if self._state is None else fit_state(*self._state, context)
        if state is not None and context.motion is not None and work.is_skipped:
            limit = make_detail_limiter(context.small, self._recipe.color)
            state = move_state(state, context.motion, context.gray, context.light, limit)
            work.layers = [DetailLayer(state.detail, context.passes[0])]
        else:
            work.begins = state is None and context.presence > 0
            if state is None:
                is_taught = isinstance(pipeline.passes[0].renderer, FeedforwardPass)
                context = _with_few_steps(context, STEPS_PER_PASS if is_taught else BEGINNING_STEPS)
            (state,), (work.layers,) = pipeline.ascend((state,), [context])
        self._state = None if state is None else (state, context.shot.box)

    def compose(self, work: FrameWork) -> np.ndarray:
        """The dream of a frame that was ascended, float32 [H, W, 3], 0..1; to be called in order."""
        if work.is_same and self._shown is not None:
            return self._shown
        self._shown, work.strength = self._pipeline(work).compose(work.frame, work.context, work.layers)
        return self._shown

    def _working_size(self, quality: Quality) -> Size:
        """Height, width that a whole frame is dreamed at."""
        width, height = resolve_size(film_size(self._recipe.size, *self.size), *self.size)
        return max(16, round(height * quality.scale)), max(16, round(width * quality.scale))

    def _choose_dreamer(self, settings: FrameSettings) -> Dreamer | None:
        return next((each.dreamer for each in self._dreamers if each.was_taught(settings)), None)

    def _use_levels(self, has_dreamer: bool) -> None:
        """What no dreamer was taught is climbed at any quality."""
        if has_dreamer != self._has_dreamer:
            self._has_dreamer = has_dreamer
            levels = make_levels(has_dreamer)
            self.pacer = Pacer(levels, self.pacer.budget, min(self.pacer.level, len(levels) - 1))

    def _pipeline(self, work: FrameWork) -> FramePipeline:
        """What dreams a frame of its quality."""
        dreamer = self._choose_dreamer(work.context.passes[0].settings)
        if work.scan.kind != "cut" and work.quality.engine == "ascent":
            dreamer = None
        if id(dreamer) not in self._renderers:
            self._renderers[id(dreamer)] = (
                DreamPass(
                    self._recipe,
                    self._network,
                    tiring_scale=TIRING_SCALE,
                    first_tiring_scale=TIRING_SCALE,
                )
                if dreamer is None
                else FeedforwardPass(
                    self._recipe,
                    self._network,
                    dreamer=dreamer,
                    climbs_first=False,
                    steps_per_pass=STEPS_PER_PASS,
                    tiring_scale=TIRING_SCALE,
                    first_tiring_scale=TIRING_SCALE,
                )
            )
        bound = BoundPass(self._renderers[id(dreamer)], Span())
        return FramePipeline(self._recipe, (bound,), self._working_size(work.quality))


def fit_state(state: TemporalState, box: Box, context: FrameContext) -> TemporalState:
    """A state of what lay within a box, for a frame of another working size, or of another box."""
    height, width = context.small.shape[:2]
    if box == context.shot.box and state.detail.shape[:2] == (height, width):
        return state
    half = half_size((height, width))
    detail, change, fill = (
        _place(array, box, context.shot.box, size)
        for array, size in ((state.detail, (height, width)), (state.change, half), (state.fill, half))
    )
    fatigue = state.fatigue if box == context.shot.box else {}
    return replace(state, detail=detail, change=change, fill=fill, fatigue=fatigue)


def _place(array: np.ndarray, box: Box, around: Box, size: Size) -> np.ndarray:
    """An array over a box as one of a size over another that holds it, 0 elsewhere."""
    top, bottom, left, right = around
    across, down = size[1] / max(right - left, 1), size[0] / max(bottom - top, 1)
    rows = round((box[0] - top) * down), round((box[1] - top) * down)
    columns = round((box[2] - left) * across), round((box[3] - left) * across)
    shape = min(rows[1], size[0]) - max(rows[0], 0), min(columns[1], size[1]) - max(columns[0], 0)
    whole = np.zeros((*size, *array.shape[2:]), np.float32)
    if min(shape) > 0:
        inner = cv2.resize(array, shape[::-1], interpolation=cv2.INTER_LINEAR)
        whole[max(rows[0], 0) :, max(columns[0], 0) :][: shape[0], : shape[1]] = inner
    return whole


def _no_motion(small: np.ndarray) -> OpticalFlow:
    """The flow where nothing moves: of a frame whose borders have moved."""
    size = half_size((small.shape[0], small.shape[1]))
    return OpticalFlow(np.zeros((*size, 2), np.float32), np.ones(size, np.float32))


def _with_few_steps(context: FrameContext, steps: int) -> FrameContext:
    (own,) = context.passes
    settings = replace(own.settings, steps=min(own.settings.steps, steps))
    return replace(context, passes=(replace(own, settings=settings),))
