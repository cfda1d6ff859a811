"""The two things that Keras's backends do each in its own way: gradients, and compiling a step."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import keras
from keras import ops

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "torch":
    # By name: nothing here needs it, and a machine that is to train with it has it.
    torch = import_module("torch")
else:
    raise SystemExit(f"KERAS_BACKEND={BACKEND}: this trains with tensorflow or torch")


def value_and_gradient(loss: Callable[..., Any], inputs: Any) -> tuple[Any, Any]:
    """A loss and its gradient.

    Args:
        loss: of one tensor, or of nothing where it depends on Keras variables.
        inputs: that tensor, or a list of those variables.

    Returns:
        The loss, and a gradient like `wanted`.
    """
    if BACKEND == "tensorflow":
        return _tensorflow_value_and_gradient(loss, inputs)
    return _torch_value_and_gradient(loss, inputs)


def _tensorflow_value_and_gradient(loss: Callable[..., Any], inputs: Any) -> tuple[Any, Any]:
    with tf.GradientTape() as tape:
        if isinstance(inputs, list):
            value = loss()
            return value, tape.gradient(value, [v.value for v in inputs])
        tape.watch(inputs)
        value = loss(inputs)
    return value, tape.gradient(value, inputs)


def _torch_value_and_gradient(loss: Callable[..., Any], inputs: Any) -> tuple[Any, Any]:
    if isinstance(inputs, list):
        value = loss()
        gradients = torch.autograd.grad(value, [v.value for v in inputs], allow_unused=True)
        return value.detach(), [
            f if f is not None else ops.zeros_like(v) for f, v in zip(gradients, inputs, strict=True)
        ]
    leaf = inputs.detach().requires_grad_(True)
    value = loss(leaf)
    (gradients,) = torch.autograd.grad(value, [leaf])
    return value.detach(), gradients


def compile_step(step: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays, as one graph where the backend has graphs."""
    if BACKEND == "tensorflow":
        graph = tf.function(step, reduce_retracing=True)
        return lambda *arrays: graph(*[tf.convert_to_tensor(a) for a in arrays])
    return lambda *arrays: step(*[ops.convert_to_tensor(a) for a in arrays])
