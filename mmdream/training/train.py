"""Retrains a network on a folder of classes: its head, then its upper layers; tests and keeps it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdream.core.errors import Interrupted, UserError
from mmdream.core.events import EventSink
from mmdream.core.files import atomic_file, hash_file, write_atomically
from mmdream.core.threads import run_interruptible
from mmdream.networks.card import AudioInput, NetworkCard, TrainedWeights
from mmdream.networks.registry import CARD_FILE, card_to_toml
from mmdream.settings.training import TrainingSettings
from mmdream.training.attacks import MAX_ATTACK, Attack
from mmdream.training.audio_data import AudioInputs, find_event_classes, load_audio_inputs
from mmdream.training.data import TrainingData, TrainingInputs, compute_class_weights, load_image_inputs
from mmdream.training.task import TrainingTask, describe_task, make_task, open_workdir

if TYPE_CHECKING:
    from mmdream.networks.framework import keras
    from mmdream.training.evaluate import Evaluation

TRAINING_DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "mixed_float16": "mixed_float16"}
"""Keras's dtype policy to train with, by that to dream with: weights stay float32."""
WEIGHTS_FILE, REPORT_FILE = "weights.npz", "report.json"
CURVES_FILE, CONFUSION_FILE = "curves.png", "confusion.png"


