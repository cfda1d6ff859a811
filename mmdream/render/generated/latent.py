"""A dream's first canvas is a generator's latent: what is dreamed is climbed there, before it is in pixels.

As Nguyen et al. 2016 ("Synthesizing the preferred inputs for neurons via deep generator networks"): the
ascent is held to what the generator can make. It takes the same objective as the ascent of pixels.
"""

from __future__ import annotations

import numpy as np

from mmdream.core.events import EventSink
from mmdream.core.rng import rng_for
from mmdream.image.gradient import build_gradient, evaluate_objective
from mmdream.image.objective import build_objective
from mmdream.image.octaves import resize
from mmdream.networks.card import ImageInput
from mmdream.networks.generator import draw_latent, load_generator
from mmdream.networks.generator_card import GeneratorCard
from mmdream.networks.network import Network
from mmdream.render.models import load_image_network, read_guide
from mmdream.settings.recipe import Recipe
from mmdream.settings.targets import Objective

CANDIDATES = 16
"""Latents that are looked at, of which the best one climbs."""
STEPS = 48
LARGEST_TURN, LEAST_TURN = np.radians(6.0), np.radians(1.0)
"""Of the latent's direction in the first step and in the last."""
SHARE_RATE = 0.15
"""Logarithm of the most that the share of a class grows in a step."""
OTHER_CLASSES = 0.1
"""Share that all classes begin with, together: a class without any could gain none."""
JITTER = 8
"""px that a picture is shifted by at most before each step, as in the ascent of pixels."""


def climb_latent(
    card: GeneratorCard, shares: tuple[tuple[str, float], ...], recipe: Recipe, number: int
) -> np.ndarray:
    """A generator's picture that has most of what a recipe dreams of, float32 [side, side, 3], 0..1.

    Args:
        card: of the generator.
        shares: the classes that it begins with; none: whichever has most of it.
        recipe: its network, targets and schedule at second 0 are what is climbed, its seed where it begins.
        number: of the picture, among those of one seed.

    A `UserError`: what `load_image_network` and `load_generator` refuse.
    """
    network = load_image_network(recipe, EventSink())
    settings = recipe.schedule.at(0.0)
    objective = build_objective(network.card, settings, recipe.wishes, read_guide(recipe.wishes))
    generator, gradient = load_generator(card), build_gradient(network, objective)
    assert isinstance(network.card.input, ImageInput)
    side = network.card.input.side
    latents, classes = _draw_candidates(card, shares, recipe.seed, number)
    made = generator.make_pictures(latents, classes)
    best = int(np.argmax([_score(network, objective, picture, side) for picture in made]))
    latent, mixed = latents[best], (1 - OTHER_CLASSES) * classes[best] + OTHER_CLASSES / len(card.classes)
    rng = rng_for(recipe.seed, "latent jitter", number)
    for step in range(STEPS):
        picture, pull_back = generator.make_enlarged(latent, mixed.astype(np.float32), side)
        shift = rng.integers(-JITTER, JITTER + 1, size=2)
        moved = np.roll(gradient(np.roll(picture, shift, (0, 1))), -shift, (0, 1))
        to_latent, to_classes = pull_back(moved)
        turn = LARGEST_TURN + (LEAST_TURN - LARGEST_TURN) * step / (STEPS - 1)
        latent = turn_towards(latent, to_latent, turn)
        mixed = mixed * np.exp(SHARE_RATE * to_classes / max(np.abs(to_classes).max(), 1e-12))
        mixed = mixed / mixed.sum()
    final: np.ndarray = generator.make_pictures(latent[None], mixed[None].astype(np.float32))[0]
    return final


def turn_towards(latent: np.ndarray, gradient: np.ndarray, angle: float) -> np.ndarray:
    """A latent, float32 [k], turned by an angle, radians, to where a gradient leads; its length stays."""
    length = np.linalg.norm(latent)
    along = gradient - latent * (gradient @ latent) / length**2
    size = np.linalg.norm(along)
    if size == 0:
        return latent
    turned: np.ndarray = np.cos(angle) * latent + np.sin(angle) * length * along / size
    return turned.astype(np.float32)


def _draw_candidates(
    card: GeneratorCard, shares: tuple[tuple[str, float], ...], seed: int, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Latents, float32 [n, k], and shares of classes, [n, class]: those given, or one class after another."""
    latents = np.stack([draw_latent(seed, "canvas", number, k) for k in range(CANDIDATES)])
    classes = np.zeros((CANDIDATES, len(card.classes)), np.float32)
    for k in range(CANDIDATES):
        for name, share in shares or ((card.classes[k % len(card.classes)], 1.0),):
            classes[k, card.classes.index(name)] = share
    return latents, classes


def _score(network: Network, objective: Objective, picture: np.ndarray, side: int) -> float:
    return evaluate_objective(network, objective, resize(picture, (side, side)))
