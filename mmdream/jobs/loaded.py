"""The networks that a recipe names, with their weights."""

from __future__ import annotations

from mmdream.networks.card import card
from mmdream.networks.network import Network, load, precision
from mmdream.networks.weights import locate
from mmdream.picture.wanted import check, check_layers
from mmdream.recipe import Recipe


def eyes(recipe: Recipe) -> Network:
    """The picture network.

    Raises:
        UserError: weights that are missing, damaged or of another network; wishes that it cannot fulfil.
    """
    about = card(recipe.net, "picture")
    check(about, recipe.schedule, recipe.wishes)
    locate(about, recipe.weights)
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.networks.framework import has_gpu

    network = load(about, recipe.weights, precision(recipe.precision, about, has_gpu), recipe.seed)
    check_layers(network, recipe.wishes)
    return network


def ear(recipe: Recipe) -> Network:
    """The sound network.

    Raises:
        UserError: as `eyes`.
    """
    return load(card(recipe.sound_net, "sound"), recipe.sound_weights, "float32", recipe.seed)
