"""What the dispatcher knows of chains on their way and of the workers that are there."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mmdream.cluster.tasks import TaskChain
from mmdream.core.errors import UserError

if TYPE_CHECKING:
    from distributed import Future


@dataclass(eq=False)
class GivenChain:
    """A chain on its way."""

    chain: TaskChain
    batch: Batch
    accepted: set[int] = field(default_factory=set)
    """Tasks whose results are kept."""
    began: float = 0.0
    """When its worker was given it, as `time.monotonic` gives it."""
    given: int = 0
    """The task that its worker is given next."""
    first: int = 0
    """The task that its worker began with."""
    failures: list[str] = field(default_factory=list)
    failed_by: set[str] = field(default_factory=set)


@dataclass(eq=False)
class Batch:
    """Chains that are waited for together."""

    open: int
    over: threading.Event = field(default_factory=threading.Event)
    errors: list[UserError] = field(default_factory=list)


@dataclass(eq=False)
class Slot:
    """A task that a worker has."""

    run: GivenChain
    task: int
    future: Future


@dataclass(eq=False)
class WorkerState:
    """A worker that is there."""

    address: str
    name: str
    state: str = "asked"
    """asked, admitted, refused."""
    slots: list[Slot] = field(default_factory=list)
    admission: Future | None = None
    """Kept, or the engine would forget it."""
