"""The picture of a film, dreamed frame by frame: prepared, climbed and encoded beside each other."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import numpy as np

from mmdream.errors import Interrupted
from mmdream.film import flow
from mmdream.film.carry import Carry, lay, strength
from mmdream.film.frames import Frame
from mmdream.film.shots import Shot, inside
from mmdream.jobs.ahead import ahead
from mmdream.networks.network import Network
from mmdream.picture import octaves
from mmdream.picture.slope import score, slope
from mmdream.recipe import Recipe
from mmdream.schedule import Moment


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame with all that its dream needs."""

    frame: Frame
    index: int
    """Number of the frame within the film, or within the excerpt."""
    small: np.ndarray
    """float32 [h, w, 3], the frame at the working resolution."""
    grey: np.ndarray
    """uint8, the same as `flow.grey` gives it."""
    motion: flow.Flow | None
    """From this frame back to the one before; None where a shot starts."""
    inside: np.ndarray | None
    """float32 [H, W, 1] at the film's resolution, 0 on borders that stay black; None: no borders."""
    turn: int
    """Number of the frame within its shot."""


@dataclass(frozen=True, slots=True)
class Dreamed:
    """A finished frame."""

    frame: Frame
    rgb: np.ndarray
    """float32 [H, W, 3], 0..1, at the film's resolution."""
    moment: Moment
    strength: float
    """Mean |dream - source| at the working resolution."""
    scores: tuple[float, float] | None
    """Objective of source and dream, for the frames that are scored."""
    carry: Carry
    """What the frame hands to the next one."""


@dataclass
class Clock:
    """Seconds spent in each kind of work; each kind is measured in one thread only."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def time(self, kind: str) -> Iterator[None]:
        """Add the time of a block to its kind."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[kind] += time.perf_counter() - start


