"""A network that was taught, in its folder: weights, card, and the report of what it can do."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.files import write_atomically
from mmdream.networks.card import NetworkCard, TrainedWeights
from mmdream.networks.registry import CARD_FILE, card_to_toml
from mmdream.training.audio_data import AudioInputs, find_event_classes
from mmdream.training.data import TrainingData
from mmdream.training.task import TrainingTask

if TYPE_CHECKING:
    from mmdream.networks.framework import keras
    from mmdream.training.evaluate import Evaluation

WEIGHTS_FILE, REPORT_FILE, CURVES_FILE, CONFUSION_FILE = (
    "weights.npz",
    "report.json",
    "curves.png",
    "confusion.png",
)


@dataclass(frozen=True)
class TrainingReport:
    """What a training came to."""

    name: str
    medium: str
    folder: Path
    figures: Evaluation
    seconds: float
    """Of this run."""

    def lines(self) -> list[str]:
        """For people."""
        told = self.figures
        tested = int(told.confusion.sum())
        every = zip(told.classes, told.recalls, strict=True)
        hardest = sorted((share, name) for name, share in every if share is not None)[:3]
        example, option = (
            ("image IN.jpg", "--net") if self.medium == "picture" else ("audio IN.wav", "--sound-net")
        )
        return [
            f"{self.name}: {told.accuracy:.1%} of {tested} files that were kept from it told right "
            f"(always the commonest class: {told.baseline:.1%}); under attack {told.attacked:.1%}",
            f"  hardest: {', '.join(f'{name} {share:.0%}' for share, name in hardest)}",
            f"  network and report: {self.folder}",
            f"  dream with it: mmdream {example} --net {self.name}, or for a film {option} {self.name}",
            f"  {self.seconds:.0f} s of work",
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "medium": self.medium,
            "folder": str(self.folder),
            "seconds": round(self.seconds, 1),
            **self.figures.as_json(),
        }


def export_network(
    task: TrainingTask,
    card: NetworkCard,
    net: keras.Model,
    lesson: TrainingData,
    longest: float,
    rounds: Sequence[dict[str, float]],
    work: Path,
    seconds: float,
    tell: Callable[[int, int], None],
) -> TrainingReport:
    """Write a network, load it as a dream does, test it, and give its folder its name.

    Args:
        task: how it was taught.
        card: of the network, as far as its graph goes.
        net: the whole of its graph.
        lesson: what it was taught on.
        longest: attack that it was, or would have been, taught under.
        rounds: a row of figures each.
        work: where all is written before it has its name.
        seconds: that it took.
        tell: takes the number of files that are tested, and of all; may raise `Interrupted`.
    """
    from mmdream.networks.network import load_network
    from mmdream.training import evaluate
    from mmdream.training.evaluate import evaluate_network
    from mmdream.training.fit import TENSORBOARD_FOLDER

    result = work / "result"
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir()
    digest = _write_weights(net, result / WEIGHTS_FILE)
    card = replace(
        _describe_network(task, card, net, lesson), weights=TrainedWeights(WEIGHTS_FILE, digest), home=result
    )
    figures = evaluate_network(
        load_network(card), lesson, task.parts.test, task.settings.batch, longest / 2, tell
    )
    write_atomically(
        result / CARD_FILE, card_to_toml(replace(card, facts=card.facts | figures.facts())).encode()
    )
    report = TrainingReport(card.name, card.medium, task.folder, figures, seconds)
    told = {**report.as_json(), "command": task.command, "rounds": list(rounds)}
    write_atomically(result / REPORT_FILE, json.dumps(told, indent=1, ensure_ascii=False).encode())
    evaluate.plot_confusion(figures, result / CONFUSION_FILE)
    if rounds:
        evaluate.plot_curves(rounds, result / CURVES_FILE)
        shutil.copytree(work / TENSORBOARD_FOLDER, result / TENSORBOARD_FOLDER)
    move_into_place(result, task.folder, task.overwrite)
    return report


def _write_weights(net: keras.Model, path: Path) -> str:
    """Write a network's weights; their SHA-256."""
    from mmdream.networks.network import variables_by_name

    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: variable.numpy() for name, variable in variables_by_name(net).items()}
    np.savez(buffer, **arrays)
    write_atomically(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def move_into_place(result: Path, folder: Path, overwrite: bool) -> None:
    """Give a finished network's folder its name, in place of an older one's if that is wanted.

    Raises:
        UserError: the name is taken by now; the network has a free one like it.
    """
    if overwrite and folder.exists():
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
        os.replace(result, folder)
        shutil.rmtree(old, ignore_errors=True)
        return
    for name in (folder, *(folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000))):
        try:
            os.rename(result, name)  # Replaces nothing but an empty folder.
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            continue
        if name != folder:
            raise UserError(
                f"{folder.name}: has appeared since the training began, and is not replaced; "
                f"the network is called {name.name}"
            )
        return


def _describe_network(
    task: TrainingTask, card: NetworkCard, net: keras.Model, lesson: TrainingData
) -> NetworkCard:
    """The card with all that is to be said of the network but its figures."""
    from mmdream.networks.network import layers_by_name

    settings, parent, of = task.settings, task.parent, task.of
    terms = of.info.licence if of.info else "yours to know"
    credit = of.info.citation if of.info else f"{of.name}: yours to give."
    still = {name for name, layer in layers_by_name(net).items() if not layer.trainable}
    motifs = {name: meant for name, meant in parent.motifs.items() if meant.partition(":")[0] in still}
    begun = "its form, with fresh weights" if settings.from_scratch else settings.weights or "its own weights"
    kept = f"fold {settings.fold}" if settings.fold else f"kept apart by {of.split}"
    facts: dict[str, str | float] = {
        "from": f"{settings.net}, {begun}",
        "data": f"{of.name}, {len(of.classes)} classes: {len(lesson.train)} files to learn from, "
        f"{len(lesson.validation)} to stop by; tested on {len(task.parts.test)} others ({kept})",
        "data_terms": terms,
        "robust": "yes, taught against small attacks" if settings.robust else "no",
        "command": task.command,
    }
    how = "taught from fresh weights" if settings.from_scratch else "retrained"
    return replace(
        card,
        about=f"{settings.net}, {how} on {of.name}: {len(of.classes)} classes.",
        licence=f"{parent.licence}; {how} on {of.name}: {terms}",
        source=f"mmdream train {settings.medium}",
        credits=f"{parent.credits} Data: {credit}",
        events=find_event_classes(lesson.inputs, lesson.train)
        if parent.events and isinstance(lesson.inputs, AudioInputs)
        else (),
        motifs=motifs,
        facts=facts,
    )
