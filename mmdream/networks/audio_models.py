"""Keras graphs of the sound networks, without weights: melnet, and three of earlier projects.

DreamSound (char-tan, commit f77318e), Audio Deep Dream (kacperkan, 68e7e02) and Deep Dreaming Sounds
(verrannt, f7bb960) are made anew from their published shapes, with the publishers' names of layers. All take
[batch, column, band, 1] with any number of columns and give logits [batch, class]; `dtype` is Keras's dtype
policy of the features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmdream.networks.framework import keras, tf

layers, ops = keras.layers, keras.ops

Tensor = Any  # a symbolic Keras tensor; Keras ships no types

MELNET_LAYERS = {
    "c1": (16, 5, 2),
    "c2": (24, 3, 1),
    "c3": (40, 3, 1),
    "c4": (40, 3, 1),
    "c5": (64, 3, 1),
    "c6": (96, 3, 1),
}
"""Channels, kernel side and stride of melnet's convolutions, shallow to deep."""
LOGIT_WINDOW = 8
"""Frames of c6, each 8 hops long, in one window of `window_logits`."""
VGG19_BLOCKS = {1: (64, 2), 2: (128, 2), 3: (256, 4), 4: (512, 4), 5: (512, 4)}
"""Channels and convolutions of each block (Simonyan and Zisserman 2014, table 1, E)."""
RESIDUAL_BLOCKS = {"1a": (16, 7, 2)} | {
    f"{group}{letter}": (channels, 3, 1)
    for group, channels in ((2, 64), (3, 128), (4, 256), (5, 256))
    for letter in "ab"
}
"""Channels, kernel side and stride of each block; a maximum of 2 x 2 after 1a, 2b, 3b and 4b."""
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
"""Columns of a clip of Deep Dreaming Sounds: 2.08 s."""


def melnet(
    bands: int = 64, classes: int = 10, dtype: str = "float32", normalised: bool = False, dropout: float = 0.0
) -> keras.Model:
    """The sound network that ships: six convolutions on a log-mel spectrogram, logits "logits".

    Smooth everywhere (SiLU, mean pools), because a dream follows its gradient. It is trained `normalised`,
    with batch normalisation behind each convolution and `dropout` of the pooled features; for dreams that is
    folded into the convolutions, which therefore have biases.
    """
    x = heard = keras.Input((None, bands, 1), name="heard")
    for name, (channels, side, stride) in MELNET_LAYERS.items():
        activation = None if normalised else "silu"
        x = layers.Conv2D(
            channels, side, stride, "same",
            activation=activation, use_bias=not normalised, dtype=dtype, name=name,
        )(x)  # fmt: skip
        if normalised:
            x = layers.BatchNormalization(momentum=0.95, dtype=dtype, name=f"{name}_norm")(x)
            x = layers.Activation("silu", dtype=dtype, name=f"{name}_silu")(x)
        if name in ("c2", "c4"):
            x = layers.AveragePooling2D(2, padding="same", name=f"{name}_pool", dtype=dtype)(x)
    average = layers.GlobalAveragePooling2D(name="average", dtype=dtype)(x)
    # How loud the class was at its best moment, for sounds that are short.
    loudest = ops.mean(ops.max(x, axis=1), axis=1)
    pooled = layers.Concatenate(name="pooled", dtype=dtype)([average, loudest])
    if dropout:
        pooled = layers.Dropout(dropout, name="dropout")(pooled)
    logits = layers.Dense(classes, dtype="float32", name="logits")(pooled)
    return keras.Model(heard, logits, name="melnet")


def window_logits(model: keras.Model, c6: tf.Tensor) -> tf.Tensor:
    """Logits of a melnet in short windows, by its head on parts of its features c6, [1, time, band, 96].

    Returns:
        float32 [window, class]; windows of `LOGIT_WINDOW` frames (0.74 s), half overlapping.
    """
    windows = tf.signal.frame(tf.cast(c6[0], tf.float32), LOGIT_WINDOW, LOGIT_WINDOW // 2, axis=0)
    mean = tf.reduce_mean(windows, axis=(1, 2))
    loudest = tf.reduce_mean(tf.reduce_max(windows, axis=1), axis=1)
    logits: tf.Tensor = model.get_layer("logits")(tf.concat((mean, loudest), axis=1))
    return logits


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
    """DreamSound's VGG-19 on one channel of at least 32 bands, logits "output"."""
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
    """Audio Deep Dream's residual network on at least 32 bins, logits "classification_1"."""

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
    for name, shape in RESIDUAL_BLOCKS.items():
        x = block(x, f"residual_{name}", *shape)
        if name in ("1a", "2b", "3b", "4b"):
            x = layers.MaxPooling2D(2, dtype=dtype, name=f"pool_{name[0]}")(x)
    x = layers.GlobalAveragePooling2D(dtype=dtype, name="average")(x)
    logits = layers.Dense(classes, dtype="float32", name="classification_1")(x)
    return keras.Model(heard, logits, name="residual_spec")


def conv5_spec(bands: int, classes: int, dtype: str = "float32", size: str = "fat_shallow") -> keras.Model:
    """Deep Dreaming Sounds' network of one of `CONV5_SIZES`, logits "output".

    Its dense layers took a clip of 13 columns; here they are moved along the sound like a convolution (Long
    et al. 2015, section 3.1), and their outputs averaged.
    """

    def convolve(x: Tensor, name: str, channels: int, sides: tuple[int, int], padding: str) -> Tensor:
        return layers.Conv2D(
            channels, sides, padding=padding, activation="leaky_relu", dtype=dtype, name=name
        )(x)

    shape = CONV5_SIZES[size]
    convolutions = [name for name in shape if name.startswith("conv")]
    second = convolutions[1]
    x = heard = keras.Input((None, bands, 1), name="heard")
    columns = CLIP_COLUMNS
    for name in convolutions:
        x = convolve(x, name, shape[name], (3, 3), "same")
        if name in (second, convolutions[-1]):
            pool, columns = "pool2" if name == second else "pool4", -(-columns // 2)
            x = layers.MaxPooling2D(2, padding="same", dtype=dtype, name=pool)(x)
            x = layers.Dropout(0.5, dtype=dtype, name="pool2_dropout")(x) if name == second else x
    before = (columns - 1) // 2
    x = layers.ZeroPadding2D(((before, columns - 1 - before), (0, 0)), dtype=dtype, name="clip")(x)
    for name in (name for name in shape if name.startswith("fc")):
        x = convolve(x, name, shape[name], (columns, x.shape[2]) if name == "fc1" else (1, 1), "valid")
    x = layers.Dropout(0.5, dtype=dtype, name="fc1_dropout")(x)
    last = "fc3" if "fc2" in shape else "fc2"
    x = layers.Conv2D(classes, 1, dtype=dtype, name=last)(x)
    logits = layers.GlobalAveragePooling2D(dtype="float32", name="output")(x)
    return keras.Model(heard, logits, name="conv5_spec")


_BUILDERS: tuple[Callable[..., keras.Model], ...] = melnet, vgg19_mel, residual_spec, conv5_spec
AUDIO_BUILDERS = {build.__name__: build for build in _BUILDERS}
"""By the `builder` of a card; they take bands, classes, dtype, and the `build` of the card by name."""