@dataclass(frozen=True)
class Painter:
    """Dreams frames under one recipe with one network."""

    recipe: Recipe
    network: Network
    judge: Network
    """The same network in float32, which scores the results."""
    size: tuple[int, int]
    """Height, width of the working resolution."""
    scored_every: int
    """One frame in so many is scored."""
    clock: Clock
    stopped: Callable[[], bool]

    def dreams(
        self,
        frames: Generator[Frame, None, None],
        shots: tuple[Shot, ...],
        first: int = 0,
        carry: Carry | None = None,
    ) -> Generator[Dreamed, None, None]:
        """Dream a film's frames, in order; decoding, flow and ascent run in threads of their own.

        Args:
            frames: from frame `first` on; closed at the end.
            shots: all shots of the film.
            first: number of the first frame to dream.
            carry: what the frame before it handed on; None where `first` begins a shot.
        """
        prepared = ahead(self._prepare(frames, shots, first, None if carry is None else carry.grey))
        return ahead(self._climb(prepared, carry))

    def expected_seconds(self, frames: int, shots: int) -> float:
        """Time the ascent will take: one step at full size is timed, all others follow from it."""
        moment = self.recipe.schedule.at(0.0)
        sizes = octaves.sizes(*self.size, moment)
        gradient, still = slope(self.network, moment.depth), np.full((*self.size, 3), 0.5, np.float32)
        gradient(still)  # The first call traces.
        start = time.perf_counter()
        gradient(still)
        step = time.perf_counter() - start
        share = sum(h * w for h, w in sizes) / (self.size[0] * self.size[1])
        in_full = step * share * moment.steps
        if self.recipe.coherence == 0:
            return frames * in_full
        rotation = (share - 1) / max(1, len(sizes) - 1)
        usual = 2 * max(1, round(moment.steps * self.network.card.carried))
        return shots * in_full + (frames - shots) * step * min(moment.steps, usual) * (1 + rotation)

    def _prepare(
        self,
        frames: Generator[Frame, None, None],
        shots: tuple[Shot, ...],
        first: int,
        before: np.ndarray | None,
    ) -> Generator[Prepared, None, None]:
        try:
            for shot in shots:
                for index in range(max(shot.first, first), shot.stop):
                    with self.clock.time("decode"):
                        frame = next(frames, None)
                    if frame is None:
                        return
                    with self.clock.time("flow"):
                        small = octaves.resized(frame.rgb, self.size)
                        grey = flow.grey(small)
                        motion = None
                        if index > shot.first and before is not None and self.recipe.coherence > 0:
                            motion = flow.between(before, grey, self.size)
                        before = grey
                    mask = inside(shot.box, *frame.rgb.shape[:2])
                    yield Prepared(frame, index, small, grey, motion, mask, index - shot.first)
        finally:
            frames.close()

    def _climb(
        self, prepared: Generator[Prepared, None, None], carry: Carry | None
    ) -> Generator[Dreamed, None, None]:
        with closing(prepared):
            for item in prepared:
                moment = self.recipe.schedule.at(float(item.frame.seconds))
                with self.clock.time("ascent"):
                    carry = self._carry_on(item, carry, moment)
                yield self._finish(item, carry, moment)

    def _carry_on(self, item: Prepared, carry: Carry | None, moment: Moment) -> Carry:
        """Climb one frame: a few steps on what is carried, or in full where nothing is."""
        card = self.network.card
        sizes = octaves.sizes(*self.size, moment)
        step = card.step(moment.depth)
        ascent = step * moment.steps
        if item.motion is None or carry is None:
            detail = self._dream(
                item, np.zeros_like(item.small), octaves.in_full(sizes, moment.steps), moment
            )
            return Carry(detail, item.grey, strength(detail) / ascent if ascent else 0.0)
        laid = lay(carry, item.motion, self.recipe.coherence, ascent)
        # At least one step, or a carried dream would only fade; never more than a full climb takes.
        steps = min(moment.steps, max(1, round(moment.steps * card.carried * laid.effort)))
        visits = octaves.carried(sizes, steps, item.turn)
        detail = self._dream(item, laid.detail, visits, moment, laid.boost[..., None])
        return Carry(detail, item.grey, carry.yield_)

    def _dream(
        self,
        item: Prepared,
        start: np.ndarray,
        visits: list[octaves.Visit],
        moment: Moment,
        boost: np.ndarray | None = None,
    ) -> np.ndarray:
        return octaves.dream(
            item.small,
            start,
            visits,
            self._slope(moment.depth),
            self.network.card.step(moment.depth),
            seed=self.recipe.seed,
            place=item.frame.seconds,
            inside=None if item.inside is None else _mask(item.inside, self.size),
            boost=boost,
        )

    def _slope(self, depth: float) -> octaves.Slope:
        """The network's gradient, which gives up between two steps when the user wants to stop."""
        gradient = slope(self.network, depth)

        def at(picture: np.ndarray) -> np.ndarray:
            if self.stopped():
                raise Interrupted
            with self.clock.time("network"):
                return gradient(picture)

        return at

    def _finish(self, item: Prepared, carry: Carry, moment: Moment) -> Dreamed:
        """Lay the dream on the frame, at the strength of the moment, and measure it."""
        with self.clock.time("finish"):
            added = np.float32(moment.strength) * octaves.resized(carry.detail, item.frame.rgb.shape[:2])
            if item.inside is not None:
                added *= item.inside
            rgb = np.clip(item.frame.rgb + added, 0.0, 1.0)
            small = octaves.resized(rgb, self.size)
        scores = None
        if item.index % self.scored_every == 0:
            with self.clock.time("score"):
                scores = (
                    score(self.judge, moment.depth, item.small),
                    score(self.judge, moment.depth, small),
                )
        return Dreamed(item.frame, rgb, moment, strength(small - item.small), scores, carry)


def _mask(full: np.ndarray, size: octaves.Size) -> np.ndarray:
    """The mask at the working resolution, zero wherever it touches a border."""
    if full.shape[:2] == size:
        return full
    return (octaves.resized(full, size) > 0.999).astype(np.float32)
