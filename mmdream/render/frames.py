"""The picture of a video, one frame at a time: a pure step from state and frame to state and dream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from mmdream.analysis.optical_flow import OpticalFlow
from mmdream.analysis.shots import Scan
from mmdream.core.events import EventSink
from mmdream.image import octaves
from mmdream.image.enlarge import enlarge_detail
from mmdream.image.habituation import OCTAVE_SHARE, Fatigue, elapsed_share, habituate
from mmdream.media.video_reader import Frame
from mmdream.render.couplings.heard import HeardSounds
from mmdream.render.hints import PassHints
from mmdream.render.passes.load import BoundPass, load_passes
from mmdream.render.passes.renderer import AscentRequest, PassRenderer, StepCallback, Watch, watch_nothing
from mmdream.render.source import (
    FrameContext,
    OfflineScan,
    PassContext,
    crop_to_shot,
    measure_flow,
    shrink_to_working_size,
)
from mmdream.render.temporal import (
    TemporalState,
    TemporalStates,
    advance_state,
    forget_dream,
    measure_room,
    measure_strength,
    start_state,
    warp_fatigue,
    warp_state,
)
from mmdream.settings.recipe import Recipe, resolve_size
from mmdream.settings.report import Report, SettingsChange, objective_ratio
from mmdream.settings.schedule import FrameSettings

BIDIRECTIONAL_FRAMES = 24
"""Frames at the beginning of a shot that are dreamed forwards and backwards, if that is set."""
SETTLING_FRAMES = 24
"""Frames behind a cut that take more steps than usual: the first ascent fits its own frame, and fades."""
SETTLING_STEPS_FACTOR = 3
"""So many times the usual steps,"""
SETTLING_STEP_SCALE = 0.65
"""each so much shorter: many short ones climb higher than few long ones, and make no more noise."""
SETTLED_FULLNESS = 0.9
"""So do frames of which less than this share has its dream."""
HABITUATION_FRAMES = 12
"""Every so many frames a dream is looked at for what tires."""
MIN_STEP_SCALE = 0.01
"""Longest step, in usual ones, that is not worth taking: on a still film that may not breathe."""


def count_carried_steps(settings: FrameSettings, carried_share: float, settling: bool) -> int:
    """Steps of a carried frame at each of its octaves; more while its dream is still growing."""
    usual = max(1, round(settings.steps * carried_share))
    return min(settings.steps, SETTLING_STEPS_FACTOR * usual if settling else usual)


@dataclass(frozen=True, slots=True)
class DetailLayer:
    """What a pass adds to a frame."""

    detail: np.ndarray
    """float32 [h, w, 3], at the working resolution."""
    context: PassContext
    """How much of it is added, and where."""


@dataclass(frozen=True, slots=True)
class DreamedFrame:
    """A finished frame."""

    frame: Frame
    rgb: np.ndarray
    """float32 [H, W, 3], 0..1, at the source's resolution."""
    settings: FrameSettings
    """Of the first pass."""
    strength: float
    """Mean |dream - source|."""
    scores: tuple[float, float] | None
    """The first pass's objective of source and dream, for the frames that are scored."""


