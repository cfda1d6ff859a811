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

from mmdream.errors import UserError
from mmdream.jobs.durable import write
from mmdream.networks.card import NetworkCard
from mmdream.networks.origins import TrainedWeights
from mmdream.networks.places import CARD_FILE
from mmdream.networks.written import card_to_toml
from mmdream.training.lesson import Lesson
from mmdream.training.sounds import Sounds, events
from mmdream.training.task import Task

if TYPE_CHECKING:
    from mmdream.networks.framework import keras
    from mmdream.training.figures import Figures

WEIGHTS, REPORT, CURVES, CONFUSION = "weights.npz", "report.json", "curves.png", "confusion.png"


@dataclass(frozen=True)
class Report:
    """What a training came to."""

    name: str
    medium: str
    folder: Path
    figures: Figures
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


def finished(
    task: Task,
    card: NetworkCard,
    net: keras.Model,
    lesson: Lesson,
    longest: float,
    rounds: Sequence[dict[str, float]],
    work: Path,
    seconds: float,
    tell: Callable[[int, int], None],
) -> Report:
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
    from mmdream.training import plots
    from mmdream.training.course import BOARD
    from mmdream.training.figures import measured

    result = work / "result"
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir()
    digest = _weighed(net, result / WEIGHTS)
    card = replace(_described(task, card, net, lesson), weights=TrainedWeights(WEIGHTS, digest), home=result)
    figures = measured(load_network(card), lesson, task.parts.tested, task.settings.batch, longest / 2, tell)
    write(result / CARD_FILE, card_to_toml(replace(card, facts=card.facts | figures.facts())).encode())
    report = Report(card.name, card.medium, task.folder, figures, seconds)
    told = {**report.as_json(), "command": task.command, "rounds": list(rounds)}
    write(result / REPORT, json.dumps(told, indent=1, ensure_ascii=False).encode())
    plots.confusion(figures, result / CONFUSION)
    if rounds:
        plots.curves(rounds, result / CURVES)
        shutil.copytree(work / BOARD, result / BOARD)
    name_result(result, task.folder, task.overwrite)
    return report


def _weighed(net: keras.Model, path: Path) -> str:
    """Write a network's weights; their SHA-256."""
    from mmdream.networks.network import variables_by_name

    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: variable.numpy() for name, variable in variables_by_name(net).items()}
    np.savez(buffer, **arrays)
    write(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def name_result(result: Path, folder: Path, overwrite: bool) -> None:
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


def _described(task: Task, card: NetworkCard, net: keras.Model, lesson: Lesson) -> NetworkCard:
    """The card with all that is to be said of the network but its figures."""
    from mmdream.networks.network import layers_by_name

    settings, parent, of = task.settings, task.parent, task.of
    terms = of.about.licence if of.about else "yours to know"
    credit = of.about.citation if of.about else f"{of.name}: yours to give."
    still = {name for name, layer in layers_by_name(net).items() if not layer.trainable}
    motifs = {name: meant for name, meant in parent.motifs.items() if meant.partition(":")[0] in still}
    begun = "its form, with fresh weights" if settings.from_scratch else settings.weights or "its own weights"
    kept = f"fold {settings.fold}" if settings.fold else f"kept apart by {of.split}"
    facts: dict[str, str | float] = {
        "from": f"{settings.net}, {begun}",
        "data": f"{of.name}, {len(of.classes)} classes: {len(lesson.taught)} files to learn from, "
        f"{len(lesson.tried)} to stop by; tested on {len(task.parts.tested)} others ({kept})",
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
        events=events(lesson.material, lesson.taught)
        if parent.events and isinstance(lesson.material, Sounds)
        else (),
        motifs=motifs,
        facts=facts,
    )
