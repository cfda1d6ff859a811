"""How a network is retrained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from mmdream.core.errors import UserError
from mmdream.settings.definition import AUDIO, IMAGE, NETWORKS, RESULT, TRAINING, checked, setting

DEFAULT_EPOCHS = {"picture": 8, "sound": 40}


@checked
@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """One training; the names of the fields are keys in its work folder.

    Raises:
        UserError: a value out of range, or settings that exclude each other.
    """

    medium: Literal["picture", "sound"]
    net: Annotated[
        str,
        setting(
            "Start from this network, of `mmdream nets`.", NETWORKS, "NAME", default="dreamnet, sounds melnet"
        ),
    ]
    data: Annotated[
        Path, setting("CLASS/*.jpg or CLASS/*.wav, or a prepared set; required.", TRAINING, "FOLDER")
    ]
    name: Annotated[str, setting("What the new network is called; required.", RESULT, "NAME", name="output")]
    weights: Annotated[
        str | None, setting("Weights of the network, instead of its own.", NETWORKS, "FILE|random")
    ] = None
    unfreeze: Annotated[
        str | None,
        setting(
            "After the head teach the N upper rungs, or this layer and all above; 0: the head alone.",
            TRAINING,
            "N|LAYER",
            default="half of them, or all with --robust",
        ),
    ] = None
    epochs: (
        Annotated[int, setting("Passes over the files.", TRAINING, "N", 1, 10_000, default="8, sounds 40")]
        | None
    ) = None
    """Each time augmented at random."""
    batch: Annotated[int, setting("Files in a step; fewer take less memory.", TRAINING, "N", 2, 1024)] = 32
    rate: (
        Annotated[
            float,
            setting("Highest learning rate.", TRAINING, "R", above=0, high=1, default="by what is taught"),
        ]
        | None
    ) = None
    fold: Annotated[
        str | None,
        setting("The fold to test on.", TRAINING, "FOLD", default="the last, or the set's test part"),
    ] = None
    robust: Annotated[
        bool, setting("Teach it against small attacks: slower, and it dreams better.", TRAINING)
    ] = False
    from_scratch: Annotated[bool, setting("Start from fresh weights and teach all layers.", TRAINING)] = False
    seed: Annotated[int, setting("Of everything that is drawn.", TRAINING, "N")] = 0
    side: Annotated[
        int,
        setting("Side of the pictures as it sees them.", TRAINING, "PX", 32, 1024, unit="px", media=IMAGE),
    ] = 224
    seconds: Annotated[
        float,
        setting("Of a sound that are heard at a time.", TRAINING, "S", 0.5, 30, unit="s", media=AUDIO),
    ] = 2.5

    def __post_init__(self) -> None:
        if self.from_scratch and (self.weights is not None or self.unfreeze is not None):
            raise UserError(
                "--from-scratch takes fresh weights and teaches all layers; leave out --weights, --unfreeze"
            )

    @property
    def n_epochs(self) -> int:
        """`epochs`, or the medium's."""
        return self.epochs or DEFAULT_EPOCHS[self.medium] * (3 if self.from_scratch else 1)
