"""What a dreamer learns by: how far its change climbs, how near to the ascent's it lies, how calm it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmdream.ascent.objectives import energy
from mmdream.image.motion import OPPONENT_COLORS
from mmdream.image.spectrum import make_reference_noise
from mmdream.networks.framework import keras, tf
from mmdream.networks.network import Network
from mmdream.training.rollout import Sample

ENOUGH = 1.1
"""Of what the ascent climbs: more is of no use, and would be one pattern everywhere."""
CLIMB_WEIGHT, LIKENESS_WEIGHT, CALM_WEIGHT, SPECTRUM_WEIGHT = 0.5, 3.0, 0.3, 0.5
CLIMBING, CALM = 4, 4
"""Samples of a batch whose climb is measured, which takes longest; and whose calm is."""
MARGIN = 12
"""px at the rim that are left out where a picture was moved."""
MIN_CLIMB = 1e-3
"""Of the objective, that the ascent has to add for a sample to say how far to climb."""
BANDS = 4


class ClimbMeter:
    """How far images climb an objective that is given as weights of channels."""

    def __init__(self, network: Network, layers: Sequence[str]) -> None:
        """The layers are those of `weigh_channels`."""
        self._features = network.layer_features(tuple(layers))
        self._counts = [network.channel_counts()[layer] for layer in layers]
        noise = self._features(tf.constant(make_reference_noise()[None]))
        self._usual = [max(float(energy(each)), 1e-12) for each in noise]

    def measure(self, images: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Images, float32 [n, H, W, 3], and weights, float32 [n, row, column, channel] -> [n]."""
        parts = tf.split(weights, self._counts, axis=3)
        total = tf.zeros([tf.shape(images)[0]])
        for a, part, usual in zip(self._features(images), parts, self._usual, strict=True):
            squares = tf.square(tf.cast(a, tf.float32)) * tf.image.resize(part, tf.shape(a)[1:3])
            total += tf.reduce_mean(tf.reduce_sum(squares, 3), (1, 2)) / usual
        return total


@dataclass(frozen=True)
class LossInputs:
    """A batch of samples of one size as tensors, float32."""

    pictures: tf.Tensor
    weights: tf.Tensor
    target: tf.Tensor
    dream: tf.Tensor
    """Of the first `CLIMBING`: where they begin, [n, H, W, 3]."""
    length: tf.Tensor
    """Likewise: [n]."""
    moved: tf.Tensor
    """Of the first `CALM`: the pictures, moved and noisy."""
    shift: tf.Tensor
    """By which they were moved, int32 [2]."""


def make_inputs(samples: Sequence[Sample], rng: np.random.Generator) -> LossInputs:
    """Samples of one size, half of the batches mirrored."""
    flip = slice(None, None, -1 if rng.random() < 0.5 else 1)

    def stack(arrays: list[np.ndarray]) -> np.ndarray:
        return np.ascontiguousarray(np.stack(arrays).astype(np.float32)[:, :, flip])

    pictures = stack([each.pictures for each in samples])
    shift = rng.integers(-7, 8, 2)
    moved = np.roll(pictures[:CALM], shift, (1, 2))
    moved[..., :3] += rng.normal(0, 0.01, moved[..., :3].shape)
    arrays = {
        "pictures": pictures,
        "weights": stack([each.weights for each in samples]),
        "target": stack([each.target for each in samples]),
        "dream": stack([each.dream for each in samples[:CLIMBING]]),
        "length": np.array([each.length for each in samples[:CLIMBING]], np.float32),
        "moved": moved,
    }
    tensors = {name: tf.convert_to_tensor(array) for name, array in arrays.items()}
    return LossInputs(**tensors, shift=tf.constant(shift, tf.int32))


FIGURES = "loss", "climbed", "likeness", "calm", "spectrum"


def measure_losses(model: keras.Model, meter: ClimbMeter, x: LossInputs) -> tf.Tensor:
    """The loss, and what it is made of: float32 [figure], see `FIGURES`."""
    change = normalize(model([x.pictures, x.weights], training=True))
    likeness = tf.reduce_mean(change * x.target)
    spectrum = tf.reduce_mean(tf.square(tf.math.log(measure_bands(change) / measure_bands(x.target))))
    climbed = _measure_climb(meter, x, change)
    # A frame that has moved, and is a little noisy, is dreamed as it was: ReCoNet's loss (Gao et al. 2018)
    # along a flow that is known.
    inner = slice(MARGIN, -MARGIN)
    again = model([x.moved, x.weights[:CALM]], training=True)[:, inner, inner]
    before = tf.roll(change[:CALM], x.shift, (1, 2))[:, inner, inner]
    calm = tf.reduce_mean(normalize(again) * normalize(before))
    loss = (
        CLIMB_WEIGHT * (1 - climbed)
        + LIKENESS_WEIGHT * (1 - likeness)
        + CALM_WEIGHT * (1 - calm)
        + SPECTRUM_WEIGHT * spectrum
    )
    return tf.stack([loss, climbed, likeness, calm, spectrum])


def _measure_climb(meter: ClimbMeter, x: LossInputs, change: tf.Tensor) -> tf.Tensor:
    """What the change climbs over what the ascent's does."""
    weights, size, lengths = x.weights[:CLIMBING], tf.shape(x.dream)[1:3], x.length[:, None, None, None]

    def climb(direction: tf.Tensor) -> tf.Tensor:
        image = x.dream + tf.image.resize(direction[:CLIMBING] * lengths, size)
        return meter.measure(tf.clip_by_value(image, 0, 1), weights) - start

    start = tf.stop_gradient(meter.measure(x.dream, weights))
    reached = tf.stop_gradient(climb(x.target))
    teaches = reached > MIN_CLIMB * tf.abs(start)
    ratio = tf.where(teaches, climb(change) / tf.where(teaches, reached, 1.0), 1.0)
    return tf.reduce_mean(tf.clip_by_value(ratio, -1.0, ENOUGH))


def normalize(change: tf.Tensor) -> tf.Tensor:
    """Changes, float32 [n, h, w, 3], of RMS 1 each."""
    return change * tf.math.rsqrt(tf.reduce_mean(tf.square(change), (1, 2, 3), keepdims=True) + 1e-8)


def measure_bands(change: tf.Tensor) -> tf.Tensor:
    """Mean square of each octave of detail, fine to coarse, in each opponent colour: float32 [octave, 3]."""
    x, found = tf.tensordot(change, tf.constant(OPPONENT_COLORS.T), 1), []
    for _ in range(BANDS):
        smaller = tf.nn.avg_pool2d(x, 2, 2, "SAME")
        size = tf.shape(x)
        rest = x - tf.repeat(tf.repeat(smaller, 2, 1), 2, 2)[:, : size[1], : size[2]]
        found.append(tf.reduce_mean(tf.square(rest), (0, 1, 2)))
        x = smaller
    found.append(tf.reduce_mean(tf.square(x), (0, 1, 2)))
    return tf.stack(found) + 1e-5
