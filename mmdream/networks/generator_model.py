"""The Keras graphs of generators: latents and shares of classes in, pictures, levels or samples out.

Convolutions whose kernels are scaled by what a latent and a class make of each channel, and brought back to
one size (Karras et al. 2020, "StyleGAN2", section 2.2), from 4 px on doubled level by level; each level adds
its share of the colours. There is no noise within and no statistic of a batch: a picture is a function of its
latent and its class, with a gradient to both. A spectrogram is made as a picture of one colour is, samples by
transposed convolutions alone (Donahue et al. 2019, "WaveGAN").
"""

from __future__ import annotations

from typing import Any

import keras

from mmdream.networks.generator_card import SPECTROGRAM_FRAMES, WAVE_SAMPLES, Form
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
WAVE_STRIDE, WAVE_KERNEL, WAVE_LEVELS = 4, 25, 5
"""Each level of samples has four times as many as the one before, by kernels of 25."""


def build_form(form: Form, classes: int, side: int, width: int) -> keras.Model:
    """The graph of a form, see `build_generator`; `side` px of a picture, bands of a spectrogram."""
    if form == "wave":
        return build_wave_generator(classes, width)
    if form == "picture":
        return build_generator(classes, side, width)
    levels = (side // BASE).bit_length()
    base = SPECTROGRAM_FRAMES >> (levels - 1), BASE
    return build_generator(classes, side, width, base=base, colors=1)


def level_channels(side: int, width: int) -> tuple[int, ...]:
    """Channels of the levels, coarsest first; `width` those of the finest."""
    levels = (side // BASE).bit_length()
    return tuple(min(MAX_CHANNELS, width << (levels - 1 - level)) for level in range(levels))


def build_generator(
    classes: int,
    side: int = 64,
    width: int = 32,
    dtype: Any = "float32",
    base: tuple[int, int] = (BASE, BASE),
    colors: int = 3,
) -> keras.Model:
    """The graph of a generator.

    Args:
        classes: their number.
        side: px of its pictures, a power of two.
        width: channels of the finest level.
        dtype: Keras's policy.
        base: rows and columns of the coarsest level; of a picture that is no square too.
        colors: of a picture.

    Returns:
        A model from ``[latents, classes]``, float32 [n, `LATENT`], normal numbers, and [n, classes], shares
        that sum to 1, to pictures, float32 [n, side, side, 3], RGB 0..1.
    """
    latents, shares, style = _make_inputs(classes)
    channels = level_channels(side, width)
    for number in range(2):
        style = layers.Dense(STYLE, kernel_initializer="he_normal", name=f"style{number}")(style)
        style = layers.LeakyReLU(0.2, name=f"style{number}_act")(style)
    rows, columns = base
    first = layers.Dense(rows * columns * channels[0], kernel_initializer="lecun_normal", name="first")(style)
    x = layers.Reshape((rows, columns, channels[0]), dtype=dtype, name="first_map")(first)
    picture = None
    for level, count in enumerate(channels):
        if level:
            x = ModulatedConv(count, 4, 2, dtype=dtype, name=f"up{level}")([x, style])
        x = ModulatedConv(count, 3, 1, dtype=dtype, name=f"conv{level}")([x, style])
        share = ModulatedConv(colors, 1, 1, plain=True, dtype=dtype, name=f"colors{level}")([x, style])
        if picture is None:
            picture = share
        else:
            up = layers.UpSampling2D(2, interpolation="bilinear", dtype=dtype, name=f"colors{level}_up")
            picture = up(picture) + share
    return keras.Model(
        [latents, shares], ToUnitRange(dtype="float32", name="pictures")(picture), name="generator"
    )


def build_wave_generator(classes: int, width: int = 16) -> keras.Model:
    """The graph of a generator of samples: a model as `build_generator`'s, to float32 [n, `WAVE_SAMPLES`, 1].

    Its finest level has `width` channels, each one before twice as many.
    """
    latents, shares, x = _make_inputs(classes)
    length, channels = WAVE_SAMPLES // WAVE_STRIDE**WAVE_LEVELS, width << (WAVE_LEVELS - 1)
    x = layers.Dense(length * channels, kernel_initializer="he_normal", name="first")(x)
    x = layers.Reshape((length, channels), name="first_map")(layers.ReLU(name="first_act")(x))
    for level in range(WAVE_LEVELS):
        last = level == WAVE_LEVELS - 1
        x = layers.Conv1DTranspose(
            1 if last else channels >> (level + 1), WAVE_KERNEL, WAVE_STRIDE, "same",
            kernel_initializer="lecun_normal" if last else "he_normal", name=f"up{level}",
        )(x)  # fmt: skip
        x = layers.Activation("tanh", name="samples")(x) if last else layers.ReLU(name=f"up{level}_act")(x)
    return keras.Model([latents, shares], x, name="wave_generator")


def _make_inputs(classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, shares of classes, and both side by side."""
    latents = layers.Input((LATENT,), dtype="float32", name="latents")
    shares = layers.Input((classes,), dtype="float32", name="classes")
    normal = keras.initializers.RandomNormal(stddev=1.0)
    embedded = layers.Dense(LATENT, use_bias=False, kernel_initializer=normal, name="embed")
    return latents, shares, ops.concatenate([UnitSize(name="unit")(latents), embedded(shares)], -1)


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
