"""A training before it begins: its settings, and all checks that need no TensorFlow."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.datasets.folder import Dataset, read_dataset
from mmdream.networks.card import ModelFileWeights, NetworkCard
from mmdream.networks.registry import load_card, new_network_folder
from mmdream.networks.weights import locate_weights
from mmdream.settings.training import TrainingSettings
from mmdream.training.data import DatasetSplit, split_dataset


@dataclass(frozen=True)
class TrainingTask:
    """All that is known before the work begins."""

    settings: TrainingSettings
    dataset: Dataset
    split: DatasetSplit
    parent: NetworkCard
    folder: Path
    """Of the finished network."""
    overwrite: bool
    """Whether it may replace an older one."""

    @property
    def unfrozen(self) -> int | str:
        """What is trained besides the head: so many upper rungs, or a layer and all above."""
        unfreeze = self.settings.unfreeze
        if unfreeze is not None:
            return int(unfreeze) if unfreeze.isdecimal() else unfreeze
        # Half the rungs are enough to change what a deep dream is made of, and quick. But what a robust
        # network must not answer to, its lower layers must not let through.
        everything = self.settings.from_scratch or self.settings.robust
        return len(self.parent.rungs) if everything else len(self.parent.rungs) // 2

    @property
    def command(self) -> str:
        """The command that begins the training, or goes on with it."""
        settings = self.settings
        words = ["mmdream", "train", settings.medium]
        words += ["--net", settings.net, "--data", str(settings.data), "-o", settings.name]
        for field in fields(settings):
            value = getattr(settings, field.name)
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
    medium = settings.medium
    parent = load_card(settings.net, medium)
    if isinstance(parent.weights, ModelFileWeights):
        raise UserError(
            f"{settings.net}: train a Keras file with Keras; here those of `mmdream nets` are trained"
        )
    dataset = read_dataset(settings.data)
    if dataset.medium != medium:
        other = dataset.medium
        raise UserError(f"{dataset.folder}: has {other}s; use `mmdream train {other}`, or give {medium}s")
    for name in dataset.classes:
        # A file system may hold names that are no text; a card cannot.
        if not name.isprintable():
            raise UserError(
                f"{dataset.folder}: class folder {name!r} has signs that cannot be printed; rename it"
            )
    split = split_dataset(dataset, settings.fold, settings.seed)
    if not settings.from_scratch:
        locate_weights(parent, settings.weights)
    return TrainingTask(settings, dataset, split, parent, folder, overwrite)
