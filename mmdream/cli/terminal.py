"""What a command shows on the terminal: plan, warnings, bars with the time that is left, and its result."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import typer

from mmdream.core.errors import Stopped, to_one_line
from mmdream.core.events import EventSink

PROGRESS_UNITS = {
    "walk": "frames",
    "picture": "frames",
    "sound": "seconds",
    "styling": "seconds",
    "painting": "steps",
    "still": "scales",
    "gallery": "tiles",
    "channels": "dreams",
    "download": "MB",
    "unpacking": "MB",
    "sorting": "files",
    "checking": "files",
    "hearing": "files",
    "looking": "files",
    "features": "files",
    "training": "steps",
    "testing": "files",
}
"""What the progress of each is counted in."""


@contextmanager
def report_to_terminal(quiet: bool) -> Iterator[EventSink]:
    """Progress bars and lines on stderr; when `quiet`, warnings only."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class TimeLeft(TimeRemainingColumn):
        """The picture's own estimate where there is one: frames differ too much for rich's rate."""

        def render(self, task: Task) -> Text:
            told = task.fields["told"]
            if told is None or task.finished:
                return super().render(task)
            left, at = told
            return Text(format_clock(left - (time.monotonic() - at)), style="progress.remaining")

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    bars = Progress(
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeLeft(),
        console=console,
        disable=quiet or not console.is_terminal,
    )
    tasks: dict[str, Any] = {}

    def progress(medium: str, done: float, total: float) -> None:
        if medium not in tasks:
            tasks[medium] = bars.add_task(medium, unit=PROGRESS_UNITS[medium], total=None, told=None)
        # Not every server tells how much will come, and the next archive has another size.
        bars.update(tasks[medium], completed=round(done), total=round(total) or None)

    def left(seconds: float) -> None:
        if "picture" in tasks:
            bars.update(tasks["picture"], told=(seconds, time.monotonic()))

    def say(line: str) -> None:
        if not quiet:
            console.print(f"mmdream: {to_one_line(line)}", markup=False)

    def warn(line: str) -> None:
        console.print(f"mmdream: warning: {to_one_line(line)}", markup=False)

    with bars:
        yield EventSink(say=say, warn=warn, progress=progress, left=left)


def format_clock(seconds: float) -> str:
    """``1:02:03``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class Printable(Protocol):
    """What can be told to a person and to a program."""

    def lines(self) -> list[str]:
        """For people, a fact a line."""

    def as_json(self) -> dict[str, Any]:
        """Plain values only."""


P = TypeVar("P", bound=Printable)


def run_and_print(as_json: bool, work: Callable[[EventSink], P]) -> P:
    """Do a command's work, its progress on stderr, and print its report; after Ctrl-C tell how to go on."""
    try:
        with report_to_terminal(as_json) as listener:
            report = work(listener)
    except Stopped as stopped:
        typer.echo(f"mmdream: {stopped}", err=True)
        sys.stdout.flush()
        # Another thread may be in the midst of a long step, which nothing but the end of the process
        # ends; the journal makes that safe.
        os._exit(130)
    print_lines(report.lines(), report.as_json() if as_json else None)
    return report


def print_lines(lines: Iterable[str], plain_values: Any = None) -> None:
    """Print what a command found, a fact a line; or plain values, where they are given, as JSON."""
    for line in lines if plain_values is None else [json.dumps(plain_values)]:
        typer.echo(to_one_line(line))


PLAYERS = (
    ("afplay",),  # macOS
    ("pw-play",),
    ("paplay",),
    ("aplay", "-q"),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
)
"""Programs that play a wave file and end with it, the system's own mixers first."""
WINDOWS_PLAYER = "import sys, winsound; winsound.PlaySound(sys.argv[1], winsound.SND_FILENAME)"
PLAYABLE_FORMAT = {"acodec": "pcm_s16le", "ac": 2, "ar": 48_000}
"""What every player and every sound card takes; aplay, for one, does not mix channels down."""


def play_sound(path: Path, listener: EventSink) -> None:
    """Play a sound file that `mmdream audio` wrote to its end; warn where nothing can play it."""
    # Here, so that --help does not wait for them.
    import shutil
    import subprocess
    import tempfile

    import ffmpeg

    from mmdream.media.formats import run_ffmpeg

    words = find_player(sys.platform, shutil.which)
    if words is None:
        names = ", ".join(each[0] for each in PLAYERS)
        listener.warn(
            f"nothing here plays sounds (looked for {names}); {path} is there to be heard elsewhere"
        )
        return
    with tempfile.TemporaryDirectory(prefix="mmdream") as folder:
        plain = Path(folder) / "sound.wav"
        run_ffmpeg(ffmpeg.input(str(path.resolve())).output(str(plain), **PLAYABLE_FORMAT), plain)
        ended = subprocess.run([*words, str(plain)], capture_output=True, text=True, check=False)
    if ended.returncode:
        told = (ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"])[-1]
        listener.warn(f"{Path(words[0]).stem} could not play {path}: {told}")


def find_player(platform: str, found: Callable[[str], str | None]) -> list[str] | None:
    """The program that plays a wave file, with its options; None: there is none.

    `platform` is as `sys.platform` names it, `found` tells where a program lies; None: nowhere.
    """
    if platform == "win32":
        return [sys.executable, "-c", WINDOWS_PLAYER]
    for name, *options in PLAYERS:
        if place := found(name):
            return [place, *options]
    return None
