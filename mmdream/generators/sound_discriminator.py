"""What tells made sounds from real ones: heads over levels and a network's features, or over samples."""

from __future__ import annotations

import numpy as np

from mmdream.audio.events import HIGH_DB, LOW_DB, STFT, make_map_edges
from mmdream.audio.spectra import make_network_stft, make_triangles, network_band_edges, normalize_bands
from mmdream.generators.augment import augment_spectrograms, augment_waves
from mmdream.generators.discriminator import (
    LARGE_MAP,
    Discriminator,
    MapFunction,
    add_logits,
    build_pixel_head,
    judged_layers,
    scale_features,
)
from mmdream.generators.task import CriticNetwork
from mmdream.networks.card import AudioInput
from mmdream.networks.framework import keras, tf
from mmdream.networks.generator_card import MAP_RATE, SPECTROGRAM_FRAMES
from mmdream.networks.network import load_shared_network

layers, ops = keras.layers, keras.ops

WAVE_KERNEL, WAVE_STRIDE, WAVE_LEVELS, WAVE_CHANNELS = 25, 4, 5, 8
"""Of the head over samples (Donahue et al. 2019); each level has twice the channels of the one before."""
MOST_SHUFFLE = 2
"""Places by which a level of that head is moved at most, that it cannot go by the phase of a grid."""


def build_spectrogram_discriminator(
    network: CriticNetwork | None, maps: np.ndarray, classes: int
) -> Discriminator:
    """A discriminator by spectrograms and a sound network's features, or with None by spectrograms alone.

    `maps`, float32 [n, frame, band, 1], 0..1, are real ones, by which features are brought to one size.
    """
    if network is None:
        head = build_pixel_head(classes, maps.shape[2] // LARGE_MAP, 1)
        return Discriminator(lambda x, seed: [2 * augment_spectrograms(x, seed) - 1], [head])
    features = _build_features(network, maps.shape[2])
    scale, heads = scale_features(features, maps, classes)

    def view(x: tf.Tensor, seed: tf.Tensor) -> list[tf.Tensor]:
        changed = augment_spectrograms(x, seed)
        return [2 * changed - 1, *scale(features(changed))]

    return Discriminator(view, [build_pixel_head(classes, maps.shape[2] // 16, 1), *heads])


def build_wave_discriminator(classes: int, seed: int) -> Discriminator:
    """A discriminator by samples alone; `seed` draws its phase shuffle."""
    x = samples = keras.Input((None, 1, 1))
    for level in range(WAVE_LEVELS):
        kernel, stride, channels = (WAVE_KERNEL, 1), (WAVE_STRIDE, 1), WAVE_CHANNELS << level
        x = layers.Conv2D(channels, kernel, stride, "same", kernel_initializer="he_normal")(x)
        x = layers.LeakyReLU(0.2)(x)
        if level < WAVE_LEVELS - 1:
            x = PhaseShuffle(seed + level)(x)
    head = add_logits(samples, x, classes)
    return Discriminator(lambda waves, seed: [augment_waves(waves, seed)[:, :, None]], [head])


def _build_features(network: CriticNetwork, bands: int) -> MapFunction:
    """A network's features of spectrograms, float32 [n, frame, band, 1], 0..1, with a gradient."""
    loaded, spec = load_shared_network(network.card, network.weights), network.card.input
    assert isinstance(spec, AudioInput)
    features = loaded.layer_features(judged_layers(network))
    to_bands = tf.constant(_match_bands(bands, spec))
    to_columns = tf.constant(_match_columns(spec))
    level = np.float32(10 ** (spec.level_dbfs / 10))

    def compute(maps: tf.Tensor) -> list[tf.Tensor]:
        decibels = maps[..., 0] * (HIGH_DB - LOW_DB) + LOW_DB
        power = level * tf.exp(decibels * np.float32(np.log(10) / 10))
        power = tf.einsum("cf,nfb,bk->nck", to_columns, power, to_bands)
        found: list[tf.Tensor] = features(normalize_bands(power, spec, tf.math.log, tf.exp)[..., None])
        return found

    return compute


def _match_bands(bands: int, spec: AudioInput) -> np.ndarray:
    """From a map's bands to a network's, float32 [band, band of the network]: means of what each reaches."""
    own, wanted = make_map_edges(bands), network_band_edges(spec)
    centers = own[1:-1]
    below = np.maximum(wanted[1:-1] - wanted[:-2], np.interp(wanted[1:-1], centers, np.diff(own)[:-1]))
    above = np.maximum(wanted[2:] - wanted[1:-1], np.interp(wanted[1:-1], centers, np.diff(own)[1:]))
    triangles = make_triangles(np.clip(centers, wanted[1], wanted[-2]), wanted[1:-1], below, above)
    return np.asarray(triangles / np.maximum(triangles.sum(0), 1e-12), np.float32)


def _match_columns(spec: AudioInput) -> np.ndarray:
    """From a map's frames to a network's columns, float32 [column, frame]: interpolated linearly."""
    hop = make_network_stft(spec, MAP_RATE).hop * spec.decimation / STFT.hop
    places = np.arange(0, SPECTROGRAM_FRAMES - 1e-6, hop)
    return np.asarray(np.maximum(1 - np.abs(places[:, None] - np.arange(SPECTROGRAM_FRAMES)), 0), np.float32)


class PhaseShuffle(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Moves maps [n, h, w, c] along h by up to `MOST_SHUFFLE` places, mirrored at the ends, at random."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        # Kept with the weights: a training that goes on draws what an unbroken one draws.
        self.count = self.add_weight((), "zeros", "int32", trainable=False, name="count")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """See the class."""
        length, seed = ops.shape(x)[1], tf.stack([tf.constant(self.seed), self.count.value])
        first = tf.random.stateless_uniform((), seed, 0, 2 * MOST_SHUFFLE + 1, tf.int32)
        self.count.assign_add(1)
        padded = ops.pad(x, ((0, 0), (MOST_SHUFFLE, MOST_SHUFFLE), (0, 0), (0, 0)), "reflect")
        return padded[:, first : first + length]

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Of symbolic tensors."""
        return shape
