"""What networks can be asked to dream, and whether they can dream what is asked."""

from __future__ import annotations

from typing import Any

from mmdream.networks.registry import find_motif, list_networks, load_card
from mmdream.settings.recipe import Recipe


def list_choices() -> dict[str, Any]:
    """Medium, motifs and classes of every network, by its name."""
    cards = [load_card(name) for name in list_networks()]
    return {
        card.name: {
            "medium": card.medium,
            "motifs": sorted(card.motifs),
            "classes": list(card.primary_names()) if card.head else [],
        }
        for card in cards
    }


def check_networks(recipe: Recipe) -> None:
    """Refuse motifs and classes that a recipe's picture network does not have; `UserError`."""
    card = load_card(recipe.net)
    for name in recipe.schedule.motif_curve.names:
        find_motif(card, name)
    card.check_classes(recipe.wishes.terms)
