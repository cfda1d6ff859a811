"""The pictures that a generator learns from, all in memory, and the batches that are drawn of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.rng import rng_for
from mmdream.datasets.folder import Dataset
from mmdream.datasets.load import ExampleFormat, load_examples
from mmdream.generators.task import MIN_PICTURES
from mmdream.networks.generator_model import LATENT

GROUP = 4
"""Pictures of one class that follow each other in a batch."""
READ_BATCH = 64
"""Pictures that are read at once."""


@dataclass(frozen=True)
class RealPictures:
    """Pictures of classes."""

    pixels: np.ndarray
    """uint8 [n, side, side, 3], RGB."""
    labels: np.ndarray
    """int [n]."""
    classes: int

    def select(self, places: np.ndarray) -> np.ndarray:
        """Some of them, float32 [m, side, side, 3], 0..1."""
        return self.pixels[places].astype(np.float32) / np.float32(255)

    def draw_batch(self, count: int, seed: int, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The batch of a step: pictures, shares of their classes, float32 [n, class], and latents.

        `GROUP` pictures at a time are of one class; every class is as likely, however many pictures it has.
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
        """Places of so many pictures, of each class in turn, none twice; fewer where there are fewer."""
        rng = rng_for(seed, "even")
        orders = [rng.permutation(np.flatnonzero(self.labels == label)) for label in range(self.classes)]
        turns = [
            order[turn] for turn in range(max(map(len, orders))) for order in orders if turn < len(order)
        ]
        return np.array(turns[:count])


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """float32 [n, class]: 1 at the label."""
    return np.eye(classes, dtype=np.float32)[labels]


def load_pictures(dataset: Dataset, side: int, progress: Callable[[int, int], None]) -> RealPictures:
    """Read a set's pictures, cut to squares; `progress` is told (files done, files in all).

    A `UserError` names a damaged file, or a class whose files all show the same few pictures.
    """
    examples, format = dataset.examples, ExampleFormat(side=side)
    pixels = np.empty((len(examples), side, side, 3), np.uint8)
    for first in range(0, len(examples), READ_BATCH):
        loaded = load_examples(dataset, examples[first : first + READ_BATCH], format)
        pixels[first : first + len(loaded)] = np.rint(np.stack(loaded) * 255)
        progress(first + len(loaded), len(examples))
    labels = np.array([each.label for each in examples])
    for label, name in enumerate(dataset.classes):
        different = len({picture.tobytes() for picture in pixels[labels == label]})
        if different < MIN_PICTURES:
            raise UserError(
                f"{dataset.folder}: class {name} has only {different} different pictures; "
                f"each needs {MIN_PICTURES}"
            )
    return RealPictures(pixels, labels, len(dataset.classes))
