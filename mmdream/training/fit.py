"""Fits a network's head, then its upper layers in rounds; a training that was stopped goes on at its round.

A batch is drawn by its number alone, so that a resumed training sees what an unbroken one sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.files import atomic_file
from mmdream.core.rng import rng_for
from mmdream.datasets.folder import Example
from mmdream.networks.framework import keras, preprocess, tf
from mmdream.networks.weights import read_arrays
from mmdream.settings.training import TrainingSettings
from mmdream.training.data import TrainingData, draw_examples, label_array, smooth_labels
from mmdream.training.model import TrainableModel, find_head
from mmdream.training.task import RoundJournal, TrainingTask, find_best_round

HEAD_EXAMPLES, MAX_REPEATS = 3000, 8
"""Examples that the head is fitted to, augmented anew each time, where a set has fewer; times at most."""
HEAD_EPOCHS, HEAD_BATCH, HEAD_LEARNING_RATE = 60, 64, 3e-3
MAX_ROUND_STEPS = 50
"""Of a round: what is lost at most when a training is stopped."""
MIN_ROUNDS = 8
MIN_EPOCH_STEPS = 10
"""Of an epoch: small sets are seen more often."""
WARMUP_SHARE = 0.05
"""Share of the steps over which the learning rate rises."""
LEARNING_RATES = {"upper": 3e-4, "all": 1e-4, "robust": 3e-4, "fresh": 3e-4}
"""The highest, by what is trained. What is to be robust has to change in all its layers, and far: at 3e-4
SqueezeNet learned in 12 epochs to withstand nearly half of the attacks."""
WEIGHT_DECAY = 1e-4
TENSORBOARD_FOLDER = "tensorboard"

Progress = Callable[[int, int], None]
"""(done, in all); may raise `Interrupted`."""


def fit_head(
    model: TrainableModel,
    data: TrainingData,
    settings: TrainingSettings,
    path: Path,
    progress: Progress,
) -> None:
    """Fit a network's head, or take what an earlier run has left in the file `path`.

    It is fitted to averages of the body's last features, which are computed beforehand: every head is a dense
    layer, or a convolution of one place whose outputs are averaged; on averages both are the same product.
    """
    head, batch, seed = find_head(model.net), settings.batch, settings.seed
    with suppress(UserError, KeyError, ValueError):  # What was damaged since is fitted again.
        arrays = read_arrays(path)
        kernel, bias = arrays["kernel"], arrays["bias"]
        head.kernel.assign(kernel)
        head.bias.assign(bias)
        return
    body = keras.Model(model.net.input, head.input)

    @tf.function(reduce_retracing=True, autograph=False)
    def extract(x: tf.Tensor) -> tf.Tensor:
        a = tf.cast(body(preprocess(x, model.network_input), training=False), tf.float32)
        return tf.reduce_mean(a, (1, 2)) if len(a.shape) == 4 else a

    train, held_back = data.split.train, data.split.validation
    count = min(MAX_REPEATS, max(1, HEAD_EXAMPLES // len(train))) * len(train)
    features, shares, validation = [], [], []
    for first in range(0, count, batch):
        examples = draw_examples(train, first, min(first + batch, count), seed, "head order")
        inputs, labels = data.inputs.augmented_batch(examples, rng_for(seed, "head", first))
        features.append(extract(tf.constant(inputs)).numpy())
        shares.append(labels)
        progress(first + len(examples), count + len(held_back))
    order: list[Example] = []
    for examples in data.inputs.group_batches(held_back, batch):
        validation.append(extract(tf.constant(data.inputs.plain_batch(examples))).numpy())
        order += examples
        progress(count + len(order), count + len(held_back))
    augmented = np.concatenate(features), np.concatenate(shares)
    plain = np.concatenate(validation), label_array(order)
    kernel, bias = _fit_linear(augmented, plain, data.class_weights, seed)
    head.kernel.assign(kernel.reshape(head.kernel.shape))
    head.bias.assign(bias)
    with atomic_file(path) as draft, open(draft, "wb") as file:
        np.savez(file, kernel=head.kernel.numpy(), bias=head.bias.numpy())


def _fit_linear(
    augmented: tuple[np.ndarray, np.ndarray],
    plain: tuple[np.ndarray, np.ndarray],
    class_weights: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [channel, class] and bias [class] of a linear classifier.

    It learns from features [n, channel] with shares [n, class], and stops early by features with labels [m].
    """
    (features, shares), (validation, labels) = augmented, plain
    if not np.isfinite(features).all():
        raise UserError("the network answers with what is no number; start from other --weights")
    mean, scale = features.mean(0), features.std(0)
    # A channel that hardly ever answers must not outweigh the others once it does.
    scale = scale + 0.1 * scale.mean() + 1e-6
    keras.utils.set_random_seed(seed)
    classes = shares.shape[1]
    dense = keras.layers.Dense(classes, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((features.shape[1],)), dense])
    steps = HEAD_EPOCHS * -(-len(features) // HEAD_BATCH)
    rate = keras.optimizers.schedules.CosineDecay(HEAD_LEARNING_RATE, steps)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-2),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(
        (features - mean) / scale,
        smooth_labels(shares),
        HEAD_BATCH,
        HEAD_EPOCHS,
        verbose=0,
        sample_weight=shares @ class_weights,
        validation_data=((validation - mean) / scale, np.eye(classes)[labels], class_weights[labels]),
        callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=8, restore_best_weights=True)],
    )
    kernel, bias = dense.get_weights()
    kernel = kernel / scale[:, None]
    return kernel, bias - mean @ kernel


