"""TensorFlow and Keras, imported quietly and set up once, and the tensors that a network's graph takes.

Training and dreaming share the preprocessing, so that they agree.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from mmdream.core.errors import UserError, silence_stderr
from mmdream.core.memory import freeze_loaded_objects
from mmdream.core.processors import apply_thread_limit, count_threads, on_thread_limit
from mmdream.networks.card import AudioInput, ImageInput

__all__ = ["extend_edges", "has_gpu", "keras", "preprocess", "swap_time_and_bands", "tf"]


@contextmanager
def _hide_unloaded(*modules: str) -> Iterator[None]:
    """Let an import of these raise ModuleNotFoundError, as `None` in their place does; not of loaded ones."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow 2.21 reports processor features and missing CUDA drivers before its log level can be set.
# Keras 3 imports scikit-learn, and with it scipy.stats, and pyplot wherever they are installed, for wrappers
# and plots that mmdream does not use: a third of the time in which TensorFlow is imported.
with silence_stderr(), freeze_loaded_objects(), _hide_unloaded("sklearn", "matplotlib"):
    import keras
    import tensorflow as tf

    _gpus = tf.config.list_physical_devices("GPU")

has_gpu = bool(_gpus)
"""Whether TensorFlow found a GPU; it is then used for everything."""
tf.get_logger().setLevel("ERROR")


def _set_threads(count: int) -> None:
    """Let TensorFlow work in so many threads; a `UserError` if it works already."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
    except RuntimeError as error:
        raise UserError(
            f"this process has dreamed with another number of threads than {count}; begin another process"
        ) from error


with suppress(UserError):  # The caller has used TensorFlow before us; then it is the caller's choice.
    _set_threads(count_threads())
apply_thread_limit()
on_thread_limit(_set_threads)
on_thread_limit(lambda _count: apply_thread_limit())
if _gpus:
    # Processors are deterministic without it, and it refuses a program's own unseeded random numbers.
    tf.config.experimental.enable_op_determinism()
for _gpu in _gpus:
    with suppress(RuntimeError):
        tf.config.experimental.set_memory_growth(_gpu, True)


def preprocess(x: tf.Tensor, network_input: ImageInput | AudioInput) -> tf.Tensor:
    """The input of `Network.rung_features` as the network's graph takes it.

    Pixels, RGB 0..1 [n, H, W, 3], come back with sides of at least `network_input.smallest`.
    """
    if isinstance(network_input, AudioInput):
        return swap_time_and_bands(x) if network_input.transposed else x
    scale = network_input.scale
    if network_input.order == "RGB":
        x = scale * x
    else:
        # Order and scale as one product: a slice with its gradient costs ten times as much.
        x = tf.tensordot(x, tf.constant(scale * np.eye(3, dtype=np.float32)[::-1]), 1)
    return extend_edges(x - tf.constant(network_input.mean, tf.float32), network_input.smallest)


def swap_time_and_bands(x: tf.Tensor) -> tf.Tensor:
    """Swap time and bands of [n, time, band, c]; what has neither stays."""
    return tf.transpose(x, (0, 2, 1, 3)) if len(x.shape) == 4 else x


def extend_edges(x: tf.Tensor, smallest: int) -> tf.Tensor:
    """Repeat the last row and column of [n, H, W, c] until both sides have `smallest` px."""
    sides = tf.shape(x)[1:3]

    def extend() -> tf.Tensor:
        y = x
        for axis in (0, 1):
            places = tf.minimum(tf.range(tf.maximum(sides[axis], smallest)), sides[axis] - 1)
            y = tf.gather(y, places, axis=axis + 1)
        return y

    return tf.cond(tf.reduce_min(sides) < smallest, extend, lambda: x)
