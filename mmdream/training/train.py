"""A network retrained on a folder of classes: its head, then its upper blocks; tested, and kept by name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream.core.errors import Interrupted, UserError
from mmdream.core.events import EventSink
from mmdream.core.files import atomic_file
from mmdream.core.threads import run_interruptible
from mmdream.networks.card import AudioInput
from mmdream.networks.weights import read_arrays
from mmdream.training.data import TrainingData, TrainingInputs, compute_class_weights
from mmdream.training.export import TrainingReport, export_network
from mmdream.training.task import TrainingSettings, TrainingTask, make_task
from mmdream.training.workdir import open_workdir

if TYPE_CHECKING:
    from mmdream.networks.framework import keras
    from mmdream.training.fit import FitSchedule
    from mmdream.training.model import TrainableModel

MAX_ATTACK = {"picture": 1.5, "sound": 0.25}
"""Longest attack, in the material's unit: over a picture of 160 px; deviations of what is heard, with melnet
about 1 neper of power."""
TRAINING_DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "mixed_float16": "mixed_float16"}
"""The number format to be taught in, by that to dream in: weights stay float32."""

StepCallback = Callable[[int, int], None]


def train_network(
    settings: TrainingSettings, overwrite: bool = False, listener: EventSink | None = None
) -> TrainingReport:
    """Retrain a network, test it, and keep it in the user's folder of networks.

    The same call goes on with a training that was stopped.

    Args:
        settings: which network on what, and how.
        overwrite: whether a network of this name may be replaced, or a half done training begun anew.
        listener: told about plan and progress.

    Returns:
        What was done.

    Raises:
        UserError: one line that says what is wrong; nothing is left behind.
        Stopped: Ctrl-C, at most about a second after it; finished rounds are kept. The work may still be at
            its last step then, and keeps others out of its folder until it is done.
    """
    about, told = make_task(settings, overwrite), listener or EventSink()

    def work(stop: threading.Event) -> TrainingReport:
        # In here: who waits for the work may leave before it ends.
        with open_workdir(about, overwrite) as folder:
            return _run_training(about, folder, told, stop)

    return run_interruptible(work, about.command)


def _run_training(
    about: TrainingTask, work: Path, listener: EventSink, stop: threading.Event
) -> TrainingReport:
    """The work itself."""
    # After everything that can be checked is checked: this brings TensorFlow in.
    from mmdream.networks.framework import has_gpu
    from mmdream.networks.network import choose_precision
    from mmdream.training import model as pupils
    from mmdream.training.fit import make_fit_schedule

    def telling(what: str) -> StepCallback:
        def tell(done: int, total: int) -> None:
            if stop.is_set():
                raise Interrupted
            listener.progress(what, done, total)

        return tell

    began, settings, examples = time.monotonic(), about.settings, about.parts
    dtype = TRAINING_DTYPES[choose_precision("auto", about.parent, has_gpu)]
    card = pupils.make_child_card(about.parent, settings.name, about.of.classes, settings.side)
    graph = pupils.build_child_graph(card, about.parent, settings, dtype)
    pupils.unfreeze_above(graph, card, about.upper)
    net = pupils.make_logits_model(graph, card)
    listener.say(
        f"{settings.net} on {about.of.name}, {len(card.classes)} classes: {len(examples.train)} files to "
        f"learn from, {len(examples.validation)} to stop by, {len(examples.test)} to test on; {dtype}"
    )
    material = _load_inputs(about, work, telling("hearing" if settings.medium == "sound" else "looking"))
    weights = compute_class_weights(examples.train, len(card.classes))
    lesson = TrainingData(material, examples.train, examples.validation, weights)
    longest = MAX_ATTACK[settings.medium] * material.unit(lesson.train)
    if settings.from_scratch:
        pupils.scale_initial_weights(
            net, card.input, material.plain(material.alike(lesson.train[:32], 32)[0])
        )
    else:
        _fit_head(pupils.TrainableModel(net, card.input), lesson, settings, work, telling("features"))
    course = make_fit_schedule(about, len(lesson.train), dtype == "mixed_float16")
    rounds = _fit_upper_layers(about, net, lesson, course, longest, work, listener, telling("training"))
    return export_network(
        about, card, graph, lesson, longest, rounds, work, time.monotonic() - began, telling("testing")
    )


def _load_inputs(about: TrainingTask, work: Path, tell: StepCallback) -> TrainingInputs:
    """The set's pictures or sounds, as the network is fed."""
    front = about.parent.input
    if isinstance(front, AudioInput):
        from mmdream.training.audio_data import load_audio_inputs

        return load_audio_inputs(about.of, front, about.settings.seconds, work, tell)
    from mmdream.training.data import load_image_inputs

    return load_image_inputs(about.of, about.settings.side, work, tell)


def _fit_head(
    pupil: TrainableModel, lesson: TrainingData, settings: TrainingSettings, work: Path, tell: StepCallback
) -> None:
    """Teach the head, or take the one that was taught before the training was stopped."""
    from mmdream.training.head import fit_head
    from mmdream.training.model import find_head

    path, head = work / "head.npz", find_head(pupil.net)
    # What was damaged since is taught again.
    with suppress(UserError, KeyError, ValueError):
        found = read_arrays(path)
        kernel, bias = found["kernel"], found["bias"]
        head.kernel.assign(kernel)
        head.bias.assign(bias)
        return
    fit_head(pupil, lesson, settings.batch, settings.seed, tell)
    with atomic_file(path) as draft, open(draft, "wb") as file:
        np.savez(file, kernel=head.kernel.numpy(), bias=head.bias.numpy())


def _fit_upper_layers(
    about: TrainingTask,
    net: keras.Model,
    lesson: TrainingData,
    course: FitSchedule,
    longest: float,
    work: Path,
    listener: EventSink,
    tell: StepCallback,
) -> list[dict[str, float]]:
    """Teach what of a network may change beside its head; a row for each round."""
    from mmdream.training.fit import fit_model
    from mmdream.training.model import Attack, TrainableModel

    if about.upper == 0:
        return []
    attack = Attack(longest, course.total, about.settings.seed) if about.settings.robust else None

    tried = ", under attack," if attack is not None else ""

    def round_told(row: dict[str, float]) -> None:
        listener.say(
            f"round {int(row['epoch']) + 1} of {course.rounds}: loss {row['loss']:.3f}, "
            f"{row['accuracy']:.1%} right; of those kept to stop by{tried} "
            f"{row['val_accuracy']:.1%}, loss {row['val_loss']:.3f}"
        )

    pupil = TrainableModel(net, about.parent.input, attack)
    return fit_model(pupil, lesson, course, work, round_told, lambda step: tell(step, course.total))
