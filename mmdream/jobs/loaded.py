"""The networks that a recipe names, with their weights."""

from __future__ import annotations

from mmdream.listen import Listener
from mmdream.networks.card import Card, card
from mmdream.networks.network import Network, load, precision
from mmdream.networks.weights import locate
from mmdream.picture.wanted import check
from mmdream.recipe import Recipe


def eyes(recipe: Recipe, listener: Listener) -> Network:
    """The picture network; what had to be guessed of it is said.

    Raises:
        UserError: weights that are missing, damaged or of another network; wishes that it cannot fulfil.
    """
    about = card(recipe.net, "picture")
    check(about, recipe.schedule, recipe.wishes)
    locate(about, recipe.weights)
    _announce(about, listener)
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.networks.framework import has_gpu

    network = load(about, recipe.weights, precision(recipe.precision, about, has_gpu), recipe.seed)
    network.check_terms(recipe.wishes.terms)
    return network


def ear(recipe: Recipe, listener: Listener) -> Network:
    """The sound network; what had to be guessed of it is said.

    Raises:
        UserError: as `eyes`.
    """
    about = card(recipe.sound_net, "sound")
    about.check_classes(recipe.sound_terms)
    _announce(about, listener)
    network = load(about, recipe.sound_weights, "float32", recipe.seed)
    network.check_terms(recipe.sound_terms)
    return network


def _announce(about: Card, listener: Listener) -> None:
    for guess in about.guesses:
        listener.say(guess)
