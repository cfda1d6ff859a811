"""The one exception for what a person can put right; everything else keeps its traceback."""

from __future__ import annotations


class UserError(Exception):
    """One line that says what is wrong and what to do.

    Raised anywhere, caught only by the command line, which prints it and exits with status 2.
    """


class NoRoom(UserError):
    """The disk is full; what is being written says which file does not fit."""


class Stopped(KeyboardInterrupt):
    """Ctrl-C, or a polite kill, of work that can go on later; `how` is the command that does it."""

    def __init__(self, how: str) -> None:
        super().__init__(f"stopped; go on with: {how}")
        self.how = how


class Interrupted(Exception):
    """The user wants to stop; whoever works lets go at once and leaves nothing half-written."""
