"""The one exception for what a person can put right; everything else keeps its traceback."""

from __future__ import annotations


class UserError(Exception):
    """One line that says what is wrong and what to do.

    Raised anywhere, caught only by the command line, which prints it and exits with status 2.
    """


class Interrupted(Exception):
    """The user wants to stop; whoever works lets go at once and leaves nothing half-written."""
