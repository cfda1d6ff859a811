"""Keras graphs of the image networks, without weights, for any height and width.

Each takes its *own* input (order, range and mean are the card's affair) and names its layers as the publisher
does, with ``/`` written ``_``. `dtype` is Keras's dtype policy, `classes` the number of classes of the head.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

layers, ops = keras.layers, keras.ops

Tensor = Any  # a symbolic Keras tensor; Keras ships no types

INCEPTION_CHANNELS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Channels of 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj (Szegedy et al. 2014, table 1)."""
FIRE_CHANNELS = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
"""Channels of squeeze1x1; each expand has four times as many (SqueezeNet v1.1)."""
DREAMNET_LAYERS = {
    "c1a": (8, 4, 48),
    "c2a": (4, 2, 96),
    "c2b": (3, 1, 96),
    "c2c": (3, 1, 96),
    "p3b": (1, 1, 480),
    "c3a": (4, 2, 192),
    "c3b": (3, 1, 192),
    "c3c": (3, 1, 192),
    "p4c": (1, 1, 512),
    "c4a": (4, 2, 192),
    "c4b": (3, 1, 256),
    "p5b": (1, 1, 1024),
}
"""Kernel side, stride and channels of dreamnet's convolutions, in the order of their making."""


@keras.saving.register_keras_serializable("mmdream")
class LocalResponse(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Caffe's LRN: x / (1 + 1e-4 / 5 * sum of 5 squares)^0.75 (Krizhevsky et al. 2012, section 3.3).

    As a product with a banded matrix; TensorFlow's own kernel takes three times as long and no bfloat16.
    """

    def call(self, x: Tensor) -> Tensor:
        """Normalise [n, h, w, c] across channels."""
        places = np.arange(x.shape[-1])
        near = np.abs(places[:, None] - places) <= 2
        band, alpha = ops.cast(near[None, None], x.dtype), 1e-4 / 5

        @ops.custom_gradient
        def normalised(x: Tensor) -> tuple[Tensor, Callable[..., Tensor]]:
            # Scaled before it is squared, so that float16 can hold it.
            root = ops.rsqrt(1 + ops.conv(ops.square(alpha**0.5 * x), band, 1, "same"))
            power = root * ops.sqrt(root)
            y = x * power

            def gradient(*args: Tensor, upstream: Tensor = None) -> Tensor:
                dy = args[0] if upstream is None else upstream
                across = ops.conv(dy * (1.5 * alpha * y * ops.square(root)), band, 1, "same")
                return dy * power - x * across

            return y, gradient

        return normalised(x)


class Even(keras.constraints.Constraint):  # type: ignore[misc]  # Keras has no types
    """Keeps a strided kernel, twice as wide as its stride, from drawing its grid into gradients.

    Where neighbours overlap, the sum of what they give back must be the same at every place within a stride.
    """

    def __init__(self, stride: int) -> None:
        self.stride = stride

    def __call__(self, kernel: Tensor) -> Tensor:
        """Project a kernel [2 stride, 2 stride, in, out]."""
        size, shape = self.stride, kernel.shape
        folded = ops.reshape(kernel, (2, size, 2, size, *shape[2:]))
        summed = ops.mean(folded, (0, 2), keepdims=True)
        uneven = summed - ops.mean(summed, (1, 3), keepdims=True)
        return ops.reshape(folded - uneven, shape)

    def get_config(self) -> dict[str, int]:
        """What makes the same again."""
        return {"stride": self.stride}


@keras.saving.register_keras_serializable("mmdream")
class Stem(keras.layers.Conv2D):  # type: ignore[misc]  # Keras has no types
    """A convolution over pixels, its kernel twice as wide as its stride, computed over blocks of pixels.

    A stride's worth of pixels becomes channels: the same sums, but the gradient to three channels, which
    leaves a processor's vectors nearly empty, takes half as long.
    """

    def call(self, x: Tensor) -> Tensor:
        """Convolve [n, h, w, c] as "same" does; [n, ceil(h / stride), ceil(w / stride), filters]."""
        n, h, w, c = ops.shape(x)
        size = self.strides[0]
        rows, columns = -(-h // size) + 1, -(-w // size) + 1
        down, across = rows * size - h, columns * size - w
        margin = ((0, 0), (down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
        blocks = ops.reshape(ops.pad(x, margin), (n, rows, size, columns, size * c))
        blocks = ops.reshape(ops.transpose(blocks, (0, 1, 3, 2, 4)), (n, rows, columns, size * size * c))
        kernel = ops.transpose(ops.reshape(self.kernel, (2, size, 2, size, c, -1)), (0, 2, 1, 3, 4, 5))
        y = ops.conv(blocks, ops.reshape(kernel, (2, 2, size * size * c, -1)))
        return self.activation(y if self.bias is None else y + self.bias)


def dreamnet(dtype: str = "float32", classes: int = 200, normalised: bool = False) -> keras.Model:
    """Our small student of GoogLeNet: [n, h, w, 3], RGB minus 0.5 -> [p3b, p4c, p5b, logits].

    Strides 4, 8, 16, 32, with even kernels that overlap by half and so leave no checkerboard in the gradient.
    p3b, p4c and p5b predict the channels of GoogLeNet's inception_3b_output, 4c_output and 5b_output; the
    head takes the last two. `normalised`: with batch normalisation behind each convolution, as it is trained.
    """
    x = pixels = keras.Input((None, None, 3))
    heads = []
    for name, (side, stride, channels) in DREAMNET_LAYERS.items():
        convolution = Stem if x is pixels else layers.Conv2D
        y = convolution(
            channels, side, stride, "same", kernel_initializer="he_normal",
            use_bias=not normalised, activation=None if normalised else "relu",
            kernel_constraint=Even(stride) if stride > 1 else None,
            dtype=dtype, name=f"{name}_conv" if normalised else name,
        )(x)  # fmt: skip
        if normalised:
            y = layers.BatchNormalization(momentum=0.98, dtype=dtype, name=f"{name}_norm")(y)
            y = layers.ReLU(dtype=dtype, name=name)(y)
        if name.startswith("p"):
            heads.append(y)
        else:
            x = y
    # What there is (p4c), and how it lies together (p5b).
    pooled = [layers.GlobalAveragePooling2D(dtype=dtype)(head) for head in heads[1:]]
    pooled = layers.Concatenate(dtype=dtype, name="seen")(pooled)
    logits = layers.Dense(classes, dtype=dtype, name="classes")(pooled)
    return keras.Model(pixels, [*heads, logits], name="dreamnet")


def googlenet(dtype: str = "float32", classes: int = 1000) -> keras.Model:
    """BVLC GoogLeNet, of the first deep dreams: BGR 0..255 minus (104, 117, 123) -> logits [n, class]."""
    convolve = partial(_convolve, dtype=dtype)

    def inception(x: Tensor, block: str) -> Tensor:
        one, three_in, three, five_in, five, pooled = INCEPTION_CHANNELS[block]
        name = f"inception_{block}"
        pool = layers.MaxPooling2D(3, 1, "same", dtype=dtype, name=f"{name}_pool")(x)
        branches = [
            convolve(x, f"{name}_1x1", one, 1),
            convolve(convolve(x, f"{name}_3x3_reduce", three_in, 1), f"{name}_3x3", three, 3),
            convolve(convolve(x, f"{name}_5x5_reduce", five_in, 1), f"{name}_5x5", five, 5),
            convolve(pool, f"{name}_pool_proj", pooled, 1),
        ]
        return layers.Concatenate(dtype=dtype, name=f"{name}_output")(branches)

    pixels = keras.Input((None, None, 3))
    # Caffe pads 3 on every side; "same" would pad 2 and 3 on even sizes and shift the picture.
    x = layers.ZeroPadding2D(3, dtype=dtype, name="conv1_pad")(pixels)
    x = layers.Conv2D(64, 7, 2, activation="relu", dtype=dtype, name="conv1_7x7_s2")(x)
    x = _max_pool_ceil(x, "pool1_3x3_s2", dtype)
    x = LocalResponse(dtype=dtype, name="pool1_norm1")(x)
    x = convolve(convolve(x, "conv2_3x3_reduce", 64, 1), "conv2_3x3", 192, 3)
    x = LocalResponse(dtype=dtype, name="conv2_norm2")(x)
    x = _max_pool_ceil(x, "pool2_3x3_s2", dtype)
    for block in INCEPTION_CHANNELS:
        if block in ("4a", "5a"):
            x = _max_pool_ceil(x, f"pool{int(block[0]) - 1}_3x3_s2", dtype)
        x = inception(x, block)
    x = layers.GlobalAveragePooling2D(dtype=dtype, name="pool5")(x)
    logits = layers.Dense(classes, dtype=dtype, name="loss3_classifier")(x)
    return keras.Model(pixels, logits, name="googlenet")


def squeezenet(dtype: str = "float32", classes: int = 1000, rectified: bool = False) -> keras.Model:
    """SqueezeNet v1.1: BGR 0..255 minus (104, 117, 123) -> logits [n, class].

    `rectified`: a place can only speak for a class, as the published weights want it; a class that no place
    speaks for has no gradient then, neither to be learned nor to be dreamed.
    """
    convolve = partial(_convolve, dtype=dtype)
    pixels = keras.Input((None, None, 3))
    x = layers.Conv2D(64, 3, 2, activation="relu", dtype=dtype, name="conv1")(pixels)
    x = _max_pool_ceil(x, "pool1", dtype)
    for block, channels in FIRE_CHANNELS.items():
        if block in (4, 6):
            x = _max_pool_ceil(x, f"pool{block - 1}", dtype)
        x = convolve(x, f"fire{block}_squeeze1x1", channels, 1)
        branches = [convolve(x, f"fire{block}_expand{side}x{side}", 4 * channels, side) for side in (1, 3)]
        x = layers.Concatenate(dtype=dtype, name=f"fire{block}_concat")(branches)
    activation = "relu" if rectified else None
    x = layers.Conv2D(classes, 1, activation=activation, dtype=dtype, name="conv10")(x)
    logits = layers.GlobalAveragePooling2D(dtype=dtype, name="pool10")(x)
    return keras.Model(pixels, logits, name="squeezenet")


def _build_application(
    build: Callable[..., keras.Model], dtype: str = "float32", classes: int = 0
) -> keras.Model:
    """One of Keras's own networks, without its dense layers or with one for its classes behind a global mean.

    By itself Keras has a head for one size of image only. The global policy is lent, as they take no dtype.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        body = build(include_top=False, weights=None, input_shape=(None, None, 3))
    finally:
        keras.config.set_dtype_policy(before)
    if not classes:
        return body
    x = layers.GlobalAveragePooling2D(dtype=dtype, name="avg_pool")(body.output)
    return keras.Model(body.input, layers.Dense(classes, dtype=dtype, name="predictions")(x), name=body.name)


def _convolve(x: Tensor, name: str, channels: int, side: int, dtype: str) -> Tensor:
    return layers.Conv2D(channels, side, padding="same", activation="relu", dtype=dtype, name=name)(x)


def _max_pool_ceil(x: Tensor, name: str, dtype: str) -> Tensor:
    """Max pool 3x3 / 2 with Caffe's ceil mode, of what has passed a ReLU: padding with 0 is with nothing."""
    # "same" would also pad before on odd sizes.
    padded = layers.ZeroPadding2D(((0, 1), (0, 1)), dtype=dtype, name=f"{name}_pad")(x)
    return layers.MaxPooling2D(3, 2, dtype=dtype, name=name)(padded)


IMAGE_BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "dreamnet": dreamnet,
    "googlenet": googlenet,
    "squeezenet": squeezenet,
    "vgg16": partial(_build_application, keras.applications.VGG16),
    "vgg19": partial(_build_application, keras.applications.VGG19),
    "inception_v3": partial(_build_application, keras.applications.InceptionV3),
    "resnet50": partial(_build_application, keras.applications.ResNet50),
    "mobilenet_v2": partial(_build_application, keras.applications.MobileNetV2),
}
"""By the `builder` of a card; they take classes, dtype, and the `build` of the card by name."""
