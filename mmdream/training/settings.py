"""What a network is taught from, and how: everything a training depends on but the files themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmdream.core.errors import UserError

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
