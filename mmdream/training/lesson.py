"""What a network is taught on: examples to learn from, some of them kept to stop in time, some to test on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from mmdream.core import rng as chance
from mmdream.core.errors import UserError
from mmdream.datasets.folder import Dataset, Example, split_examples

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
