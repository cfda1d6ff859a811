"""What a network is trained on: how a set is split, weighted, drawn from and augmented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.rng import rng_for
from mmdream.datasets.folder import Dataset, Example, split_examples
from mmdream.datasets.load import ExampleFormat, load_examples

VALIDATION_SHARE, MAX_VALIDATION = 0.15, 400
"""Share, and number at most, of the examples for learning that are kept for validation."""
MIN_PER_CLASS = 3
"""Examples of a class: for training, validation and test."""
MAX_CLASS_WEIGHT = 10.0
"""Of a rare class over the usual weight 1."""
LABEL_SMOOTHING = 0.05
"""Share of a label that all classes have (Szegedy et al. 2016)."""
READ_MARKER, READ_BATCH = "seen", 32
"""The file that says that all pictures could be read; how many are read at once."""
MARGIN_RATIO = 8 / 7
"""Side of a picture before it is cropped over the crop's."""
MAX_ROTATION_DEGREES = 12.0
MIN_CROP_SHARE = 0.55
"""Of the picture's side that a crop shows."""

Batch = tuple[np.ndarray, np.ndarray]
"""Network inputs, and shares of the classes, float32 [n, class]."""


class TrainingInputs(Protocol):
    """Pictures or sounds as batches for a network."""

    def augmented_batch(self, examples: Sequence[Example], rng: np.random.Generator) -> Batch:
        """Examples changed at random."""

    def group_batches(self, examples: Sequence[Example], batch: int) -> list[list[Example]]:
        """Examples in batches that `plain_batch` takes."""

    def plain_batch(self, examples: Sequence[Example]) -> np.ndarray:
        """Examples unchanged, all of one shape."""

    def attack_unit(self, examples: Sequence[Example]) -> float:
        """The unit of an attack's epsilon."""


@dataclass(frozen=True)
class DatasetSplit:
    """A set in three parts; no recording or speaker is in two of them."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    """For early stopping."""
    test: tuple[Example, ...]


@dataclass(frozen=True)
class TrainingData:
    """All that a network is trained and tested on."""

    inputs: TrainingInputs
    split: DatasetSplit
    class_weights: np.ndarray
    """float32 [class]: of an example of each."""
    epsilon: float
    """Of the longest attack: `mmdream.training.attacks.MAX_ATTACK` in the unit of the inputs."""


def split_dataset(dataset: Dataset, fold: str | None, seed: int) -> DatasetSplit:
    """Split a set for training, to be tested on a fold (`split_examples`). A UserError: too few examples."""
    folder, classes = dataset.folder, dataset.classes
    if len(classes) < 2:
        raise UserError(
            f"{folder}: has one class only, {classes[0]}; a network learns to tell two or more apart"
        )
    for name, count in dataset.counts().items():
        if count < MIN_PER_CLASS:
            needed = f"each needs {MIN_PER_CLASS}, and is better with 30"
            raise UserError(f"{folder}: class {name} has {count} files; {needed}")
    learning, test = split_examples(dataset, fold, seed=seed)
    # The publisher's folds are too large a part; their groups are kept together all the same.
    rest = replace(dataset, examples=learning, split="source" if dataset.split == "fold" else dataset.split)
    share = min(VALIDATION_SHARE, MAX_VALIDATION / len(learning))
    try:
        train, validation = split_examples(rest, share=share, seed=seed)
    except UserError as error:
        raise UserError(
            f"{folder}: too few files to learn from, stop by and test on; add some to each class"
        ) from error
    if missing := set(range(len(classes))) - {example.label for example in train}:
        name = classes[min(missing)]
        raise UserError(
            f"{folder}: nothing is left to learn {name} from; add files, or choose another --fold"
        )
    return DatasetSplit(train, validation, test)


def compute_class_weights(examples: Sequence[Example], classes: int) -> np.ndarray:
    """Weights that make unequal classes count alike, 1 on average over the examples; float32 [class]."""
    counts = Counter(example.label for example in examples)
    average = len(examples) / classes
    return np.array([min(average / max(counts[k], 1), MAX_CLASS_WEIGHT) for k in range(classes)], np.float32)


def draw_examples(
    examples: Sequence[Example], first: int, stop: int, seed: int, purpose: str
) -> list[Example]:
    """Examples `first` to `stop` - 1 of endless epochs, each in an order drawn by seed and purpose."""
    places = [divmod(place, len(examples)) for place in range(first, stop)]
    orders = {epoch: rng_for(seed, purpose, epoch).permutation(len(examples)) for epoch, _ in places}
    return [examples[orders[epoch][place]] for epoch, place in places]


def label_array(examples: Sequence[Example]) -> np.ndarray:
    """The labels of examples, int [n]."""
    return np.array([example.label for example in examples])


def smooth_labels(labels: np.ndarray) -> np.ndarray:
    """Shares of the classes with `LABEL_SMOOTHING`, float32 [n, class]."""
    return np.asarray((1 - LABEL_SMOOTHING) * labels + LABEL_SMOOTHING / labels.shape[1], np.float32)


@dataclass(frozen=True)
class ImageInputs:
    """The pictures of a set, see `TrainingInputs`."""

    dataset: Dataset
    side: int
    """px."""

    def augmented_batch(self, examples: Sequence[Example], rng: np.random.Generator) -> Batch:
        """Crops, float32 [n, side, side, 3], RGB 0..1."""
        images = load_examples(self.dataset, examples, ExampleFormat(side=round(self.side * MARGIN_RATIO)))
        batch = np.stack([augment_image(image, self.side, rng) for image in images])
        return batch, np.eye(len(self.dataset.classes), dtype=np.float32)[label_array(examples)]

    def group_batches(self, examples: Sequence[Example], batch: int) -> list[list[Example]]:
        """All pictures are of one size."""
        return [list(examples[first : first + batch]) for first in range(0, len(examples), batch)]

    def plain_batch(self, examples: Sequence[Example]) -> np.ndarray:
        """The middle of each, float32 [n, side, side, 3]."""
        return np.stack(load_examples(self.dataset, examples, ExampleFormat(side=self.side)))

    def attack_unit(self, examples: Sequence[Example]) -> float:
        """L2 length per pixel's side: the same share of a larger picture."""
        return self.side / 160


