"""Measures a trained network on the test examples, clean and under attack, and draws what came out."""

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
"""Rungs whose channels are ranked."""
MAX_CHANNELS = 8
"""Ranked for a class at a rung."""
ATTACK_SHARE, MAX_ATTACKED = 0.5, 400
"""Strength of the attack, as a share of `mmdream.training.attacks.MAX_ATTACK`; examples, evenly spaced."""
MAX_NAMED_CLASSES, MAX_COUNTED_CLASSES = 40, 16
"""Classes up to which a drawn confusion matrix has their names, and their counts."""


@dataclass(frozen=True)
class Evaluation:
    """Figures of the test examples."""

    classes: tuple[str, ...]
    confusion: np.ndarray
    """int [class, predicted class]: examples."""
    baseline: float
    """Accuracy of always predicting the commonest class of the training examples."""
    attacked_accuracy: float
    """Accuracy under one small attack on each example."""
    channels: dict[str, dict[str, list[int]]]
    """By class and layer: the channels that answer to the class most, best first."""

    @property
    def accuracy(self) -> float:
        """Share that is right, 0..1."""
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    @property
    def recalls(self) -> list[float | None]:
        """Of each class, the share that is right; None: it has no test examples."""
        return [float(row[k] / row.sum()) if row.sum() else None for k, row in enumerate(self.confusion)]

    def facts(self) -> dict[str, str | float]:
        """For a card."""
        return {
            "accuracy": round(self.accuracy, 4),
            "accuracy_of_the_commonest_class": round(self.baseline, 4),
            "accuracy_attacked": round(self.attacked_accuracy, 4),
        }

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the report."""
        classes = []
        for name, row, recall in zip(self.classes, self.confusion, self.recalls, strict=True):
            counts = zip(self.classes, row.tolist(), strict=True)
            wrong = Counter({other: n for other, n in counts if n and other != name})
            best = self.channels[name].items()
            classes.append(
                {
                    "class": name,
                    "tested": int(row.sum()),
                    "accuracy": recall,
                    "taken_for": dict(wrong.most_common(3)),
                    "channels": [f"{layer}:{','.join(map(str, channels))}" for layer, channels in best],
                }
            )
        return {
            "accuracy": self.accuracy,
            "majority_class_baseline": self.baseline,
            "accuracy_attacked": self.attacked_accuracy,
            "tested": int(self.confusion.sum()),
            "classes": classes,
            "confusion": self.confusion.tolist(),
        }


def evaluate_network(
    network: Network, data: TrainingData, batch: int, progress: Callable[[int, int], None]
) -> Evaluation:
    """Predict the test examples, clean and attacked, and rank channels by them; reports (done, in all)."""
    card, test = network.card, data.split.test
    rungs = [rung.layer for rung in card.rungs[-DEEPEST_RUNGS:]]
    predict = tf.function(
        network.layer_features((*rungs, str(card.head))), reduce_retracing=True, autograph=False
    )
    confusion = np.zeros((len(card.classes),) * 2, np.int64)
    means: dict[str, list[np.ndarray]] = {layer: [] for layer in rungs}
    order: list[Example] = []
    for examples in data.inputs.group_batches(test, batch):
        *activations, logits = predict(tf.constant(data.inputs.plain_batch(examples)))
        np.add.at(confusion, (label_array(examples), np.argmax(logits.numpy()[:, 0, 0], 1)), 1)
        for layer, a in zip(rungs, activations, strict=True):
            means[layer].append(tf.reduce_mean(tf.cast(a, tf.float32), (1, 2)).numpy())
        order += examples
        progress(len(order), len(test))
    labels = label_array(order)
    ranks = {layer: rank_channels(np.concatenate(means[layer]), labels, len(card.classes)) for layer in rungs}
    learned = Counter(label_array((*data.split.train, *data.split.validation)).tolist())
    commonest = learned.most_common(1)[0][0]
    some = test[:: -(-len(test) // MAX_ATTACKED)]
    return Evaluation(
        classes=card.classes,
        confusion=confusion,
        baseline=float(np.mean(labels == commonest)),
        attacked_accuracy=_measure_attacked(network, data, some, batch),
        channels={name: {layer: ranks[layer][k] for layer in rungs} for k, name in enumerate(card.classes)},
    )


def _measure_attacked(network: Network, data: TrainingData, examples: Sequence[Example], batch: int) -> float:
    """Accuracy when each example has been attacked once."""
    card, epsilon, right = network.card, ATTACK_SHARE * data.epsilon, 0
    model = TrainableModel(make_logits_model(network.model, card), card.input)

    @tf.function(reduce_retracing=True, autograph=False)
    def predict(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        lengths = tf.fill((tf.shape(x)[0],), epsilon) if model.is_image else tf.constant(epsilon)
        return tf.argmax(model(model.perturb(x, y, lengths, tf.constant([0, 0]))), 1)

    for some in data.inputs.group_batches(examples, batch):
        labels = label_array(some)
        inputs = tf.constant(data.inputs.plain_batch(some))
        right += int(np.sum(predict(inputs, tf.one_hot(labels, len(card.classes))).numpy() == labels))
    return right / len(examples)


def rank_channels(means: np.ndarray, labels: np.ndarray, classes: int) -> list[list[int]]:
    """The channels that tell each class from the rest best, by mean activations [n, channel] of examples.

    Up to `MAX_CHANNELS`, whose mean over the class lies most standard deviations above that over the others.
    """
    deviation = means.std(0) + 1e-6 * (means.std() + 1e-12)
    ranks: list[list[int]] = [[] for _ in range(classes)]
    for label in range(classes):
        own = labels == label
        if own.any() and not own.all():
            above = (means[own].mean(0) - means[~own].mean(0)) / deviation
            best = np.argsort(-above, kind="stable")[:MAX_CHANNELS]
            ranks[label] = [int(channel) for channel in best if above[channel] > 0]
    return ranks


def plot_curves(rounds: Sequence[dict[str, float]], path: Path) -> None:
    """Draw loss and accuracy of each round, of training and validation examples."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    numbers = [row["epoch"] + 1 for row in rounds]
    for axes, key in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(numbers, [row[key] for row in rounds], label="learned from, changed at random")
        axes.plot(numbers, [row[f"val_{key}"] for row in rounds], label="kept to stop by")
        axes.set(xlabel="round", title=key)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=100)


def plot_confusion(evaluation: Evaluation, path: Path) -> None:
    """Draw the confusion matrix, in shares of each class."""
    count, matrix = len(evaluation.classes), evaluation.confusion
    side = min(6 + 0.25 * count, 16)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    figure.colorbar(axes.imshow(shares, vmin=0, vmax=1, cmap="viridis"), ax=axes, shrink=0.8)
    if count <= MAX_NAMED_CLASSES:
        axes.set_xticks(range(count), evaluation.classes, rotation=90, parse_math=False)
        axes.set_yticks(range(count), evaluation.classes, parse_math=False)
    if count <= MAX_COUNTED_CLASSES:
        for row, column in np.ndindex(matrix.shape):
            color = "white" if shares[row, column] < 0.5 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=color)
    baseline = f"always the commonest class: {evaluation.baseline:.1%}"
    title = f"held out: {evaluation.accuracy:.1%} right; {baseline}"
    axes.set(xlabel="told as", ylabel="is", title=title)
    figure.savefig(path, dpi=100)
