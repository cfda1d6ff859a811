"""Trains a generator on a folder of classes, measures it, and keeps it beside the trained networks."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from mmdream.core.errors import Interrupted
from mmdream.core.events import EventSink
from mmdream.core.files import atomic_file, hash_file, write_atomically
from mmdream.core.threads import run_interruptible
from mmdream.generators.task import GeneratorTask, make_generator_task
from mmdream.media.image import read_image, write_image
from mmdream.networks.generator_card import (
    GENERATOR_CARD,
    GENERATOR_WEIGHTS,
    GeneratorCard,
    generator_card_to_toml,
)
from mmdream.settings.training import GeneratorSettings
from mmdream.training.task import open_workdir
from mmdream.training.train import REPORT_FILE, move_network_into_place

if TYPE_CHECKING:
    from mmdream.generators.figures import Likeness

SAMPLES, HISTORY, CURVES = "samples.png", "history.png", "curves.png"
SAMPLES_PER_CLASS, MAX_CLASSES_SHOWN = 12, 20
HISTORY_ROWS = 12
"""Rounds that are shown, evenly spaced."""


@dataclass(frozen=True)
class GeneratorReport:
    """What a training came to."""

    name: str
    folder: Path
    medium: str
    classes: tuple[str, ...]
    likeness: Likeness
    seconds: float

    def lines(self) -> list[str]:
        """For people."""
        likeness = self.likeness
        command, length = {"picture": ("image", "--size 640x360"), "sound": ("audio", "--seconds 10")}[
            self.medium
        ]
        return [
            f"{self.name}: distance {likeness.distance:.1f} from real {self.medium}s, precision "
            f"{likeness.precision:.2f}, recall {likeness.recall:.2f}",
            f"  generator, samples and report: {self.folder}",
            f'  dream of it: mmdream {command} --from generator:{self.name} --target "{self.classes[0]}" '
            f"{length}",
            f"  {self.seconds:.0f} s of work",
        ]

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the report."""
        values = {"name": self.name, "folder": str(self.folder), "seconds": round(self.seconds, 1)}
        return {**values, "classes": list(self.classes), **asdict(self.likeness)}


def train_generator(
    settings: GeneratorSettings, overwrite: bool = False, listener: EventSink | None = None
) -> GeneratorReport:
    """Train a generator, measure it, and keep it, or go on where the training stopped.

    With `overwrite` a generator of this name is replaced, and a half done training begun anew.

    Raises:
        UserError: one line that says what is wrong; nothing is left behind.
        Stopped: Ctrl-C, within about a second; finished rounds are kept.
    """
    task, began = make_generator_task(settings, overwrite), time.monotonic()

    def work(stop: threading.Event) -> GeneratorReport:
        with open_workdir(task.folder, task.describe(), overwrite) as folder:
            return _run(task, folder, listener or EventSink(), stop, began)

    return run_interruptible(work, task.command)


def _run(
    task: GeneratorTask, folder: Path, listener: EventSink, stop: threading.Event, began: float
) -> GeneratorReport:
    # After everything that can be checked is checked: these bring TensorFlow in.
    from mmdream.generators.fit import SHEETS, fit_generator, make_samples
    from mmdream.generators.forms import draw_examples, load_real
    from mmdream.networks.network import variables_by_name

    def progress(stage: str, done: int, total: int) -> None:
        if stop.is_set():
            raise Interrupted
        listener.progress(stage, done, total)

    settings, classes = task.settings, task.dataset.classes
    real = load_real(task, lambda done, total: progress("looking", done, total))
    model, likeness, rounds = fit_generator(task, real, folder, listener.say, progress)
    result = folder / "result"
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir()
    arrays: dict[str, Any] = {
        name: each.numpy().astype(np.float16) for name, each in variables_by_name(model).items()
    }
    with atomic_file(result / GENERATOR_WEIGHTS) as draft, open(draft, "wb") as file:
        np.savez_compressed(file, **arrays)
    card = _describe_generator(
        task, likeness, hash_file(result / GENERATOR_WEIGHTS), rounds, len(real.values)
    )
    write_atomically(result / GENERATOR_CARD, generator_card_to_toml(card).encode())
    shown = min(len(classes), MAX_CLASSES_SHOWN)
    made = make_samples(model, SAMPLES_PER_CLASS * len(classes), len(classes), settings.seed)
    samples = draw_examples(task, made)
    columns = [np.concatenate(list(samples[place :: len(classes)]), 1) for place in range(shown)]
    write_image(result / SAMPLES, np.concatenate(columns))
    _write_history(folder / SHEETS, result / HISTORY)
    _plot_curves(rounds, task.dataset.medium, result / CURVES)
    report = GeneratorReport(
        settings.name, task.folder, task.dataset.medium, classes, likeness, time.monotonic() - began
    )
    values = {**report.as_json(), "command": task.command, "rounds": rounds}
    write_atomically(result / REPORT_FILE, json.dumps(values, indent=1, ensure_ascii=False).encode())
    move_network_into_place(result, task.folder, task.overwrite)
    return report


def _describe_generator(
    task: GeneratorTask, likeness: Likeness, digest: str, rounds: Sequence[dict[str, float]], examples: int
) -> GeneratorCard:
    """The card of a generator whose weights are written; `examples` were learned from."""
    settings, dataset, info = task.settings, task.dataset, task.dataset.info
    terms = info.licence if info else f"trained on {dataset.name}, whose terms are yours to know"
    own = {"picture": "pixels", "spectrogram": "levels in bands", "wave": "samples"}[task.form]
    network = own if task.network is None else f"{task.network.card.name}'s features"
    size = {
        "picture": f"{task.side} px",
        "spectrogram": f"as {task.side} bands over time",
        "wave": "as samples",
    }[task.form]
    facts: dict[str, str | int | float] = {
        "data": f"{dataset.name}, {len(dataset.classes)} classes, {examples} {task.examples}",
        "told_apart_by": network,
        "judge": "cepstra" if task.judge is None else task.judge.card.name,
        "distance": round(likeness.distance, 2),
        "precision": round(likeness.precision, 3),
        "recall": round(likeness.recall, 3),
        "rounds": len(rounds),
        "command": task.command,
    }
    return GeneratorCard(
        role="generator",
        classes=dataset.classes,
        side=task.side,
        width=settings.width,
        sha256=digest,
        form=task.form,
        about=f"Makes {dataset.medium}s of {len(dataset.classes)} classes of {dataset.name}, {size}.",
        licence=terms,
        source="mmdream train generator",
        credits=info.citation if info else f"{dataset.name}: yours to give.",
        facts=facts,
        home=task.folder,
    )


def _write_history(sheets: Path, path: Path) -> None:
    """The rows of samples of some rounds, the first one on top."""
    rows = sorted(sheets.glob("*.png"))
    count = min(HISTORY_ROWS, len(rows))
    places = [round(number * (len(rows) - 1) / max(1, count - 1)) for number in range(count)]
    write_image(path, np.concatenate([read_image(rows[place]) for place in places]))


def _plot_curves(rounds: Sequence[dict[str, float]], medium: str, path: Path) -> None:
    """Draw distance, precision and recall, and how often the real one was told, round by round."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    numbers = [row["epoch"] + 1 for row in rounds]
    left, right = figure.subplots(1, 2)
    left.plot(numbers, [row["distance"] for row in rounds])
    left.set(xlabel="round", title=f"distance from real {medium}s", ylim=(0, None))
    for key in ("precision", "recall", "told"):
        right.plot(numbers, [row[key] for row in rounds], label=key)
    right.set(xlabel="round", ylim=(0, 1))
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)
