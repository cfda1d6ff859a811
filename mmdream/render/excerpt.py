"""A frame of a film dreamed before the film is: by itself, or as in the film."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from mmdream.analysis.shots import Scan, Shot, scan_frames
from mmdream.core.errors import Interrupted
from mmdream.core.events import EventSink
from mmdream.image.octaves import resize
from mmdream.media.probe import MediaFile
from mmdream.media.video_reader import Frame, read_frames
from mmdream.render.chain import Stopwatch, render_frames
from mmdream.render.frames import FramePipeline
from mmdream.render.hints import find_still_hints, hinted_networks, measure_film_hints
from mmdream.settings.recipe import Recipe, film_size

LEAD_FRAMES = 24
"""Frames before one that are dreamed first, if no cut comes between: by then a carried dream has grown."""
IsStopped = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class DreamedMoment:
    """A frame of a film, and its dream."""

    source: np.ndarray
    """float32 [H, W, 3], 0..1."""
    dream: np.ndarray
    seconds: float
    """Of the frame, since `MediaFile.start`."""


def dream_frame_alone(frame: Frame, recipe: Recipe, is_stopped: IsStopped) -> DreamedMoment:
    """A frame dreamed by itself, at the recipe's size; its drives are followed already.

    `Interrupted` is raised when `is_stopped` says so.
    """
    height, width = frame.rgb.shape[:2]
    pipeline = FramePipeline.load(recipe, (width, height), EventSink(), Stopwatch().watch(is_stopped))
    small = resize(frame.rgb, pipeline.size)
    small_frame = replace(frame, rgb=small, index=0)
    shot = Shot(0, 1, (0, small.shape[0], 0, small.shape[1]))
    scan = Scan((shot,), array("q", [frame.pts]), array("f", [1.0]), frame.time_base, 0)
    pipeline = replace(pipeline, hints=find_still_hints(pipeline.passes, small, recipe.seed))
    context, _ = pipeline.measurer(scan).measure(small_frame, 0, None)
    _, (layers,) = pipeline.ascend(pipeline.initial_states, [context])
    dream, _ = pipeline.compose(small_frame, context, layers)
    return DreamedMoment(frame.rgb, dream, float(frame.seconds))


def dream_frame_in_film(
    film: MediaFile,
    shown: Fraction,
    recipe: Recipe,
    is_stopped: IsStopped,
    on_frame: Callable[[float], None] = lambda share: None,
) -> DreamedMoment:
    """The frame that begins at a second as in the film: from the cut on, or the last 24, are dreamed before.

    Drives are followed already. `on_frame` takes the share of the frames that is done, 0..1; `Interrupted`
    as above.
    """
    assert film.video is not None
    rate = film.video.rate or Fraction(25)
    # The second may be rounded a little.
    begin, end = max(shown - LEAD_FRAMES / rate - Fraction(1, 2000), Fraction(0)), shown + Fraction(1, 2000)
    with closing(read_frames(film, begin, end)) as frames:
        scan = scan_frames(_until_stopped(frames, is_stopped))
    first = scan.shots[-1].first
    size = film.video.width, film.video.height
    recipe, stopwatch = replace(recipe, size=film_size(recipe.size, *size)), Stopwatch()
    pipeline = FramePipeline.load(recipe, size, EventSink(), stopwatch.watch(is_stopped), len(scan.pts) + 1)
    if any(hinted_networks(pipeline.passes)):
        hints = measure_film_hints(film, scan, pipeline.passes, recipe.seed, is_stopped)
        pipeline = replace(pipeline, hints=hints)
    start = Fraction(scan.pts[first]) * scan.time_base - film.start
    source = read_frames(film, start, end)
    found: DreamedMoment | None = None
    with closing(render_frames(pipeline, scan, source, first, (), stopwatch)) as dreams:
        for number, (dreamed, _) in enumerate(dreams, 1):
            on_frame(number / (len(scan.pts) - first))
            found = DreamedMoment(dreamed.frame.rgb, dreamed.rgb, float(dreamed.frame.seconds))
    assert found is not None
    return found


def _until_stopped(frames: Iterable[Frame], is_stopped: IsStopped) -> Iterator[Frame]:
    for frame in frames:
        if is_stopped():
            raise Interrupted
        yield frame
