"""The picture of a film, painted frame by frame: prepared, climbed and finished beside each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from mmdream.analysis import optical_flow
from mmdream.analysis.shots import Scan, Shot
from mmdream.core.report import Stopwatch
from mmdream.core.threads import lower_priority, prefetch
from mmdream.image import octaves
from mmdream.media.video_reader import Frame
from mmdream.render.passes import PassRenderer
from mmdream.render.temporal import (
    TemporalState,
    TemporalStates,
    advance_state,
    measure_room,
    measure_strength,
    start_state,
    warp_state,
)
from mmdream.settings.passes import Span
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import FrameSettings

BIDIRECTIONAL_FRAMES = 24
"""Frames at the beginning of a shot that are dreamed forwards and backwards, if that is wanted."""
SETTLING_FRAMES = 24
"""Frames behind a cut that take more steps than usual: the first climb fits its own frame best, and fades."""
SETTLING_STEPS_FACTOR = 3
"""So many times the usual steps,"""
SETTLING_STEP_SCALE = 0.65
"""each so much shorter: many short ones climb higher than few long ones, and make no more noise."""
SETTLED_FULLNESS = 0.9
"""So do frames of which less than this share has its dream."""
MIN_STEP_SCALE = 0.01
"""Longest step, in usual ones, that is not worth taking: on a still film that may not breathe."""


def count_carried_steps(moment: FrameSettings, carried: float, new: bool) -> int:
    """Steps of a carried frame at each of its octaves.

    Args:
        moment: the schedule's settings.
        carried: share of the steps that a carried frame takes.
        new: whether its dream is still growing.
    """
    usual = max(1, round(moment.steps * carried))
    return min(moment.steps, SETTLING_STEPS_FACTOR * usual if new else usual)


@dataclass(frozen=True, slots=True)
class BoundPass:
    """One pass over the frames."""

    renderer: PassRenderer
    span: Span
    mask: Callable[[Fraction], np.ndarray] | None = None
    """Seconds of the film -> float32 [H, W], 0..1, at the film's resolution; None: everywhere."""


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """A frame with all that its passes need."""

    frame: Frame
    index: int
    """Number of the frame within the film, or within the excerpt."""
    shot: Shot
    light: float
    """0..1: the frame's contrast over the largest in its shot."""
    presence: float
    """0..1: how much of the picture a fade leaves."""
    small: np.ndarray
    """float32 [h, w, 3], what lies within the shot's borders, at the working resolution."""
    grey: np.ndarray
    """uint8, the same as `flow.to_gray` gives it."""
    motion: optical_flow.OpticalFlow | None
    """From this frame back to the one before; None where what is carried begins anew."""

    @property
    def seconds(self) -> float:
        """Of the film, as a player shows it."""
        return float(self.frame.seconds)


@dataclass(frozen=True, slots=True)
class DetailLayer:
    """What a pass adds to a frame."""

    detail: np.ndarray
    """float32 [h, w, 3], at the working resolution."""
    share: float
    """How much of it is seen."""
    mask: np.ndarray | None
    """float32 [H, W], 0..1, where it is seen, at the resolution of the frame; None: everywhere."""


AscendedFrame = tuple[PreparedFrame, list[DetailLayer], TemporalStates]
"""A frame, what is laid on it, and what it hands on."""


@dataclass(frozen=True, slots=True)
class DreamedFrame:
    """A finished frame."""

    frame: Frame
    rgb: np.ndarray
    """float32 [H, W, 3], 0..1, at the film's resolution."""
    moment: FrameSettings
    """Of the first pass."""
    strength: float
    """Mean |dream - source|."""
    scores: tuple[float, float] | None
    """What is climbed in source and dream, for the frames that are scored."""
    carries: TemporalStates
    """What the frame hands to the next one."""


