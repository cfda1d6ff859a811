"""The commands that retrain a network on a folder of classes.

Work modules are imported inside the commands, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmdream.cli.options import Given, OutputOptions, pick, takes
from mmdream.cli.terminal import exit_when_stopped, print_report, report_to_terminal
from mmdream.settings.definition import options
from mmdream.settings.recipe import Recipe

if TYPE_CHECKING:
    from mmdream.training.task import TrainingSettings

DEFAULT = Recipe()

app = typer.Typer(
    help="Retrain a network on a folder of classes of your own: picture, sound.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

StartNetOption = Annotated[
    str, typer.Option(metavar="NAME", help="Start from this network, of `mmdream nets`.")
]
DataOption = Annotated[
    Path,
    typer.Option(metavar="FOLDER", help="CLASS/*.jpg or CLASS/*.wav, or a prepared set.", show_default=False),
]
NewNameOption = Annotated[
    str,
    typer.Option(
        "-o", "--output", metavar="NAME", help="What the new network is called.", show_default=False
    ),
]
UnfreezeOption = Annotated[
    str | None,
    typer.Option(
        metavar="N|LAYER",
        help="After the head teach the N upper rungs, or this layer and all above; 0: the head alone "
        "(default: half of them, or all with --robust).",
        show_default=False,
    ),
]
EpochsOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Passes over the files (default: 8, sounds 40).", show_default=False),
]
BatchOption = Annotated[int, typer.Option(metavar="N", help="Files in a step; fewer take less memory.")]
RateOption = Annotated[
    float | None,
    typer.Option(metavar="R", help="Highest learning rate (default: by what is taught).", show_default=False),
]
FoldOption = Annotated[
    str | None,
    typer.Option(
        metavar="FOLD",
        help="The fold to test on (default: the last, or the set's test part).",
        show_default=False,
    ),
]
RobustOption = Annotated[
    bool, typer.Option("--robust", help="Teach it against small attacks: slower, and it dreams better.")
]
FromScratchOption = Annotated[
    bool, typer.Option("--from-scratch", help="Start from fresh weights and teach all layers.")
]
TrainSeedOption = Annotated[int, typer.Option(metavar="N", help="Of everything that is drawn.")]


@app.command()
@takes(pick(options(Recipe), "weights"), pick(options(OutputOptions), "overwrite json"))
def picture(
    data: DataOption,
    output: NewNameOption,
    net: StartNetOption = DEFAULT.net,
    side: Annotated[int, typer.Option(metavar="PX", help="Side of the pictures as it sees them.")] = 224,
    unfreeze: UnfreezeOption = None,
    epochs: EpochsOption = None,
    batch: BatchOption = 32,
    rate: RateOption = None,
    fold: FoldOption = None,
    robust: RobustOption = False,
    from_scratch: FromScratchOption = False,
    seed: TrainSeedOption = 0,
    *,
    given: Given,
) -> None:
    """Retrain a picture network; `mmdream video IN --net NAME` dreams with it at once.

    The same command goes on where it was stopped.
    """
    from mmdream.training.task import TrainingSettings

    settings = TrainingSettings(
        "picture", net, data, output, given.values.get("weights"), unfreeze, epochs, batch, rate, fold, robust, from_scratch,
        seed, side=side,
    )  # fmt: skip
    _train(settings, "overwrite" in given, "json" in given)


@app.command()
@takes(pick(options(Recipe), "weights"), pick(options(OutputOptions), "overwrite json"))
def sound(
    data: DataOption,
    output: NewNameOption,
    net: StartNetOption = DEFAULT.sound_net,
    seconds: Annotated[float, typer.Option(metavar="S", help="Of a sound that are heard at a time.")] = 2.5,
    unfreeze: UnfreezeOption = None,
    epochs: EpochsOption = None,
    batch: BatchOption = 32,
    rate: RateOption = None,
    fold: FoldOption = None,
    robust: RobustOption = False,
    from_scratch: FromScratchOption = False,
    seed: TrainSeedOption = 0,
    *,
    given: Given,
) -> None:
    """Retrain a sound network; `mmdream video IN --sound-net NAME` dreams with it at once.

    The same command goes on where it was stopped.
    """
    from mmdream.training.task import TrainingSettings

    settings = TrainingSettings(
        "sound", net, data, output, given.values.get("weights"), unfreeze, epochs, batch, rate, fold, robust, from_scratch,
        seed, seconds=seconds,
    )  # fmt: skip
    _train(settings, "overwrite" in given, "json" in given)


def _train(settings: TrainingSettings, overwrite: bool, as_json: bool) -> None:
    from mmdream.training.train import train_network

    with exit_when_stopped(), report_to_terminal(as_json) as listener:
        report = train_network(settings, overwrite, listener)
    print_report(report, as_json)
