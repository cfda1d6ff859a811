"""TensorFlow and Keras, brought in quietly and set up once; whoever needs them takes them from here."""

from __future__ import annotations

import os

from mmdream.core.errors import silence_stderr

__all__ = ["has_gpu", "keras", "tf"]


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow 2.21 reports processor features and missing CUDA drivers before its log level can be set.
with silence_stderr():
    import keras
    import tensorflow as tf

    _gpus = tf.config.list_physical_devices("GPU")

has_gpu = bool(_gpus)
"""Whether TensorFlow found a GPU; it is then used for everything."""
tf.get_logger().setLevel("ERROR")
if _gpus:
    # Processors are deterministic without it, and it refuses a program's own unseeded random numbers.
    tf.config.experimental.enable_op_determinism()
for _gpu in _gpus:
    try:
        tf.config.experimental.set_memory_growth(_gpu, True)
    except RuntimeError:  # the caller has used TensorFlow before us; then it is the caller's choice
        break