@dataclass(frozen=True)
class FitSchedule:
    """How long, in which portions and how fast a network is trained."""

    rounds: int
    round_steps: int
    batch: int
    learning_rate: float
    patience: int
    """Rounds without progress, after which it stops."""
    seed: int
    float16: bool

    @property
    def total_steps(self) -> int:
        """Of all rounds."""
        return self.rounds * self.round_steps


def make_fit_schedule(task: TrainingTask, examples: int, float16: bool) -> FitSchedule:
    """The schedule of a training on so many examples."""
    settings = task.settings
    steps = settings.n_epochs * max(MIN_EPOCH_STEPS, math.ceil(examples / settings.batch))
    rounds = min(steps, max(MIN_ROUNDS, math.ceil(steps / MAX_ROUND_STEPS)))
    depth = "all" if task.unfrozen == len(task.parent.rungs) else "upper"
    kind = "fresh" if settings.from_scratch else "robust" if settings.robust else depth
    return FitSchedule(
        rounds=rounds,
        round_steps=math.ceil(steps / rounds),
        batch=settings.batch,
        learning_rate=settings.rate or LEARNING_RATES[kind],
        patience=max(4, rounds // 3),
        seed=settings.seed,
        float16=float16,
    )


def fit_model(
    model: TrainableModel,
    data: TrainingData,
    schedule: FitSchedule,
    folder: Path,
    say: Callable[[str], object],
    progress: Progress,
) -> list[dict[str, float]]:
    """Fit what is trainable, going on with the rounds in `folder`; leave the network as it was at its best.

    Returns a row for each round: epoch, loss, accuracy, val_loss, val_accuracy, which `say` is told too;
    `progress` is given steps. A UserError says that the loss is no number any more.
    """
    model.compile(
        _make_optimizer(schedule),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],
        metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
        jit_compile=False,
    )
    example = data.inputs.plain_batch(data.split.validation[:1])
    model(tf.constant(example))
    journal = RoundJournal(folder)
    first = len(journal.rounds)
    if first:
        model.optimizer.build(model.trainable_variables)  # Its steps are weights too.
        model.load_weights(journal.weights_path(first - 1))
    model.fit(
        _train_batches(data, schedule, first),
        epochs=schedule.rounds,
        initial_epoch=first,
        steps_per_epoch=schedule.round_steps,
        validation_data=_validation_batches(data, schedule.batch, example.shape),
        verbose=0,
        shuffle=False,
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.EarlyStopping("val_loss", patience=schedule.patience),
            _TensorBoardCallback(folder / TENSORBOARD_FOLDER),
            _RoundCallback(schedule, journal, say, progress),
        ],
    )
    rows = journal.rows()
    if not all(math.isfinite(row["loss"]) for row in rows):
        raise UserError(f"the loss grew beyond all numbers in round {len(rows)}; take a lower --rate")
    model.load_weights(journal.weights_path(find_best_round(journal.rounds)))
    return rows


