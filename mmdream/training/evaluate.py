"""What a taught network can do, measured as it will be loaded, on what it was not taught on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mmdream.datasets.folder import Example
from mmdream.networks.framework import tf
from mmdream.networks.network import Network
from mmdream.training.data import TrainingData, label_array
from mmdream.training.model import TrainableModel, make_logits_model

DEEPEST_RUNGS = 2
"""Rungs whose channels are asked what they answer to."""
MAX_ATTACKED = 400
"""Examples, evenly spaced."""
MAX_CHANNELS = 8
"""Named for a class at a rung."""


@dataclass(frozen=True)
class Evaluation:
    """Held-out figures."""

    classes: tuple[str, ...]
    confusion: np.ndarray
    """int [class, class]: examples of a class (row) that were told as another (column)."""
    baseline: float
    """Accuracy of always naming the class that most of what it was taught on is of."""
    attacked: float
    """Accuracy under one small attack each."""
    channels: dict[str, dict[str, list[int]]]
    """Of each class, of the deepest rungs: the channels that answer to it most, best first."""

    @property
    def accuracy(self) -> float:
        """Share that is told right, 0..1."""
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    @property
    def recalls(self) -> list[float | None]:
        """Of each class, the share that is told right; None: nothing of it was tested."""
        return [
            float(row[place] / row.sum()) if row.sum() else None for place, row in enumerate(self.confusion)
        ]

    def facts(self) -> dict[str, str | float]:
        """For a card."""
        return {
            "accuracy": round(self.accuracy, 4),
            "accuracy_of_the_commonest_class": round(self.baseline, 4),
            "accuracy_attacked": round(self.attacked, 4),
        }

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        each = [
            {
                "class": name,
                "tested": int(row.sum()),
                "accuracy": recall,
                "taken_for": _top_confusions(self.classes, row, place),
                "channels": [
                    f"{layer}:{','.join(map(str, best))}" for layer, best in self.channels[name].items()
                ],
            }
            for place, (name, row, recall) in enumerate(
                zip(self.classes, self.confusion, self.recalls, strict=True)
            )
        ]
        return {
            "accuracy": self.accuracy,
            "majority_class_baseline": self.baseline,
            "accuracy_attacked": self.attacked,
            "tested": int(self.confusion.sum()),
            "classes": each,
            "confusion": self.confusion.tolist(),
        }


def evaluate_network(
    network: Network,
    lesson: TrainingData,
    tested: Sequence[Example],
    batch: int,
    length: float,
    tell: Callable[[int, int], None],
) -> Evaluation:
    """Show a network what it has not seen.

    Args:
        network: as it is loaded for a dream.
        lesson: what it was taught on.
        tested: what it was not.
        batch: examples at a time.
        length: of an attack.
        tell: takes the number of examples that are done, and of all; may raise `Interrupted`.
    """
    card = network.card
    rungs = [rung.layer for rung in card.rungs[-DEEPEST_RUNGS:]]
    features = tf.function(network.layers((*rungs, str(card.head))), reduce_retracing=True, autograph=False)
    confusion = np.zeros((len(card.classes),) * 2, np.int64)
    answers: dict[str, list[np.ndarray]] = {layer: [] for layer in rungs}
    order: list[Example] = []
    for some in lesson.inputs.alike(tested, batch):
        *seen, told = features(tf.constant(lesson.inputs.plain(some)))
        np.add.at(confusion, (label_array(some), np.argmax(told.numpy()[:, 0, 0], 1)), 1)
        for layer, a in zip(rungs, seen, strict=True):
            answers[layer].append(tf.reduce_mean(tf.cast(a, tf.float32), (1, 2)).numpy())
        order += some
        tell(len(order), len(tested))
    found = {
        layer: rank_channels(np.concatenate(rows), label_array(order), len(card.classes))
        for layer, rows in answers.items()
    }
    most = Counter(example.label for example in (*lesson.train, *lesson.validation)).most_common(1)[0][0]
    return Evaluation(
        classes=card.classes,
        confusion=confusion,
        baseline=float(np.mean(label_array(order) == most)),
        attacked=_accuracy_under_attack(
            network, lesson, tested[:: -(-len(tested) // MAX_ATTACKED)], batch, length
        ),
        channels={name: {layer: found[layer][k] for layer in rungs} for k, name in enumerate(card.classes)},
    )


def _accuracy_under_attack(
    network: Network, lesson: TrainingData, examples: Sequence[Example], batch: int, length: float
) -> float:
    """Share that is told right when each example has been attacked once."""
    pupil = TrainableModel(make_logits_model(network.model, network.card), network.card.input)
    picture, right = network.card.medium == "picture", 0

    @tf.function(reduce_retracing=True, autograph=False)
    def told(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        far = tf.fill((tf.shape(x)[0],), length) if picture else tf.constant(length)
        return tf.argmax(pupil(pupil.attacked(x, y, far, tf.constant([0, 0]))), 1)

    for some in lesson.inputs.alike(examples, batch):
        y = tf.one_hot(label_array(some), len(network.card.classes))
        right += int(np.sum(told(tf.constant(lesson.inputs.plain(some)), y).numpy() == label_array(some)))
    return right / len(examples)


def rank_channels(answers: np.ndarray, labels: np.ndarray, classes: int) -> list[list[int]]:
    """The channels that tell each class from the rest best.

    Args:
        answers: float [n, channel], each channel's mean answer to each example.
        labels: int [n].
        classes: how many there are.

    Returns:
        For each class, channels whose mean answer to it stands highest over that to the others, in their
        deviations; only those where it stands higher at all.
    """
    unit = answers.std(0) + 1e-6 * (answers.std() + 1e-12)
    found: list[list[int]] = []
    for place in range(classes):
        own = labels == place
        if own.all() or not own.any():
            found.append([])
            continue
        above = (answers[own].mean(0) - answers[~own].mean(0)) / unit
        best = np.argsort(-above, kind="stable")[:MAX_CHANNELS]
        found.append([int(channel) for channel in best if above[channel] > 0])
    return found


def _top_confusions(classes: Sequence[str], row: np.ndarray, place: int) -> dict[str, int]:
    """What a class was taken for, most often first."""
    wrong = [
        (int(count), name)
        for k, (count, name) in enumerate(zip(row, classes, strict=True))
        if count and k != place
    ]
    return {name: count for count, name in sorted(wrong, key=lambda pair: -pair[0])[:3]}


pass

MAX_NAMED_CLASSES = 40
"""Classes whose names stand beside a confusion matrix."""
MAX_COUNTED_CLASSES = 16
"""Classes whose counts stand in it."""


def plot_curves(rounds: Sequence[dict[str, float]], path: Path) -> None:
    """Draw loss and accuracy of each round, on what is learned from and what is kept to stop by."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    at = [row["epoch"] + 1 for row in rounds]
    for axes, key, title in ((left, "loss", "loss"), (right, "accuracy", "accuracy")):
        axes.plot(at, [row[key] for row in rounds], label="learned from, changed at random")
        axes.plot(at, [row[f"val_{key}"] for row in rounds], label="kept to stop by")
        axes.set_xlabel("round")
        axes.set_title(title)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=100)


def plot_confusion(figures: Evaluation, path: Path) -> None:
    """Draw what each class was told as, in shares of the class."""
    count = len(figures.classes)
    side = min(6 + 0.25 * count, 16)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    matrix = figures.confusion
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    shown = axes.imshow(shares, vmin=0, vmax=1, cmap="viridis")
    figure.colorbar(shown, ax=axes, shrink=0.8)
    if count <= MAX_NAMED_CLASSES:
        # Names are data: a dollar sign would begin a formula.
        names = [name.replace("$", r"\$") for name in figures.classes]
        axes.set_xticks(range(count), names, rotation=90)
        axes.set_yticks(range(count), names)
    if count <= MAX_COUNTED_CLASSES:
        for row, column in np.ndindex(matrix.shape):
            ink = "white" if shares[row, column] < 0.5 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=ink)
    axes.set_xlabel("told as")
    axes.set_ylabel("is")
    axes.set_title(
        f"held out: {figures.accuracy:.1%} right; always the commonest class: {figures.baseline:.1%}"
    )
    figure.savefig(path, dpi=100)
