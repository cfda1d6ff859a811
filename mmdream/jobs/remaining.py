"""How long a film still takes, from the work that is left and the pace so far.

Frames are no measure of work: the first of a shot costs several times a carried one, and at the beginning the
sound is dreamed on the same processor. So the work is expected frame by frame before the start, each kind
keeps its own pace (seconds that passed over seconds that were expected), and paces measured beside the sound
are kept apart from those after it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from mmdream.film.shots import Scan
from mmdream.listen import Listener
from mmdream.picture import octaves
from mmdream.recipe import Recipe
from mmdream.schedule import Moment

KINDS = 2
"""0: carried, 1: in full."""
ALONE = 0.62
"""Of the time that a frame takes beside the sound it takes about so much alone; 0.50 to 0.75 on two cores."""
MEMORY = 0.05, 36
"""A pace is that of the last so large share of the frames, or of so many if that is more."""
FIRM = 0.25
"""Weight of what is guessed of the time alone, against what was measured beside the sound."""
FEW = 5
"""Frames."""
HUNG = 3.0
"""Times the usual pace."""
WARM = 4
"""The first frames are not counted: they trace, allocate, and meet each octave for the first time."""
PLACES = 1000
"""Times at which a schedule is asked what it demands."""

Load = tuple[float, float]
"""Expected seconds of work: carried, in full."""


@dataclass
class Tally:
    """What the last frames took, and what was expected of them, per kind."""

    keep: float = 1.0
    """Share of what is known that each further frame leaves."""
    took: list[float] = field(default_factory=lambda: [0.0] * KINDS)
    expected: list[float] = field(default_factory=lambda: [0.0] * KINDS)
    count: int = 0

    def add(self, kind: int, took: float, expected: float) -> None:
        """Count a frame; a single one that hung counts as a slow one."""
        known = self.pace(kind)
        if known is not None:
            took = min(took, HUNG * known * expected)
        self.count += 1
        self.took[kind] = self.keep * self.took[kind] + took
        self.expected[kind] = self.keep * self.expected[kind] + expected

    def pace(self, kind: int) -> float | None:
        """Seconds a second of expected work takes; of the other kind where this one was not met yet.

        None after too few frames: some threads are ahead of others, and the first frames come in a bunch.
        """
        if self.count < FEW:
            return None
        for each in (kind, 1 - kind):
            if self.expected[each] > 0:
                return self.took[each] / self.expected[each]
        return None


def seconds_left(todo: Load, beside: Tally, alone: Tally, sound: float) -> float:
    """The time a film still takes.

    Args:
        todo: work on frames that are not done.
        beside: of frames that were done while the sound was.
        alone: of frames that were done since.
        sound: seconds that the sound still takes; 0: it is done, or there is none.
    """
    slow = quick = 0.0
    for kind, work in enumerate(todo):
        shared, own = beside.pace(kind), alone.pace(kind)
        if own is None:
            own = 1.0 if shared is None else ALONE * shared
        quick += work * own
        slow += work * (own / ALONE if shared is None else shared)
    if sound <= 0:
        return quick
    if math.isinf(sound):
        sound = slow / 2  # Nothing was heard yet: halfway between soon over and the whole time.
    if sound >= slow:
        return slow + (sound - slow) * ALONE
    return sound + (1 - sound / slow) * quick


@dataclass(frozen=True, slots=True)
class Work:
    """What the frames of a film are expected to take, before the first is dreamed."""

    seconds: np.ndarray
    """float32 [frame]."""
    kinds: np.ndarray
    """uint8 [frame]."""


def expected_work(found: Scan, start: Fraction, recipe: Recipe, size: tuple[int, int], each: Load) -> Work:
    """Expect every frame's work.

    Args:
        found: the scan of what is dreamed.
        start: `Film.start`.
        recipe: its schedule makes frames cost more or less.
        size: height, width of the working resolution.
        each: seconds of one frame of each kind, under the settings of second 0.
    """
    kinds = np.full(len(found.pts), recipe.coherence == 0, np.uint8)
    for shot in found.shots:
        kinds[shot.first] = 1
        for first, stop in shot.flashes:
            kinds[first:stop] = 1
    at = np.asarray(found.pts) * float(found.time_base) - float(start)
    # A curve is asked at so many places at most: 10 us for each of a long film's frames would be felt.
    places = np.linspace(at[0], at[-1], min(len(at), PLACES)) if len(at) else at
    steps = np.array([_work(recipe.schedule.at(float(place)), size) for place in places])
    base = _work(recipe.schedule.at(0.0), size)
    effort = np.interp(at, places, steps / base) if len(at) else at
    there = np.array([found.presence(number) > 0 for number in range(len(at))])
    # The dream begins anew when a picture comes back from black.
    kinds[1:][there[1:] & ~there[:-1]] = 1
    seconds = np.array(each)[kinds] * effort * there
    if recipe.bidirectional:
        from mmdream.jobs.picture import BOTH_WAYS

        for shot in found.shots:
            head = slice(shot.first, min(shot.stop, shot.first + BOTH_WAYS))
            # They are all finished before the first is shown, and all but one were dreamed twice.
            seconds[shot.first] += 2 * seconds[head][1:].sum()
            seconds[head][1:] = 0.0
    return Work(seconds.astype(np.float32), kinds)


def _work(moment: Moment, size: tuple[int, int]) -> float:
    """Work of a frame under these settings, in steps on one picture of full size."""
    pixels = sum(height * width for height, width in octaves.sizes(*size, moment))
    return max(1, moment.steps) * pixels / (size[0] * size[1])


def estimating(
    listener: Listener, work: Work, sound: bool, clock: Callable[[], float] = time.monotonic
) -> Listener:
    """A listener that also tells the seconds that are left, after each frame and each piece of sound.

    Args:
        listener: told everything.
        work: what is expected.
        sound: whether a sound is dreamed beside.
        clock: tells seconds.
    """
    keep = 1 - 1 / max(MEMORY[1], MEMORY[0] * len(work.seconds))
    beside, alone = Tally(keep), Tally(keep)
    sums = [np.concatenate([[0.0], np.cumsum(work.seconds * (work.kinds == kind))]) for kind in range(KINDS)]
    # Frames that are done, when the last was, and the first one of this run.
    state = {"done": -1, "at": 0.0, "first": 0}
    heard = {"at": 0.0, "done": -1.0, "left": float("inf") if sound else 0.0}
    lock = threading.Lock()

    def see(done: int, now: float) -> None:
        if state["done"] < 0:
            state.update(first=done)
        elif done == state["done"] + 1 and done > state["first"] + WARM:
            number = done - 1
            # A frame that was begun before the sound's end took longer than one alone.
            tally = beside if heard["left"] > 0 or state["at"] < heard["at"] else alone
            tally.add(int(work.kinds[number]), now - state["at"], float(work.seconds[number]))
        state.update(done=done, at=now)

    def hear(done: float, total: float, now: float) -> None:
        if done >= total:
            heard["left"] = 0.0
            # One odd frame must not be all that is known of the quicker pace.
            for kind in range(KINDS):
                alone.add(kind, ALONE * FIRM * beside.took[kind], FIRM * beside.expected[kind])
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
            todo = tuple(float(total[-1] - total[max(0, int(state["done"]))]) for total in sums)
            left = seconds_left((todo[0], todo[1]), beside, alone, heard["left"])
        listener.progress(medium, done, total)
        listener.left(left)

    return replace(listener, progress=progress)