def _make_optimizer(schedule: FitSchedule) -> keras.optimizers.Optimizer:
    warmup, rate = max(1, round(WARMUP_SHARE * schedule.total_steps)), schedule.learning_rate
    rates = keras.optimizers.schedules.CosineDecay(
        rate / 20, max(1, schedule.total_steps - warmup), warmup_target=rate, warmup_steps=warmup
    )
    optimizer = keras.optimizers.AdamW(rates, weight_decay=WEIGHT_DECAY, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    # Small gradients need scaling.
    return keras.optimizers.LossScaleOptimizer(optimizer) if schedule.float16 else optimizer


def _train_batches(data: TrainingData, schedule: FitSchedule, first: int) -> tf.data.Dataset:
    """Batches from round `first` on: (inputs, labels, weights)."""

    def load(step: np.int64) -> tuple[np.ndarray, ...]:
        place = int(step) * schedule.batch
        examples = draw_examples(data.split.train, place, place + schedule.batch, schedule.seed, "order")
        rng = rng_for(schedule.seed, "step", int(step))
        inputs, labels = data.inputs.augmented_batch(examples, rng)
        return inputs, smooth_labels(labels), (labels @ data.class_weights).astype(np.float32)

    shapes = [array.shape for array in load(np.int64(0))]

    def load_tensors(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        tensors = tf.numpy_function(load, [step], [tf.float32] * 3)
        return tuple(tf.ensure_shape(x, shape) for x, shape in zip(tensors, shapes, strict=True))

    numbers = tf.data.Dataset.range(first * schedule.round_steps, schedule.total_steps)
    return numbers.map(load_tensors, num_parallel_calls=2).prefetch(2)


def _validation_batches(data: TrainingData, batch: int, shape: tuple[int, ...]) -> tf.data.Dataset:
    """Batches for early stopping: (inputs, labels, weights)."""
    groups, classes = data.inputs.group_batches(data.split.validation, batch), len(data.class_weights)

    def load() -> Iterator[tuple[np.ndarray, ...]]:
        for examples in groups:
            labels = label_array(examples)
            yield data.inputs.plain_batch(examples), np.eye(classes)[labels], data.class_weights[labels]

    signature = (
        tf.TensorSpec((None, None, *shape[2:]), tf.float32),
        tf.TensorSpec((None, classes), tf.float32),
        tf.TensorSpec((None,), tf.float32),
    )
    batches = tf.data.Dataset.from_generator(load, output_signature=signature)
    return batches.apply(tf.data.experimental.assert_cardinality(len(groups))).prefetch(1)


class _RoundCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Reports each step, and keeps each round."""

    def __init__(
        self, schedule: FitSchedule, journal: RoundJournal, say: Callable[[str], object], progress: Progress
    ) -> None:
        super().__init__()
        self.schedule, self.journal, self.say, self.progress = schedule, journal, say, progress

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = len(self.journal.rounds) * self.schedule.round_steps + batch + 1
        self.progress(done, self.schedule.total_steps)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        # Nothing moves on, but it may be the time to stop.
        done = (len(self.journal.rounds) + 1) * self.schedule.round_steps
        self.progress(done, self.schedule.total_steps)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = {"epoch": epoch, **{name: float(value) for name, value in (logs or {}).items()}}
        self.journal.add(row, self.model.save_weights)
        # Last: when it is reported that a round is done, all of it is kept.
        attacked = "" if self.model.attack is None else ", under attack,"
        self.say(
            f"round {epoch + 1} of {self.schedule.rounds}: loss {row['loss']:.3f}, {row['accuracy']:.1%} "
            f"right; of those kept to stop by{attacked} {row['val_accuracy']:.1%}, loss {row['val_loss']:.3f}"
        )


class _TensorBoardCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Each round's figures for TensorBoard; Keras's own callback needs TensorBoard itself to write them."""

    SCALARS = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    )

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(folder))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        with self.writer.as_default():
            for name, value in (logs or {}).items():
                tf.summary.write(name, tf.constant(value, tf.float32), epoch, self.SCALARS)
        self.writer.flush()
