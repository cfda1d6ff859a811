"""The command of live play: its page on this machine alone, and the session beside it."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Callable
from typing import Annotated

import typer

from mmdream.cli.options import (
    Given,
    OutputOptions,
    ScheduleOptions,
    argument,
    build_recipe,
    pick,
    takes,
    without,
)
from mmdream.cli.terminal import print_lines, report_to_terminal
from mmdream.core.errors import UserError
from mmdream.live.report import LiveReport
from mmdream.settings.definition import options
from mmdream.settings.live import LiveSettings
from mmdream.settings.recipe import Recipe
from mmdream.web.listener import listen

LEFT_OUT = (
    "drive drive-sound bidirectional seams loop grain-set stereo phase invent sound-guide guide optimizer "
    "wander flatten engine grains couplings heard-to-seen seen-to-heard"
)
"""Options of a film that live play has not."""
END_SECONDS = 15.0
"""Given to a session to end after Ctrl-C."""


@takes(
    options(LiveSettings),
    pick(options(ScheduleOptions), "preset schedule"),
    without(options(Recipe, frozenset({"film"})), LEFT_OUT),
    options(OutputOptions),
)
def live(
    given: Given,
    source: Annotated[
        str, argument("[FILE|CAMERA|URL]", "A film, camera, camera:1, or an address; else the camera.")
    ] = "camera",
) -> None:
    """Dream a camera, a film at its pace or a stream while it plays, in the browser.

    What is seen and heard is some .2 s behind. Quality follows the clock: the same settings give another
    dream each time. Ctrl-C ends it, and what was recorded is whole.
    """
    try:
        import uvicorn

        from mmdream.live.web import Page, make_app
    except ModuleNotFoundError as error:
        raise UserError(f"live play needs {error.name}; install it: pip install 'mmdream[live]'") from None
    from mmdream.live.play import check_live, play_live

    settings, result = given.settings(LiveSettings()), given.settings(OutputOptions())
    recipe = build_recipe(given, "film")
    check_live(recipe, settings, result.output, result.overwrite)
    page, stop = Page(), threading.Event()
    listener = listen(settings.port)
    config = uvicorn.Config(
        make_app(page, listener.port, listener.token), log_config=None, access_log=False, server_header=False,
        date_header=False, ws="websockets-sansio", timeout_graceful_shutdown=1, lifespan="off",
    )  # fmt: skip
    server = uvicorn.Server(config)

    def on_ready(session: object) -> None:
        page.session = session  # type: ignore[assignment]
        typer.echo(listener.address, err=result.json)
        if not settings.no_browser:
            webbrowser.open(listener.address)

    with listener.socket, report_to_terminal(result.json) as sink:
        serving = threading.Thread(target=server.run, args=([listener.socket],), daemon=True)
        serving.start()
        try:
            report = run_until_stopped(
                lambda: play_live(
                    source, recipe, settings, result.output, result.overwrite, sink, page, on_ready, stop
                ),
                stop,
            )
        finally:
            server.should_exit = True
            serving.join(3)
    print_lines(report.lines(), report.as_json() if result.json else None)


def run_until_stopped(work: Callable[[], LiveReport], stop: threading.Event) -> LiveReport:
    """Do the work in a thread; Ctrl-C ends it in good order, and a second one at once."""
    results: list[LiveReport] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="work", daemon=True).start()
    try:
        while not done.wait(0.25):
            pass
    except KeyboardInterrupt:
        stop.set()
        done.wait(END_SECONDS)
    for error in errors:
        raise error
    if not results:
        raise KeyboardInterrupt
    return results[0]
