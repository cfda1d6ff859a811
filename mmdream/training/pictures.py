"""Pictures as a network is taught on them: cropped, turned, flipped, coloured and made noisy at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmdream.data.folder import Dataset, Example
from mmdream.data.load import Form, rows
from mmdream.training.lesson import places

SEEN, READ = "seen", 32
"""The file that says that all were read, and how many are at once."""
MARGIN = 8 / 7
"""Side of a picture before it is cropped over the crop's."""
TURN = 12.0
"""Degrees to either side."""
LEAST = 0.55
"""Of the picture's side that a crop shows."""


@dataclass(frozen=True)
class Pictures:
    """The pictures of a set."""

    of: Dataset
    side: int
    """px."""

    def changed(self, examples: Sequence[Example], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Some, changed at random.

        Returns:
            float32 [n, side, side, 3], RGB 0..1; shares of the classes, float32 [n, class].
        """
        whole = rows(self.of, examples, Form(side=round(self.side * MARGIN)))
        shown = np.stack([changed(picture, self.side, rng) for picture in whole])
        return shown, np.eye(len(self.of.classes), dtype=np.float32)[places(examples)]

    def alike(self, examples: Sequence[Example], batch: int) -> list[list[Example]]:
        """Any can be fed together."""
        return [list(examples[first : first + batch]) for first in range(0, len(examples), batch)]

    def plain(self, examples: Sequence[Example]) -> np.ndarray:
        """The middle of each, float32 [n, side, side, 3]."""
        return np.stack(rows(self.of, examples, Form(side=self.side)))

    def unit(self, examples: Sequence[Example]) -> float:
        """What an attack's length is counted in: as many px as are shown tell an attack apart as well."""
        return self.side / 160


def see(of: Dataset, side: int, folder: Path, progress: Callable[[int, int], None]) -> Pictures:
    """The pictures of a set, each of them read once: a damaged one is to be told now, and not in an hour.

    Args:
        of: the set.
        side: px.
        folder: of the training, which remembers that all were read.
        progress: takes the number of files that were read, and of all.

    Raises:
        UserError: a file is damaged.
    """
    if not (folder / SEEN).is_file():
        for first in range(0, len(of.examples), READ):
            rows(of, of.examples[first : first + READ], Form(side=round(side * MARGIN)))
            progress(min(first + READ, len(of.examples)), len(of.examples))
        (folder / SEEN).touch()
    return Pictures(of, side)


def changed(picture: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Crop, turn, flip, colour and noise in one: the picture is sampled once, so that it stays sharp.

    Args:
        picture: float32 [s, s, 3], 0..1.
        side: of the result, px.
        rng: draws all of it.

    Returns:
        float32 [side, side, 3], 0..1.
    """
    whole = picture.shape[0]
    seen = whole * rng.uniform(LEAST, 1.0)
    stretch = np.exp(rng.uniform(-0.12, 0.12))
    width, height = min(seen * stretch, whole), min(seen / stretch, whole)
    x, y = rng.uniform(width / 2, whole - width / 2), rng.uniform(height / 2, whole - height / 2)
    angle = np.deg2rad(rng.uniform(-TURN, TURN))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    across = np.diag([width / side * rng.choice([-1.0, 1.0]), height / side])
    matrix = turn @ across
    # From a place in the result to one in the picture: centre to centre.
    shift = np.array([x, y]) - 0.5 - matrix @ np.full(2, (side - 1) / 2)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(
        picture, np.column_stack([matrix, shift]), (side, side), flags=how, borderMode=cv2.BORDER_REFLECT_101
    )
    return coloured(shown, rng)


def coloured(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another saturation, contrast, light and tint, and some noise; float32 [h, w, 3], 0..1."""
    grey = picture.mean(2, keepdims=True)
    saturation, contrast = np.float32(rng.uniform(0.3, 1.4)), np.float32(rng.uniform(0.7, 1.3))
    tint = rng.uniform(-0.06, 0.06, 3).astype(np.float32) + np.float32(rng.uniform(-0.1, 0.1))
    shown = (grey + (picture - grey) * saturation - 0.5) * contrast + 0.5 + tint
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(0, 0.04))
    clipped: np.ndarray = np.clip(shown + noise, 0, 1)
    return clipped
