"""The picture of a film, dreamed frame by frame: prepared, climbed and finished beside each other."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from mmdream.errors import Interrupted
from mmdream.film import flow
from mmdream.film.carry import Carry, begun, gone_on, lay, room, strength
from mmdream.film.frames import Frame
from mmdream.film.shots import Scan, Shot
from mmdream.jobs.ahead import ahead, step_back
from mmdream.jobs.stopwatch import Clock
from mmdream.networks.card import Card
from mmdream.networks.network import Network
from mmdream.picture import octaves
from mmdream.picture.slope import score, slope
from mmdream.picture.wanted import objective, step
from mmdream.recipe import Recipe
from mmdream.schedule import Moment
from mmdream.terms import Objective

BOTH_WAYS = 24
"""Frames at the beginning of a shot that are dreamed forwards and backwards, if that is wanted."""
SETTLING = 24
"""Frames behind a cut that take more steps than usual: the first climb fits its own frame best, and fades."""
THOROUGH = 3
"""So many times the usual steps,"""
SHORTER = 0.65
"""each so much shorter: many short ones climb higher than few long ones, and make no more noise."""
WHOLE = 0.9
"""So do frames of which less than this share has its dream."""
IDLE = 0.01
"""Longest step, in usual ones, that is not worth taking: on a still film that may not breathe."""


def carried_steps(moment: Moment, card: Card, new: bool) -> int:
    """Steps of a carried frame at each of its octaves.

    Args:
        moment: the schedule's settings.
        card: of the network.
        new: whether its dream is still growing.
    """
    usual = max(1, round(moment.steps * card.carried))
    return min(moment.steps, THOROUGH * usual if new else usual)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame with all that its dream needs."""

    frame: Frame
    index: int
    """Number of the frame within the film, or within the excerpt."""
    moment: Moment
    shot: Shot
    light: float
    """0..1: the frame's contrast over the largest in its shot."""
    presence: float
    """0..1: how much of the picture a fade leaves."""
    small: np.ndarray
    """float32 [h, w, 3], what lies within the shot's borders, at the working resolution."""
    grey: np.ndarray
    """uint8, the same as `flow.grey` gives it."""
    motion: flow.Flow | None
    """From this frame back to the one before; None where the dream begins anew."""

    @property
    def sizes(self) -> list[octaves.Size]:
        """Its octaves, small to large."""
        return octaves.sizes(self.small.shape[0], self.small.shape[1], self.moment)


Climbed = tuple[Prepared, np.ndarray | None, Carry | None]
"""A frame, its dream's detail (None: no dream), and what it hands on."""


@dataclass(frozen=True, slots=True)
class Dreamed:
    """A finished frame."""

    frame: Frame
    rgb: np.ndarray
    """float32 [H, W, 3], 0..1, at the film's resolution."""
    moment: Moment
    strength: float
    """Mean |dream - source|."""
    scores: tuple[float, float] | None
    """Objective of source and dream, for the frames that are scored."""
    carry: Carry | None
    """What the frame hands to the next one."""