@dataclass(frozen=True)
class TrainingReport:
    """What a training came to."""

    name: str
    medium: str
    folder: Path
    evaluation: Evaluation
    seconds: float

    def lines(self) -> list[str]:
        """For people."""
        result, is_image = self.evaluation, self.medium == "picture"
        recalls = zip(result.recalls, result.classes, strict=True)
        hardest = sorted((recall, name) for recall, name in recalls if recall is not None)[:3]
        command, option = ("image IN.jpg", "--net") if is_image else ("audio IN.wav", "--sound-net")
        return [
            f"{self.name}: {result.accuracy:.1%} of {int(result.confusion.sum())} files "
            f"that were kept from it told right (always the commonest class: {result.baseline:.1%}); "
            f"under attack {result.attacked_accuracy:.1%}",
            f"  hardest: {', '.join(f'{name} {recall:.0%}' for recall, name in hardest)}",
            f"  network and report: {self.folder}",
            f"  dream with it: mmdream {command} --net {self.name}, or for a film {option} {self.name}",
            f"  {self.seconds:.0f} s of work",
        ]

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the report."""
        return {
            "name": self.name,
            "medium": self.medium,
            "folder": str(self.folder),
            "seconds": round(self.seconds, 1),
            **self.evaluation.as_json(),
        }


def train_network(
    settings: TrainingSettings, overwrite: bool = False, listener: EventSink | None = None
) -> TrainingReport:
    """Retrain a network, test it, and keep it in the user's folder of networks, or go on where it stopped.

    With `overwrite` a network of this name is replaced, and a half done training begun anew.

    Raises:
        UserError: one line that says what is wrong; nothing is left behind.
        Stopped: Ctrl-C, within about a second; finished rounds are kept.
    """
    task = make_task(settings, overwrite)

    def work(stop: threading.Event) -> TrainingReport:
        # In here: who waits for the work may leave before it ends.
        with open_workdir(task.folder, describe_task(task), task.overwrite) as folder:
            return _run(_Run(task, folder, listener or EventSink(), stop, time.monotonic()))

    return run_interruptible(work, task.command)


@dataclass(frozen=True)
class _Run:
    """A training while it runs."""

    task: TrainingTask
    folder: Path
    """Its work folder."""
    listener: EventSink
    stop: threading.Event
    began: float

    def progress(self, stage: str) -> Callable[[int, int], None]:
        """Reports (done, total) of a stage; raises `Interrupted` when it is time to stop."""

        def report(done: int, total: int) -> None:
            if self.stop.is_set():
                raise Interrupted
            self.listener.progress(stage, done, total)

        return report


def _run(run: _Run) -> TrainingReport:
    """Load the data, fit the head, fit the upper layers, export."""
    # After everything that can be checked is checked: this brings TensorFlow in.
    from mmdream.networks.framework import has_gpu
    from mmdream.networks.network import choose_precision
    from mmdream.training import fit
    from mmdream.training import model as models

    task, settings, split = run.task, run.task.settings, run.task.split
    dtype = TRAINING_DTYPES[choose_precision("auto", task.parent, has_gpu)]
    card = models.make_child_card(task.parent, settings.name, task.dataset.classes, settings.side)
    graph = models.build_child_graph(card, task.parent, settings, dtype)
    models.unfreeze_above(graph, card, task.unfrozen)
    net = models.make_logits_model(graph, card)
    run.listener.say(
        f"{settings.net} on {task.dataset.name}, {len(card.classes)} classes: {len(split.train)} files to "
        f"learn from, {len(split.validation)} to stop by, {len(split.test)} to test on; {dtype}"
    )
    inputs: TrainingInputs
    if isinstance(card.input, AudioInput):
        progress, seconds = run.progress("hearing"), settings.seconds
        inputs = load_audio_inputs(task.dataset, card.input, seconds, run.folder, progress)
    else:
        inputs = load_image_inputs(task.dataset, settings.side, run.folder, run.progress("looking"))
    class_weights = compute_class_weights(split.train, len(card.classes))
    epsilon = MAX_ATTACK[settings.medium] * inputs.attack_unit(split.train)
    data = TrainingData(inputs, split, class_weights, epsilon)
    if settings.from_scratch:
        first_batch = inputs.plain_batch(inputs.group_batches(split.train[:32], 32)[0])
        models.scale_initial_weights(net, card.input, first_batch)
    else:
        model, progress = models.TrainableModel(net, card.input), run.progress("features")
        fit.fit_head(model, data, settings, run.folder / "head.npz", progress)
    rounds: list[dict[str, float]] = []
    if task.unfrozen:
        schedule = fit.make_fit_schedule(task, len(split.train), dtype == "mixed_float16")
        attack = Attack(epsilon, schedule.total_steps, settings.seed) if settings.robust else None
        model, progress = models.TrainableModel(net, card.input, attack), run.progress("training")
        rounds = fit.fit_model(model, data, schedule, run.folder, run.listener.say, progress)
    card = _describe_network(task, card, graph, data)
    return _keep_network(run, card, graph, data, rounds)


def _describe_network(
    task: TrainingTask, card: NetworkCard, graph: keras.Model, data: TrainingData
) -> NetworkCard:
    """The card with all that is to be said of the network but its weights and figures."""
    from mmdream.networks.network import layers_by_name

    settings, parent, dataset, split = task.settings, task.parent, task.dataset, task.split
    terms = dataset.info.licence if dataset.info else "yours to know"
    credit = dataset.info.citation if dataset.info else f"{dataset.name}: yours to give."
    frozen = {name for name, layer in layers_by_name(graph).items() if not layer.trainable}
    start = "its form, with fresh weights" if settings.from_scratch else settings.weights or "its own weights"
    kept = f"fold {settings.fold}" if settings.fold else f"kept apart by {dataset.split}"
    how = "taught from fresh weights" if settings.from_scratch else "retrained"
    has_events = parent.events and isinstance(data.inputs, AudioInputs)
    motifs = {name: term for name, term in parent.motifs.items() if term.partition(":")[0] in frozen}
    return replace(
        card,
        about=f"{settings.net}, {how} on {dataset.name}: {len(dataset.classes)} classes.",
        licence=f"{parent.licence}; {how} on {dataset.name}: {terms}",
        source=f"mmdream train {settings.medium}",
        credits=f"{parent.credits} Data: {credit}",
        events=find_event_classes(data.inputs, data.split.train) if has_events else (),  # type: ignore[arg-type]
        # Motifs of layers that have changed are true no more.
        motifs=motifs,
        hints={name: hint for name, hint in parent.hints.items() if name in motifs},
        facts={
            "from": f"{settings.net}, {start}",
            "data": f"{dataset.name}, {len(dataset.classes)} classes: {len(split.train)} files to learn "
            f"from, {len(split.validation)} to stop by; tested on {len(split.test)} others ({kept})",
            "data_terms": terms,
            "robust": "yes, taught against small attacks" if settings.robust else "no",
            "command": task.command,
        },
    )


def _keep_network(
    run: _Run, card: NetworkCard, graph: keras.Model, data: TrainingData, rounds: list[dict[str, float]]
) -> TrainingReport:
    """Write weights and card, test what a dream will load of them, and give the folder its name."""
    from mmdream.networks.network import load_network, variables_by_name
    from mmdream.training.evaluate import evaluate_network, plot_confusion, plot_curves
    from mmdream.training.fit import TENSORBOARD_FOLDER

    result, task = run.folder / "result", run.task
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir()
    arrays: dict[str, Any] = {name: variable.numpy() for name, variable in variables_by_name(graph).items()}
    with atomic_file(result / WEIGHTS_FILE) as draft, open(draft, "wb") as file:
        np.savez(file, **arrays)
    weights = TrainedWeights(WEIGHTS_FILE, hash_file(result / WEIGHTS_FILE))
    card = replace(card, weights=weights, home=result)
    network = load_network(card)
    evaluation = evaluate_network(network, data, task.settings.batch, run.progress("testing"))
    card = replace(card, facts=card.facts | evaluation.facts())
    write_atomically(result / CARD_FILE, card_to_toml(card).encode())
    report = TrainingReport(card.name, card.medium, task.folder, evaluation, time.monotonic() - run.began)
    values = {**report.as_json(), "command": task.command, "rounds": rounds}
    write_atomically(result / REPORT_FILE, json.dumps(values, indent=1, ensure_ascii=False).encode())
    plot_confusion(evaluation, result / CONFUSION_FILE)
    if rounds:
        plot_curves(rounds, result / CURVES_FILE)
        shutil.copytree(run.folder / TENSORBOARD_FOLDER, result / TENSORBOARD_FOLDER)
    move_network_into_place(result, task.folder, task.overwrite)
    return report


def move_network_into_place(result: Path, folder: Path, overwrite: bool) -> None:
    """Give a finished network's folder its name; if that is taken by now, a UserError tells its free one."""
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
