"""The commands that retrain a network on a folder of classes.

Work modules are imported inside the commands, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from pathlib import Path

import typer

from mmdream.cli.options import Given, OutputOptions, pick, takes
from mmdream.cli.terminal import exit_when_stopped, print_report, report_to_terminal
from mmdream.settings.definition import options
from mmdream.settings.recipe import Recipe
from mmdream.settings.training import TrainingSettings

app = typer.Typer(
    help="Retrain a network on a folder of classes of your own: picture, sound.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
@takes(options(TrainingSettings, frozenset({"image"})), pick(options(OutputOptions), "overwrite json"))
def picture(given: Given) -> None:
    """Retrain a picture network; `mmdream video IN --net NAME` dreams with it at once.

    The same command goes on where it was stopped.
    """
    _train(TrainingSettings("picture", Recipe().net, Path(), ""), given)


@app.command()
@takes(options(TrainingSettings, frozenset({"audio"})), pick(options(OutputOptions), "overwrite json"))
def sound(given: Given) -> None:
    """Retrain a sound network; `mmdream video IN --sound-net NAME` dreams with it at once.

    The same command goes on where it was stopped.
    """
    _train(TrainingSettings("sound", Recipe().sound_net, Path(), ""), given)


def _train(base: TrainingSettings, given: Given) -> None:
    for name in ("data", "output"):
        if name not in given:
            raise typer.BadParameter(f"Missing option '--{name}'.")
    settings = given.settings(base)
    from mmdream.training.train import train_network

    with exit_when_stopped(), report_to_terminal("json" in given) as listener:
        report = train_network(settings, "overwrite" in given, listener)
    print_report(report, "json" in given)
