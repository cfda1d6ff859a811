"""The head alone: a linear one over the averages of the body's last features, which are computed once.

Every network's head is a dense layer, or a convolution of one place whose answers are averaged; on averages
both are the same product. So the body runs over the data a few times, each time changed at random, and not in
every epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmdream.core import rng
from mmdream.core.errors import UserError
from mmdream.datasets.folder import Example
from mmdream.networks.framework import keras, tf
from mmdream.networks.preprocess import preprocess
from mmdream.training.data import TrainingData, draw_examples, label_array, smooth_labels
from mmdream.training.model import TrainableModel, find_head

MIN_EXAMPLES_SEEN = 3000
"""Examples that the head sees, changed anew each time, where a set has fewer."""
MAX_REPEATS = 8
EPOCHS, BATCH, LEARNING_RATE = 60, 64, 3e-3


def fit_head(
    pupil: TrainableModel, lesson: TrainingData, batch: int, seed: int, tell: Callable[[int, int], None]
) -> None:
    """Teach a network's head on a body that stays as it is.

    Args:
        pupil: the network; its head's weights are replaced.
        lesson: what it is taught on.
        batch: pictures or sounds at a time.
        seed: of what is drawn.
        tell: takes the number of examples that the body has seen, and of all; may raise `Interrupted`.
    """
    head = find_head(pupil.net)
    features = _make_feature_extractor(pupil, head)
    times = min(MAX_REPEATS, max(1, MIN_EXAMPLES_SEEN // len(lesson.train)))
    last = times * len(lesson.train)
    total, done = last + len(lesson.validation), 0
    seen: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for place in range(0, last, batch):
        some = draw_examples(lesson.train, place, min(place + batch, last), seed, "head order")
        shown, shares = lesson.inputs.augmented_batch(some, rng.rng_for(seed, "head", place))
        seen.append(features(tf.constant(shown)).numpy())
        labels.append(shares)
        done += len(some)
        tell(done, total)
    tried: list[np.ndarray] = []
    order: list[Example] = []
    for some in lesson.inputs.alike(lesson.validation, batch):
        tried.append(features(tf.constant(lesson.inputs.plain(some))).numpy())
        order += some
        tell(done + len(order), total)
    kernel, bias = _fit_linear(
        np.concatenate(seen), np.concatenate(labels), np.concatenate(tried), label_array(order), lesson, seed
    )
    head.kernel.assign(kernel.reshape(head.kernel.shape))
    head.bias.assign(bias)


def _make_feature_extractor(pupil: TrainableModel, head: Any) -> Callable[[tf.Tensor], tf.Tensor]:
    """What comes to the head, averaged over places: [n, channel]."""
    body = keras.Model(pupil.net.input, head.input)

    @tf.function(reduce_retracing=True, autograph=False)
    def features(x: tf.Tensor) -> tf.Tensor:
        a = tf.cast(body(preprocess(x, pupil.front), training=False), tf.float32)
        return tf.reduce_mean(a, (1, 2)) if len(a.shape) == 4 else a

    return features


def _fit_linear(
    seen: np.ndarray, labels: np.ndarray, tried: np.ndarray, at: np.ndarray, lesson: TrainingData, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [channel, class] and bias [class] that tell the classes of what is tried best."""
    if not np.isfinite(seen).all():
        raise UserError("the network answers with what is no number; start from other --weights")
    mean, unit = seen.mean(0), seen.std(0)
    # A channel that hardly ever answers must not outweigh the others once it does.
    unit = unit + 0.1 * unit.mean() + 1e-6
    keras.utils.set_random_seed(seed)
    classes = labels.shape[1]
    dense = keras.layers.Dense(classes, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((seen.shape[1],)), dense])
    steps = EPOCHS * -(-len(seen) // BATCH)
    model.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps), weight_decay=1e-2
        ),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(
        (seen - mean) / unit,
        smooth_labels(labels),
        BATCH,
        EPOCHS,
        verbose=0,
        sample_weight=labels @ lesson.weights,
        validation_data=((tried - mean) / unit, np.eye(classes)[at], lesson.weights[at]),
        callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=8, restore_best_weights=True)],
    )
    kernel, bias = dense.get_weights()
    kernel = kernel / unit[:, None]
    return kernel, bias - mean @ kernel
