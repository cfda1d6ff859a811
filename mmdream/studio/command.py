"""The command that opens the studio: an address on this machine alone, and the browser on it."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from mmdream.cli.options import argument
from mmdream.core.errors import UserError
from mmdream.core.memory import return_freed_memory
from mmdream.web.listener import listen


def studio(
    folder: Annotated[Path, argument("[FOLDER]", "Where the films lie, and the project.")] = Path(),
    port: Annotated[
        int, typer.Option("--port", help="Listen here; 0: where nobody does.", min=0, max=65535)
    ] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
) -> None:
    """See, hear and steer dreams in the browser, on this machine alone.

    Its address is printed; it opens once. Films that are being made go on when the studio ends.
    """
    try:
        import uvicorn

        from mmdream.studio.web import make_app
    except ModuleNotFoundError as error:
        raise UserError(f"the studio needs {error.name}; install it: pip install 'mmdream[studio]'") from None
    return_freed_memory()
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name the one where your films lie")
    listener = listen(port)
    app = make_app(folder, listener.port, listener.token)
    settings = uvicorn.Config(
        app, log_level="error", access_log=False, server_header=False, date_header=False,
        ws="websockets-sansio", timeout_graceful_shutdown=2,
    )  # fmt: skip
    typer.echo(listener.address)
    if browser:
        threading.Timer(0.5, webbrowser.open, [listener.address]).start()
    with listener.socket:
        uvicorn.Server(settings).run(sockets=[listener.socket])
