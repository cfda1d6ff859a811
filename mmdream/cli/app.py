"""The command line: options in, one report or one error line out.

Work modules are imported inside the commands, so that ``--help`` never meets numpy or TensorFlow. Only this
file turns an error into an exit status.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mmdream import __version__
from mmdream.cli import data, image_audio, networks, style, train, video
from mmdream.cli.options import Given, OutputOptions, pick, takes
from mmdream.core.errors import UserError, to_one_line
from mmdream.settings.definition import options

# typer carries its own copy of click; its public BadParameter leads to the base of all usage errors.
UsageError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

app = typer.Typer(
    name="mmdream",
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


for each in (video.video, video.resume, video.jobs, image_audio.image, image_audio.audio, style.style):
    app.command()(each)
app.command()(networks.classify)
app.command()(networks.nets)
app.add_typer(data.app, name="data")
app.add_typer(train.app, name="train")


@app.command()
@takes(pick(options(OutputOptions), "overwrite"))
def sample(
    output: Annotated[Path, typer.Argument(metavar="OUT.mp4", help="Where to write it.", show_default=False)],
    given: Given,
) -> None:
    """Make a short film to try things on: a moving camera over two photographs, and music."""
    from mmdream.core.files import check_output_file, output_workspace
    from mmdream.sample.film import make_sample

    path = check_output_file(None, output, ".mp4", (".mp4",), "overwrite" in given)
    with output_workspace(path, "overwrite" in given) as work:
        make_sample(work / path.name)
    typer.echo(f"{path}")


@app.command()
def schema() -> None:
    """Print the JSON schema of schedule files and presets, and of all settings of a dream."""
    import json

    from mmdream.settings.files import json_schema

    typer.echo(json.dumps(json_schema(), indent=1))


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
