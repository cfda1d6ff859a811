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
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from mmdream.analysis.shots import Scan
from mmdream.core.events import EventSink
from mmdream.image import octaves
from mmdream.image.octaves import Size
from mmdream.render.frames import BIDIRECTIONAL_FRAMES, SETTLED_FULLNESS, SETTLING_FRAMES, count_carried_steps
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
"""Frames."""
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
    """The time a film still takes.

    Args:
        todo: seconds of expected work on frames that are not done.
        beside: of frames that were done while the sound was.
        alone: of frames that were done since.
        sound: seconds that the sound still takes; 0: it is done, or there is none.
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
    found: Scan, start: Fraction, recipe: Recipe, demands: Sequence[PassCost], size: Size, whole: Size
) -> np.ndarray:
    """Expect every frame's work, before the first is dreamed.

    Args:
        found: the scan of what is dreamed.
        start: `Film.start`.
        recipe: how frames follow from each other.
        demands: of each pass.
        size: height, width of the working resolution.
        whole: height, width of the film.

    Returns:
        float64 [frame], seconds.
    """
    count = len(found.pts)
    kinds = np.full(count, FRESH_FRAME if recipe.coherence == 0 else CARRIED_FRAME)
    there = np.array([found.presence(number) > 0 for number in range(count)])
    if recipe.coherence:
        for shot in found.shots:
            light = np.asarray(found.light[shot.first : shot.stop])
            best = np.maximum.accumulate(np.maximum(light, 1e-9))
            growing = (best[:-1] / best[1:]) ** 4 < SETTLED_FULLNESS  # See `Laid.whole`.
            kinds[shot.first + 1 : shot.stop][growing] = SETTLING_FRAME
            kinds[shot.first : min(shot.stop, shot.first + SETTLING_FRAMES)] = SETTLING_FRAME
            kinds[shot.first] = FRESH_FRAME
            for first, stop in shot.flashes:
                kinds[first:stop] = FRESH_FRAME
        # The dream begins anew when a picture comes back from black.
        kinds[1:][there[1:] & ~there[:-1]] = FRESH_FRAME
    at = np.asarray(found.pts) * float(found.time_base) - float(start)
    # A curve is asked at so many places at most: for each of a long film's frames that would be felt.
    places = np.linspace(at[0], at[-1], min(count, MAX_SCHEDULE_SAMPLES)) if count else at
    seconds = np.zeros(count)
    for demand in demands:
        steps = np.array(
            [_count_steps(demand.schedule.at(float(place)), demand.carried, size) for place in places]
        )
        each = np.array(
            [np.interp(at, places, steps[:, kind]) for kind in (FRESH_FRAME, SETTLING_FRAME, CARRIED_FRAME)]
        )
        acts = np.array([demand.span.is_active(float(when)) for when in at])
        seconds += demand.step * each[kinds, np.arange(count)] * there * acts
    for shot in found.shots:
        top, bottom, left, right = shot.box  # Black borders are not dreamed.
        seconds[shot.first : shot.stop] *= (bottom - top) * (right - left) / (whole[0] * whole[1])
    seconds += SECONDS_PER_PIXEL * (size[0] * size[1] + whole[0] * whole[1])
    if recipe.bidirectional:
        for shot in found.shots:
            head = slice(shot.first, min(shot.stop, shot.first + BIDIRECTIONAL_FRAMES))
            # They are all finished before the first is shown, and all but one were dreamed twice.
            seconds[shot.first] += 2 * seconds[head][1:].sum()
            seconds[head][1:] = 0.0
    return seconds


def _count_steps(moment: FrameSettings, share: float, size: Size) -> tuple[float, float, float]:
    """Steps at the working resolution of a frame in full, one behind a cut, and a usual one."""
    sizes = octaves.octave_sizes(*size, moment)
    turns = range(3 * max(1, len(sizes) - 1))

    def carried(new: bool) -> float:
        steps = count_carried_steps(moment, share, new)
        return float(
            np.mean(
                [octaves.octave_cost(octaves.plan_carried_passes(sizes, steps, turn, 0)) for turn in turns]
            )
        )

    return octaves.octave_cost(octaves.plan_full_passes(sizes, moment.steps)), carried(True), carried(False)


def report_time_left(
    listener: EventSink, work: np.ndarray, sound: bool, clock: Callable[[], float] = time.monotonic
) -> EventSink:
    """A listener that also tells the seconds that are left, after each frame and each piece of sound.

    Args:
        listener: told everything.
        work: seconds that are expected of each frame.
        sound: whether a sound is dreamed beside.
        clock: tells seconds.
    """
    keep = 1 - 1 / max(PACE_WINDOW[1], PACE_WINDOW[0] * len(work))
    beside, alone = PaceTracker(keep), PaceTracker(keep)
    little = MIN_WORK_SHARE * float(work.mean())
    closing = FINISHING_SECONDS[0] + FINISHING_SECONDS[1] * len(work)
    sums = np.concatenate([[0.0], np.cumsum(work)])
    # Frames that are done, when the last was, and how many this run has met that tell of the pace.
    state = {"done": -1, "at": 0.0, "met": 0}
    heard = {"at": 0.0, "done": -1.0, "left": float("inf") if sound else 0.0}
    lock = threading.Lock()

    def see(done: int, now: float) -> None:
        if state["done"] >= 0 and done == state["done"] + 1 and work[done - 1] >= little:
            state["met"] += 1
            if state["met"] > WARMUP_FRAMES:
                # A frame that was begun before the sound's end took longer than one alone.
                tally = beside if heard["left"] > 0 or state["at"] < heard["at"] else alone
                tally.add(now - state["at"], float(work[done - 1]))
        state.update(done=done, at=now)

    def hear(done: float, total: float, now: float) -> None:
        if done >= total:
            heard["left"] = 0.0
            # One odd frame must not be all that is known of the quicker pace.
            alone.add(ALONE_FACTOR * GUESS_WEIGHT * beside.took, GUESS_WEIGHT * beside.expected)
        elif heard["done"] >= 0 and done > heard["done"]:
            # The pace of the last piece: those that lie finished in a job's folder take no time.
            heard["left"] = (total - done) * (now - heard["at"]) / (done - heard["done"])
        heard.update(at=now, done=done)

    def progress(medium: str, done: float, total: float) -> None:
        now = clock()
        with lock:
            if medium == "picture":
                see(int(done), now)
            elif medium == "sound":
                hear(done, total, now)
            todo = float(sums[-1] - sums[max(0, int(state["done"]))])
            left = estimate_seconds_left(todo, beside, alone, heard["left"])
        listener.progress(medium, done, total)
        listener.left(left + closing)

    return replace(listener, progress=progress)
