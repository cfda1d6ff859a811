"""Keras's own picture networks as graphs without weights, for any height and width."""

from __future__ import annotations

from collections.abc import Callable

import keras

_keras_layers = keras.layers


def vgg16(dtype: str = "float32", classes: int = 0) -> keras.Model:
    """VGG16; input BGR 0..255 minus (103.939, 116.779, 123.68)."""
    return _build_application(keras.applications.VGG16, dtype, classes)


def vgg19(dtype: str = "float32", classes: int = 0) -> keras.Model:
    """VGG19; input BGR 0..255 minus (103.939, 116.779, 123.68)."""
    return _build_application(keras.applications.VGG19, dtype, classes)


def inception_v3(dtype: str = "float32", classes: int = 0) -> keras.Model:
    """InceptionV3; input RGB -1..1."""
    return _build_application(keras.applications.InceptionV3, dtype, classes)


def resnet50(dtype: str = "float32", classes: int = 1000) -> keras.Model:
    """ResNet50; input BGR 0..255 minus (103.939, 116.779, 123.68)."""
    return _build_application(keras.applications.ResNet50, dtype, classes)


def mobilenet_v2(dtype: str = "float32", classes: int = 1000) -> keras.Model:
    """MobileNetV2; input RGB -1..1."""
    return _build_application(keras.applications.MobileNetV2, dtype, classes)


def _build_application(build: Callable[..., keras.Model], dtype: str, classes: int) -> keras.Model:
    """One of Keras's own networks, without its dense layers or with one for its classes behind a global mean.

    By itself Keras has a head for one size of picture only. The layers lie in the order of Keras's weights
    files. The networks take no dtype, so the global policy is lent to them.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        body = build(include_top=False, weights=None, input_shape=(None, None, 3))
    finally:
        keras.config.set_dtype_policy(before)
    if not classes:
        return body
    x = _keras_layers.GlobalAveragePooling2D(dtype=dtype, name="avg_pool")(body.output)
    return keras.Model(
        body.input, _keras_layers.Dense(classes, dtype=dtype, name="predictions")(x), name=body.name
    )
