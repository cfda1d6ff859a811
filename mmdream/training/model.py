"""The network that is taught: its parent's graph with a head for other classes, and what of it may change."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from keras import ops

from mmdream.core.errors import UserError
from mmdream.networks.card import AudioInput, ImageInput, NetworkCard
from mmdream.networks.framework import keras, tf
from mmdream.networks.network import (
    build_graph,
    initialize_random,
    layers_by_name,
    load_network,
    variables_by_name,
)
from mmdream.networks.preprocess import preprocess
from mmdream.training.task import TrainingSettings

pass

ATTACK_WARMUP_SHARE = 0.3
"""Share of the training over which attacks grow to their length."""

HEAD_LAYER = "predictions"
"""Layer of the classes in the networks that have a head only when they are told classes."""


def make_child_card(parent: NetworkCard, name: str, classes: tuple[str, ...], side: int = 224) -> NetworkCard:
    """The card of a network with its parent's body and other classes, as far as its graph goes.

    Args:
        parent: the card that it begins from.
        name: of the child.
        classes: of its head.
        side: px of the pictures that it is taught on.
    """
    build = dict(parent.build)
    # A fresh head may speak against a class too.
    build.pop("rectified", None)
    front = parent.input
    return replace(
        parent,
        name=name,
        input=replace(front, side=side) if isinstance(front, ImageInput) else front,
        # What the parent's dreams had too much of may be the very thing that is taught.
        rungs=tuple(replace(rung, away=()) for rung in parent.rungs),
        classes=classes,
        class_file=None,
        synonyms={},
        events=(),
        head=parent.head or HEAD_LAYER,
        build=build,
    )


@dataclass(frozen=True, eq=False)
class Attack:
    """How far a network is attacked while it is taught."""

    length: float
    """L2 length over a whole picture; the most that a number of a sound's input changes by."""
    steps: int
    """Of the whole training."""
    seed: int


