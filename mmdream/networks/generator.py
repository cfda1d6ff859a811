"""A generator with its weights: pictures or sounds as a function of latents and classes.

`Generator.model` is a Keras graph with a gradient to both of its inputs, so that a latent can be climbed, and
pictures on a way from one latent or class to another are pictures of points between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.files import hash_file
from mmdream.core.rng import rng_for
from mmdream.networks.framework import keras, tf
from mmdream.networks.generator_card import GeneratorCard
from mmdream.networks.generator_model import LATENT, build_form
from mmdream.networks.network import assign_arrays
from mmdream.networks.weights import read_arrays

BATCH = 32
"""Pictures, or sounds, that are made at once."""
PullBack = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""A gradient to a picture, float32 [h, w, 3] -> those to its latent, [`LATENT`], and its classes, [class]."""


@dataclass(frozen=True)
class Generator:
    """A generator, ready to make what its card says."""

    card: GeneratorCard
    model: keras.Model
    """See `networks.generator_model.build_form`."""

    def make_pictures(self, latents: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Pictures, float32 [n, side, side, 3], RGB 0..1; of another form, see `Form`.

        Of latents, float32 [n, `LATENT`], and shares of classes, float32 [n, class].
        """
        return make_pictures(self.model, latents, classes)

    def make_enlarged(
        self, latent: np.ndarray, classes: np.ndarray, side: int
    ) -> tuple[np.ndarray, PullBack]:
        """One picture at a side in px, float32 [side, side, 3], and what leads a gradient back from it.

        Of a latent, float32 [`LATENT`], and shares of classes, float32 [class].
        """
        inputs = [tf.constant(latent[None]), tf.constant(classes[None])]
        tape = tf.GradientTape()
        with tape:
            tape.watch(inputs)
            picture = tf.image.resize(self.model(inputs), (side, side), "bicubic")

        def pull_back(gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            to_latent, to_classes = tape.gradient(picture, inputs, tf.constant(gradient[None]))
            return to_latent.numpy()[0], to_classes.numpy()[0]

        return np.clip(picture.numpy()[0], 0, 1), pull_back


def make_pictures(model: keras.Model, latents: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Pictures, or another form, of a graph, see `Generator.make_pictures`."""
    parts = [
        model([tf.constant(latents[first : first + BATCH]), tf.constant(classes[first : first + BATCH])])
        for first in range(0, len(latents), BATCH)
    ]
    return np.concatenate([part.numpy() for part in parts])


def draw_latent(seed: int, *place: str | int) -> np.ndarray:
    """The latent of a seed and a place, float32 [`LATENT`], normal numbers."""
    return rng_for(seed, "latent", *place).standard_normal(LATENT, np.float32)


def load_generator(card: GeneratorCard) -> Generator:
    """A generator by its card; `UserError`: its weights are missing, damaged or another network's."""
    if not card.weights.is_file() or hash_file(card.weights) != card.sha256:
        raise UserError(f"{card.weights}: missing or damaged; train the generator again, or install it again")
    arrays = read_arrays(card.weights)
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise UserError(f"{card.weights}: holds what is no number")
    model = build_form(card.form, len(card.classes), card.side, card.width)
    assign_arrays(model, arrays, f"generator {card.name}", card.weights)
    return Generator(card, model)
