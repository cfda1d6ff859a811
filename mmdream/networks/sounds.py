"""Keras graphs of the networks that hear: spectrograms in, features and classes out.

No weights here: a graph is built for the bands that its card names and for any number of hops.
"""

from __future__ import annotations

from collections.abc import Callable

from mmdream.networks.earlier import conv5_spec, residual_spec, vgg19_mel
from mmdream.networks.framework import keras, tf

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
