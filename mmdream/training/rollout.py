"""What a dreamer learns from: passes over clips that are dreamed as films are, by itself or by ascent."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from mmdream.analysis.shots import Scan, Shot
from mmdream.image.feedforward import grid_size, make_pictures, plan_dreamer_passes
from mmdream.image.octaves import OctavePass, Size, resize
from mmdream.media.video_reader import Frame
from mmdream.render.frames import FramePipeline
from mmdream.render.hints import find_still_hints
from mmdream.render.passes.dream import DreamPass
from mmdream.render.passes.feedforward import FeedforwardPass
from mmdream.render.passes.load import BoundPass
from mmdream.render.passes.renderer import AscentRequest
from mmdream.settings.passes import Span
from mmdream.training.clips import CLIP_RATE, Clip

MIN_LENGTH = 1e-6
"""RMS of what an ascent adds, under which it has nothing to teach."""
MIN_STEP_SCALE = 1e-3
"""Of a step over the usual one: where it is shorter nothing was to be dreamed."""


@dataclass(frozen=True)
class Sample:
    """One pass: what a dreamer is given, and what an ascent made of the same."""

    source: np.ndarray
    """float16 [H, W, 3], at the octave's size; 0..1."""
    detail: np.ndarray
    """float16 [H, W, 3]: dream minus source so far."""
    weights: np.ndarray
    """float16 [row, column, channel], see `weigh_channels`."""
    target: np.ndarray
    """float16 [h, w, 3] on the dreamer's grid: what the ascent added, of RMS 1."""
    length: float
    """RMS of what it added."""

    @property
    def size(self) -> Size:
        """Of the octave."""
        return self.source.shape[0], self.source.shape[1]

    @property
    def dream(self) -> np.ndarray:
        """Where the pass begins, float32 [H, W, 3]."""
        return np.clip(self.source.astype(np.float32) + self.detail, 0, 1)

    @property
    def pictures(self) -> np.ndarray:
        """What the dreamer sees, float32 [h, w, 6]."""
        return make_pictures(self.source.astype(np.float32), self.detail.astype(np.float32), self.size)


@dataclass(frozen=True)
class RecordingPass(FeedforwardPass):
    """Dreams with a dreamer or by ascent, and keeps a `Sample` of each pass."""

    by_ascent: bool = field(kw_only=True)
    begins_by_ascent: bool = field(kw_only=True)
    """The frame in full."""
    samples: list[Sample] = field(kw_only=True, default_factory=list)

    def ascend(self, asked: AscentRequest) -> np.ndarray:
        """As the one or the other."""
        by_ascent = self.begins_by_ascent if asked.step_scale is None else self.by_ascent
        if by_ascent and asked.step_scale is None:
            return DreamPass.ascend(self, asked)
        weights, source = self.channel_weights(asked), asked.source
        gain = np.zeros_like(source if asked.step_scale is None else np.dstack([asked.step_scale] * 3))
        for octave in asked.octaves:
            for portion in plan_dreamer_passes(octave):
                detail = np.clip(source + asked.detail + resize(gain, source.shape[:2]), 0, 1) - source
                one = replace(asked, detail=detail, octaves=[portion])
                climbed = DreamPass.ascend(self, one)
                self._keep(one, portion, weights, climbed)
                gain += climbed if by_ascent else self.dream_in_passes(one)
        return gain

    def _keep(self, asked: AscentRequest, portion: OctavePass, weights: np.ndarray, gain: np.ndarray) -> None:
        if asked.step_scale is not None:
            # How long a step is at a place is not the dreamer's to know.
            gain = gain / np.maximum(asked.step_scale, MIN_STEP_SCALE)[..., None]
        target = resize(gain, grid_size(portion.size))
        length = float(np.sqrt(np.mean(np.square(target))))
        if length > MIN_LENGTH:
            arrays = resize(asked.source, portion.size), resize(asked.detail, portion.size), weights
            source, detail, weights = (each.astype(np.float16) for each in arrays)
            self.samples.append(Sample(source, detail, weights, (target / length).astype(np.float16), length))


def dream_clip(renderer: DreamPass, clip: Clip, seed: int) -> Iterator[np.ndarray]:
    """Dream a clip as one shot of a film; yields the dream of each frame, float32 [H, W, 3].

    The seed decides the drift of attention and what is hinted at.
    """
    recipe, count = replace(renderer.recipe, seed=seed), len(clip)
    height, width = clip[0].shape[:2]
    shot = Shot(0, count, (0, height, 0, width))
    tick = Fraction(1, CLIP_RATE)
    scan = Scan((shot,), array("q", range(count)), array("f", [1.0] * count), tick, 0)
    bound = BoundPass(replace(renderer, recipe=recipe), Span())
    pipeline = FramePipeline(recipe, (bound,), (height, width))
    pipeline = replace(pipeline, hints=find_still_hints(pipeline.passes, clip[0], seed))
    measurer, states, previous = pipeline.measurer(scan), pipeline.initial_states, None
    for number, rgb in enumerate(clip):
        frame = Frame(rgb, number, tick, number, number * tick)
        context, previous = measurer.measure(frame, number, previous)
        states, (layers,) = pipeline.ascend(states, [context])
        yield pipeline.compose(frame, context, layers)[0]
