"""A finished sound, played by whatever the system brings for that."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import ffmpeg

from mmdream.core.events import EventSink
from mmdream.media.open import run_ffmpeg

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
    """Play a sound file to its end. Where nothing can play it, that is said, and no more happens.

    Args:
        path: of any form that `mmdream audio` writes.
        listener: told why nothing is heard.
    """
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

    Args:
        platform: as `sys.platform` names it.
        found: where a program lies; None: nowhere.
    """
    if platform == "win32":
        return [sys.executable, "-c", WINDOWS_PLAYER]
    for name, *options in PLAYERS:
        if place := found(name):
            return [place, *options]
    return None