class TrainableModel(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A network from what the dreamer feeds it to logits, float32; it may be attacked while it is taught."""

    def __init__(
        self, net: keras.Model, front: ImageInput | AudioInput, attack: Attack | None = None
    ) -> None:
        super().__init__(name="pupil")
        self.net, self.front, self.attack = net, front, attack

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, h, w, 3] RGB 0..1, or [n, column, band, 1] as it is heard -> [n, class]."""
        return tf.cast(self.net(preprocess(x, self.front), training=training), tf.float32)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Keras's own, on what is attacked first."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if self.attack is not None:
            done = tf.cast(self.optimizer.iterations, tf.float32) / self.attack.steps
            longest = self.attack.length * tf.minimum(1.0, done / ATTACK_WARMUP_SHARE)
            seed = tf.stack([self.attack.seed, tf.cast(self.optimizer.iterations, tf.int32)])
            if isinstance(self.front, ImageInput):
                # Of all lengths: what is shown clean is to be told, too.
                longest *= tf.random.stateless_uniform((tf.shape(x)[0],), seed)
            x = self.attacked(x, y, longest, seed)
        return super().train_step((x, y, weight))

    def test_step(self, data: Any) -> dict[str, Any]:
        """Keras's own, under attack for what is to be robust, or its beginning would seem its best."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if self.attack is not None:
            length = tf.constant(self.attack.length, tf.float32)
            if isinstance(self.front, ImageInput):
                length = tf.fill((tf.shape(x)[0],), length)
            seed = tf.constant([self.attack.seed, 0], tf.int32)
            x = self.attacked(x, tf.cast(y, tf.float32), length, seed)
        return super().test_step((x, y, weight))

    def attacked(self, x: tf.Tensor, y: tf.Tensor, length: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """What is shown, moved by one step that makes its loss larger.

        Args:
            x: as `call` takes it.
            y: shares of the classes, [n, class].
            length: see `Attack.length`; of each picture [n], or of every sound [].
            seed: int32 [2]; a sound is first moved at random.
        """
        picture = isinstance(self.front, ImageInput)
        start = (
            tf.zeros_like(x) if picture else length * tf.random.stateless_uniform(tf.shape(x), seed, -1, 1)
        )
        with tf.GradientTape() as tape:
            tape.watch(start)
            told = self(x + start, training=False)
            loss = tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits(y, told))
        uphill = tape.gradient(loss, start)
        return perturb_images(x, uphill, length) if picture else x + perturb_signed(start, uphill, length)


def build_child_graph(
    about: NetworkCard, parent: NetworkCard, settings: TrainingSettings, dtype: str
) -> keras.Model:
    """A child's graph with its parent's weights below the head, or fresh ones.

    Args:
        about: the child.
        parent: whose weights it takes over.
        settings: of the training.
        dtype: Keras's dtype policy of the layers.
    """
    net, _ = build_graph(about, dtype)
    initialize_random(net, settings.seed)
    if not settings.from_scratch:
        known = variables_by_name(load_network(parent, settings.weights, seed=settings.seed).model)
        own = {id(variable) for variable in find_head(net).variables}
        for name, variable in variables_by_name(net).items():
            if id(variable) not in own:
                variable.assign(known[name].numpy())
    return net


def make_logits_model(net: keras.Model, about: NetworkCard) -> keras.Model:
    """The part of a graph that leads from its input to its logits, [n, class]."""
    return keras.Model(net.input, layers_by_name(net)[str(about.head)].output)


def find_head(net: keras.Model) -> Any:
    """The layer whose weights tell the classes: the last that has any."""
    return [layer for layer in net.layers if layer.weights][-1]


def unfreeze_above(net: keras.Model, about: NetworkCard, upper: str | int) -> None:
    """Let a network change above a rung or from a layer on, and nowhere else.

    Args:
        net: the whole graph.
        about: its card.
        upper: so many upper rungs, none for the head alone; or the name of a layer.

    Raises:
        UserError: there is no such layer; names the nearest ones.
    """
    layers, head = layers_by_name(net), find_head(net)
    for layer in net.layers:
        layer.trainable = upper != 0 or layer is head
    if isinstance(upper, str):
        if upper not in layers or layers[upper] is head:
            near = difflib.get_close_matches(upper, layers, 3, 0.5) or [
                rung.layer for rung in about.rungs[-3:]
            ]
            raise UserError(
                f"--unfreeze {upper}: no such layer below the classes; nearest: {', '.join(near)}"
            )
        for layer in keras.Model(net.input, layers[upper].output).layers:
            layer.trainable = layer is layers[upper]
    elif 0 < upper < len(about.rungs):
        rung = about.rungs[-upper - 1].layer
        for layer in keras.Model(net.input, layers[rung].output).layers:
            layer.trainable = False


def scale_initial_weights(net: keras.Model, front: ImageInput | AudioInput, x: np.ndarray) -> None:
    """Scale fresh weights to what they will be shown: the first layer's answers are of about 1.

    He's weights (2015) keep the size of what comes in, and 0..255 would come out as 255.
    """
    size = float(np.std(preprocess(tf.constant(x), front).numpy())) or 1.0
    first = next(layer for layer in net.layers if layer.weights)
    first.kernel.assign(first.kernel / size)
    head = find_head(net)
    head.kernel.assign(tf.zeros_like(head.kernel))
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Means over the last ten steps, not hundred: they must have settled at the end.
            layer.momentum = min(layer.momentum, 0.9)


Tensor = Any  # Keras ships no types


def perturb_images(pictures: Tensor, uphill: Tensor, length: Tensor) -> Tensor:
    """Pictures moved along a gradient by an L2 length each.

    Args:
        pictures: [n, h, w, 3], 0..1.
        uphill: the gradient of their loss.
        length: [n], of all of a picture's numbers 0..1.

    Returns:
        [n, h, w, 3], 0..1.
    """
    norm = ops.sqrt(ops.sum(ops.square(uphill), [1, 2, 3], keepdims=True)) + 1e-10
    return ops.clip(pictures + ops.reshape(length, (-1, 1, 1, 1)) * uphill / norm, 0.0, 1.0)


def perturb_signed(start: Tensor, uphill: Tensor, most: Tensor) -> Tensor:
    """A change of each number by at most `most` (FGSM), from a random start.

    Args:
        start: the random change that the gradient was taken at.
        uphill: the gradient of the loss there.
        most: in the unit of the input.
    """
    return ops.clip(start + most * ops.sign(uphill), -most, most)
