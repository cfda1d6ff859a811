"""What a sound that is dreamed out of a picture goes by, unless it is said otherwise."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mmdream.settings.recipe import Recipe

INVENT, SEEN_TO_HEARD = 1.0, 1.0
"""There is no source to lift, and all that sounds is in the picture."""


def with_added_sound(recipe: Recipe | None = None, keep: Collection[str] = ()) -> Recipe:
    """A recipe for a film without sound, `None`: the usual one.

    Its `invent` and `seen_to_heard` become those of such a film, but for what `keep` names.
    """
    recipe = recipe or Recipe()
    if "invent" not in keep:
        recipe = replace(recipe, sound_manner=replace(recipe.sound_manner, invent=INVENT))
    if "seen_to_heard" not in keep:
        recipe = replace(recipe, schedule=recipe.schedule.with_settings(seen_to_heard=SEEN_TO_HEARD))
    return recipe
