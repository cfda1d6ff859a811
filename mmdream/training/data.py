"""What a network is taught on: examples to learn from, some of them kept to stop in time, some to test on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from mmdream.core import rng as chance
from mmdream.core.errors import UserError
from mmdream.datasets.folder import Dataset, Example, split_examples
from mmdream.datasets.load import ExampleFormat, load_examples

VALIDATION_SHARE, MAX_VALIDATION = 0.15, 400
"""Share, and number at most, of the examples for learning that tell when to stop."""
MIN_PER_CLASS = 3
"""Of a class: to learn from, to stop by and to test on."""
MAX_CLASS_WEIGHT = 10.0
"""Of a rare class over the usual weight 1."""
LABEL_SMOOTHING = 0.05
"""Share of a label that all classes have (Szegedy et al. 2016)."""


class TrainingInputs(Protocol):
    """Pictures or sounds."""

    def augmented_batch(
        self, examples: Sequence[Example], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some, changed at random, as the network is fed; shares of the classes, float32 [n, class]."""

    def alike(self, examples: Sequence[Example], batch: int) -> list[list[Example]]:
        """Examples in batches that can be fed together unchanged."""

    def plain(self, examples: Sequence[Example]) -> np.ndarray:
        """Such a batch, unchanged, as the network is fed."""

    def unit(self, examples: Sequence[Example]) -> float:
        """What an attack's length is counted in."""


@dataclass(frozen=True)
class DatasetSplit:
    """A set, divided; no recording or speaker is in two parts."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    """That tell when to stop."""
    test: tuple[Example, ...]


@dataclass(frozen=True)
class TrainingData:
    """All that a network is taught on."""

    inputs: TrainingInputs
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    weights: np.ndarray
    """float32 [class]: of an example of each."""


def split_dataset(of: Dataset, fold: str | None, seed: int) -> DatasetSplit:
    """Divide a set for training.

    Args:
        of: the set.
        fold: what to test on; None: the usual one.
        seed: of what is drawn.

    Raises:
        UserError: one class only, too few examples, or no such fold.
    """
    if len(of.classes) < 2:
        raise UserError(
            f"{of.folder}: has one class only, {of.classes[0]}; a network learns to tell two or more apart"
        )
    for name, count in of.counts().items():
        if count < MIN_PER_CLASS:
            raise UserError(
                f"{of.folder}: class {name} has {count} files; each needs {MIN_PER_CLASS}, and is better with 30"
            )
    learning, tested = split_examples(of, fold, seed=seed)
    # The publisher's folds are too large a part; their groups are kept together all the same.
    rest = replace(of, examples=learning, split="source" if of.split == "fold" else of.split)
    try:
        taught, tried = split_examples(
            rest, share=min(VALIDATION_SHARE, MAX_VALIDATION / len(learning)), seed=seed
        )
    except UserError as error:
        raise UserError(
            f"{of.folder}: too few files to learn from, stop by and test on; add some to each class"
        ) from error
    missing = set(range(len(of.classes))) - {example.label for example in taught}
    if missing:
        raise UserError(
            f"{of.folder}: nothing is left to learn {of.classes[min(missing)]} from; add files, or choose "
            "another --fold"
        )
    return DatasetSplit(taught, tried, tested)


def compute_class_weights(examples: Sequence[Example], classes: int) -> np.ndarray:
    """Weights that make unequal classes count alike, 1 on average over the examples; float32 [class]."""
    counts = Counter(example.label for example in examples)
    even = len(examples) / classes
    return np.array([min(even / max(counts[k], 1), MAX_CLASS_WEIGHT) for k in range(classes)], np.float32)


def draw_examples(
    examples: Sequence[Example], first: int, stop: int, seed: int, purpose: str
) -> list[Example]:
    """A stretch of all examples in turn, again and again, each time in another order.

    Args:
        examples: of the lesson.
        first: place in the turns.
        stop: the place after the last one.
        seed: of the orders.
        purpose: what for; another one is drawn in other orders.
    """
    wanted = [divmod(place, len(examples)) for place in range(first, stop)]
    orders = {turn: chance.rng_for(seed, purpose, turn).permutation(len(examples)) for turn, _ in wanted}
    return [examples[orders[turn][place]] for turn, place in wanted]


def label_array(examples: Sequence[Example]) -> np.ndarray:
    """The places of their classes, int [n]."""
    return np.array([each.label for each in examples])


def smooth_labels(labels: np.ndarray) -> np.ndarray:
    """Labels a network need not be quite sure of, float32 [n, class]."""
    return np.asarray((1 - LABEL_SMOOTHING) * labels + LABEL_SMOOTHING / labels.shape[1], np.float32)


pass

READ_MARKER, READ_BATCH = "seen", 32
"""The file that says that all were read, and how many are at once."""
MARGIN_RATIO = 8 / 7
"""Side of a picture before it is cropped over the crop's."""
MAX_ROTATION_DEGREES = 12.0
"""Degrees to either side."""
MIN_CROP_SHARE = 0.55
"""Of the picture's side that a crop shows."""


