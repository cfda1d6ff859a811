"""What an image's dream begins on: an image file, noise, or a picture that a generator makes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.image.spectrum import make_noise_image
from mmdream.media.image import read_image
from mmdream.networks.generator_card import GeneratorCard, find_generator
from mmdream.networks.registry import load_card
from mmdream.settings.recipe import Recipe, resolve_size
from mmdream.settings.targets import Term

MAX_TOLD_CLASSES = 12


@dataclass(frozen=True)
class GeneratedPicture:
    """One picture of a generator."""

    generator: GeneratorCard
    shares: tuple[tuple[str, float], ...]
    """Its classes, with shares that sum to 1."""
    number: int = 0
    """Of those of one seed, from 0."""
    climbed: bool = False
    """Whether its latent climbs what is dreamed, before the pixels do; then it may have no classes."""

    @property
    def name(self) -> str:
        """What a file of it is called."""
        return "-".join((self.generator.name, *(name for name, _ in self.shares))).replace(" ", "-")


StartImage = Path | GeneratedPicture | None
"""An image file, a generator's picture, or None: noise."""


def parse_start(text: str, terms: tuple[Term, ...], climbed: bool = False) -> GeneratedPicture | None:
    """Read "noise" (None), or "generator:NAME": its classes are the targets among the terms, by weight.

    One that is `climbed` may lack classes. UserError: neither of the two, no such generator, or none of its
    classes.
    """
    kind, _, name = text.partition(":")
    if text == "noise":
        return None
    if kind != "generator" or not name:
        raise UserError(f"--from is {text!r}; write noise, or generator:NAME")
    card = find_generator(name, "picture")
    if climbed:
        terms = tuple(term for term in terms if term.kind != "target" or card.makes(term.name))
    return GeneratedPicture(card, share_classes(card, terms, may_lack=climbed), climbed=climbed)


def share_classes(
    card: GeneratorCard, terms: tuple[Term, ...], may_lack: bool = False
) -> tuple[tuple[str, float], ...]:
    """The classes of a generator that targets name, and their shares by weight, which sum to 1.

    UserError: one is unknown to it, or there are none and they may not be lacking.
    """
    wanted = [term for term in terms if term.kind == "target" and term.weight > 0]
    if not wanted and not may_lack:
        more = ", ..." if len(card.classes) > MAX_TOLD_CLASSES else ""
        classes = ", ".join(card.classes[:MAX_TOLD_CLASSES]) + more
        raise UserError(f"generator:{card.name}: choose what it makes with --target: {classes}")
    total = sum(term.weight for term in wanted)
    return tuple({card.classes[card.class_index(term.name)]: term.weight / total for term in wanted}.items())


def drop_unseen_targets(recipe: Recipe, source: GeneratedPicture, sink: EventSink) -> Recipe:
    """A recipe less the classes that its network does not know, but the generator: the picture shows them."""
    card = load_card(recipe.net, "picture")
    targets = [term for term in recipe.wishes.terms if term.kind == "target"]
    unseen = [t for t in targets if not card.has_class(t.name) and source.generator.makes(t.name)]
    for term in unseen:
        sink.say(f"{card.name} knows no {term.name}: the picture is one, and is dreamed without")
    kept = tuple(term for term in recipe.wishes.terms if term not in unseen)
    return replace(recipe, wishes=replace(recipe.wishes, terms=kept))


def read_start_image(source: StartImage, recipe: Recipe) -> np.ndarray:
    """The image to dream on, float32 [H, W, 3], 0..1; `UserError`: none, or no size for what is made."""
    if isinstance(source, Path):
        return read_image(source)
    if recipe.size is None or "x" not in recipe.size.lower():
        what = "noise has no size of its own" if source is None else "what is generated is to be enlarged"
        raise UserError(f"{what}; give --size WIDTHxHEIGHT")
    width, height = resolve_size(recipe.size, 0, 0)
    if source is None:
        return make_noise_image(height, width, recipe.seed)
    return enlarge_picture(_generate(source, recipe), height, width)


def _generate(source: GeneratedPicture, recipe: Recipe) -> np.ndarray:
    """float32 [side, side, 3], 0..1."""
    # After everything that can be checked is checked: these bring TensorFlow in.
    from mmdream.networks.generator import draw_latent, load_generator

    if source.climbed:
        from mmdream.render.generated.latent import climb_latent

        return climb_latent(source.generator, source.shares, recipe, source.number)
    shares = np.zeros((1, len(source.generator.classes)), np.float32)
    for name, share in source.shares:
        shares[0, source.generator.classes.index(name)] = share
    latent = draw_latent(recipe.seed, "picture", source.number)
    made: np.ndarray = load_generator(source.generator).make_pictures(latent[None], shares)[0]
    return made


def enlarge_picture(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A square picture, float32 [s, s, 3], 0..1, as large as fits, its edges mirrored: [height, width, 3]."""
    side = min(height, width)
    square = np.clip(cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
    rows, columns = height - side, width - side
    margins = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0))
    return np.pad(square, margins, "symmetric")
