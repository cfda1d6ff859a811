"""A network ready to be dreamed: features at the rungs of its ladder.

TensorFlow is imported only when a network is built, after everything that can be wrong with its
card and weights has been checked.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream import chance
from mmdream.errors import UserError
from mmdream.networks.card import Card, PictureInput
from mmdream.networks.weights import ARRAYS, check, locate, read_arrays

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, eq=False)
class Network:
    """A card with its weights laid in."""

    card: Card
    precision: str
    """"float32" or "bfloat16": weights and activations; "mixed_float16": activations alone."""
    model: keras.Model

    def rungs(self, wanted: tuple[int, ...]) -> Callable[[tf.Tensor], list[tf.Tensor]]:
        """Features at some rungs; layers above the deepest of them are never computed.

        Args:
            wanted: places on the ladder, any order.

        Returns:
            A function from the network's input to tensors [1, h, w, c] in its precision. Pictures:
            float32 [1, H, W, 3], RGB 0..1, any H and W. Sounds: float32 [1, hop, band, 1],
            normalised log-mel.
        """
        return self._features([self.card.rungs[place].layer for place in wanted])

    def layers(self, names: tuple[str, ...]) -> Callable[[tf.Tensor], list[tf.Tensor]]:
        """Features at any layers by name; otherwise as `rungs`."""
        return self._features(list(names))

    def channels(self) -> dict[str, int]:
        """Channels of every layer that has a picture of features."""
        shapes = {layer.name: layer.output.shape for layer in self.model.layers}
        return {name: shape[3] for name, shape in shapes.items() if len(shape) == 4}

    def head(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Class logits, [1, class], for the input that `rungs` takes.

        Raises:
            UserError: the network has no classes.
        """
        if self.card.head is None:
            raise UserError(f"{self.card.name} has no classes")
        features = self._features([self.card.head])
        return lambda x: features(x)[0]

    def _features(self, names: list[str]) -> Callable[[tf.Tensor], list[tf.Tensor]]:
        from mmdream.networks.framework import keras

        # A dictionary, because Keras hands a list of one output back as a bare tensor.
        outputs = {name: self.model.get_layer(name).output for name in names}
        part = keras.Model(self.model.input, outputs)
        front = self.card.input

        def features(x: tf.Tensor) -> list[tf.Tensor]:
            if isinstance(front, PictureInput):
                x = _prepare(x, front)
            found = part(x, training=False)
            return [found[name] for name in names]

        return features


def load(card: Card, weights: str | Path | None = None, precision: str = "float32", seed: int = 0) -> Network:
    """Build a network and lay its weights in.

    Args:
        card: which network.
        weights: a file, "random" (He normal), or None for the card's own.
        precision: "float32" or "bfloat16".
        seed: of random weights.

    Raises:
        UserError: weights that are missing, damaged or of another network.
    """
    path = locate(card, weights)
    if card.medium == "picture":
        # Brings Keras in quietly; the builders themselves run on any of its backends.
        from mmdream.networks import framework  # noqa: F401
        from mmdream.networks.pictures import BUILDERS

        model = BUILDERS[card.builder](dtype=precision)
    else:
        from mmdream.networks.sounds import melnet

        assert not isinstance(card.input, PictureInput)
        model = melnet(card.input.bands, precision)
    if path is None:
        _scatter(model, seed)
    elif path.suffix in ARRAYS:
        lay(model, read_arrays(path), card.name, path)
    else:
        _load_keras(model, path, card.name)
    return Network(card, precision, model)


def precision(choice: str, card: Card, gpu: bool = False) -> str:
    """The number format to dream in.

    By what the machine has, never by timing: the same machine always takes the same. A GPU takes Keras's
    mixed float16; the gradients are scaled by the number of pixels, so that they do not vanish in it.

    Args:
        choice: "auto", "float32" or "bfloat16".
        card: sounds are small enough to stay in float32.
        gpu: whether TensorFlow found one, `framework.has_gpu`.

    Returns:
        "float32", "bfloat16" or "mixed_float16".
    """
    if card.medium == "sound":
        return "float32"
    if choice != "auto":
        return choice
    if gpu:
        return "mixed_float16"
    try:
        flags = set(CPU_INFO.read_text().split())
    except OSError:  # not Linux
        return "float32"
    return "bfloat16" if flags & {"avx512_bf16", "amx_bf16"} else "float32"


def lay(model: keras.Model, arrays: dict[str, np.ndarray], network: str, path: Path | str) -> None:
    """Lay arrays into a model's variables by name, ``<layer>_<variable>``.

    Raises:
        UserError: an array is missing or has another shape; names `path` and `network`.
    """
    places = {f"{layer.name}_{v.name}": v for layer in model.layers for v in layer.weights}
    shapes = {name: tuple(variable.shape) for name, variable in places.items()}
    check(path, network, {name: array.shape for name, array in arrays.items()}, shapes)
    for name, variable in places.items():
        variable.assign(arrays[name].astype(np.float32))


def _scatter(model: keras.Model, seed: int) -> None:
    """He-normal kernels (He et al. 2015), drawn by place; all else as a fresh layer has it."""
    for place, variable in enumerate(model.variables):
        if variable.name != "kernel":
            continue
        shape = tuple(variable.shape)
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        kernel = chance.rng(seed, "weights", place).standard_normal(shape, np.float32)
        variable.assign(kernel * np.float32(scale))


def _load_keras(model: keras.Model, path: Path, network: str) -> None:
    """Weights from a file of Keras's; reads arrays only, never code.

    Raises:
        UserError: they do not fit.
    """
    try:
        with warnings.catch_warnings():
            # Keras 3.15 only warns of layers that the file does not have.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (ValueError, KeyError, OSError, TypeError, AttributeError, UserWarning) as error:
        raise UserError(f"{path}: weights of another network? they do not fit {network}") from error


def _prepare(pixels: tf.Tensor, front: PictureInput) -> tf.Tensor:
    """RGB 0..1 [1, H, W, 3] as the network wants it, sides at least `front.smallest`."""
    from mmdream.networks.framework import tf

    if front.order == "RGB":
        x = front.scale * pixels
    else:
        # Order and scale as one product: a slice with its gradient costs ten times as much.
        x = tf.tensordot(pixels, tf.constant(front.scale * np.eye(3, dtype=np.float32)[::-1]), 1)
    x -= tf.constant(front.mean, tf.float32)
    sides = tf.shape(x)[1:3]
    return tf.cond(
        tf.reduce_min(sides) < front.smallest, lambda: _prolong(x, sides, front.smallest), lambda: x
    )


def _prolong(x: tf.Tensor, sides: tf.Tensor, smallest: int) -> tf.Tensor:
    """Repeat the last row and column until both sides have `smallest` px."""
    from mmdream.networks.framework import tf

    for axis in (0, 1):
        places = tf.minimum(tf.range(tf.maximum(sides[axis], smallest)), sides[axis] - 1)
        x = tf.gather(x, places, axis=axis + 1)
    return x