def load_image_inputs(
    dataset: Dataset, side: int, folder: Path, progress: Callable[[int, int], None]
) -> ImageInputs:
    """The pictures of a set, after each was read once: a damaged one is found now, and not in an hour.

    The training's folder remembers that all were read. Calls `progress` with (files done, files in all).
    """
    if not (folder / READ_MARKER).is_file():
        examples, format = dataset.examples, ExampleFormat(side=round(side * MARGIN_RATIO))
        for first in range(0, len(examples), READ_BATCH):
            load_examples(dataset, examples[first : first + READ_BATCH], format)
            progress(min(first + READ_BATCH, len(examples)), len(examples))
        (folder / READ_MARKER).touch()
    return ImageInputs(dataset, side)


def augment_image(image: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A random crop [side, side, 3] of float32 [s, s, 3], 0..1: rotated, stretched, flipped, recoloured."""
    whole = image.shape[0]
    crop = whole * rng.uniform(MIN_CROP_SHARE, 1.0)
    stretch = np.exp(rng.uniform(-0.12, 0.12))
    width, height = min(crop * stretch, whole), min(crop / stretch, whole)
    x, y = rng.uniform(width / 2, whole - width / 2), rng.uniform(height / 2, whole - height / 2)
    angle = np.deg2rad(rng.uniform(-MAX_ROTATION_DEGREES, MAX_ROTATION_DEGREES))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = rotation @ np.diag([width / side * rng.choice([-1.0, 1.0]), height / side])
    # From a place in the result to one in the picture: centre to centre.
    shift = np.array([x, y]) - 0.5 - matrix @ np.full(2, (side - 1) / 2)
    affine, flags = np.column_stack([matrix, shift]), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, affine, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return jitter_color(warped, rng)


def jitter_color(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change saturation, contrast, brightness and tint at random, and add noise; float32 [h, w, 3], 0..1."""
    grey = image.mean(2, keepdims=True)
    saturation, contrast = np.float32(rng.uniform(0.3, 1.4)), np.float32(rng.uniform(0.7, 1.3))
    tint = rng.uniform(-0.06, 0.06, 3).astype(np.float32) + np.float32(rng.uniform(-0.1, 0.1))
    changed = (grey + (image - grey) * saturation - 0.5) * contrast + 0.5 + tint
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0, 0.04))
    clipped: np.ndarray = np.clip(changed + noise, 0, 1)
    return clipped
