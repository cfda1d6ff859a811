"""The Keras graph of a generator: latents and shares of classes in, pictures out.

Convolutions whose kernels are scaled by what a latent and a class make of each channel, and brought back to
one size (Karras et al. 2020, "StyleGAN2", section 2.2), from 4 px on doubled level by level; each level adds
its share of the colours. There is no noise within and no statistic of a batch: a picture is a function of its
latent and its class, with a gradient to both.
"""

from __future__ import annotations

from typing import Any

import keras

from mmdream.networks.image_models import Even, Tensor

layers, ops = keras.layers, keras.ops

LATENT = 64
"""Numbers of a latent, each of them normal."""
BASE = 4
"""px, of the coarsest level."""
STYLE = 128
"""Numbers that a latent and its class are brought to."""
MAX_CHANNELS = 192
GAIN = 2**0.5
"""That a leaky rectifier's outputs keep the size of its inputs."""


def level_channels(side: int, width: int) -> tuple[int, ...]:
    """Channels of the levels, coarsest first; `width` those of the finest."""
    levels = (side // BASE).bit_length()
    return tuple(min(MAX_CHANNELS, width << (levels - 1 - level)) for level in range(levels))


def build_generator(classes: int, side: int = 64, width: int = 32, dtype: Any = "float32") -> keras.Model:
    """The graph of a generator.

    Args:
        classes: their number.
        side: px of its pictures, a power of two.
        width: channels of the finest level.
        dtype: Keras's policy.

    Returns:
        A model from ``[latents, classes]``, float32 [n, `LATENT`], normal numbers, and [n, classes], shares
        that sum to 1, to pictures, float32 [n, side, side, 3], RGB 0..1.
    """
    latents = layers.Input((LATENT,), dtype="float32", name="latents")
    shares = layers.Input((classes,), dtype="float32", name="classes")
    channels = level_channels(side, width)
    normal = keras.initializers.RandomNormal(stddev=1.0)
    embedded = layers.Dense(LATENT, use_bias=False, kernel_initializer=normal, name="embed")
    style = ops.concatenate([UnitSize(name="unit")(latents), embedded(shares)], -1)
    for number in range(2):
        style = layers.Dense(STYLE, kernel_initializer="he_normal", name=f"style{number}")(style)
        style = layers.LeakyReLU(0.2, name=f"style{number}_act")(style)
    first = layers.Dense(BASE * BASE * channels[0], kernel_initializer="lecun_normal", name="first")(style)
    x = layers.Reshape((BASE, BASE, channels[0]), dtype=dtype, name="first_map")(first)
    colors = None
    for level, count in enumerate(channels):
        if level:
            x = ModulatedConv(count, 4, 2, dtype=dtype, name=f"up{level}")([x, style])
        x = ModulatedConv(count, 3, 1, dtype=dtype, name=f"conv{level}")([x, style])
        share = ModulatedConv(3, 1, 1, plain=True, dtype=dtype, name=f"colors{level}")([x, style])
        if colors is None:
            colors = share
        else:
            up = layers.UpSampling2D(2, interpolation="bilinear", dtype=dtype, name=f"colors{level}_up")
            colors = up(colors) + share
    return keras.Model(
        [latents, shares], ToUnitRange(dtype="float32", name="pictures")(colors), name="generator"
    )


class UnitSize(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Latents [n, k], scaled so that their mean square is 1: only their direction counts."""

    def call(self, x: Tensor) -> Tensor:
        """See the class."""
        return x * ops.rsqrt(ops.mean(ops.square(x), -1, keepdims=True) + 1e-8)


class ToUnitRange(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Any numbers to 0..1."""

    def call(self, x: Tensor) -> Tensor:
        """See the class."""
        return 0.5 + 0.5 * ops.tanh(ops.cast(x, "float32"))


class ModulatedConv(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A convolution of [n, h, w, c], its input channels scaled by a style, [n, k].

    A stride of 2 doubles the size; its kernel is twice as wide.
    Its outputs are brought back to the size that they would have without, and go through a leaky rectifier;
    `plain` ones do neither.
    """

    def __init__(self, filters: int, side: int, stride: int, plain: bool = False, **about: Any) -> None:
        super().__init__(**about)
        self.filters, self.side, self.stride, self.plain = filters, side, stride, plain

    def build(self, shapes: Any) -> None:
        """Make the weights."""
        (*_, channels), (_, style) = shapes
        ends = (self.filters, channels) if self.stride > 1 else (channels, self.filters)
        fan_in = channels * self.side**2 / self.stride**2
        normal = keras.initializers.RandomNormal(stddev=(0.2 if self.plain else 1.0) * fan_in**-0.5)
        self.kernel = self.add_weight((self.side, self.side, *ends), normal, name="kernel")
        self.bias = self.add_weight((self.filters,), "zeros", name="bias")
        self.style_kernel = self.add_weight((style, channels), "lecun_normal", name="style_kernel")
        self.style_bias = self.add_weight((channels,), "ones", name="style_bias")

    def call(self, both: list[Tensor]) -> Tensor:
        """See the class."""
        x, style = both
        scale = ops.cast(style, "float32") @ ops.cast(self.style_kernel, "float32")
        scale = scale + ops.cast(self.style_bias, "float32")
        x = x * ops.cast(scale, x.dtype)[:, None, None, :]
        kernel = self.kernel
        if self.stride > 1:
            kernel = Even(self.stride)(kernel)  # Or it draws its grid into the picture.
            y = ops.conv_transpose(x, ops.cast(kernel, x.dtype), self.stride, "same")
        else:
            y = ops.conv(x, ops.cast(kernel, x.dtype), 1, "same")
        if self.plain:
            return y + ops.cast(self.bias, y.dtype)
        squares = ops.square(ops.cast(kernel, "float32"))
        energy = ops.sum(squares, (0, 1)) / self.stride**2
        energy = ops.transpose(energy) if self.stride > 1 else energy
        size = ops.rsqrt(ops.square(scale) @ energy + 1e-6)
        y = y * ops.cast(size, y.dtype)[:, None, None, :] + ops.cast(self.bias, y.dtype)
        return ops.leaky_relu(y, 0.2) * GAIN

    def compute_output_shape(self, shapes: Any) -> Any:
        """Of symbolic tensors."""
        n, h, w, _ = shapes[0]
        return (n, h * self.stride, w * self.stride, self.filters)
