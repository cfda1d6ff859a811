"""A network retrained on a folder of classes: its head, then its upper blocks, then tested, and kept by name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmdream.data.folder import Dataset, dataset
from mmdream.errors import Interrupted, UserError
from mmdream.jobs.attended import attended
from mmdream.listen import Listener
from mmdream.networks.card import Card, SoundInput, card
from mmdream.networks.origins import Inside
from mmdream.networks.places import new_folder
from mmdream.networks.weights import locate
from mmdream.training.keeping import Report, kept, working
from mmdream.training.lesson import Lesson, Material, Parts, class_weights, parts
from mmdream.training.settings import USUAL_RUNGS, Settings

ATTACK = {"picture": 3.0, "sound": 0.25}
"""Length of an attack, in the material's unit: over a picture of 160 px; deviations of what is heard (the
card's melnet: about 1 neper of power)."""
RATES = {"upper": 3e-4, "all": 1e-4, "fresh": 1e-3}
"""Highest learning rate by what is taught."""
TRAINABLE = {"float32": "float32", "bfloat16": "mixed_bfloat16", "mixed_float16": "mixed_float16"}
"""The number format to be taught in by that to dream in: weights stay float32."""


@dataclass(frozen=True)
class Task:
    """All that is known before the work begins."""

    settings: Settings
    of: Dataset
    parts: Parts
    parent: Card
    folder: Path
    """Of the finished network."""


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
        Stopped: Ctrl-C; finished rounds are kept.
    """
    task, told = checked(settings, overwrite), listener or Listener()
    with working(settings, task.of, task.parent, task.folder, overwrite) as work:
        return attended(lambda stop: _taught(task, work, told, stop), again(settings))


def checked(settings: Settings, overwrite: bool) -> Task:
    """Everything that can be wrong, before TensorFlow is brought in.

    Raises:
        UserError: a taken name, no such network, weights or folder, a set of the other medium or too small.
    """
    folder = new_folder(settings.name, overwrite)
    parent = card(settings.net, settings.medium)
    if isinstance(parent.weights, Inside):
        raise UserError(
            f"{settings.net}: a Keras file is trained in Keras; here the networks of `mmdream nets` are"
        )
    of = dataset(settings.data)
    if of.medium != settings.medium:
        raise UserError(
            f"{settings.data}: is a {of.medium} set; use `mmdream train {of.medium}`, or give {settings.medium}s"
        )
    divided = parts(of, settings.fold, settings.seed)
    if not settings.from_scratch:
        locate(parent, settings.weights)
    return Task(settings, of, divided, parent, folder)


def again(settings: Settings) -> str:
    """The command that goes on with a training."""
    words = [f"mmdream train {settings.medium} --net {settings.net} --data {settings.data} -o {settings.name}"]
    for name in ("weights", "unfreeze", "epochs", "rate", "fold"):
        if (value := getattr(settings, name)) is not None:
            words.append(f"--{name} {value}")
    usual = Settings(settings.medium, "", Path(), "")
    for name in ("batch", "side", "seconds", "seed"):
        if (value := getattr(settings, name)) != getattr(usual, name):
            words.append(f"--{name} {value:g}")
    words += [f"--{name.replace('_', '-')}" for name in ("robust", "from_scratch") if getattr(settings, name)]
    return " ".join(words)


def _taught(task: Task, work: Path, listener: Listener, stop: threading.Event) -> Report:
    """The work itself."""
    # After everything that can be checked is checked: these bring TensorFlow in.
    from mmdream.networks import network
    from mmdream.networks.framework import has_gpu
    from mmdream.training import course as courses
    from mmdream.training import pupil as pupils

    settings, of, parent = task.settings, task.of, task.parent
    about = pupils.child(parent, settings.name, of.classes)
    dtype = TRAINABLE[network.precision("auto", parent, has_gpu)]
    net = pupils.prepared(about, parent, settings.weights, dtype, settings.seed, settings.from_scratch)
    taught = pupils.to_logits(net, about)
    upper = _upper(settings, parent)
    pupils.frozen_below(taught, about, upper)
    material = _material(task, work, told(listener, stop, "hearing"))
    weights = class_weights(task.parts.taught, len(of.classes))
    lesson = Lesson(material, task.parts.taught, task.parts.tried, weights)
    listener.say(
        f"{settings.net} on {of.name}: {len(of.classes)} classes; {len(lesson.taught)} files to learn from, "
        f"{len(lesson.tried)} to stop by, {len(task.parts.tested)} to test on; {dtype}"
    )
    if settings.from_scratch:
        pupils.settled(taught, about.input, material.plain(material.alike(lesson.taught[:32], 32)[0]))
    else:
        _head(pupils.Pupil(taught, about.input), lesson, settings, work, told(listener, stop, "features"))
    rounds: list[dict[str, float]] = []
    if upper != 0:
        kind = "fresh" if settings.from_scratch else "all" if upper == len(parent.rungs) else "upper"
        rate = settings.rate or RATES[kind]
        half = dtype == "mixed_float16"
        course = courses.planned(len(lesson.taught), settings.passes, settings.batch, rate, settings.seed, half)
        attack = None
        if settings.robust:
            length = ATTACK[settings.medium] * material.unit(lesson.taught)
            attack = pupils.Attack(length, course.total, settings.seed)
        tell = told(listener, stop, "training")
        rounds = courses.teach(
            pupils.Pupil(taught, about.input, attack), lesson, course, work,
            lambda row: listener.say(_round(row, course.rounds)), lambda step: tell(step, course.total),
        )  # fmt: skip
    return kept(task.settings, of, task.parts, parent, about, net, material, rounds, work, task.folder, again(settings), told(listener, stop, "testing"))


def _upper(settings: Settings, parent: Card) -> int | str:
    """What is taught besides the head."""
    if settings.unfreeze is not None:
        return int(settings.unfreeze) if settings.unfreeze.isdecimal() else settings.unfreeze
    # What a robust network must not answer to, its lower layers must not let through.
    every = settings.from_scratch or settings.robust
    return len(parent.rungs) if every else USUAL_RUNGS


def _material(task: Task, work: Path, tell: Callable[[int, int], None]) -> Material:
    front = task.parent.input
    if isinstance(front, SoundInput):
        from mmdream.training.sounds import hear

        return hear(task.of, front, task.settings.seconds, work, tell)
    from mmdream.training.pictures import Pictures

    return Pictures(task.of, task.settings.side)


def _head(pupil, lesson: Lesson, settings: Settings, work: Path, tell: Callable[[int, int], None]) -> None:  # type: ignore[no-untyped-def]
    """Teach the head, or take the one that was taught before the training was stopped."""
    from mmdream.training.head import teach_head
    from mmdream.training.pupil import head_of

    path, head = work / "head.npz", head_of(pupil.net)
    if path.is_file():
        with np.load(path, allow_pickle=False) as found:
            head.kernel.assign(found["kernel"])
            head.bias.assign(found["bias"])
        return
    teach_head(pupil, lesson, settings.batch, settings.seed, tell)
    draft = path.with_suffix(".draft.npz")
    np.savez(draft, kernel=head.kernel.numpy(), bias=head.bias.numpy())
    draft.replace(path)


def told(listener: Listener, stop: threading.Event, what: str) -> Callable[[int, int], None]:
    """Tells progress, and asks whether to stop."""

    def tell(done: int, total: int) -> None:
        if stop.is_set():
            raise Interrupted
        listener.progress(what, done, total)

    return tell


def _round(row: dict[str, float], rounds: int) -> str:
    return (
        f"round {int(row['epoch']) + 1} of {rounds}: loss {row['loss']:.3f}, "
        f"{row['accuracy']:.1%} right; of those kept to stop by {row['val_accuracy']:.1%}, loss {row['val_loss']:.3f}"
    )
