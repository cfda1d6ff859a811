"""The real pictures or sounds that a generator learns from, all in memory, and the batches drawn of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.rng import rng_for
from mmdream.networks.generator_model import LATENT

MIN_EXAMPLES = 16
"""Of a class."""
GROUP = 4
"""Examples of one class that follow each other in a batch."""


@dataclass(frozen=True)
class RealExamples:
    """Pictures or sounds of classes."""

    values: np.ndarray
    """uint8 [n, side, side, 3], RGB, or [n, frame, band, 1]; int16 [n, sample, 1]."""
    labels: np.ndarray
    """int [n]."""
    classes: int

    def select(self, places: np.ndarray) -> np.ndarray:
        """Some of them, float32, 0..1 or -1..1, as a generator makes them."""
        return self.values[places].astype(np.float32) / np.float32(np.iinfo(self.values.dtype).max)

    def draw_batch(self, count: int, seed: int, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The batch of a step: examples, shares of their classes, float32 [n, class], and latents.

        `GROUP` examples at a time are of one class; every class is as likely, however many examples it has.
        """
        rng = rng_for(seed, "batch", step)
        groups = rng.integers(self.classes, size=count // GROUP)
        places = np.concatenate(
            [rng.choice(np.flatnonzero(self.labels == label), GROUP, replace=False) for label in groups]
        )
        labels = np.repeat(groups, GROUP)
        latents = rng.standard_normal((len(labels), LATENT), np.float32)
        return self.select(places), one_hot(labels, self.classes), latents

    def draw_even(self, count: int, seed: int) -> np.ndarray:
        """Places of so many examples, of each class in turn, none twice; fewer where there are fewer."""
        rng = rng_for(seed, "even")
        orders = [rng.permutation(np.flatnonzero(self.labels == label)) for label in range(self.classes)]
        turns = [
            order[turn] for turn in range(max(map(len, orders))) for order in orders if turn < len(order)
        ]
        return np.array(turns[:count])


def check_variety(values: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], folder: Path) -> None:
    """`UserError`: a class has too few examples that differ."""
    for label, name in enumerate(classes):
        different = len({each.tobytes() for each in values[labels == label]})
        if different < MIN_EXAMPLES:
            what = "pictures" if values.ndim == 4 and values.shape[-1] == 3 else "events"
            raise UserError(
                f"{folder}: class {name} has only {different} different {what}; each needs {MIN_EXAMPLES}"
            )


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """float32 [n, class]: 1 at the label."""
    return np.eye(classes, dtype=np.float32)[labels]