@dataclass(frozen=True)
class Painter:
    """Dreams frames under one recipe with one network."""

    recipe: Recipe
    network: Network
    size: tuple[int, int]
    """Height, width of the working resolution."""
    scored_every: int
    """One frame in so many is scored."""
    clock: Clock
    stopped: Callable[[], bool]

    def dreams(
        self,
        frames: Generator[Frame, None, None],
        found: Scan,
        first: int = 0,
        carry: Carry | None = None,
    ) -> Generator[Dreamed, None, None]:
        """Dream a film's frames, in order; decoding, flow and ascent run in threads of their own.

        Args:
            frames: from frame `first` on; closed at the end.
            found: what the scan told of the film.
            first: number of the first frame to dream.
            carry: what the frame before it handed on; None where `first` begins a shot.
        """
        prepared = ahead(self._prepare(frames, found, first, None if carry is None else carry.grey))
        with closing(ahead(self._climb(prepared, carry), in_front=True)) as climbed:
            for item, detail, handed_on in climbed:
                # Not before the ascent's thread has begun, which would inherit it.
                step_back()
                yield self._finish(item, detail, handed_on)

    def warm_up(self) -> float:
        """Trace the network before the threads begin, which would all wait for it.

        Returns:
            Seconds that one step on a picture of the working resolution takes.
        """
        wanted, still = self._wanted(self.recipe.schedule.at(0.0)), np.full((*self.size, 3), 0.5, np.float32)
        gradient = slope(self.network, wanted)
        gradient(still)
        score(self.network, wanted, still)
        took = []
        for _ in range(3):
            start = time.perf_counter()
            gradient(still)
            took.append(time.perf_counter() - start)
        return min(took)

    def _prepare(
        self, frames: Generator[Frame, None, None], found: Scan, first: int, before: np.ndarray | None
    ) -> Generator[Prepared, None, None]:
        """Cut off the borders, shrink, and measure the motion since the last frame that was dreamed on."""
        try:
            for shot in found.shots:
                for index in range(max(shot.first, first), shot.stop):
                    with self.clock.time("decode"):
                        frame = next(frames, None)
                    if frame is None:
                        return
                    moment = self.recipe.schedule.at(float(frame.seconds))
                    presence = found.presence(index)
                    with self.clock.time("flow"):
                        small = self._small(frame.rgb, shot)
                        grey = flow.grey(small) if small.size else np.zeros((0, 0), np.uint8)
                        motion = None
                        if index == shot.first or presence == 0 or self.recipe.coherence == 0:
                            before = None
                        if not shot.flashing(index):
                            if before is not None:
                                motion = flow.between(before, grey)
                            before = grey if presence > 0 and small.size else None
                    light = found.light[index]
                    yield Prepared(frame, index, moment, shot, light, presence, small, grey, motion)
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
        return np.ascontiguousarray(octaves.resized(rgb[top:bottom, left:right], size))

    def _climb(
        self, prepared: Generator[Prepared, None, None], carry: Carry | None
    ) -> Generator[Climbed, None, None]:
        """Each frame with its dream's detail (None: no dream) and what it hands on."""
        with closing(prepared):
            for item in prepared:
                if self.recipe.bidirectional and item.index == item.shot.first:
                    length = min(BOTH_WAYS, item.shot.stop - item.index)
                    head = [item, *itertools.islice(prepared, length - 1)]
                    for item, detail, carry in self._both_ways(head):
                        yield item, detail, carry
                    continue
                with self.clock.time("ascent"):
                    detail, carry = self._dream(item, carry)
                yield item, detail, carry

    def _both_ways(self, head: list[Prepared]) -> Generator[Climbed, None, None]:
        """The beginning of a shot, dreamed forwards to its last frame and from there back to the first.

        A dream grows for some frames behind a cut; backwards, it has grown when the shot begins.
        """
        carry: Carry | None = None
        details: list[np.ndarray | None] = []
        for item in head:
            with self.clock.time("ascent"):
                detail, carry = self._dream(item, carry)
            details.append(detail)
        behind = carry
        for number in range(len(head) - 2, -1, -1):
            item = head[number]
            if behind is None or details[number] is None or item.shot.flashing(item.index):
                continue
            with self.clock.time("ascent"):
                back = flow.between(behind.grey, item.grey)
                behind = self._carried(item, back, behind)
            details[number] = behind.detail
        for item, detail in zip(head, details, strict=True):
            yield item, detail, carry

    def _dream(self, item: Prepared, carry: Carry | None) -> tuple[np.ndarray | None, Carry | None]:
        """A frame's detail and what it hands on."""
        if not item.small.size or item.presence == 0:
            return None, None
        # Where the schedule had no steps when the shot began, there is nothing to go on with.
        if item.motion is not None and carry is not None and carry.yield_ > 0:
            carry = self._carried(item, item.motion, carry)
            return carry.detail, carry
        visits = octaves.in_full(item.sizes, item.moment.steps)
        detail = self._allowed(item)(self._climbed(item, np.zeros_like(item.small), visits))
        if item.shot.flashing(item.index):
            # The dream goes on behind a flash as if it had not been there.
            return detail, carry
        return detail, begun(detail, item.grey, self._ascent(item), item.light)

    def _carried(self, item: Prepared, motion: flow.Flow, carry: Carry) -> Carry:
        """A few steps on what the frame before handed on."""
        moment, ascent = item.moment, self._ascent(item)
        card, recipe = self.network.card, self.recipe
        laid = lay(carry, motion, recipe.coherence, recipe.breathe, card.momentum, ascent, item.light)
        gain = np.zeros_like(laid.change)
        if laid.pace.max() > IDLE:
            turn = item.index - item.shot.first
            new = turn < SETTLING or laid.whole < WHOLE
            pace = laid.pace * np.float32(SHORTER) if new else laid.pace
            visits = octaves.carried(item.sizes, carried_steps(moment, card, new), turn, card.smoothing)
            gain = self._climbed(item, laid.detail, visits, pace)
        return gone_on(carry, laid, gain, item.grey, self._allowed(item))

    def _ascent(self, item: Prepared) -> float:
        """Length of a full climb, as far as the frame leaves room for it."""
        return self._step(item.moment) * item.moment.steps * room(item.grey)

    def _allowed(self, item: Prepared) -> Callable[[np.ndarray], np.ndarray]:
        return octaves.allowed(item.small, self.recipe.color)

    def _climbed(
        self,
        item: Prepared,
        start: np.ndarray,
        visits: list[octaves.Visit],
        pace: np.ndarray | None = None,
    ) -> np.ndarray:
        return octaves.dream(
            item.small,
            start,
            visits,
            self._slope(item.moment),
            self._step(item.moment),
            seed=self.recipe.seed,
            place=item.frame.seconds,
            pace=pace,
            color=self.recipe.color,
            manner=self.recipe.manner,
        )

    def _wanted(self, moment: Moment) -> Objective:
        return objective(self.network.card, moment, self.recipe.wishes)

    def _step(self, moment: Moment) -> float:
        return step(self.network.card, self._wanted(moment))

    def _slope(self, moment: Moment) -> octaves.Slope:
        """The network's gradient, which gives up between two steps when the user wants to stop."""
        gradient = slope(self.network, self._wanted(moment))

        def at(picture: np.ndarray) -> np.ndarray:
            if self.stopped():
                raise Interrupted
            with self.clock.time("network"):
                return gradient(picture)

        return at

    def _finish(self, item: Prepared, detail: np.ndarray | None, carry: Carry | None) -> Dreamed:
        """Lay the dream on the frame, at the strength of the moment, and measure it."""
        rgb, scores = item.frame.rgb, None
        share = item.moment.strength * item.presence
        added = 0.0
        with self.clock.time("finish"):
            if detail is not None and share:
                top, bottom, left, right = item.shot.box
                rgb = rgb.copy()
                part = rgb[top:bottom, left:right]
                shown = octaves.resized(detail, part.shape[:2]) * np.float32(share)
                np.clip(part + shown, 0.0, 1.0, out=part)
                added = strength(part - item.frame.rgb[top:bottom, left:right]) * part.size / rgb.size
        if item.index % self.scored_every == 0 and item.small.size:
            with self.clock.time("score"):
                dream = self._small(rgb, item.shot)
                wanted = self._wanted(item.moment)
                scores = score(self.network, wanted, item.small), score(self.network, wanted, dream)
        return Dreamed(item.frame, rgb, item.moment, added, scores, carry)
