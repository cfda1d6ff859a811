"""A training before it begins: everything that can be wrong with it is found here, without TensorFlow."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.datasets.folder import Dataset, read_dataset
from mmdream.networks.card import NetworkCard, load_card
from mmdream.networks.registry import new_network_folder
from mmdream.networks.weight_sources import ModelFileWeights
from mmdream.networks.weights import locate_weights
from mmdream.training.lesson import DatasetSplit, split_dataset
from mmdream.training.settings import TrainingSettings


@dataclass(frozen=True)
class TrainingTask:
    """All that is known before the work begins."""

    settings: TrainingSettings
    of: Dataset
    parts: DatasetSplit
    parent: NetworkCard
    folder: Path
    """Of the finished network."""
    overwrite: bool
    """Whether it may replace an older one."""

    @property
    def upper(self) -> int | str:
        """What is taught besides the head: so many upper rungs, or a layer and all above."""
        told = self.settings.unfreeze
        if told is not None:
            return int(told) if told.isdecimal() else told
        # Half the rungs are enough to change what a deep dream is made of, and quick. But what a robust
        # network must not answer to, its lower layers must not let through.
        every = self.settings.from_scratch or self.settings.robust
        return len(self.parent.rungs) if every else len(self.parent.rungs) // 2

    @property
    def command(self) -> str:
        """That begins the training, or goes on with it."""
        told = self.settings
        words = [
            "mmdream",
            "train",
            told.medium,
            "--net",
            told.net,
            "--data",
            str(told.data),
            "-o",
            told.name,
        ]
        for field in fields(told):
            value = getattr(told, field.name)
            if field.name in ("medium", "net", "data", "name") or value == field.default:
                continue
            option = f"--{field.name.replace('_', '-')}"
            words += [option] if value is True else [option, str(value)]
        return shlex.join(words)


def make_task(settings: TrainingSettings, overwrite: bool) -> TrainingTask:
    """Check a training.

    Raises:
        UserError: a taken name, no such network, weights or folder, a set of the other medium or too small.
    """
    folder = new_network_folder(settings.name, overwrite)
    parent = load_card(settings.net, settings.medium)
    if isinstance(parent.weights, ModelFileWeights):
        raise UserError(
            f"{settings.net}: train a Keras file with Keras; here those of `mmdream nets` are trained"
        )
    of = read_dataset(settings.data)
    medium = settings.medium
    if of.medium != medium:
        raise UserError(f"{of.folder}: has {of.medium}s; use `mmdream train {of.medium}`, or give {medium}s")
    for name in of.classes:
        # A file system may hold names that are no text; a card cannot.
        if not name.isprintable():
            raise UserError(f"{of.folder}: class folder {name!r} has signs that cannot be printed; rename it")
    divided = split_dataset(of, settings.fold, settings.seed)
    if not settings.from_scratch:
        locate_weights(parent, settings.weights)
    return TrainingTask(settings, of, divided, parent, folder, overwrite)
