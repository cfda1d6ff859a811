"""What a network is taught from, and how: everything a training depends on but the files themselves."""

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

Medium = Literal["picture", "sound"]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """One training."""

    medium: Medium
    net: str
    """The network that it starts from."""
    data: Path
    """A folder of classes, prepared or not."""
    name: str
    """Of the new network."""
    weights: str | None = None
    """A file in place of the network's own weights."""
    unfreeze: str | None = None
    """What is taught after the head: so many upper rungs, or a layer and all above; None: a few rungs, and
    everything where it is to be robust."""
    epochs: int | None = None
    """Passes over the pictures or sounds, each time changed at random; None: by the medium."""
    batch: int = 32
    rate: float | None = None
    """Highest learning rate; None: by how much is taught."""
    fold: str | None = None
    """Kept from training, to test on; None: as `mmdream.datasets.folder.split_examples` has it."""
    robust: bool = False
    """Taught against small attacks."""
    from_scratch: bool = False
    """With fresh weights, all layers."""
    seed: int = 0
    side: int = 224
    """px of a picture."""
    seconds: float = 2.5
    """Of a sound that are heard at a time."""

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
    def passes(self) -> int:
        """Over the data."""
        usual = {"picture": 8, "sound": 40}[self.medium]
        return self.epochs or usual * (3 if self.from_scratch else 1)


pass


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
