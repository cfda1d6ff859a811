"""The threads around the frame pipeline: decoding and measuring, ascent, and finishing beside each other."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from contextlib import closing

from mmdream.analysis.shots import Scan
from mmdream.core.report import Stopwatch
from mmdream.core.threads import lower_priority, prefetch
from mmdream.media.video_reader import Frame
from mmdream.render.context import FrameContext, OfflineScan
from mmdream.render.frames import BIDIRECTIONAL_FRAMES, DetailLayer, DreamedFrame, FramePipeline
from mmdream.render.temporal import TemporalStates

Measured = tuple[Frame, FrameContext]
Ascended = tuple[Frame, FrameContext, list[DetailLayer], TemporalStates]


def make_measurer(pipeline: FramePipeline, scan: Scan) -> OfflineScan:
    """What measures a scanned video's frames for a pipeline."""
    masks = tuple(bound.read_mask for bound in pipeline.passes)
    return OfflineScan(scan, pipeline.size, pipeline.recipe.coherence > 0, masks)


def render_frames(
    pipeline: FramePipeline,
    measurer: OfflineScan,
    frames: Generator[Frame, None, None],
    first: int,
    states: TemporalStates,
    stopwatch: Stopwatch,
) -> Generator[tuple[DreamedFrame, TemporalStates], None, None]:
    """Dream frames as `FramePipeline.step` does, three stages beside each other.

    Args:
        pipeline: dreams them.
        measurer: measures them.
        frames: from frame `first` on; closed at the end.
        first: number of the first frame.
        states: of the frame before it; empty where a shot begins.
        stopwatch: the seconds of each stage are added to it.

    Yields:
        The dreams in order, each with the states for the next frame.
    """
    states = states or pipeline.initial_states
    measured = prefetch(_measure_frames(measurer, frames, first, states, stopwatch))
    with closing(prefetch(_ascend_frames(pipeline, measured, states, stopwatch), in_front=True)) as ascended:
        for frame, context, layers, states in ascended:
            # Not before the ascent's thread has begun, which would inherit it.
            lower_priority()
            with stopwatch.time("finish"):
                rgb, strength = pipeline.compose(frame, context, layers)
            with stopwatch.time("score"):
                scores = pipeline.score(context, rgb)
            yield DreamedFrame(frame, rgb, pipeline.first_settings(context), strength, scores), states


def _measure_frames(
    measurer: OfflineScan,
    frames: Generator[Frame, None, None],
    first: int,
    states: TemporalStates,
    stopwatch: Stopwatch,
) -> Generator[Measured, None, None]:
    previous = next((state.grey for state in states if state is not None), None)
    with closing(frames):
        for index in itertools.count(first):
            with stopwatch.time("decode"):
                frame = next(frames, None)
            if frame is None:
                return
            with stopwatch.time("flow"):
                context, previous = measurer.measure(frame, index, previous)
            yield frame, context


def _ascend_frames(
    pipeline: FramePipeline,
    measured: Generator[Measured, None, None],
    states: TemporalStates,
    stopwatch: Stopwatch,
) -> Generator[Ascended, None, None]:
    with closing(measured):
        for group in _group_frames(pipeline, measured):
            with stopwatch.time("ascent"):
                states, layers = pipeline.ascend(states, [context for _, context in group])
            for (frame, context), added in zip(group, layers, strict=True):
                yield frame, context, added, states


def _group_frames(pipeline: FramePipeline, measured: Iterator[Measured]) -> Iterator[list[Measured]]:
    """Each frame alone, but a shot's first ones together where they are dreamed both ways."""
    for frame, context in measured:
        group = [(frame, context)]
        if pipeline.recipe.bidirectional and context.index == context.shot.first:
            length = min(BIDIRECTIONAL_FRAMES, context.shot.stop - context.index)
            group += itertools.islice(measured, length - 1)
        yield group
