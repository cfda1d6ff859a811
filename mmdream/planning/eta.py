"""How long a film still takes, from the work that is left and the pace so far.

Frames are no measure of work: the first of a shot costs many times a carried one, those behind it twice as
much, and at the beginning the sound is dreamed on the same processor. So the work is expected frame by frame
before the start, and what is kept is the pace, seconds that passed over seconds that were expected: one
beside the sound, and one after it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from mmdream.analysis.shots import Scan
from mmdream.core.events import EventSink, RemainingTime
from mmdream.image import octaves
from mmdream.image.octaves import Size
from mmdream.media.probe import MediaFile
from mmdream.render.frames import (
    BIDIRECTIONAL_FRAMES,
    SETTLED_FULLNESS,
    SETTLING_FRAMES,
    FramePipeline,
    count_carried_steps,
)
from mmdream.settings.passes import Span
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import FrameSettings, Schedule

SECONDS_PER_PIXEL = 22e-9
"""Seconds of film work (decoding, flow, carry, encoding) that a frame takes beside its steps, for each pixel
of the working resolution and of the film's own; on two cores. Only quick networks notice."""
ALONE_FACTOR = 0.72
"""Of the time that a frame takes beside the sound it takes about so much alone; 0.6 to 0.9 on two cores."""
PACE_WINDOW = 0.08, 60
"""A pace is that of the last so large share of the frames, or of so many if that is more."""
GUESS_WEIGHT = 0.25
"""Weight of what is guessed of the time alone, against what was measured beside the sound."""
FINISHING_SECONDS = 0.2, 0.001
"""Seconds after the last frame, and for each of all frames: picture and sound are joined and proved."""
MIN_WORK_SHARE = 0.3
"""Frames of which less than this share of the mean work is expected (black ones) tell nothing of the pace."""
MIN_PACE_FRAMES = 5
MAX_SLOWDOWN = 3.0
"""Times the usual pace."""
WARMUP_FRAMES = 8
"""The first frames are not counted: they trace, allocate, and meet each octave for the first time."""
MAX_SCHEDULE_SAMPLES = 1000
"""Times at which a schedule is asked what it demands."""
FRESH_FRAME, SETTLING_FRAME, CARRIED_FRAME = range(3)
"""Kinds of frames: dreamed for themselves, carried behind a cut, carried."""


@dataclass
class PaceTracker:
    """What the last frames took, and what was expected of them."""

    keep: float = 1.0
    """Share of what is known that each further frame leaves."""
    took: float = 0.0
    expected: float = 0.0
    count: int = 0

    def add(self, took: float, expected: float) -> None:
        """Count a frame; a single one that hung counts as a slow one."""
        known = self.pace()
        if known is not None:
            took = min(took, MAX_SLOWDOWN * known * expected)
        self.count += 1
        self.took = self.keep * self.took + took
        self.expected = self.keep * self.expected + expected

    def pace(self) -> float | None:
        """Seconds that a second of expected work takes.

        None after too few frames: some threads are ahead of others, and the first frames come in a bunch.
        """
        return self.took / self.expected if self.count >= MIN_PACE_FRAMES and self.expected > 0 else None


def estimate_seconds_left(todo: float, beside: PaceTracker, alone: PaceTracker, sound: float) -> float:
    """Seconds that a film still takes: `todo` of expected work on frames, `sound` on its sound.

    `beside` and `alone` are of frames that were done while the sound was, and since.
    """
    shared, own = beside.pace(), alone.pace()
    if own is None:
        own = 1.0 if shared is None else ALONE_FACTOR * shared
    quick, slow = todo * own, todo * (own / ALONE_FACTOR if shared is None else shared)
    if sound <= 0:
        return quick
    if math.isinf(sound):
        sound = slow / 2  # Nothing was heard yet: halfway between soon over and the whole time.
    if sound >= slow:
        return slow + (sound - slow) * ALONE_FACTOR
    return sound + (1 - sound / slow) * quick


@dataclass(frozen=True)
class PassCost:
    """What one pass asks for."""

    schedule: Schedule
    """Makes frames cost more or less."""
    carried: float
    """Share of the steps that a carried frame takes."""
    span: Span
    """When it acts."""
    step: float
    """Seconds that one step on a picture of the working resolution takes."""


def estimate_frame_work(
    scan: Scan, start: Fraction, recipe: Recipe, costs: Sequence[PassCost], size: Size, whole: Size
) -> np.ndarray:
    """Seconds of work that each frame is expected to take, float64 [frame].

    `start` is the film's, `costs` those of each pass; `size` and `whole` are height and width of the working
    resolution and of the film.
    """
    count = len(scan.pts)
    kinds = np.full(count, FRESH_FRAME if recipe.coherence == 0 else CARRIED_FRAME)
    visible = np.array([scan.presence(number) > 0 for number in range(count)])
    if recipe.coherence:
        for shot in scan.shots:
            light = np.asarray(scan.light[shot.first : shot.stop])
            best = np.maximum.accumulate(np.maximum(light, 1e-9))
            growing = (best[:-1] / best[1:]) ** 4 < SETTLED_FULLNESS  # See `WarpedState.fullness`.
            kinds[shot.first + 1 : shot.stop][growing] = SETTLING_FRAME
            kinds[shot.first : min(shot.stop, shot.first + SETTLING_FRAMES)] = SETTLING_FRAME
            kinds[shot.first] = FRESH_FRAME
            for first, stop in shot.flashes:
                kinds[first:stop] = FRESH_FRAME
        # The dream begins anew when a picture comes back from black.
        kinds[1:][visible[1:] & ~visible[:-1]] = FRESH_FRAME
    at = np.asarray(scan.pts) * float(scan.time_base) - float(start)
    # A curve is asked at so many places at most: for each of a long film's frames that would be felt.
    places = np.linspace(at[0], at[-1], min(count, MAX_SCHEDULE_SAMPLES)) if count else at
    seconds = np.zeros(count)
    for cost in costs:
        settings = [cost.schedule.at(float(place)) for place in places]
        steps = np.array([_count_steps(each, cost.carried, size) for each in settings])
        each = np.array([np.interp(at, places, row) for row in steps.T])
        acts = np.array([cost.span.is_active(float(when)) for when in at])
        seconds += cost.step * each[kinds, np.arange(count)] * visible * acts
    for shot in scan.shots:
        top, bottom, left, right = shot.box  # Black borders are not dreamed.
        seconds[shot.first : shot.stop] *= (bottom - top) * (right - left) / (whole[0] * whole[1])
    seconds += SECONDS_PER_PIXEL * (size[0] * size[1] + whole[0] * whole[1])
    if recipe.bidirectional:
        for shot in scan.shots:
            head = slice(shot.first, min(shot.stop, shot.first + BIDIRECTIONAL_FRAMES))
            # They are all finished before the first is shown, and all but one were dreamed twice.
            seconds[shot.first] += 2 * seconds[head][1:].sum()
            seconds[head][1:] = 0.0
    return seconds


