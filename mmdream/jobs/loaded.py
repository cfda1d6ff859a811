"""The networks that a recipe names, with their weights."""

from __future__ import annotations

from mmdream.networks.card import card
from mmdream.networks.network import Network, load, precision
from mmdream.networks.weights import locate
from mmdream.recipe import Recipe


def eyes(recipe: Recipe) -> tuple[Network, Network]:
    """The picture network, and the same in float32, which scores what it dreams.

    Raises:
        UserError: weights that are missing, damaged or of another network.
    """
    about = card(recipe.net, "picture")
    locate(about, recipe.weights)
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.networks.framework import has_gpu

    number_format = precision(recipe.precision, about, has_gpu)
    network = load(about, recipe.weights, number_format, recipe.seed)
    if number_format == "float32":
        return network, network
    return network, load(about, recipe.weights, "float32", recipe.seed)


def ear(recipe: Recipe) -> Network:
    """The sound network.

    Raises:
        UserError: as `eyes`.
    """
    return load(card(recipe.sound_net, "sound"), recipe.sound_weights, "float32", recipe.seed)
