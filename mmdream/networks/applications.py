"""Keras's own picture networks as graphs without weights, for any height and width."""

from __future__ import annotations

from collections.abc import Callable

import keras

layers = keras.layers


def vgg16(dtype: str = "float32") -> keras.Model:
    """VGG16 without its dense layers; input BGR 0..255 minus (103.939, 116.779, 123.68)."""
    return _application(keras.applications.VGG16, dtype)


def vgg19(dtype: str = "float32") -> keras.Model:
    """VGG19 without its dense layers; input BGR 0..255 minus (103.939, 116.779, 123.68)."""
    return _application(keras.applications.VGG19, dtype)


def inception_v3(dtype: str = "float32") -> keras.Model:
    """InceptionV3 without its dense layer; input RGB -1..1."""
    return _application(keras.applications.InceptionV3, dtype)


def resnet50(dtype: str = "float32") -> keras.Model:
    """ResNet50 to logits [n, 1000]; input BGR 0..255 minus (103.939, 116.779, 123.68)."""
    return _with_head(keras.applications.ResNet50, dtype)


def mobilenet_v2(dtype: str = "float32") -> keras.Model:
    """MobileNetV2 to logits [n, 1000]; input RGB -1..1."""
    return _with_head(keras.applications.MobileNetV2, dtype)


def _application(build: Callable[..., keras.Model], dtype: str) -> keras.Model:
    """One of Keras's own networks; they take no dtype, so the global policy is lent to them."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        return build(include_top=False, weights=None, input_shape=(None, None, 3))
    finally:
        keras.config.set_dtype_policy(before)


def _with_head(build: Callable[..., keras.Model], dtype: str) -> keras.Model:
    """One of Keras's own networks with its thousand classes, which by itself it has for one size only.

    Its layers lie in the order of Keras's weights file with the head.
    """
    body = _application(build, dtype)
    x = layers.GlobalAveragePooling2D(dtype=dtype, name="avg_pool")(body.output)
    return keras.Model(body.input, layers.Dense(1000, dtype=dtype, name="predictions")(x), name=body.name)
