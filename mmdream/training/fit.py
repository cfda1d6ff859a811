"""The upper blocks, taught in rounds that are kept: what is stopped goes on at the round it was in.

Keras's own loop and schedule; a batch is drawn by its number alone, so that a training that was stopped sees
what an unbroken one sees. What goes on is kept by `rounds`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmdream.core import rng
from mmdream.core.errors import UserError
from mmdream.networks.framework import keras, tf
from mmdream.training.data import TrainingData, draw_examples, label_array, smooth_labels
from mmdream.training.model import TrainableModel
from mmdream.training.task import TrainingTask
from mmdream.training.workdir import RoundJournal, read_resumable_rounds, weights_path

MAX_ROUND_STEPS = 50
"""Of a round: what is lost at most when a training is stopped."""
MIN_ROUNDS = 8
MIN_EPOCH_STEPS = 10
"""Of a pass over the data: small sets are seen more often."""
WARMUP_SHARE = 0.05
"""Share of the steps over which the learning rate rises."""
LEARNING_RATES = {"upper": 3e-4, "all": 1e-4, "robust": 3e-4, "fresh": 3e-4}
"""Highest learning rate by what is taught. What is to be robust has to change in all its layers, and far: at
3e-4 SqueezeNet learned in 12 passes to withstand nearly half of the attacks."""
WEIGHT_DECAY = 1e-4
TENSORBOARD_FOLDER = "tensorboard"
"""Folder of TensorBoard's in that of a training."""


@dataclass(frozen=True)
class FitSchedule:
    """How long, in which portions and how fast a network is taught."""

    rounds: int
    steps: int
    """Of a round."""
    batch: int
    rate: float
    patience: int
    """Rounds without progress before it stops."""
    seed: int
    float16: bool
    """Whether float16 is computed with, whose small gradients need scaling."""

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.rounds * self.steps


def make_fit_schedule(task: TrainingTask, examples: int, half: bool) -> FitSchedule:
    """The course of a training.

    Args:
        task: the training.
        examples: to learn from.
        half: whether float16 is computed with.
    """
    told = task.settings
    total = told.passes * max(MIN_EPOCH_STEPS, math.ceil(examples / told.batch))
    rounds = min(total, max(MIN_ROUNDS, math.ceil(total / MAX_ROUND_STEPS)))
    taught = "all" if task.upper == len(task.parent.rungs) else "upper"
    kind = "fresh" if told.from_scratch else "robust" if told.robust else taught
    rate = told.rate or LEARNING_RATES[kind]
    return FitSchedule(
        rounds, math.ceil(total / rounds), told.batch, rate, max(4, rounds // 3), told.seed, half
    )


def fit_model(
    pupil: TrainableModel,
    lesson: TrainingData,
    course: FitSchedule,
    folder: Path,
    told: Callable[[dict[str, float]], None],
    stepped: Callable[[int], None],
) -> list[dict[str, float]]:
    """Teach what of a network may change, and leave it as it was at its best.

    Args:
        pupil: the network.
        lesson: what it is taught on.
        course: how long and how fast.
        folder: where rounds are kept; what is there is gone on with.
        told: takes the figures of each round.
        stepped: takes the number of steps that are done; may raise `Interrupted`.

    Returns:
        A row for each round: epoch, loss, accuracy, val_loss, val_accuracy.

    Raises:
        UserError: the loss is no number any more.
    """
    pupil.compile(
        _make_optimizer(course),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],
        metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
        jit_compile=False,
    )
    tried = lesson.inputs.plain(lesson.validation[:1])
    pupil(tf.constant(tried))
    kept = read_resumable_rounds(folder)
    first = len(kept.rounds)
    if first:
        # Its steps are weights too, and there are none before it is built.
        pupil.optimizer.build(pupil.trainable_variables)
        pupil.load_weights(weights_path(folder, first - 1))
    pupil.fit(
        _train_batches(lesson, course, first),
        epochs=course.rounds,
        initial_epoch=first,
        steps_per_epoch=course.steps,
        validation_data=_validation_batches(lesson, course.batch, tried.shape),
        verbose=0,
        shuffle=False,
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.EarlyStopping("val_loss", patience=course.patience),
            _TensorBoardCallback(folder / TENSORBOARD_FOLDER),
            _RoundCallback(course, kept, told, stepped),
        ],
    )
    rounds = kept.rows()
    if not all(math.isfinite(row["loss"]) for row in rounds):
        raise UserError(f"the loss grew beyond all numbers in round {len(rounds)}; take a lower --rate")
    pupil.load_weights(weights_path(folder, kept.best_round()))
    return rounds


