"""What is given out to workers, and what is asked of them: the seam between a film and who works on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class ChainLost(Exception):
    """A worker does not hold the chain that it is to go on with: it is to be given it anew."""


class WrongResult(Exception):
    """A result that is not what was asked for: whoever gave it is not asked again."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a worker is to do: a function of a module, which the engine names, and what it is given."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class TaskChain(Protocol):
    """Tasks that follow one another, each behind what the one before left at its worker."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def size(self) -> float:
        """Work in it; of equally urgent ones the largest is begun first."""

    @property
    def urgent(self) -> bool:
        """Whether it goes before others."""

    @property
    def tasks(self) -> int:
        """How many."""

    def call(self, task: int, fresh: bool) -> Call:
        """What a task is; `fresh`: the worker does not hold the chain."""

    def accept(self, task: int, result: Any, first: int, seconds: float) -> int:
        """Keep a task's result; how much of the work it was. `WrongResult`: it is not what was asked for.

        Its worker was given the chain at most `seconds` ago, from the task `first` on.
        """


class Workers(Protocol):
    """What is asked of a worker before it works."""

    @property
    def admission(self) -> Call:
        """What a new worker does first."""

    def judge(self, name: str, answer: Any) -> str | None:
        """Why a worker that gave this answer is refused; None: it is not."""
