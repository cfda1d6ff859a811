"""Class dreams of the student while it learns: what it takes for a class is shown to its teacher.

A student that has learned from pictures alone is sure of its own dreams into a photograph, in half of which
its teacher sees something else: a dream goes ten times as far from the picture as an attack. So a part of
each batch are dreams in the making, and the teacher's word on them is what the student is to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from training_pictures import Batch, Pool, crop_square, vary_colors

from mmdream.ascent.engine import normalize_rms
from mmdream.image.octaves import NATURAL_STEP_FACTOR, resize
from mmdream.image.spectrum import blur_cascade, make_noise_image, precondition_gradient

OCTAVES, RATIO = 3, 1.5
STEPS_A_TURN = 2
TURNS = 18
"""Of the longest dream; each has a length of its own."""
WAITING = 8
"""Batches from one turn of a dream to the next: neighbouring batches should differ."""
STEP = 0.012
"""RMS of one step, 0..1: a little more than the card's, as there are fewer of them."""
CLASSES = 200

Ascent = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(pictures [n, h, w, 3], classes [n]) -> gradient of the classes' evidence, [n, h, w, 3]."""


@dataclass
class Dream:
    """One dream in the making."""

    picture: np.ndarray
    """float32 [side, side, 3], 0..1."""
    wanted: int
    """The class."""
    natural: bool
    """From noise, along natural gradients."""
    turns: int
    done: int = 0


@dataclass
class Dreams:
    """Dreams in the making, of which each step takes some by turns; a resumed training begins them anew."""

    pool: Pool
    frames: list[np.ndarray]
    """Film frames, uint8 [h, w, 3]."""
    side: int
    count: int
    """Dreams in one batch."""
    growing: dict[int, Dream] = field(default_factory=dict)

    def grow(self, ascent: Ascent, step: int) -> list[Dream]:
        """Those whose turn it is, one turn further."""
        rng = np.random.default_rng((2021, step))
        places = [step % WAITING * self.count + number for number in range(self.count)]
        for place in places:
            if place not in self.growing or self.growing[place].done >= self.growing[place].turns:
                self.growing[place] = self._begin(rng)
        several = [self.growing[place] for place in places]
        # Those of one size climb together.
        octaves = [min(OCTAVES - 1, OCTAVES * dream.done // dream.turns) for dream in several]
        for octave in set(octaves):
            climb([d for d, o in zip(several, octaves, strict=True) if o == octave], octave, ascent, rng)
        for dream in several:
            dream.done += 1
        return several

    def _begin(self, rng: np.random.Generator) -> Dream:
        """A quarter begins from noise, and of the others as many from film frames as from photographs."""
        kind = rng.integers(8)
        if kind < 2:
            picture = make_noise_image(self.side, self.side, int(rng.integers(1 << 30)))
        else:
            of = self.pool.large[rng.integers(len(self.pool.large))]
            source = self.frames[rng.integers(len(self.frames))] if kind < 5 else of[rng.integers(len(of))][0]
            crop_side = round(self.side / rng.uniform(0.4, 1.0))
            picture = vary_colors(crop_square(source, crop_side, self.side, rng), rng)
        wanted, turns = int(rng.integers(CLASSES)), int(rng.integers(OCTAVES, TURNS + 1))
        return Dream(picture, wanted, kind < 2, turns)


def climb(several: list[Dream], octave: int, ascent: Ascent, rng: np.random.Generator) -> None:
    """Take the steps of one turn at an octave, 0 the smallest."""
    classes = np.array([dream.wanted for dream in several], np.int32)
    for _ in range(STEPS_A_TURN):
        shift = tuple(int(s) for s in rng.integers(-16, 17, 2))
        size = (round(several[0].picture.shape[0] / RATIO ** (OCTAVES - 1 - octave)),) * 2
        small = np.stack([np.clip(resize(dream.picture, size), 0, 1) for dream in several])
        slopes = np.roll(ascent(np.roll(small, shift, (1, 2)), classes), [-s for s in shift], (1, 2))
        for dream, slope in zip(several, slopes, strict=True):
            if dream.natural:
                slope = NATURAL_STEP_FACTOR * normalize_rms(precondition_gradient(slope))
            else:
                slope = normalize_rms(blur_cascade(slope, rng.uniform(0.5, 2.5)))
            gain = resize(STEP * slope.astype(np.float32), dream.picture.shape[:2])
            dream.picture = np.clip(dream.picture + gain, 0, 1)


def add_dreams(given: Batch, dreams: list[Dream]) -> Batch:
    """A batch with dreams behind its pictures: of no known class, so that the teacher alone is believed."""
    return Batch(
        np.stack([*given.pictures, *(dream.picture for dream in dreams)]),
        np.concatenate([given.classes, np.full(len(dreams), -1, np.int32)]),
    )


def shares_of_finished(dreams: list[Dream], shares: np.ndarray) -> list[float]:
    """What of the teacher's shares, [dream, class], the classes of the finished dreams have."""
    several = zip(dreams, shares, strict=True)
    return [float(row[dream.wanted]) for dream, row in several if dream.done >= dream.turns]
