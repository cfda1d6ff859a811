"""The Keras graph of a dreamer: frame, carried detail and weights of channels in, the detail's change out.

A U-Net (Ronneberger et al. 2015) whose finest level lies at a quarter of the frame's size. What is to be
climbed comes in at the coarsest as a scale and a shift of its features (Perez et al. 2018, "FiLM"). It runs
on any of Keras's backends.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from mmdream.networks.image_models import Tensor

layers, ops = keras.layers, keras.ops

CHANNELS = 40, 64, 96
"""Of its levels, at a quarter, an eighth and a sixteenth of the frame's size."""
CODE_CHANNELS = 64
"""What the weights of all climbed channels are brought to."""
GRID = 8
"""px of the half-size picture: its sides are multiples of this."""


def build_dreamer(channels: int, dtype: Any = "float32") -> keras.Model:
    """The graph of a dreamer.

    Args:
        channels: number of the channels that can be climbed.
        dtype: Keras's policy.

    Returns:
        A model from ``[pictures, weights]``, frame and detail at half the frame's size, [n, h, w, 6] with
        sides that `GRID` divides, and weights of channels at places, [n, row, column, channels], to the
        change of the detail, [n, h, w, 3], of any length.
    """
    pictures = layers.Input((None, None, 6), dtype="float32", name="pictures")
    weights = layers.Input((None, None, channels), dtype="float32", name="weights")

    def conv(
        x: Tensor, width: int, name: str, side: int = 3, stride: int = 1, act: str | None = "relu"
    ) -> Any:
        return layers.Conv2D(
            width,
            side,
            stride,
            "same",
            activation=act,
            dtype=dtype,
            name=name,
            kernel_initializer="he_normal",
        )(x)

    def merge(skipped: Tensor, x: Tensor, name: str) -> Tensor:
        # As a gradient on its way back: what comes from above goes on where something was seen.
        width = skipped.shape[-1]
        x = layers.UpSampling2D(2, dtype=dtype, name=f"{name}_up")(conv(x, width, f"{name}_in", 1, act=None))
        gate = conv(skipped, width, f"{name}_gate", 1, act="sigmoid")
        return conv(skipped + gate * x, width, f"{name}_out")

    first, second, third = CHANNELS
    fine = conv(
        SpaceToDepth(dtype=dtype, name="fold")(InputScale(dtype=dtype, name="scale")(pictures)), first, "fine"
    )
    middle = conv(conv(fine, second, "middle_down", stride=2), second, "middle")
    code = conv(CompressWeights(dtype=dtype, name="compress")(weights), CODE_CHANNELS, "code", 1)
    coarse = conv(middle, third, "coarse_down", stride=2)
    for number in range(2):
        film = conv(code, 2 * third, f"film{number}", 1, act=None)
        modulated = FeatureModulation(dtype=dtype, name=f"modulated{number}")([coarse, film])
        coarse = coarse + conv(modulated, third, f"coarse{number}")
    fine = merge(fine, merge(middle, coarse, "middle_merge"), "fine_merge")
    change = DepthToSpace(dtype="float32", name="unfold")(conv(fine, 12, "change", act=None))
    return keras.Model([pictures, weights], change, name="dreamer")


class InputScale(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Frames about 0, and details, which are small, as large as they."""

    def call(self, x: Tensor) -> Tensor:
        """[n, h, w, 6] -> likewise."""
        scale = np.array([2, 2, 2, 4, 4, 4], np.float32)
        return x * ops.cast(scale, x.dtype) - ops.cast(scale * [0.5, 0.5, 0.5, 0, 0, 0], x.dtype)

    def compute_output_shape(self, shape: Any) -> Any:
        """Of symbolic tensors."""
        return shape


class CompressWeights(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Weights of channels, which differ a thousandfold, by their inverse hyperbolic sine."""

    def call(self, x: Tensor) -> Tensor:
        """[n, row, column, channel] -> likewise."""
        return ops.cast(ops.arcsinh(2 * ops.cast(x, "float32")), self.compute_dtype)

    def compute_output_shape(self, shape: Any) -> Any:
        """Of symbolic tensors."""
        return shape


class SpaceToDepth(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """[n, 2 h, 2 w, c] -> [n, h, w, 4 c]."""

    def call(self, x: Tensor) -> Tensor:
        """See the class."""
        n, h, w, c = ops.shape(x)
        x = ops.reshape(x, (n, h // 2, 2, w // 2, 2, c))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (n, h // 2, w // 2, 4 * c))

    def compute_output_shape(self, shape: Any) -> Any:
        """Of symbolic tensors."""
        return (shape[0], None, None, 4 * shape[-1])


class DepthToSpace(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """[n, h, w, 4 c] -> [n, 2 h, 2 w, c]."""

    def call(self, x: Tensor) -> Tensor:
        """See the class."""
        n, h, w, c = ops.shape(x)
        x = ops.reshape(x, (n, h, w, 2, 2, c // 4))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (n, 2 * h, 2 * w, c // 4))

    def compute_output_shape(self, shape: Any) -> Any:
        """Of symbolic tensors."""
        return (shape[0], None, None, shape[-1] // 4)


class FeatureModulation(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Features [n, h, w, c], scaled and shifted by [n, row, column, 2 c], which lie on a coarser grid."""

    def call(self, both: list[Tensor]) -> Tensor:
        """See the class."""
        x, film = both
        rows, columns = (interpolation(ops.shape(film)[axis], ops.shape(x)[axis], x.dtype) for axis in (1, 2))
        film = ops.einsum("yr,xc,nrck->nyxk", rows, columns, film)
        scale, shift = ops.split(film, 2, axis=-1)
        return x * (1 + scale) + shift

    def compute_output_shape(self, shapes: Any) -> Any:
        """Of symbolic tensors."""
        return shapes[0]


def interpolation(count: Any, wanted: Any, dtype: str) -> Tensor:
    """The matrix, [wanted, count], that interpolates evenly spaced values linearly, and holds the outer ones.

    Keras's own resizing takes no size that is known only when the graph runs.
    """
    ratio = ops.cast(count, "float32") / ops.cast(wanted, "float32")
    places = (ops.cast(ops.arange(wanted), "float32") + 0.5) * ratio - 0.5
    places = ops.clip(places, 0, ops.cast(count, "float32") - 1)
    distance = ops.abs(places[:, None] - ops.cast(ops.arange(count), "float32")[None])
    return ops.cast(ops.maximum(1 - distance, 0), dtype)