def _make_optimizer(course: FitSchedule) -> keras.optimizers.Optimizer:
    warming = max(1, round(WARMUP_SHARE * course.total))
    schedule = keras.optimizers.schedules.CosineDecay(
        course.rate / 20, max(1, course.total - warming), warmup_target=course.rate, warmup_steps=warming
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return keras.optimizers.LossScaleOptimizer(optimizer) if course.float16 else optimizer


def _train_batches(lesson: TrainingData, course: FitSchedule, first: int) -> tf.data.Dataset:
    """Batches from a round on: (shown, labels, weights)."""

    def batch(step: np.int64) -> tuple[np.ndarray, ...]:
        at = int(step) * course.batch
        examples = draw_examples(lesson.train, at, at + course.batch, course.seed, "order")
        shown, labels = lesson.inputs.augmented_batch(examples, rng.rng_for(course.seed, "step", int(step)))
        return shown, smooth_labels(labels), (labels @ lesson.weights).astype(np.float32)

    shapes = [array.shape for array in batch(np.int64(0))]

    def shaped(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        given = tf.numpy_function(batch, [step], [tf.float32] * 3)
        return tuple(tf.ensure_shape(x, shape) for x, shape in zip(given, shapes, strict=True))

    numbers = tf.data.Dataset.range(first * course.steps, course.total)
    return numbers.map(shaped, num_parallel_calls=2).prefetch(2)


def _validation_batches(lesson: TrainingData, batch: int, shape: tuple[int, ...]) -> tf.data.Dataset:
    """What tells when to stop: (shown, labels, weights)."""
    groups = lesson.inputs.alike(lesson.validation, batch)

    def every() -> Iterator[tuple[np.ndarray, ...]]:
        for some in groups:
            at = label_array(some)
            yield lesson.inputs.plain(some), np.eye(len(lesson.weights))[at], lesson.weights[at]

    signature = (
        tf.TensorSpec((None, None, *shape[2:]), tf.float32),
        tf.TensorSpec((None, len(lesson.weights)), tf.float32),
        tf.TensorSpec((None,), tf.float32),
    )
    batches = tf.data.Dataset.from_generator(every, output_signature=signature)
    return batches.apply(tf.data.experimental.assert_cardinality(len(groups))).prefetch(1)


class _RoundCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Tells each step, and keeps each round."""

    def __init__(
        self,
        course: FitSchedule,
        kept: RoundJournal,
        told: Callable[[dict[str, float]], None],
        stepped: Callable[[int], None],
    ) -> None:
        super().__init__()
        self.course, self.kept, self.told, self.stepped, self.round = course, kept, told, stepped, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember which round it is."""
        self.round = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """A step is done."""
        self.stepped(self.round * self.course.steps + batch + 1)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Something was tried: nothing moves on, but it may be the time to stop."""
        self.stepped((self.round + 1) * self.course.steps)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """A round is done."""
        row = {"epoch": epoch, **{name: float(value) for name, value in (logs or {}).items()}}
        self.kept.add(row, self.model.save_weights)
        # Last: when it is said that a round is done, all of it is kept.
        self.told(row)


class _TensorBoardCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Each round's figures for TensorBoard; Keras's own callback needs TensorBoard itself to write them."""

    SCALARS = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    )

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(folder))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """A round is done."""
        with self.writer.as_default():
            for name, value in (logs or {}).items():
                tf.summary.write(name, tf.constant(value, tf.float32), epoch, self.SCALARS)
        self.writer.flush()