@dataclass(frozen=True)
class ImageInputs:
    """The pictures of a set."""

    of: Dataset
    side: int
    """px."""

    def augmented_batch(
        self, examples: Sequence[Example], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some, changed at random.

        Returns:
            float32 [n, side, side, 3], RGB 0..1; shares of the classes, float32 [n, class].
        """
        whole = load_examples(self.of, examples, ExampleFormat(side=round(self.side * MARGIN_RATIO)))
        shown = np.stack([augment_image(picture, self.side, rng) for picture in whole])
        return shown, np.eye(len(self.of.classes), dtype=np.float32)[label_array(examples)]

    def alike(self, examples: Sequence[Example], batch: int) -> list[list[Example]]:
        """Any can be fed together."""
        return [list(examples[first : first + batch]) for first in range(0, len(examples), batch)]

    def plain(self, examples: Sequence[Example]) -> np.ndarray:
        """The middle of each, float32 [n, side, side, 3]."""
        return np.stack(load_examples(self.of, examples, ExampleFormat(side=self.side)))

    def unit(self, examples: Sequence[Example]) -> float:
        """What an attack's length is counted in: as many px as are shown tell an attack apart as well."""
        return self.side / 160


def load_image_inputs(
    of: Dataset, side: int, folder: Path, progress: Callable[[int, int], None]
) -> ImageInputs:
    """The pictures of a set, each of them read once: a damaged one is to be told now, and not in an hour.

    Args:
        of: the set.
        side: px.
        folder: of the training, which remembers that all were read.
        progress: takes the number of files that were read, and of all.

    Raises:
        UserError: a file is damaged.
    """
    if not (folder / READ_MARKER).is_file():
        for first in range(0, len(of.examples), READ_BATCH):
            load_examples(
                of, of.examples[first : first + READ_BATCH], ExampleFormat(side=round(side * MARGIN_RATIO))
            )
            progress(min(first + READ_BATCH, len(of.examples)), len(of.examples))
        (folder / READ_MARKER).touch()
    return ImageInputs(of, side)


def augment_image(picture: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Crop, turn, flip, colour and noise in one: the picture is sampled once, so that it stays sharp.

    Args:
        picture: float32 [s, s, 3], 0..1.
        side: of the result, px.
        rng: draws all of it.

    Returns:
        float32 [side, side, 3], 0..1.
    """
    whole = picture.shape[0]
    seen = whole * rng.uniform(MIN_CROP_SHARE, 1.0)
    stretch = np.exp(rng.uniform(-0.12, 0.12))
    width, height = min(seen * stretch, whole), min(seen / stretch, whole)
    x, y = rng.uniform(width / 2, whole - width / 2), rng.uniform(height / 2, whole - height / 2)
    angle = np.deg2rad(rng.uniform(-MAX_ROTATION_DEGREES, MAX_ROTATION_DEGREES))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    across = np.diag([width / side * rng.choice([-1.0, 1.0]), height / side])
    matrix = turn @ across
    # From a place in the result to one in the picture: centre to centre.
    shift = np.array([x, y]) - 0.5 - matrix @ np.full(2, (side - 1) / 2)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(
        picture, np.column_stack([matrix, shift]), (side, side), flags=how, borderMode=cv2.BORDER_REFLECT_101
    )
    return jitter_color(shown, rng)


def jitter_color(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another saturation, contrast, light and tint, and some noise; float32 [h, w, 3], 0..1."""
    grey = picture.mean(2, keepdims=True)
    saturation, contrast = np.float32(rng.uniform(0.3, 1.4)), np.float32(rng.uniform(0.7, 1.3))
    tint = rng.uniform(-0.06, 0.06, 3).astype(np.float32) + np.float32(rng.uniform(-0.1, 0.1))
    shown = (grey + (picture - grey) * saturation - 0.5) * contrast + 0.5 + tint
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(0, 0.04))
    clipped: np.ndarray = np.clip(shown + noise, 0, 1)
    return clipped