@lru_cache(maxsize=MAX_SCHEDULE_SAMPLES)
def _count_steps(moment: FrameSettings, share: float, size: Size) -> tuple[float, float, float]:
    """Steps at the working resolution of a frame in full, one behind a cut, and a usual one."""
    sizes = octaves.octave_sizes(*size, moment)
    turns = range(3 * max(1, len(sizes) - 1))

    def carried(new: bool) -> float:
        steps = count_carried_steps(moment, share, new)
        plans = [octaves.plan_carried_passes(sizes, steps, turn, 0) for turn in turns]
        return float(np.mean([octaves.octave_cost(plan) for plan in plans]))

    return octaves.octave_cost(octaves.plan_full_passes(sizes, moment.steps)), carried(True), carried(False)


def estimate_frame_seconds(pipeline: FramePipeline, film: MediaFile, scan: Scan) -> np.ndarray:
    """Seconds that each frame of a film is expected to take, float64 [frame], from trials of one step."""
    assert film.video is not None
    passes = [(bound.renderer, bound.span) for bound in pipeline.passes]
    size = pipeline.size
    costs = [PassCost(each.schedule, each.carried.share, span, each.time_step(size)) for each, span in passes]
    whole = film.video.height, film.video.width
    return estimate_frame_work(scan, film.start, pipeline.recipe, costs, size, whole)


def report_time_left(
    sink: EventSink, work: np.ndarray, sound: bool, clock: Callable[[], float] = time.monotonic
) -> EventSink:
    """A sink that also tells the seconds that are left, after each frame and each piece of sound.

    `work` are seconds that are expected of each frame, in the order in which they are counted as done;
    `sound`: a sound is dreamed beside.
    """
    estimator, lock = _TimeLeftEstimator(work, sound), threading.Lock()

    def progress(medium: str, done: float, total: float) -> None:
        with lock:
            left = estimator.update(medium, done, total, clock())
        sink.progress(medium, done, total)
        sink.emit(RemainingTime(left))

    return sink.redirect(progress=progress)


class _TimeLeftEstimator:
    """Follows the progress of picture and sound."""

    def __init__(self, work: np.ndarray, sound: bool) -> None:
        keep = 1 - 1 / max(PACE_WINDOW[1], PACE_WINDOW[0] * len(work))
        self.beside, self.alone = PaceTracker(keep), PaceTracker(keep)
        self.work, self.min_work = work, MIN_WORK_SHARE * float(work.mean())
        self.finishing = FINISHING_SECONDS[0] + FINISHING_SECONDS[1] * len(work)
        self.sums = np.concatenate([[0.0], np.cumsum(work)])
        self.frames_done, self.frame_time, self.frames_seen = -1, 0.0, 0
        self.sound_done, self.sound_time = -1.0, 0.0
        self.sound_left = float("inf") if sound else 0.0

    def update(self, medium: str, done: float, total: float, now: float) -> float:
        """Count a piece of work; the seconds that are left."""
        if medium == "picture":
            self._count_frame(int(done), now)
        elif medium == "sound":
            self._count_sound(done, total, now)
        todo = float(self.sums[-1] - self.sums[max(0, self.frames_done)])
        return estimate_seconds_left(todo, self.beside, self.alone, self.sound_left) + self.finishing

    def _count_frame(self, done: int, now: float) -> None:
        if self.frames_done >= 0 and done == self.frames_done + 1 and self.work[done - 1] >= self.min_work:
            self.frames_seen += 1
            if self.frames_seen > WARMUP_FRAMES:
                # A frame that was begun before the sound's end took longer than one alone.
                is_beside = self.sound_left > 0 or self.frame_time < self.sound_time
                pace = self.beside if is_beside else self.alone
                pace.add(now - self.frame_time, float(self.work[done - 1]))
        self.frames_done, self.frame_time = done, now

    def _count_sound(self, done: float, total: float, now: float) -> None:
        if done >= total:
            self.sound_left = 0.0
            # One odd frame must not be all that is known of the quicker pace.
            self.alone.add(
                ALONE_FACTOR * GUESS_WEIGHT * self.beside.took, GUESS_WEIGHT * self.beside.expected
            )
        elif self.sound_done >= 0 and done > self.sound_done:
            # The pace of the last piece: those that lie finished in a job's folder take no time.
            self.sound_left = (total - done) * (now - self.sound_time) / (done - self.sound_done)
        self.sound_done, self.sound_time = done, now
