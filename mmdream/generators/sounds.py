"""The events of a set's sounds, cut at their onsets, as a generator learns from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mmdream.audio.events import encode_map, encode_wave
from mmdream.audio.grains.atoms import Atom, cut_atoms
from mmdream.datasets.folder import Dataset
from mmdream.datasets.load import ExampleFormat, load_example
from mmdream.generators.examples import RealExamples, check_variety
from mmdream.networks.generator_card import MAP_RATE, Form

FILE_EVENTS = 12
"""Of one file, the clearest."""


def load_events(
    dataset: Dataset, form: Form, side: int, progress: Callable[[int, int], None]
) -> RealExamples:
    """Cut a set's sounds into events, of up to a second each; `progress` is told (files done, files in all).

    A `UserError` names a damaged file, or a class with few events.
    """
    values, labels = [], []
    for done, example in enumerate(dataset.examples, 1):
        samples = load_example(dataset, example, ExampleFormat(rate=MAP_RATE))
        for atom in cut_atoms(samples, MAP_RATE, FILE_EVENTS):
            values.append(pack_event(atom, form, side))
            labels.append(example.label)
        progress(done, len(dataset.examples))
    packed, found = np.array(values), np.array(labels)
    check_variety(packed, found, dataset.classes, dataset.folder)
    return RealExamples(packed, found, len(dataset.classes))


def pack_event(atom: Atom, form: Form, side: int) -> np.ndarray:
    """An event as `RealExamples` has it: uint8 [frame, band, 1] or int16 [sample, 1]."""
    if form == "wave":
        return np.rint(encode_wave(atom)[:, None] * np.iinfo(np.int16).max).astype(np.int16)
    return np.rint(encode_map(atom, side)[..., None] * np.iinfo(np.uint8).max).astype(np.uint8)
