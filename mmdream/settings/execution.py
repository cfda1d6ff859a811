"""Where the work on a film is done: in how many threads and processes, and on which machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmdream.core.errors import UserError
from mmdream.settings.definition import MACHINES, checked, setting

MAX_WORKERS = 512
"""On one machine; more are a slip of the finger."""


@checked
@dataclass(frozen=True, slots=True)
class Execution:
    """Where a film's work is done. It decides nothing about the film, but for threads, its last bits."""

    threads: int | None = setting(
        None,
        "Threads of a task; a film is gone on with by as many as it began with.",
        MACHINES,
        "N",
        1,
        256,
        default_text="all processors, shared by the workers",
    )
    workers: int | Literal["auto"] | None = setting(
        None,
        "Render in so many processes here, or in as many as are quickest.",
        MACHINES,
        "N|auto",
        takes=f"a number between 1 and {MAX_WORKERS}, or auto",
    )
    cluster: str | None = setting(
        None, "Render on the workers of a `mmdream cluster scheduler`.", MACHINES, "ADDRESS"
    )
    keys: Path | None = setting(
        None, "The folder that `mmdream cluster keys` made, for --cluster.", MACHINES, "FOLDER"
    )
    anyway: bool = setting(
        False, "Where machines or libraries differ too: the dream then differs in its last bits.", MACHINES
    )

    def __post_init__(self) -> None:
        count = self.workers
        if isinstance(count, int) and not 1 <= count <= MAX_WORKERS:
            raise UserError(f"workers is {count}; give a number between 1 and {MAX_WORKERS}, or auto")
        if self.cluster is not None and self.workers is not None:
            raise UserError("--workers are processes here, and --cluster has its own; drop one of them")
        if self.cluster is not None and self.keys is None:
            raise UserError("--cluster needs the keys that its scheduler has: --keys FOLDER")
        if self.keys is not None and self.cluster is None:
            raise UserError("--keys go with --cluster ADDRESS; --workers make their own")

    def options(self) -> str:
        """As options of a command line."""
        import shlex

        given = {"threads": self.threads, "workers": self.workers, "cluster": self.cluster, "keys": self.keys}
        return "".join(
            f" --{name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None
        )


HERE = Execution()
"""In this process, with all its processors."""