@dataclass(frozen=True)
class FramePipeline:
    """Lays one pass after the other on a film's frames."""

    recipe: Recipe
    strokes: tuple[BoundPass, ...]
    size: tuple[int, int]
    """Height, width of the working resolution."""
    scored_every: int
    """One frame in so many is scored, by the first pass."""
    clock: Stopwatch

    @property
    def networks(self) -> list[str]:
        """Their names, each once."""
        return list(dict.fromkeys(stroke.renderer.network.card.name for stroke in self.strokes))

    def dreams(
        self,
        frames: Generator[Frame, None, None],
        found: Scan,
        first: int = 0,
        carries: TemporalStates = (),
    ) -> Generator[DreamedFrame, None, None]:
        """Paint a film's frames, in order; decoding, flow and ascent run in threads of their own.

        Args:
            frames: from frame `first` on; closed at the end.
            found: what the scan told of the film.
            first: number of the first frame.
            carries: what the frame before it handed on; none where `first` begins a shot.
        """
        carries = carries or (None,) * len(self.strokes)
        before = next((carry.grey for carry in carries if carry is not None), None)
        prepared = prefetch(self._prepare(frames, found, first, before))
        with closing(prefetch(self._climb(prepared, carries), in_front=True)) as climbed:
            for item, layers, handed_on in climbed:
                # Not before the ascent's thread has begun, which would inherit it.
                lower_priority()
                yield self._finish(item, layers, handed_on)

    def step_seconds(self) -> list[float]:
        """Trace the networks before the threads begin, which would all wait for it.

        Returns:
            Seconds that one step of each pass takes on a picture of the working resolution.
        """
        return [stroke.renderer.step_seconds(self.size) for stroke in self.strokes]

    def _prepare(
        self, frames: Generator[Frame, None, None], found: Scan, first: int, before: np.ndarray | None
    ) -> Generator[PreparedFrame, None, None]:
        """Cut off the borders, shrink, and measure the motion since the last frame that was painted."""
        try:
            for shot in found.shots:
                for index in range(max(shot.first, first), shot.stop):
                    with self.clock.time("decode"):
                        frame = next(frames, None)
                    if frame is None:
                        return
                    presence = found.presence(index)
                    with self.clock.time("flow"):
                        small = self._small(frame.rgb, shot)
                        grey = optical_flow.to_gray(small) if small.size else np.zeros((0, 0), np.uint8)
                        motion = None
                        if index == shot.first or presence == 0 or self.recipe.coherence == 0:
                            before = None
                        if not shot.is_flash(index):
                            if before is not None:
                                motion = optical_flow.estimate_flow(before, grey)
                            before = grey if presence > 0 and small.size else None
                    light = found.light[index]
                    yield PreparedFrame(frame, index, shot, light, presence, small, grey, motion)
        finally:
            frames.close()

    def _small(self, rgb: np.ndarray, shot: Shot) -> np.ndarray:
        """What lies within the shot's borders, at the working resolution."""
        top, bottom, left, right = shot.box
        height, width = rgb.shape[:2]
        size = (
            round((bottom - top) * self.size[0] / height),
            round((right - left) * self.size[1] / width),
        )
        if not all(size):
            return np.zeros((0, 0, 3), np.float32)
        return np.ascontiguousarray(octaves.resize(rgb[top:bottom, left:right], size))

    def _climb(
        self, prepared: Generator[PreparedFrame, None, None], carries: TemporalStates
    ) -> Generator[AscendedFrame, None, None]:
        """Each frame with what its passes lay on it, and what it hands on."""
        with closing(prepared):
            for item in prepared:
                head = [item]
                if self.recipe.bidirectional and item.index == item.shot.first:
                    length = min(BIDIRECTIONAL_FRAMES, item.shot.stop - item.index)
                    head += itertools.islice(prepared, length - 1)
                layers: list[list[DetailLayer]] = [[] for _ in head]
                seen, handed_on = [each.small for each in head], []
                for stroke, carry in zip(self.strokes, carries, strict=True):
                    here = [replace(each, small=small) for each, small in zip(head, seen, strict=True)]
                    with self.clock.time("ascent"):
                        details, carry = self._passed(stroke, here, carry)
                    handed_on.append(carry)
                    for number, (each, detail) in enumerate(zip(here, details, strict=True)):
                        layer = self._layer(stroke, each, detail)
                        if layer is not None:
                            layers[number].append(layer)
                            if stroke is not self.strokes[-1]:
                                seen[number] = self._laid(each, layer)
                carries = tuple(handed_on)
                for each, laid in zip(head, layers, strict=True):
                    yield each, laid, carries

    def _passed(
        self, stroke: BoundPass, items: Sequence[PreparedFrame], carry: TemporalState | None
    ) -> tuple[list[np.ndarray | None], TemporalState | None]:
        """One pass over some frames that follow one another: details, and what the last one hands on.

        If they are many, they are the beginning of a shot, and are painted forwards to the last frame and
        from there back to the first. A dream grows for some frames behind a cut; backwards, it has grown when
        the shot begins.
        """
        details: list[np.ndarray | None] = []
        for item in items:
            detail, carry = self._dream(stroke, item, carry)
            details.append(detail)
        behind = carry
        for number in range(len(items) - 2, -1, -1):
            item = items[number]
            if behind is None or details[number] is None or item.shot.is_flash(item.index):
                continue
            behind = self._carried(stroke, item, optical_flow.estimate_flow(behind.grey, item.grey), behind)
            details[number] = behind.detail
        return details, carry

    def _dream(
        self, stroke: BoundPass, item: PreparedFrame, carry: TemporalState | None
    ) -> tuple[np.ndarray | None, TemporalState | None]:
        """A frame's detail and what it hands on."""
        if not item.small.size or item.presence == 0 or not stroke.span.is_active(item.seconds):
            return None, None
        # Where the schedule had no steps when the shot began, there is nothing to go on with.
        if item.motion is not None and carry is not None and carry.unit_gain > 0:
            carry = self._carried(stroke, item, item.motion, carry)
            return carry.detail, carry
        moment = stroke.renderer.schedule.at(item.seconds)
        visits = octaves.plan_full_passes(self._sizes(item, moment), moment.steps)
        gain = stroke.renderer.gain(item.small, np.zeros_like(item.small), visits, moment, item.frame.seconds)
        detail = self._allowed(item)(gain)
        if item.shot.is_flash(item.index):
            # The dream goes on behind a flash as if it had not been there.
            return detail, carry
        return detail, start_state(detail, item.grey, self._ascent(stroke, item, moment), item.light)

    def _carried(
        self, stroke: BoundPass, item: PreparedFrame, motion: optical_flow.OpticalFlow, carry: TemporalState
    ) -> TemporalState:
        """A few steps on what the frame before handed on."""
        brush, recipe = stroke.renderer, self.recipe
        moment = brush.schedule.at(item.seconds)
        ascent = self._ascent(stroke, item, moment)
        laid = warp_state(carry, motion, recipe.coherence, recipe.breathe, brush.momentum, ascent, item.light)
        gain = np.zeros_like(laid.change)
        if laid.pace.max() > MIN_STEP_SCALE:
            turn = carry.age + 1
            new = turn < SETTLING_FRAMES or laid.whole < SETTLED_FULLNESS
            pace = laid.pace * np.float32(SETTLING_STEP_SCALE) if new else laid.pace
            steps = count_carried_steps(moment, brush.carried, new)
            visits = octaves.plan_carried_passes(self._sizes(item, moment), steps, turn, brush.smoothing)
            gain = brush.gain(item.small, laid.detail, visits, moment, item.frame.seconds, pace)
        return advance_state(carry, laid, gain, item.grey, self._allowed(item))

    def _sizes(self, item: PreparedFrame, moment: FrameSettings) -> list[octaves.Size]:
        """The frame's octaves, small to large."""
        return octaves.octave_sizes(item.small.shape[0], item.small.shape[1], moment)

    def _ascent(self, stroke: BoundPass, item: PreparedFrame, moment: FrameSettings) -> float:
        """Length of a full climb, as far as the frame leaves room for it."""
        return stroke.renderer.length(moment) * moment.steps * measure_room(item.grey)

    def _allowed(self, item: PreparedFrame) -> Callable[[np.ndarray], np.ndarray]:
        return octaves.make_detail_limiter(item.small, self.recipe.color)

    def _layer(self, stroke: BoundPass, item: PreparedFrame, detail: np.ndarray | None) -> DetailLayer | None:
        """What of a pass is seen in a frame; None: nothing."""
        moment = stroke.renderer.schedule.at(item.seconds)
        share = moment.strength * item.presence * stroke.span.opacity(item.seconds)
        if detail is None or not share:
            return None
        return DetailLayer(detail, share, None if stroke.mask is None else stroke.mask(item.frame.seconds))

    def _laid(self, item: PreparedFrame, layer: DetailLayer) -> np.ndarray:
        """A frame with a layer on it, at the working resolution: what the next pass works on."""
        shown = layer.detail * np.float32(layer.share)
        if layer.mask is not None:
            shown = shown * octaves.resize(_crop_to_shot(layer.mask, item.shot)[..., None], shown.shape[:2])
        return np.clip(item.small + shown, 0.0, 1.0)

    def _finish(
        self, item: PreparedFrame, layers: Sequence[DetailLayer], carries: TemporalStates
    ) -> DreamedFrame:
        """Lay all passes on the frame, and measure what they amount to."""
        rgb, scores = item.frame.rgb, None
        first = self.strokes[0].renderer
        moment = first.schedule.at(item.seconds)
        added = 0.0
        with self.clock.time("finish"):
            if layers:
                rgb = rgb.copy()
                part = _crop_to_shot(rgb, item.shot)
                for layer in layers:
                    shown = octaves.resize(layer.detail, part.shape[:2]) * np.float32(layer.share)
                    if layer.mask is not None:
                        shown *= _crop_to_shot(layer.mask, item.shot)[..., None]
                    np.clip(part + shown, 0.0, 1.0, out=part)
                added = (
                    measure_strength(part - _crop_to_shot(item.frame.rgb, item.shot)) * part.size / rgb.size
                )
        if item.index % self.scored_every == 0 and item.small.size:
            with self.clock.time("score"):
                scores = first.scores(moment, item.small, self._small(rgb, item.shot))
        return DreamedFrame(item.frame, rgb, moment, added, scores, carries)


def _crop_to_shot(whole: np.ndarray, shot: Shot) -> np.ndarray:
    """What lies within a shot's borders, [H, W, ...]; a view."""
    top, bottom, left, right = shot.box
    return whole[top:bottom, left:right]
