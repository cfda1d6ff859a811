"""Keras graphs of the sound networks of three earlier projects, made anew from their published shapes.

DreamSound (char-tan, commit f77318e), Audio Deep Dream (kacperkan, commit 68e7e02) and Deep Dreaming Sounds
(verrannt, commit f7bb960). Their weights are pickled and never read. All take [batch, column, band, 1] with
any number of columns; layers have the publisher's names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmdream.networks.framework import keras, tf

layers, ops = keras.layers, keras.ops

Tensor = Any  # a symbolic Keras tensor; Keras ships no types

VGG19_BLOCKS = {1: (64, 2), 2: (128, 2), 3: (256, 4), 4: (512, 4), 5: (512, 4)}
"""Channels and convolutions of each block (Simonyan and Zisserman 2014, table 1, E)."""

RESIDUAL_BLOCKS = {
    1: {"a": (16, 7, 2)},
    2: {"a": (64, 3, 1), "b": (64, 3, 1)},
    3: {"a": (128, 3, 1), "b": (128, 3, 1)},
    4: {"a": (256, 3, 1), "b": (256, 3, 1)},
    5: {"a": (256, 3, 1), "b": (256, 3, 1)},
}
"""Channels, kernel side and stride of each block; a maximum of 2 x 2 between the groups."""

CONV5_SIZES = {
    "fat_shallow": {"conv1": 64, "conv2": 128, "conv3": 256, "conv4": 512, "conv4_1": 512}
    | {"fc1": 2048, "fc1_1": 2048},
    "xsmall": {"conv1": 32, "conv2": 64, "conv3": 128, "conv4": 128, "conv5": 128}
    | {"conv5_1": 256, "conv5_2": 256, "fc1": 2048},
    "slim_deep": {"conv1": 32} | {f"conv{number}": 64 for number in range(2, 10)} | {"fc1": 2048},
    "vgg16_skipped": {"conv1_1": 64, "conv2_1": 128, "conv3_1": 256, "conv4_1": 512, "conv5_1": 512}
    | {"fc1": 4096},
    "vgg16": {"conv1_1": 64, "conv1_2": 64, "conv2_1": 128, "conv2_2": 128}
    | {f"conv3_{number}": 256 for number in (1, 2, 3)}
    | {f"conv{block}_{number}": 512 for block in (4, 5) for number in (1, 2, 3)}
    | {"fc1": 4096, "fc2": 4096},
}
"""Channels of each layer of the named sizes, but the last, which has the classes."""

CLIP_COLUMNS = 13
"""That a Deep Dreaming Sounds network was given at a time: 2.08 s."""


@keras.saving.register_keras_serializable("mmdream")
class AdaptivePool(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """PyTorch's AdaptiveAvgPool2d: the mean in cells of a fixed grid, from any size above nothing."""

    def __init__(self, side: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.side = side

    def call(self, x: Tensor) -> Tensor:
        """[n, h, w, c] -> [n, side, side, c]."""
        x = ops.einsum("sh,nhwc->nswc", self._cells(ops.shape(x)[1], x.dtype), x)
        return ops.einsum("sw,nhwc->nhsc", self._cells(ops.shape(x)[2], x.dtype), x)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Known without running it."""
        return (shape[0], self.side, self.side, shape[3])

    def get_config(self) -> dict[str, Any]:
        """What makes the same again."""
        return {**super().get_config(), "side": self.side}

    def _cells(self, length: Tensor, dtype: Any) -> Tensor:
        """Weights [cell, place]: cell i goes from floor(i n / s) to ceil((i + 1) n / s), half open."""
        cell, place = ops.arange(self.side)[:, None], ops.arange(length)
        first, stop = cell * length // self.side, -(-(cell + 1) * length // self.side)
        inside = ops.cast(ops.logical_and(place >= first, place < stop), dtype)
        return inside / ops.sum(inside, axis=1, keepdims=True)


def vgg19_mel(bands: int, classes: int, dtype: str = "float32") -> keras.Model:
    """DreamSound's VGG-19 on one channel, to "output" [batch, class].

    Args:
        bands: mel bands of the input, at least 32.
        classes: of its head.
        dtype: Keras dtype policy.
    """
    x = heard = keras.Input((None, bands, 1), name="heard")
    for block, (channels, count) in VGG19_BLOCKS.items():
        for number in range(1, count + 1):
            name = f"conv{block}_{number}"
            x = layers.Conv2D(channels, 3, padding="same", dtype=dtype, name=name)(x)
            x = layers.ReLU(dtype=dtype, name=f"relu{block}_{number}")(x)
        x = layers.MaxPooling2D(2, dtype=dtype, name=f"mp{block}")(x)
    x = AdaptivePool(7, dtype=dtype, name="avgpool")(x)
    x = layers.Flatten(dtype=dtype, name="flat")(x)
    for number in (1, 2):
        x = layers.Dense(4096, dtype=dtype, name=f"linear{number}")(x)
        x = layers.ReLU(dtype=dtype, name=f"reluC_{number}")(x)
        x = layers.Dropout(0.5, dtype=dtype, name=f"dropout{number}")(x)
    return keras.Model(heard, layers.Dense(classes, dtype="float32", name="output")(x), name="vgg19_mel")


def residual_spec(bands: int, classes: int, dtype: str = "float32") -> keras.Model:
    """Audio Deep Dream's residual network, to "classification_1" [batch, class].

    Args:
        bands: bins of the input, at least 32.
        classes: of its head.
        dtype: Keras dtype policy.
    """

    def convolve(x: Tensor, name: str, channels: int, side: int, stride: int = 1) -> Tensor:
        # PyTorch pads alike on both sides; "same" would not where it strides.
        x = layers.ZeroPadding2D(side // 2, dtype=dtype, name=f"{name}_pad")(x)
        return layers.Conv2D(channels, side, stride, dtype=dtype, name=name)(x)

    def block(x: Tensor, name: str, channels: int, side: int, stride: int) -> Tensor:
        y = convolve(x, f"{name}_conv_1", x.shape[3], side)
        y = layers.BatchNormalization(dtype=dtype, epsilon=1e-5, name=f"{name}_batchnorm_1")(y)
        y = layers.ReLU(dtype=dtype, name=f"{name}_relu_1")(y)
        y = convolve(y, f"{name}_conv_2", channels, side, stride)
        y = layers.BatchNormalization(dtype=dtype, epsilon=1e-5, name=f"{name}_batchnorm_2")(y)
        # The publisher's has no way round where it strides.
        if stride == 1:
            if x.shape[3] != channels:
                x = layers.Conv2D(channels, 1, dtype=dtype, name=f"{name}_conv_input")(x)
            y = layers.Add(dtype=dtype, name=f"{name}_sum")([x, y])
        return layers.ReLU(dtype=dtype, name=name)(y)

    x = heard = keras.Input((None, bands, 1), name="heard")
    for group, blocks in RESIDUAL_BLOCKS.items():
        for letter, (channels, side, stride) in blocks.items():
            x = block(x, f"residual_{group}{letter}", channels, side, stride)
        if group < len(RESIDUAL_BLOCKS):
            x = layers.MaxPooling2D(2, dtype=dtype, name=f"pool_{group}")(x)
    x = layers.GlobalAveragePooling2D(dtype=dtype, name="average")(x)
    logits = layers.Dense(classes, dtype="float32", name="classification_1")(x)
    return keras.Model(heard, logits, name="residual_spec")


def conv5_spec(bands: int, classes: int, dtype: str = "float32", size: str = "fat_shallow") -> keras.Model:
    """Deep Dreaming Sounds' network of one of its named sizes, to "output" [batch, class].

    Its dense layers saw a clip of 13 columns; here they are moved along the sound like a convolution (Long et
    al. 2015, section 3.1), and their answers averaged, so that they hear sounds of any length.

    Args:
        bands: bins of the input.
        classes: of its head.
        dtype: Keras dtype policy.
        size: a key of `CONV5_SIZES`.
    """

    def convolve(x: Tensor, name: str, channels: int, sides: tuple[int, int], padding: str) -> Tensor:
        return layers.Conv2D(
            channels, sides, padding=padding, activation="leaky_relu", dtype=dtype, name=name
        )(x)

    def halve(x: Tensor, name: str) -> Tensor:
        x = layers.MaxPooling2D(2, padding="same", dtype=dtype, name=name)(x)
        return layers.Dropout(0.5, dtype=dtype, name=f"{name}_dropout")(x) if name == "pool2" else x

    shape = CONV5_SIZES[size]
    convolutions = [name for name in shape if name.startswith("conv")]
    second = convolutions[1]
    x = heard = keras.Input((None, bands, 1), name="heard")
    columns = CLIP_COLUMNS
    for name in convolutions:
        x = convolve(x, name, shape[name], (3, 3), "same")
        if name in (second, convolutions[-1]):
            x, columns = halve(x, "pool2" if name == second else "pool4"), -(-columns // 2)
    before = (columns - 1) // 2
    x = layers.ZeroPadding2D(((before, columns - 1 - before), (0, 0)), dtype=dtype, name="clip")(x)
    dense = [name for name in shape if name.startswith("fc")]
    for name in dense:
        x = convolve(x, name, shape[name], (columns, x.shape[2]) if name == "fc1" else (1, 1), "valid")
    x = layers.Dropout(0.5, dtype=dtype, name="fc1_dropout")(x)
    last = "fc3" if "fc2" in shape else "fc2"
    x = layers.Conv2D(classes, 1, dtype=dtype, name=last)(x)
    logits = layers.GlobalAveragePooling2D(dtype="float32", name="output")(x)
    return keras.Model(heard, logits, name="conv5_spec")


pass

ESC10_CLASSES = 10
"""The classes of ESC-10."""


def melnet(bands: int = 64, classes: int = ESC10_CLASSES, dtype: str = "float32") -> keras.Model:
    """The sound network that ships: six convolutions on a log-mel picture, 107,442 weights.

    Smooth everywhere (SiLU, mean pools), because a dream follows its gradient. Batch normalisation
    is folded into the convolutions, which therefore have biases. A c6 frame lasts 8 hops.

    Args:
        bands: mel bands of the input.
        classes: of its head.
        dtype: Keras dtype policy of the features.

    Returns:
        A model from [batch, hop, band, 1] to "logits" [batch, class], layers c1 to c6 named.
    """
    return _build_melnet(bands, classes, dtype, normalised=False)


def melnet_trainer(bands: int = 64, classes: int = ESC10_CLASSES, dropout: float = 0.3) -> keras.Model:
    """Build melnet with batch normalisation and dropout, to be trained and then folded."""
    return _build_melnet(bands, classes, "float32", normalised=True, dropout=dropout)


def fold_batch_normalization(trained: keras.Model) -> keras.Model:
    """Fold a trainer's batch normalisation into its convolutions.

    Returns:
        A melnet that answers as `trained` does outside training.
    """
    bands = int(trained.input_shape[2])
    folded = melnet(bands, int(trained.output_shape[1]))
    for name in MELNET_LAYERS:
        kernel = trained.get_layer(name).get_weights()[0]
        gamma, beta, mean, variance = trained.get_layer(f"{name}_norm").get_weights()
        scale = gamma / (variance + trained.get_layer(f"{name}_norm").epsilon) ** 0.5
        folded.get_layer(name).set_weights([kernel * scale, beta - mean * scale])
    folded.get_layer("logits").set_weights(trained.get_layer("logits").get_weights())
    return folded


def window_logits(model: keras.Model, c6: tf.Tensor) -> tf.Tensor:
    """What a melnet names in each short window, without hearing it again: its head on parts of c6.

    Args:
        model: a melnet.
        c6: its features, [1, time, band, 96], at least WINDOW long.

    Returns:
        float32 [window, class]; windows of WINDOW frames (0.74 s), half overlapping.
    """
    windows = tf.signal.frame(tf.cast(c6[0], tf.float32), LOGIT_WINDOW, LOGIT_WINDOW // 2, axis=0)
    mean = tf.reduce_mean(windows, axis=(1, 2))
    loudest = tf.reduce_mean(tf.reduce_max(windows, axis=1), axis=1)
    logits: tf.Tensor = model.get_layer("logits")(tf.concat((mean, loudest), axis=1))
    return logits


LOGIT_WINDOW = 8
"""c6 frames of 8 hops."""
MELNET_LAYERS = ("c1", "c2", "c3", "c4", "c5", "c6")
"""Shallow to deep."""

_MELNET_CHANNELS = {"c1": 16, "c2": 24, "c3": 40, "c4": 40, "c5": 64, "c6": 96}
_POOLED_AFTER = ("c2", "c4")


def _build_melnet(
    bands: int, classes: int, dtype: str, *, normalised: bool, dropout: float = 0.0
) -> keras.Model:
    heard = keras.Input((None, bands, 1), name="heard")
    x = heard
    for name in MELNET_LAYERS:
        if normalised:
            x = keras.layers.Conv2D(
                _MELNET_CHANNELS[name], 5 if name == "c1" else 3, 2 if name == "c1" else 1,
                padding="same", use_bias=False, name=name,
            )(x)  # fmt: skip
            x = keras.layers.BatchNormalization(momentum=0.95, name=f"{name}_norm")(x)
            x = keras.layers.Activation("silu", name=f"{name}_silu")(x)
        else:
            x = keras.layers.Conv2D(
                _MELNET_CHANNELS[name], 5 if name == "c1" else 3, 2 if name == "c1" else 1,
                padding="same", activation="silu", name=name, dtype=dtype,
            )(x)  # fmt: skip
        if name in _POOLED_AFTER:
            x = keras.layers.AveragePooling2D(2, padding="same", name=f"{name}_pool", dtype=dtype)(x)
    average = keras.layers.GlobalAveragePooling2D(name="average", dtype=dtype)(x)
    # How loud the class was at its best moment, for sounds that are short.
    loudest = keras.ops.mean(keras.ops.max(x, axis=1), axis=1)
    pooled = keras.layers.Concatenate(name="pooled", dtype=dtype)([average, loudest])
    if dropout:
        pooled = keras.layers.Dropout(dropout, name="dropout")(pooled)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(pooled)
    return keras.Model(heard, logits, name="melnet")


AUDIO_BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "melnet": melnet,
    "vgg19_mel": vgg19_mel,
    "residual_spec": residual_spec,
    "conv5_spec": conv5_spec,
}
"""What a card calls its builder: by name bands, classes, dtype, and what the card's `build` says."""
