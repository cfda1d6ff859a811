"""Pictures as a network is taught on them: cropped, turned, flipped, coloured and made noisy at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmdream.datasets.folder import Dataset, Example
from mmdream.datasets.load import ExampleFormat, load_examples
from mmdream.training.lesson import label_array

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
