"""The threads around the frame pipeline: decoding and measuring, ascent, and finishing beside each other."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager

import numpy as np

from mmdream.analysis.shots import Scan
from mmdream.core.errors import Interrupted
from mmdream.core.threads import lower_priority, prefetch
from mmdream.image.octaves import GradientFunction
from mmdream.media.video_reader import Frame
from mmdream.render.context import FrameContext, OfflineScan
from mmdream.render.frames import BIDIRECTIONAL_FRAMES, DetailLayer, DreamedFrame, FramePipeline
from mmdream.render.passes import Watch
from mmdream.render.temporal import TemporalStates


class Stopwatch:
    """Seconds spent in each kind of work; each kind is measured in one thread only."""

    def __init__(self) -> None:
        """Begin with none."""
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def time(self, kind: str) -> Iterator[None]:
        """Add the time of a block to its kind."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[kind] += time.perf_counter() - start

    def watch(self, is_stopped: Callable[[], bool]) -> Watch:
        """A `Watch` that adds the time of steps to "network", and ends the work when it is to stop."""

        def watch(take_step: GradientFunction) -> GradientFunction:
            def watched(image: np.ndarray) -> np.ndarray:
                if is_stopped():
                    raise Interrupted
                with self.time("network"):
                    return take_step(image)

            return watched

        return watch


Measured = tuple[Frame, FrameContext]
Ascended = tuple[Frame, FrameContext, list[DetailLayer], TemporalStates]


def make_measurer(pipeline: FramePipeline, scan: Scan) -> OfflineScan:
    """What measures a scanned video's frames for a pipeline."""
    return OfflineScan(scan, pipeline.size, pipeline.recipe.coherence > 0, pipeline.passes)


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
            yield DreamedFrame(frame, rgb, context.passes[0].settings, strength, scores), states


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
