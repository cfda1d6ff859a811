"""The gradient of a network's objective to the pixels: the one place where pictures meet TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from mmdream import chance
from mmdream.networks.framework import tf
from mmdream.networks.network import Network
from mmdream.objectives import energy


def slope(network: Network, depth: float) -> Callable[[np.ndarray], np.ndarray]:
    """The gradient at one depth.

    Args:
        network: a picture network.
        depth: 0..1 along its ladder.

    Returns:
        float32 [H, W, 3], 0..1 -> float32 [H, W, 3]; any H and W, traced once for all sizes.
    """
    rungs, mix = _active(network, depth)
    traced = _gradient(network, rungs)

    def gradient(picture: np.ndarray) -> np.ndarray:
        # Not tf.constant, which takes eight times as long over an array.
        return traced(tf.convert_to_tensor(picture[None]), mix).numpy()[0]

    return gradient


def score(network: Network, depth: float, picture: np.ndarray) -> float:
    """The objective of a picture (float32 [H, W, 3], 0..1) at one depth; no unit, >= 0."""
    rungs, mix = _active(network, depth)
    return float(_objective(network, rungs)(tf.convert_to_tensor(picture[None]), mix))


def _active(network: Network, depth: float) -> tuple[tuple[int, ...], tf.Tensor]:
    """The rungs that have a weight at this depth, and their weights."""
    mix = network.card.mix(depth)
    rungs = tuple(int(i) for i in np.flatnonzero(mix))
    return rungs, tf.constant(mix[list(rungs)], tf.float32)


def _signature(rungs: tuple[int, ...]) -> list[tf.TensorSpec]:
    # One trace for all sizes: a trace costs a second or two, and four octaves would pay it four times.
    return [
        tf.TensorSpec([1, None, None, 3], tf.float32),
        tf.TensorSpec([len(rungs)], tf.float32),
    ]


@lru_cache(maxsize=16)
def _objective(network: Network, rungs: tuple[int, ...]) -> Callable[..., tf.Tensor]:
    features, scales = network.rungs(rungs), _scales(network, rungs)

    @tf.function(input_signature=_signature(rungs))
    def objective(picture: tf.Tensor, mix: tf.Tensor) -> tf.Tensor:
        return energy(features(picture), tf.unstack(mix, len(rungs)), scales)

    return objective


@lru_cache(maxsize=16)
def _gradient(network: Network, rungs: tuple[int, ...]) -> Callable[..., tf.Tensor]:
    features, scales = network.rungs(rungs), _scales(network, rungs)

    @tf.function(input_signature=_signature(rungs))
    def gradient(picture: tf.Tensor, mix: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(picture)
            # The mean over the cells makes a large picture's gradient small; undo it, so that tiles of any
            # size agree with the whole, and before the gradient is taken, so that float16 can hold it.
            pixels = tf.cast(tf.size(picture), tf.float32)
            value = pixels * energy(features(picture), tf.unstack(mix, len(rungs)), scales)
        return tape.gradient(value, picture)

    return gradient


@lru_cache(maxsize=16)
def _scales(network: Network, rungs: tuple[int, ...]) -> tuple[float, ...]:
    """Usual energy of each rung: measured on one fixed picture, so that any network has one."""
    picture = tf.constant(pink()[None])
    means = [tf.reduce_mean(tf.square(tf.cast(a, tf.float32))) for a in network.rungs(rungs)(picture)]
    return tuple(max(float(mean), 1e-12) for mean in means)


def pink(side: int = 192) -> np.ndarray:
    """A fixed picture of 1/f noise, the spectrum of natural pictures (Field, 1987).

    Returns:
        float32 [side, side, 3], mean 0.5, deviation 0.2, mostly grey, clipped to 0..1.
    """
    noise = chance.rng(0, "pink").standard_normal((side, side, 4))
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    falloff = 1.0 / np.maximum(np.hypot(fy, fx), 1.0 / side)
    layers = np.fft.irfft2(np.fft.rfft2(noise, axes=(0, 1)) * falloff[..., None], (side, side), (0, 1))
    layers /= layers.std(axis=(0, 1))
    grey, colours = layers[..., 3:], layers[..., :3]
    return np.clip(0.5 + 0.2 * (0.9 * grey + 0.4 * colours), 0, 1).astype(np.float32)
