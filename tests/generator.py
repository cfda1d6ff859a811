"""Small generators with random weights, as a training leaves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmdream.core.files import hash_file
from mmdream.networks.framework import keras
from mmdream.networks.generator_card import (
    GENERATOR_CARD,
    GENERATOR_WEIGHTS,
    SIDES,
    Form,
    GeneratorCard,
    generator_card_to_toml,
)
from mmdream.networks.generator_model import build_form
from mmdream.networks.network import variables_by_name
from mmdream.networks.registry import GENERATOR_ENDING


def write_generator(
    models: Path,
    name: str = "small",
    classes: tuple[str, ...] = ("lemon", "gizmo"),
    form: Form = "picture",
) -> GeneratorCard:
    """A generator of the smallest pictures or sounds of a form in the folder of networks `models`."""
    folder = models / f"{name}{GENERATOR_ENDING}"
    folder.mkdir(parents=True)
    keras.utils.set_random_seed(0)
    side = SIDES[form][0]
    model = build_form(form, len(classes), side, 4)
    arrays = {key: each.numpy() for key, each in variables_by_name(model).items()}
    np.savez(folder / GENERATOR_WEIGHTS, **arrays)
    digest = hash_file(folder / GENERATOR_WEIGHTS)
    card = GeneratorCard(
        "generator", classes, side, 4, digest, form, about="Random.", facts={"rounds": 3}, home=folder
    )
    (folder / GENERATOR_CARD).write_text(generator_card_to_toml(card), encoding="utf-8")
    return card