@dataclass(frozen=True)
class FramePipeline:
    """Adds one pass after the other to a frame. Nothing in it knows of threads, files or clocks."""

    recipe: Recipe
    passes: tuple[BoundPass, ...]
    size: octaves.Size
    """Height, width of the working resolution."""
    scored_every: int = 1
    """One frame in so many is scored, by the first pass."""
    hints: PassHints = ()
    """Of the video, for each pass; none: of no pass."""
    heard: HeardSounds | None = None
    """Of the video's sound, where it matters to the picture."""

    @classmethod
    def load(
        cls,
        recipe: Recipe,
        size: tuple[int, int],
        sink: EventSink,
        watch: Watch = watch_nothing,
        scored_every: int = 1,
    ) -> Self:
        """Load all that dreams frames of a width and height, see `load_passes`."""
        width, height = resolve_size(recipe.size, *size)
        return cls(recipe, load_passes(recipe, size, sink, watch), (height, width), scored_every)

    def measurer(self, scan: Scan) -> OfflineScan:
        """What measures the frames of a scanned video for this pipeline."""
        return OfflineScan(scan, self.size, self.recipe.coherence > 0, self.passes, self.hints, self.heard)

    @property
    def networks(self) -> list[str]:
        """Their names, each once."""
        return list(dict.fromkeys(bound.renderer.network.card.name for bound in self.passes))

    @property
    def initial_states(self) -> TemporalStates:
        """Of a frame that a shot begins with."""
        return (None,) * len(self.passes)

    def step(
        self, states: TemporalStates, frame: Frame, context: FrameContext
    ) -> tuple[TemporalStates, DreamedFrame]:
        """Dream one frame from the states of the one before; returns those for the next, and the dream."""
        states, (layers,) = self.ascend(states, [context])
        rgb, strength = self.compose(frame, context, layers)
        scores = self.score(context, rgb)
        return states, DreamedFrame(frame, rgb, context.passes[0].settings, strength, scores)

    def ascend(
        self,
        states: TemporalStates,
        contexts: Sequence[FrameContext],
        on_octave: Callable[[], None] | None = None,
        on_step: StepCallback | None = None,
    ) -> tuple[TemporalStates, list[list[DetailLayer]]]:
        """What the passes add to some frames that follow one another.

        If there are many, they are the beginning of a shot, and are dreamed forwards to the last frame and
        from there back to the first. A dream grows for some frames behind a cut; backwards, it has grown when
        the shot begins.

        Args:
            states: of the frame before the first one, one for each pass.
            contexts: of the frames.
            on_octave: called after each octave of a frame in full.
            on_step: takes the image so far, at the working resolution, after each step of a frame in full.

        Returns:
            The states of the last frame, and the layers of each.
        """
        layers: list[list[DetailLayer]] = [[] for _ in contexts]
        next_states = []
        contexts = list(contexts)
        for number, state in enumerate(states):
            details, state = self._run_pass(number, contexts, state, on_octave, on_step)
            next_states.append(state)
            for place, (context, detail) in enumerate(zip(contexts, details, strict=True)):
                if detail is None or not context.passes[number].share:
                    continue
                layers[place].append(layer := DetailLayer(detail, context.passes[number]))
                if number + 1 < len(self.passes):
                    contexts[place] = replace(context, small=_add_layer(context, layer))
        return tuple(next_states), layers

    def compose(
        self, frame: Frame, context: FrameContext, layers: Sequence[DetailLayer]
    ) -> tuple[np.ndarray, float]:
        """The frame with its layers, float32 [H, W, 3], 0..1, and the mean absolute difference they make."""
        rgb = frame.rgb
        if not layers:
            return rgb, 0.0
        rgb = rgb.copy()
        inner, source = crop_to_shot(rgb, context.shot), crop_to_shot(frame.rgb, context.shot)
        for layer in layers:
            added = enlarge_detail(layer.detail, inner.shape[:2])
            if layer.context.share != 1:
                added = added * np.float32(layer.context.share)
            if layer.context.mask is not None:
                added = added * crop_to_shot(layer.context.mask, context.shot)[..., None]
            np.add(inner, added, out=inner)
            np.clip(inner, 0.0, 1.0, out=inner)
        return rgb, measure_strength(inner, source) * inner.size / rgb.size

    def score(self, context: FrameContext, rgb: np.ndarray) -> tuple[float, float] | None:
        """The first pass's objective of source and dream; None: this frame is not scored."""
        if context.index % self.scored_every or not context.small.size:
            return None
        dream = shrink_to_working_size(rgb, context.shot, self.size)
        return self.passes[0].renderer.score(context.passes[0].settings, context.small, dream)

    def extend_report(
        self, report: Report, scores: tuple[float, float], strength: float, used: Sequence[SettingsChange]
    ) -> Report:
        """A report with the figures of a picture: its scores by the first pass, strength, used settings."""
        ratio, styled = objective_ratio(*scores), self.recipe.effective_passes[0].style is not None
        return replace(
            report,
            objective_gain={} if styled else {"picture": ratio},
            style_left=ratio if styled else None,
            strength={"picture": strength},
            precision={"picture": self.passes[0].renderer.network.precision},
            schedule={"picture": tuple(used)},
        )

    def _run_pass(
        self,
        number: int,
        contexts: Sequence[FrameContext],
        state: TemporalState | None,
        on_octave: Callable[[], None] | None,
        on_step: StepCallback | None,
    ) -> tuple[list[np.ndarray | None], TemporalState | None]:
        """One pass over some frames: their details, and the state of the last one."""
        details: list[np.ndarray | None] = []
        for context in contexts:
            detail, state = self._dream_frame(number, context, state, on_octave, on_step)
            details.append(detail)
        later = state
        for place in range(len(contexts) - 2, -1, -1):
            context = contexts[place]
            if later is None or details[place] is None or context.shot.is_flash(context.index):
                continue
            motion = measure_flow(later.grey, context.gray, context.small)
            later = self._carry_dream(number, context, motion, later)
            details[place] = later.detail
        return details, state

    def _dream_frame(
        self,
        number: int,
        context: FrameContext,
        state: TemporalState | None,
        on_octave: Callable[[], None] | None,
        on_step: StepCallback | None,
    ) -> tuple[np.ndarray | None, TemporalState | None]:
        """A frame's detail by one pass, carried from the frame before where there is one, and its state."""
        renderer, own = self.passes[number].renderer, context.passes[number]
        if not context.small.size or context.presence == 0 or not own.is_active:
            return None, None
        # Where the schedule had no steps when the shot began, there is nothing to go on with.
        if context.motion is not None and state is not None and state.unit_gain > 0:
            state = self._carry_dream(number, context, context.motion, state)
            return state.detail, state
        if on_step is not None:
            on_step = _limit_to_mask(on_step, context, own.mask)
        detail = np.zeros_like(context.small)
        fatigue: Fatigue = {}
        source = renderer.tiring_energies(own.settings, context.small, is_carried=False)
        for octave in octaves.plan_full_passes(_octave_sizes(context, own.settings), own.settings.steps):
            asked = AscentRequest(
                context.small, detail, [octave], own.settings, context.seconds,
                fatigue=fatigue, hinted=own.hinted, heard=own.heard, on_step=on_step,
            )  # fmt: skip
            detail = detail + renderer.ascend(asked)
            image = np.clip(context.small + detail, 0, 1)
            dream = renderer.tiring_energies(own.settings, image, is_carried=False)
            fatigue = habituate(fatigue, source, dream, OCTAVE_SHARE)
            if on_octave is not None:
                on_octave()
        detail = octaves.make_detail_limiter(context.small, self.recipe.color)(detail)
        if context.shot.is_flash(context.index):
            # The dream goes on behind a flash as if it had not been there.
            return detail, state
        ascent = _full_ascent(renderer, context, own.settings)
        state = start_state(detail, context.gray, ascent, context.light)
        return detail, replace(state, fatigue=fatigue, habituated_at=context.seconds)

    def _carry_dream(
        self, number: int, context: FrameContext, motion: OpticalFlow, state: TemporalState
    ) -> TemporalState:
        """A few steps on what the frame before left."""
        renderer, own = self.passes[number].renderer, context.passes[number]
        settings = own.settings
        carried, ascent = renderer.carried, _full_ascent(renderer, context, settings)
        coherence, breathe = self.recipe.coherence, self.recipe.breathe
        if own.forgotten:
            state = forget_dream(state, own.forgotten)
        target = ascent * carried.strength
        warped = warp_state(state, motion, coherence, breathe, carried.momentum, target, context.light)
        gain, age = np.zeros_like(warped.change), state.age + 1
        # Frames that take no steps leave them to the next one that does.
        if warped.step_scale.max() > MIN_STEP_SCALE and age % carried.every == 0:
            settling = age < SETTLING_FRAMES or warped.fullness < SETTLED_FULLNESS
            step_scale = warped.step_scale
            if settling:
                step_scale = step_scale * np.float32(SETTLING_STEP_SCALE)
            steps = count_carried_steps(settings, carried.share, settling)
            sizes, turn = _octave_sizes(context, settings), age // carried.every
            octave_passes = octaves.plan_carried_passes(sizes, steps * carried.every, turn, carried.smoothing)
            asked = AscentRequest(
                context.small, warped.detail, octave_passes, settings, context.seconds, step_scale,
                state.fatigue, own.hinted, own.heard, turn=turn,
            )  # fmt: skip
            gain = renderer.ascend(asked)
        limit = octaves.make_detail_limiter(context.small, self.recipe.color)
        state = advance_state(state, warped, gain, context.gray, limit)
        if state.age % HABITUATION_FRAMES:
            return state
        share = elapsed_share(float(context.seconds - state.habituated_at))
        images = context.small, np.clip(context.small + state.detail, 0, 1)
        source, dream = (renderer.tiring_energies(settings, image, is_carried=True) for image in images)
        fatigue = warp_fatigue(state.fatigue, motion, HABITUATION_FRAMES)
        fatigue = habituate(fatigue, source, dream, share)
        return replace(state, fatigue=fatigue, habituated_at=context.seconds)


