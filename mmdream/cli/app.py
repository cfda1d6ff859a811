"""The command line: options in, one report or one error line out.

Work modules are imported inside the commands, so that ``--help`` never meets numpy or TensorFlow. Only this
file turns an error into an exit status.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from mmdream import __version__
from mmdream.core.errors import UserError, to_one_line

# typer carries its own copy of click; its public BadParameter leads to the base of all usage errors.
UsageError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

COMMANDS = {
    "video": "Turn a film into a dream film, picture and sound.",
    "resume": "Go on with a film that was stopped, to the very frames and samples of an unbroken run.",
    "jobs": "List the films in a folder that are not finished.",
    "walk": "Walk through a generator's pictures to a song, and dream the film of it.",
    "image": "Dream a picture, or with --from a new one, out of noise or of what a generator makes.",
    "audio": "Dream a sound: an audio file, the sound of a film, or with --from one that is made.",
    "style": "Give a picture or a film the style of paintings, or a sound the texture of other sounds.",
    "classify": "Say what networks see and hear in a picture, a sound or a film, with probabilities.",
    "nets": (
        "List the networks, tell all about one (its rungs, its weights, its licence), or draw what it sees."
    ),
    "sample": "Make a short film to try things on: a moving camera over two photographs, and music.",
    "live": "Dream a camera, a film at its pace or a stream while it plays, in the browser.",
    "studio": "See, hear and steer dreams in the browser, on this machine alone.",
    "cluster": "Render films on many machines: keys for all, one scheduler, workers wherever there is room.",
    "schema": "Print the JSON schema of schedule files and presets, and of all settings of a dream.",
    "data": "Data sets to train on: list, show, prepare, check.",
    "train": "Retrain a network, teach a dreamer or train a generator: picture, sound, dreamer, generator.",
}
"""Every command, with what `mmdream --help` says of it."""
MODULES = {
    "cli.video": ("video", "resume", "jobs", "sample"),
    "cli.walk": ("walk",),
    "cli.image_audio": ("image", "audio"),
    "cli.style": ("style",),
    "cli.networks": ("classify", "nets", "train"),
    "cli.options": ("schema",),
    "cli.data": ("data",),
    "cli.cluster": ("cluster",),
    "live.command": ("live",),
    "studio.command": ("studio",),
}
"""Where commands stand: a module is imported when one of its commands runs."""


class LazyCommand(TyperCommand):
    """A command that is imported when it is asked for more than its name and its help."""

    def load(self) -> Any:
        """The command itself, or group of commands."""
        assert self.name is not None
        module = next(module for module, commands in MODULES.items() if self.name in commands)
        found = getattr(import_module(f"mmdream.{module}"), self.name)
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(add_completion=False)
            found.command(self.name)(function)
        return typer.main.get_command(found)

    def make_context(self, *args: Any, **named: Any) -> Any:
        """As click asks for it: the context of the command itself."""
        return self.load().make_context(*args, **named)


class CommandGroup(TyperGroup):
    """The commands of `mmdream`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: LazyCommand(name, help=text) for name, text in COMMANDS.items()}


app = typer.Typer(
    name="mmdream",
    cls=CommandGroup,
    help="Turn films, pictures and sounds into dreams.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _print_version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"mmdream {__version__}")
        raise typer.Exit


def main() -> None:
    """Run a command and exit: 0 done, 2 the user's to put right, 130 interrupted, 1 a bug."""
    # A polite kill cleans up like Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = app(standalone_mode=False, prog_name="mmdream")
    except UserError as error:
        status = _print_error(str(error))
    except UsageError as error:
        status = _print_error(str(error.format_message()))
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except MemoryError as error:
        status = _print_error(f"takes more memory than there is ({error}); take something smaller")
    sys.exit(status if isinstance(status, int) else 0)


def _print_error(message: str) -> int:
    """One line on stderr, whatever the message holds."""
    typer.echo(f"mmdream: error: {to_one_line(' '.join(message.split()))}", err=True)
    return 2
