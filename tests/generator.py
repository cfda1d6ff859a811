"""A small generator with random weights, as a training leaves one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmdream.core.files import hash_file
from mmdream.networks.framework import keras
from mmdream.networks.generator_card import (
    GENERATOR_CARD,
    GENERATOR_WEIGHTS,
    GeneratorCard,
    generator_card_to_toml,
)
from mmdream.networks.generator_model import build_generator
from mmdream.networks.network import variables_by_name
from mmdream.networks.registry import GENERATOR_ENDING


def write_generator(
    models: Path, name: str = "small", classes: tuple[str, ...] = ("lemon", "gizmo")
) -> GeneratorCard:
    """A generator of pictures of 32 px in the folder of networks `models`."""
    folder = models / f"{name}{GENERATOR_ENDING}"
    folder.mkdir(parents=True)
    keras.utils.set_random_seed(0)
    arrays = {
        key: each.numpy() for key, each in variables_by_name(build_generator(len(classes), 32, 4)).items()
    }
    np.savez(folder / GENERATOR_WEIGHTS, **arrays)
    digest = hash_file(folder / GENERATOR_WEIGHTS)
    card = GeneratorCard(
        "generator", classes, 32, 4, digest, about="Random.", facts={"rounds": 3}, home=folder
    )
    (folder / GENERATOR_CARD).write_text(generator_card_to_toml(card), encoding="utf-8")
    return card
