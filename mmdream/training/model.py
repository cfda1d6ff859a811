"""The model that is trained: its parent's graph with another head, what of it changes, how it is attacked."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any

import numpy as np

from mmdream.core.errors import UserError
from mmdream.networks.card import AudioInput, ImageInput, NetworkCard
from mmdream.networks.framework import keras, preprocess, tf
from mmdream.networks.network import (
    build_graph,
    initialize_random,
    layers_by_name,
    load_network,
    variables_by_name,
)
from mmdream.settings.training import TrainingSettings
from mmdream.training.attacks import ATTACK_WARMUP_SHARE, Attack, perturb_images, perturb_signed

HEAD_LAYER = "predictions"
"""Layer of the classes in the networks that have a head only when they are given classes."""


def make_child_card(parent: NetworkCard, name: str, classes: tuple[str, ...], side: int = 224) -> NetworkCard:
    """The card of a network with its parent's body and other classes, trained on pictures of `side` px."""
    # A fresh head may speak against a class too.
    build = {key: value for key, value in parent.build.items() if key != "rectified"}
    front = parent.input
    return replace(
        parent,
        name=name,
        input=replace(front, side=side) if isinstance(front, ImageInput) else front,
        # What the parent's dreams had too much of may be the very thing that is learned.
        rungs=tuple(replace(rung, away=()) for rung in parent.rungs),
        classes=classes,
        class_file=None,
        synonyms={},
        events=(),
        head=parent.head or HEAD_LAYER,
        build=build,
    )


class TrainableModel(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A network from its input to logits, float32, that may be attacked while it is trained."""

    def __init__(
        self, net: keras.Model, network_input: ImageInput | AudioInput, attack: Attack | None = None
    ) -> None:
        super().__init__()
        self.net, self.network_input, self.attack = net, network_input, attack
        self.is_image = isinstance(network_input, ImageInput)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, h, w, 3] RGB 0..1, or [n, frame, band, 1] -> [n, class]."""
        return tf.cast(self.net(preprocess(x, self.network_input), training=training), tf.float32)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Keras's own, on attacked inputs."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if self.attack is not None:
            done = tf.cast(self.optimizer.iterations, tf.float32) / self.attack.steps
            epsilon = self.attack.epsilon * tf.minimum(1.0, done / ATTACK_WARMUP_SHARE)
            seed = tf.stack([self.attack.seed, tf.cast(self.optimizer.iterations, tf.int32)])
            if self.is_image:
                # Of all lengths: clean pictures are to be classified, too.
                epsilon *= tf.random.stateless_uniform((tf.shape(x)[0],), seed)
            x = self.perturb(x, y, epsilon, seed)
        return super().train_step((x, y, weight))

    def test_step(self, data: Any) -> dict[str, Any]:
        """Keras's own, on attacked inputs, or the beginning of a robust training would seem its best."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if self.attack is not None:
            epsilon = tf.constant(self.attack.epsilon, tf.float32)
            if self.is_image:
                epsilon = tf.fill((tf.shape(x)[0],), epsilon)
            seed = tf.constant([self.attack.seed, 0], tf.int32)
            x = self.perturb(x, tf.cast(y, tf.float32), epsilon, seed)
        return super().test_step((x, y, weight))

    def perturb(self, x: tf.Tensor, y: tf.Tensor, epsilon: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Inputs moved by a step that raises their loss; sounds are first moved at random by `seed` [2].

        `y` is [n, class], shares of the classes; `epsilon`, see `Attack`, is [n] for pictures, [] for sounds.
        """
        start = tf.zeros_like(x)
        if not self.is_image:
            start = epsilon * tf.random.stateless_uniform(tf.shape(x), seed, -1, 1)
        with tf.GradientTape() as tape:
            tape.watch(start)
            logits = self(x + start, training=False)
            loss = tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits(y, logits))
        gradient = tape.gradient(loss, start)
        if self.is_image:
            return perturb_images(x, gradient, epsilon)
        return x + perturb_signed(start, gradient, epsilon)


def build_child_graph(
    card: NetworkCard, parent: NetworkCard, settings: TrainingSettings, dtype: str
) -> keras.Model:
    """A child's graph with its parent's weights below the head, or fresh ones; `dtype` is Keras's policy."""
    net, _ = build_graph(card, dtype)
    initialize_random(net, settings.seed)
    if not settings.from_scratch:
        weights = variables_by_name(load_network(parent, settings.weights, seed=settings.seed).model)
        head = {id(variable) for variable in find_head(net).variables}
        for name, variable in variables_by_name(net).items():
            if id(variable) not in head:
                variable.assign(weights[name].numpy())
    return net


def make_logits_model(net: keras.Model, card: NetworkCard) -> keras.Model:
    """A graph from its input to its logits, [n, class]."""
    return keras.Model(net.input, layers_by_name(net)[str(card.head)].output)


def find_head(net: keras.Model) -> Any:
    """The layer of the classes: the last that has weights."""
    return [layer for layer in net.layers if layer.weights][-1]


def unfreeze_above(net: keras.Model, card: NetworkCard, unfrozen: str | int) -> None:
    """Make a graph trainable in so many upper rungs (0: the head alone) or from a layer on, nowhere else."""
    layers, head = layers_by_name(net), find_head(net)
    for layer in net.layers:
        layer.trainable = unfrozen != 0 or layer is head
    if isinstance(unfrozen, str):
        if unfrozen not in layers or layers[unfrozen] is head:
            near = difflib.get_close_matches(unfrozen, layers, 3, 0.5)
            near = near or [rung.layer for rung in card.rungs[-3:]]
            raise UserError(
                f"--unfreeze {unfrozen}: no such layer below the classes; nearest: {', '.join(near)}"
            )
        for layer in keras.Model(net.input, layers[unfrozen].output).layers:
            layer.trainable = layer is layers[unfrozen]
    elif 0 < unfrozen < len(card.rungs):
        rung = card.rungs[-unfrozen - 1].layer
        for layer in keras.Model(net.input, layers[rung].output).layers:
            layer.trainable = False


def scale_initial_weights(net: keras.Model, network_input: ImageInput | AudioInput, x: np.ndarray) -> None:
    """Scale fresh weights to their inputs `x`, so that the first layer's activations are of about 1.

    He's weights (2015) keep the size of what comes in, and 0..255 would come out as 255.
    """
    size = float(np.std(preprocess(tf.constant(x), network_input).numpy())) or 1.0
    first = next(layer for layer in net.layers if layer.weights)
    first.kernel.assign(first.kernel / size)
    head = find_head(net)
    head.kernel.assign(tf.zeros_like(head.kernel))
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Means over the last ten steps, not hundred: they must have settled at the end.
            layer.momentum = min(layer.momentum, 0.9)
