"""The commands that bring machines together to render films: keys, a scheduler, workers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmdream.cli.options import argument

cluster = typer.Typer(
    help="Render films on many machines: keys for all, one scheduler, workers wherever there is room.",
    no_args_is_help=True,
    add_completion=False,
)
Keys = Annotated[
    Path, typer.Option("--keys", help="The folder that `mmdream cluster keys` made.", metavar="FOLDER")
]


@cluster.command()
def keys(folder: Annotated[Path, argument("FOLDER", "A new folder for them.")]) -> None:
    """Make the keys that every machine of a cluster needs; who has them can run programs there.

    Copy the folder to each machine by a way that nobody else can read. The keys are good for a year.
    """
    from mmdream.cluster.nodes import make_keys

    make_keys(folder)
    typer.echo(f"{folder}")


@cluster.command()
def scheduler(
    keys: Keys,
    host: Annotated[
        str, typer.Option(help="Listen at this address of this machine.", metavar="ADDRESS")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Listen at this port.", min=0, max=65535)] = 8786,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Show the engine's web page at 127.0.0.1:8787.")
    ] = False,
) -> None:
    """Run the scheduler that workers and films meet at, until Ctrl-C; prints its address on a line."""
    from mmdream.cluster.nodes import run_scheduler

    run_scheduler(keys, host, port, dashboard, typer.echo)


@cluster.command()
def worker(
    address: Annotated[str, argument("ADDRESS", "What the scheduler printed.")],
    keys: Keys,
    threads: Annotated[
        int | None, typer.Option(help="Threads of a task; all processors.", metavar="N", min=1, max=256)
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="The address of this machine where the scheduler reaches it; needed outside of one machine.",
            metavar="ADDRESS",
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where parts are written on their way.", metavar="FOLDER")
    ] = None,
) -> None:
    """Work on the films of a scheduler until it goes, or Ctrl-C: one process, one task at a time.

    Films, masks, weights and whatever else a film names are read by the paths that its command gives.
    """
    from mmdream.cluster.nodes import run_worker
    from mmdream.core.processors import limit_threads

    limit_threads(threads)
    run_worker(address, keys, host, folder)
