"""How a network is retrained, and how a dreamer is taught."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmdream.core.errors import UserError
from mmdream.settings.definition import AUDIO, DREAM, IMAGE, NETWORKS, RESULT, TRAINING, checked, setting
from mmdream.settings.targets import parse_motifs

DEFAULT_EPOCHS = {"picture": 8, "sound": 40}


@checked
@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """One training; the names of the fields are keys in its work folder."""

    medium: Literal["picture", "sound"]
    net: str = setting(
        ...,
        "Start from this network, of `mmdream nets`.",
        NETWORKS,
        "NAME",
        default_text="dreamnet, sounds melnet",
    )
    data: Path = setting(..., "CLASS/*.jpg or CLASS/*.wav, or a prepared set; required.", TRAINING, "FOLDER")
    name: str = setting(..., "What the new network is called; required.", RESULT, "NAME", name="output")
    weights: str | None = setting(
        None, "Weights of the network, instead of its own.", NETWORKS, "FILE|random"
    )
    unfreeze: str | None = setting(
        None,
        "After the head teach the N upper rungs, or this layer and all above; 0: the head alone.",
        TRAINING,
        "N|LAYER",
        default_text="half of them, or all with --robust",
    )
    epochs: int | None = setting(
        None, "Passes over the files.", TRAINING, "N", 1, 10_000, default_text="8, sounds 40"
    )
    batch: int = setting(32, "Files in a step; fewer take less memory.", TRAINING, "N", 2, 1024)
    rate: float | None = setting(
        None, "Highest learning rate.", TRAINING, "R", above=0, high=1, default_text="by what is taught"
    )
    fold: str | None = setting(
        None, "The fold to test on.", TRAINING, "FOLD", default_text="the last, or the set's test part"
    )
    robust: bool = setting(False, "Teach it against small attacks: slower, and it dreams better.", TRAINING)
    from_scratch: bool = setting(False, "Start from fresh weights and teach all layers.", TRAINING)
    seed: int = setting(0, "Of everything that is drawn.", TRAINING, "N")
    side: int = setting(
        224, "Side of the pictures as it sees them.", TRAINING, "PX", 32, 1024, unit="px", media=IMAGE
    )
    seconds: float = setting(
        2.5, "Of a sound that are heard at a time.", TRAINING, "S", 0.5, 30, unit="s", media=AUDIO
    )

    def __post_init__(self) -> None:
        if self.from_scratch and (self.weights is not None or self.unfreeze is not None):
            raise UserError(
                "--from-scratch takes fresh weights and teaches all layers; leave out --weights, --unfreeze"
            )

    @property
    def n_epochs(self) -> int:
        """`epochs`, or the medium's."""
        return self.epochs or DEFAULT_EPOCHS[self.medium] * (3 if self.from_scratch else 1)


@checked
@dataclass(frozen=True, slots=True)
class DreamerSettings:
    """One teaching of a dreamer; the names of the fields are keys in its work folder."""

    data: Path = setting(
        ..., "Pictures and films to learn from, in this folder and below; required.", TRAINING, "FOLDER"
    )
    net: str = setting("dreamnet", "Network whose dreams it is to make.", NETWORKS, "NAME")
    motif: str | None = setting(
        None,
        "Teach it these motifs; else the dream without any.",
        DREAM,
        "NAME,NAME",
    )
    weights: str | None = setting(None, "Weights of the network, instead of its own.", NETWORKS, "FILE")
    steps: int = setting(10_000, "Batches that it learns from.", TRAINING, "N", 1, 1_000_000)
    batch: int = setting(16, "Passes in a batch.", TRAINING, "N", 4, 256)
    seed: int = setting(0, "Of everything that is drawn.", TRAINING, "N")

    @property
    def motifs(self) -> tuple[str, ...]:
        """Those of `motif`."""
        return () if self.motif is None else parse_motifs(self.motif)


@checked
@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """One training of a generator; the names of the fields are keys in its work folder."""

    data: Path = setting(..., "CLASS/*.jpg or CLASS/*.wav, or a prepared set; required.", TRAINING, "FOLDER")
    name: str = setting(..., "What the generator is called; required.", RESULT, "NAME", name="output")
    form: Literal["spectrogram", "wave"] = setting(
        "spectrogram", "What of a sound it makes: levels in bands over time, or samples.", TRAINING
    )
    classes: str | None = setting(
        None, "Only these classes of the set.", TRAINING, "NAME,NAME", default_text="all"
    )
    side: Literal[32, 64, 128] = setting(64, "Side of the pictures that it makes.", TRAINING, "PX")
    bands: Literal[64, 128] = setting(64, "Bands of the spectrograms that it makes.", TRAINING, "N")
    width: int = setting(
        16, "Channels of its finest level: more take longer, and show more.", TRAINING, "N", 4, 64
    )
    net: str | None = setting(
        None,
        "Network by whose features what it makes is told from real ones; none: by pixels or bands alone.",
        NETWORKS,
        "NAME|none",
        default_text="dreamnet, sounds melnet",
    )
    weights: str | None = setting(None, "Weights of that network, instead of its own.", NETWORKS, "FILE")
    judge: str | None = setting(
        None,
        "Another network, by whose features its pictures are measured.",
        NETWORKS,
        "NAME",
        default_text="squeezenet",
    )
    judge_weights: str | None = setting(
        None, "Weights of the judge, instead of its own.", NETWORKS, "FILE|random"
    )
    steps: int = setting(20_000, "Batches that it learns from.", TRAINING, "N", 1, 10_000_000)
    batch: int = setting(32, "Pictures or events in a batch, in fours of one class.", TRAINING, "N", 8, 512)
    rate: float = setting(6e-4, "Highest learning rate.", TRAINING, "R", above=0, high=1)
    penalty: float = setting(
        0.02, "Of the slope of what tells it from real ones: more is steadier.", TRAINING, "W", 0, 1000
    )
    seed: int = setting(0, "Of everything that is drawn.", TRAINING, "N")

    def __post_init__(self) -> None:
        if self.net == "none" and self.weights is not None:
            raise UserError("--weights are those of --net; leave them out with --net none")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Those of `classes`; none: all."""
        return tuple(name.strip() for name in (self.classes or "").split(",") if name.strip())