def _octave_sizes(context: FrameContext, settings: FrameSettings) -> list[octaves.Size]:
    """The frame's octaves, small to large."""
    return octaves.octave_sizes(context.small.shape[0], context.small.shape[1], settings)


def _full_ascent(renderer: PassRenderer, context: FrameContext, settings: FrameSettings) -> float:
    """Length of a full ascent, as far as the frame leaves room for it."""
    return renderer.step_length(settings) * settings.steps * measure_room(context.gray)


def _add_layer(context: FrameContext, layer: DetailLayer) -> np.ndarray:
    """A frame with a layer, at the working resolution: what the next pass works on."""
    added = layer.detail * np.float32(layer.context.share)
    if layer.context.mask is not None:
        added = added * _shrink_mask(context, layer.context.mask)
    return np.clip(context.small + added, 0.0, 1.0)


def _limit_to_mask(on_step: StepCallback, context: FrameContext, mask: np.ndarray | None) -> StepCallback:
    """Show what a mask leaves of each image."""
    if mask is None:
        return on_step
    small, inside = context.small, _shrink_mask(context, mask)
    return lambda rgb: on_step(small + inside * (rgb - small))


def _shrink_mask(context: FrameContext, mask: np.ndarray) -> np.ndarray:
    """A mask within the shot's borders at the working resolution, float32 [h, w, 1]."""
    return octaves.resize(crop_to_shot(mask, context.shot)[..., None], context.small.shape[:2])
