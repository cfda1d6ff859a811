"""Where a run tells what it is doing; bars and logs are made of it at the edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _ignore(*_: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class EventSink:
    """What a run has to say."""

    say: Callable[[str], None] = _ignore
    """A line of plan."""
    warn: Callable[[str], None] = _ignore
    """Something is not as the user may expect; the run goes on."""
    progress: Callable[[str, float, float], None] = _ignore
    """(what, done, total): "picture" in frames, "sound" and "styling" in seconds, "still" in scales,
    "painting" in steps on the whole picture, "gallery" in tiles, "channels" in dreams, "download" and
    "unpacking" in megabytes, "sorting", "checking", "hearing", "looking", "features" and "testing" in files,
    "training" in steps."""
    left: Callable[[float], None] = _ignore
    """Seconds that the whole film still takes."""
    frame: Callable[..., None] = _ignore
    """A finished frame: (source, dream, seconds, moment, index, total), see `mmdream.views.preview.Preview`."""
