"""Typed events of a run, and the sink that hands each of them to every listener."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """A line of the plan."""

    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something is not as the user may expect; the run goes on."""

    text: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What a video's picture will take: of all its frames some are done, the rest takes so many seconds."""

    frames: int
    done: int
    size: tuple[int, int]
    """Width, height that are dreamed, px."""
    networks: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one kind of work is."""

    medium: str
    """"picture" in frames, "sound" and "styling" in seconds, "still" in octaves, "painting" in steps on the
    whole image, "gallery" in tiles, "channels" in dreams, "download" and "unpacking" in megabytes, "training"
    in steps, "sorting", "checking", "hearing", "looking", "features" and "testing" in files."""
    done: float
    total: float


@dataclass(frozen=True, slots=True)
class RemainingTime:
    """How long the whole video still takes."""

    seconds: float


@dataclass(frozen=True, slots=True)
class FrameRendered:
    """A finished frame of a video."""

    source: Any
    """float32 [H, W, 3], 0..1, as the dream."""
    dream: Any
    seconds: float
    """Of the source."""
    settings: Any
    """`FrameSettings` of the first pass."""
    index: int
    """From 0."""
    total: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A run's figures, as plain JSON."""

    report: Mapping[str, Any]


Event = Message | Warned | Planned | Progress | RemainingTime | FrameRendered | Finished
EventListener = Callable[[Event], None]

EVENTS: dict[str, type] = {
    "say": Message,
    "warn": Warned,
    "plan": Planned,
    "progress": Progress,
    "left": RemainingTime,
    "frame": FrameRendered,
    "finish": Finished,
}
"""What the kinds of events are called where `EventSink` is given a function for one of them, and in files."""


class EventSink:
    """Hands each event to every listener, in the thread that it comes from; without one, nobody is told.

    A callback is called with the fields of one kind of `EVENTS`: ``EventSink(warn=print)``.
    """

    def __init__(self, *listeners: EventListener, **callbacks: Callable[..., Any]) -> None:
        adapters = [_call_with_fields(EVENTS[name], call) for name, call in callbacks.items()]
        self._listeners = (*listeners, *adapters)

    def emit(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self._listeners:
            listener(event)

    def redirect(self, **callbacks: Callable[..., Any]) -> EventSink:
        """A sink that calls these functions, see `EVENTS`, in place of this one's listeners."""
        kinds = tuple(EVENTS[name] for name in callbacks)
        return EventSink(lambda event: None if isinstance(event, kinds) else self.emit(event), **callbacks)

    def say(self, text: str) -> None:
        """Emit a `Message`."""
        self.emit(Message(text))

    def warn(self, text: str) -> None:
        """Emit a `Warned`."""
        self.emit(Warned(text))

    def progress(self, medium: str, done: float, total: float) -> None:
        """Emit a `Progress`."""
        self.emit(Progress(medium, done, total))


def _call_with_fields(kind: type, call: Callable[..., Any]) -> EventListener:
    names = [each.name for each in fields(kind)]

    def listen(event: Event) -> None:
        if isinstance(event, kind):
            call(*(getattr(event, name) for name in names))

    return listen
