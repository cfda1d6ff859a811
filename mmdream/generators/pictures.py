"""The pictures of a set, as a generator learns from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mmdream.datasets.folder import Dataset
from mmdream.datasets.load import ExampleFormat, load_examples
from mmdream.generators.examples import RealExamples, check_variety

READ_BATCH = 64
"""Pictures that are read at once."""


def load_pictures(dataset: Dataset, side: int, progress: Callable[[int, int], None]) -> RealExamples:
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
    check_variety(pixels, labels, dataset.classes, dataset.folder)
    return RealExamples(pixels, labels, len(dataset.classes))
