"""Teaches a dreamer to make a network's dreams in one pass, and keeps it beside the trained networks.

It learns from clips that are dreamed by itself in its present state, for a while by ascent: so it meets what
it will meet in a film, its own dream carried along.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdream.core.errors import Interrupted
from mmdream.core.events import EventSink
from mmdream.core.files import atomic_file, hash_file, write_atomically
from mmdream.core.threads import run_interruptible
from mmdream.networks.dreamer_card import (
    DREAMER_CARD,
    DREAMER_WEIGHTS,
    DreamerCard,
    dreamer_card_to_toml,
)
from mmdream.settings.training import DreamerSettings
from mmdream.training.dreamer_task import TeachingTask, make_teaching_task
from mmdream.training.task import open_workdir
from mmdream.training.train import REPORT_FILE, move_network_into_place

if TYPE_CHECKING:
    from mmdream.training.dreamer_fit import DreamerTrial


@dataclass(frozen=True)
class TeachingReport:
    """What a teaching came to."""

    name: str
    folder: Path
    trial: DreamerTrial
    seconds: float

    def lines(self) -> list[str]:
        """For people."""
        trial = self.trial
        return [
            f"{self.name}: on clips that were kept from it, its dreams add {trial.objective:.0%} of what an "
            f"ascent adds to the objective, at {trial.strength:.0%} of its strength",
            f"  dreamer and report: {self.folder}",
            "  dream with it: mmdream video IN --engine feedforward",
            f"  {self.seconds:.0f} s of work",
        ]

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the report."""
        values = {"name": self.name, "folder": str(self.folder), "seconds": round(self.seconds, 1)}
        return {**values, **asdict(self.trial)}


def train_dreamer(
    settings: DreamerSettings, overwrite: bool = False, listener: EventSink | None = None
) -> TeachingReport:
    """Teach a dreamer, try it, and keep it, or go on where the teaching stopped.

    With `overwrite` a dreamer of the same network and motifs is replaced, and a half done one begun anew.

    Raises:
        UserError: one line that says what is wrong; nothing is left behind.
        Stopped: Ctrl-C, within about a second; finished rounds are kept.
    """
    task, began = make_teaching_task(settings, overwrite), time.monotonic()

    def work(stop: threading.Event) -> TeachingReport:
        with open_workdir(task.folder, task.describe(), overwrite) as folder:
            return _run(task, folder, listener or EventSink(), stop, began)

    return run_interruptible(work, task.command)


def _run(
    task: TeachingTask, folder: Path, listener: EventSink, stop: threading.Event, began: float
) -> TeachingReport:
    # After everything that can be checked is checked: this brings TensorFlow in.
    from mmdream.training.dreamer_fit import fit_dreamer, plot_teaching, try_dreamer

    def progress(stage: str) -> Callable[[int, int], None]:
        def report(done: int, total: int) -> None:
            if stop.is_set():
                raise Interrupted
            listener.progress(stage, done, total)

        return report

    arrays, rounds = fit_dreamer(task, folder, listener, progress("training"))
    result = folder / "result"
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir()
    with atomic_file(result / DREAMER_WEIGHTS) as draft, open(draft, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stub
    card = DreamerCard(
        network=task.card.name,
        network_sha256=hash_file(task.weights),
        layers=task.layers,
        depths=task.depths,
        motifs=task.settings.motifs,
        sha256=hash_file(result / DREAMER_WEIGHTS),
        about=f"Makes {task.card.name}'s dreams in one pass.",
        licence=f"{task.card.licence}; taught on {task.settings.data.name}, whose terms are yours to know",
        credits=task.card.credits,
        home=result,
    )
    trial = try_dreamer(task, card, progress("testing"))
    facts: dict[str, str | int | float] = {
        "data": f"{len(task.learned)} pictures and films, tried on {len(task.held)} others",
        "objective": round(trial.objective, 3),
        "strength": round(trial.strength, 3),
        "command": task.command,
    }
    write_atomically(result / DREAMER_CARD, dreamer_card_to_toml(replace(card, facts=facts)).encode())
    report = TeachingReport(card.network, task.folder, trial, time.monotonic() - began)
    values = {**report.as_json(), "command": task.command, "rounds": rounds}
    write_atomically(result / REPORT_FILE, json.dumps(values, indent=1, ensure_ascii=False).encode())
    plot_teaching(rounds, result / "curves.png")
    move_network_into_place(result, task.folder, task.overwrite)
    return report
