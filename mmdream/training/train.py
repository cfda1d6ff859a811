"""A network retrained on a folder of classes: its head, then its upper blocks; tested, and kept by name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream.errors import Interrupted, UserError
from mmdream.jobs.attended import attended
from mmdream.jobs.durable import whole
from mmdream.listen import Listener
from mmdream.networks.card import AudioInput
from mmdream.networks.weights import read_arrays
from mmdream.training.finished import Report, finished
from mmdream.training.lesson import Lesson, Material, class_weights
from mmdream.training.settings import Settings
from mmdream.training.task import Task, task
from mmdream.training.working import working

if TYPE_CHECKING:
    from mmdream.networks.framework import keras
    from mmdream.training.course import Course
    from mmdream.training.pupil import Pupil

ATTACK = {"picture": 1.5, "sound": 0.25}
"""Longest attack, in the material's unit: over a picture of 160 px; deviations of what is heard, with melnet
about 1 neper of power."""
TRAINABLE = {"float32": "float32", "bfloat16": "mixed_bfloat16", "mixed_float16": "mixed_float16"}
"""The number format to be taught in, by that to dream in: weights stay float32."""

Tell = Callable[[int, int], None]


def train(settings: Settings, overwrite: bool = False, listener: Listener | None = None) -> Report:
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
    about, told = task(settings, overwrite), listener or Listener()

    def work(stop: threading.Event) -> Report:
        # In here: who waits for the work may leave before it ends.
        with working(about, overwrite) as folder:
            return _trained(about, folder, told, stop)

    return attended(work, about.command)


def _trained(about: Task, work: Path, listener: Listener, stop: threading.Event) -> Report:
    """The work itself."""
    # After everything that can be checked is checked: this brings TensorFlow in.
    from mmdream.networks.framework import has_gpu
    from mmdream.networks.network import choose_precision
    from mmdream.training import pupil as pupils
    from mmdream.training.course import planned

    def telling(what: str) -> Tell:
        def tell(done: int, total: int) -> None:
            if stop.is_set():
                raise Interrupted
            listener.progress(what, done, total)

        return tell

    began, settings, examples = time.monotonic(), about.settings, about.parts
    dtype = TRAINABLE[choose_precision("auto", about.parent, has_gpu)]
    card = pupils.child(about.parent, settings.name, about.of.classes, settings.side)
    graph = pupils.prepared(card, about.parent, settings, dtype)
    pupils.free_above(graph, card, about.upper)
    net = pupils.to_logits(graph, card)
    listener.say(
        f"{settings.net} on {about.of.name}, {len(card.classes)} classes: {len(examples.taught)} files to "
        f"learn from, {len(examples.tried)} to stop by, {len(examples.tested)} to test on; {dtype}"
    )
    material = _material(about, work, telling("hearing" if settings.medium == "sound" else "looking"))
    weights = class_weights(examples.taught, len(card.classes))
    lesson = Lesson(material, examples.taught, examples.tried, weights)
    longest = ATTACK[settings.medium] * material.unit(lesson.taught)
    if settings.from_scratch:
        pupils.settled(net, card.input, material.plain(material.alike(lesson.taught[:32], 32)[0]))
    else:
        _head(pupils.Pupil(net, card.input), lesson, settings, work, telling("features"))
    course = planned(about, len(lesson.taught), dtype == "mixed_float16")
    rounds = _upper(about, net, lesson, course, longest, work, listener, telling("training"))
    return finished(
        about, card, graph, lesson, longest, rounds, work, time.monotonic() - began, telling("testing")
    )


def _material(about: Task, work: Path, tell: Tell) -> Material:
    """The set's pictures or sounds, as the network is fed."""
    front = about.parent.input
    if isinstance(front, AudioInput):
        from mmdream.training.sounds import hear

        return hear(about.of, front, about.settings.seconds, work, tell)
    from mmdream.training.pictures import see

    return see(about.of, about.settings.side, work, tell)


def _head(pupil: Pupil, lesson: Lesson, settings: Settings, work: Path, tell: Tell) -> None:
    """Teach the head, or take the one that was taught before the training was stopped."""
    from mmdream.training.head import teach_head
    from mmdream.training.pupil import head_of

    path, head = work / "head.npz", head_of(pupil.net)
    # What was damaged since is taught again.
    with suppress(UserError, KeyError, ValueError):
        found = read_arrays(path)
        kernel, bias = found["kernel"], found["bias"]
        head.kernel.assign(kernel)
        head.bias.assign(bias)
        return
    teach_head(pupil, lesson, settings.batch, settings.seed, tell)
    with whole(path) as draft, open(draft, "wb") as file:
        np.savez(file, kernel=head.kernel.numpy(), bias=head.bias.numpy())


def _upper(
    about: Task,
    net: keras.Model,
    lesson: Lesson,
    course: Course,
    longest: float,
    work: Path,
    listener: Listener,
    tell: Tell,
) -> list[dict[str, float]]:
    """Teach what of a network may change beside its head; a row for each round."""
    from mmdream.training.course import teach
    from mmdream.training.pupil import Attack, Pupil

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

    pupil = Pupil(net, about.parent.input, attack)
    return teach(pupil, lesson, course, work, round_told, lambda step: tell(step, course.total))
