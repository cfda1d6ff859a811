"""A training before it begins: its settings, and all checks that need no TensorFlow."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from mmdream.core.errors import UserError
from mmdream.datasets.folder import Dataset, read_dataset
from mmdream.networks.card import ModelFileWeights, NetworkCard
from mmdream.networks.registry import load_card, new_network_folder
from mmdream.networks.weights import locate_weights
from mmdream.training.data import DatasetSplit, split_dataset

DEFAULT_EPOCHS = {"picture": 8, "sound": 40}


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """One training; the names of the fields are those of the options, and keys in its work folder."""

    medium: Literal["picture", "sound"]
    net: str
    """The network that it starts from."""
    data: Path
    """A folder of classes, prepared or not."""
    name: str
    """Of the new network."""
    weights: str | None = None
    """A file in place of the network's own weights."""
    unfreeze: str | None = None
    """What is trained after the head: so many upper rungs, or a layer and all above; None: a few rungs, and
    everything where it is to be robust."""
    epochs: int | None = None
    """Passes over the pictures or sounds, each time augmented at random; None: by the medium."""
    batch: int = 32
    rate: float | None = None
    """Highest learning rate; None: by what is trained."""
    fold: str | None = None
    """Kept for the test; None: see `mmdream.datasets.folder.split_examples`."""
    robust: bool = False
    """Trained against small attacks."""
    from_scratch: bool = False
    """With fresh weights, all layers."""
    seed: int = 0
    side: int = 224
    """px of a picture."""
    seconds: float = 2.5
    """Of a sound in a crop."""

    def __post_init__(self) -> None:
        if self.epochs is not None and not 1 <= self.epochs <= 10_000:
            raise UserError(f"--epochs is {self.epochs}; choose 1 to 10000")
        if not 2 <= self.batch <= 1024:
            raise UserError(f"--batch is {self.batch}; choose 2 to 1024")
        if not 32 <= self.side <= 1024:
            raise UserError(f"--side is {self.side}; choose 32 to 1024 px")
        if not 0.5 <= self.seconds <= 30:
            raise UserError(f"--seconds is {self.seconds:g}; choose 0.5 to 30")
        if self.rate is not None and not 0 < self.rate <= 1:
            raise UserError(f"--rate is {self.rate:g}; choose a learning rate above 0, at most 1")
        if self.from_scratch and (self.weights is not None or self.unfreeze is not None):
            raise UserError(
                "--from-scratch takes fresh weights and teaches all layers; leave out --weights, --unfreeze"
            )

    @property
    def n_epochs(self) -> int:
        """`epochs`, or the medium's."""
        return self.epochs or DEFAULT_EPOCHS[self.medium] * (3 if self.from_scratch else 1)


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
