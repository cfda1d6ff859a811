"""The commands that retrain a network on a folder of classes.

Work modules are imported inside the commands, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmdream import options
from mmdream.terminal import listening, resumable, show

if TYPE_CHECKING:
    from mmdream.training.settings import TrainingSettings

app = typer.Typer(
    help="Retrain a network on a folder of classes of your own: picture, sound.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Net = Annotated[str, typer.Option(metavar="NAME", help="Start from this network, of `mmdream nets`.")]
Data = Annotated[
    Path,
    typer.Option(metavar="FOLDER", help="CLASS/*.jpg or CLASS/*.wav, or a prepared set.", show_default=False),
]
Name = Annotated[
    str,
    typer.Option(
        "-o", "--output", metavar="NAME", help="What the new network is called.", show_default=False
    ),
]
Unfreeze = Annotated[
    str | None,
    typer.Option(
        metavar="N|LAYER",
        help="After the head teach the N upper rungs, or this layer and all above; 0: the head alone "
        "(default: half of them, or all with --robust).",
        show_default=False,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(metavar="N", help="Passes over the files (default: 8, sounds 40).", show_default=False),
]
Batch = Annotated[int, typer.Option(metavar="N", help="Files in a step; fewer take less memory.")]
Rate = Annotated[
    float | None,
    typer.Option(metavar="R", help="Highest learning rate (default: by what is taught).", show_default=False),
]
Fold = Annotated[
    str | None,
    typer.Option(
        metavar="FOLD",
        help="The fold to test on (default: the last, or the set's test part).",
        show_default=False,
    ),
]
Robust = Annotated[
    bool, typer.Option("--robust", help="Teach it against small attacks: slower, and it dreams better.")
]
FromScratch = Annotated[
    bool, typer.Option("--from-scratch", help="Start from fresh weights and teach all layers.")
]
Seed = Annotated[int, typer.Option(metavar="N", help="Of everything that is drawn.")]


@app.command()
def picture(
    data: Data,
    output: Name,
    net: Net = options.DEFAULT.net,
    weights: options.Weights = None,
    side: Annotated[int, typer.Option(metavar="PX", help="Side of the pictures as it sees them.")] = 224,
    unfreeze: Unfreeze = None,
    epochs: Epochs = None,
    batch: Batch = 32,
    rate: Rate = None,
    fold: Fold = None,
    robust: Robust = False,
    from_scratch: FromScratch = False,
    seed: Seed = 0,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Retrain a picture network; `mmdream video IN --net NAME` dreams with it at once.

    The same command goes on where it was stopped.
    """
    from mmdream.training.settings import TrainingSettings

    settings = TrainingSettings(
        "picture", net, data, output, weights, unfreeze, epochs, batch, rate, fold, robust, from_scratch,
        seed, side=side,
    )  # fmt: skip
    _train(settings, overwrite, as_json)


@app.command()
def sound(
    data: Data,
    output: Name,
    net: Net = options.DEFAULT.sound_net,
    weights: options.Weights = None,
    seconds: Annotated[float, typer.Option(metavar="S", help="Of a sound that are heard at a time.")] = 2.5,
    unfreeze: Unfreeze = None,
    epochs: Epochs = None,
    batch: Batch = 32,
    rate: Rate = None,
    fold: Fold = None,
    robust: Robust = False,
    from_scratch: FromScratch = False,
    seed: Seed = 0,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Retrain a sound network; `mmdream video IN --sound-net NAME` dreams with it at once.

    The same command goes on where it was stopped.
    """
    from mmdream.training.settings import TrainingSettings

    settings = TrainingSettings(
        "sound", net, data, output, weights, unfreeze, epochs, batch, rate, fold, robust, from_scratch,
        seed, seconds=seconds,
    )  # fmt: skip
    _train(settings, overwrite, as_json)


def _train(settings: TrainingSettings, overwrite: bool, as_json: bool) -> None:
    from mmdream.training.train import train_network

    with resumable(), listening(as_json) as listener:
        report = train_network(settings, overwrite, listener)
    show(report, as_json)
