"""The networks that a recipe names, with their weights."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from mmdream.audio.source import ArraySource
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.image.objective import check_targets, make_guide
from mmdream.media import image
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import MediaFile, probe
from mmdream.networks.card import NetworkCard
from mmdream.networks.dreamer_card import DreamerCard, find_dreamers
from mmdream.networks.network import Network, choose_precision, load_shared_network
from mmdream.networks.registry import load_card
from mmdream.networks.weights import locate_weights
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import Schedule, to_curve
from mmdream.settings.targets import GuideImage, Targets


def load_image_network(recipe: Recipe, listener: EventSink) -> Network:
    """The picture network; what had to be guessed of it is said.

    Weights that are missing, damaged or of another network, and wishes that it cannot fulfil, are a
    `UserError`.
    """
    about, path = locate_image_network(recipe)
    for guess in about.guesses:
        listener.say(guess)
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.networks.framework import has_gpu

    precision = choose_precision(recipe.precision, about, has_gpu)
    network = load_shared_network(about, path, precision, recipe.seed)
    network.check_terms(recipe.wishes.terms)
    return network


def locate_image_network(recipe: Recipe) -> tuple[NetworkCard, Path | None]:
    """The picture network's card and weights file, checked as far as goes without TensorFlow."""
    about = load_card(recipe.net, "picture")
    check_image_targets(about, recipe.schedule, recipe.wishes)
    weights = locate_weights(about, recipe.weights)
    if recipe.engine == "feedforward":
        choose_dreamer(about, weights, recipe.schedule)
    return about, weights


def choose_dreamer(card: NetworkCard, weights: Path | None, schedule: Schedule) -> DreamerCard:
    """The dreamer of a network and its weights that was taught what a schedule asks for.

    `UserError`: there is none; it names what was not taught.
    """
    motifs, taught = set(schedule.motif_curve.names), find_dreamers(card, weights)
    if motifs and schedule.motif_curve.hinted:
        raise UserError(
            "--engine feedforward: no dreamer was taught motifs and auto in one film; take --engine ascent"
        )
    depths = [depth for _, depth in to_curve("depth", schedule.depth).keys]
    for each in taught:
        if each.was_taught(motifs, depths):
            return each
    wish = f"motif {','.join(sorted(motifs))}" if motifs else f"depth {min(depths):g}"
    known = " and ".join(each.describe_teaching() for each in taught)
    named = f" --motif {','.join(sorted(motifs))}" if motifs else ""
    raise UserError(
        f"--engine feedforward: dreamers of {card.name} were taught {known}, not {wish}; teach one with "
        f"`mmdream train dreamer --net {card.name}{named}`, or take --engine ascent"
    )


def check_image_targets(card: NetworkCard, schedule: Schedule, targets: Targets) -> None:
    """Refuse a guide that is no image, and classes and motifs that a card does not know."""
    read_guide(targets)
    check_targets(card, schedule, targets)


def read_guide(targets: Targets) -> GuideImage | None:
    """The image that a dream is to go towards; None: there is none; `UserError`: it is no image."""
    return None if targets.guide is None else make_guide(image.read_image(targets.guide))


def load_audio_network(recipe: Recipe, listener: EventSink) -> Network:
    """The sound network; what had to be guessed of it is said. Refuses what `load_image_network` does."""
    about = load_card(recipe.sound_net, "sound")
    about.check_classes(recipe.sound_wishes.terms)
    for guess in about.guesses:
        listener.say(guess)
    network = load_shared_network(about, locate_weights(about, recipe.sound_weights), "float32", recipe.seed)
    network.check_terms(recipe.sound_wishes.terms)
    return network


def probe_guide_sound(path: Path) -> MediaFile:
    """The file of a sound that a sound dream is to go towards, unread; `UserError`: it has none."""
    film = probe(path)
    if not film.audio_tracks:
        raise UserError(f"{path}: has no sound to go towards")
    return film


def load_guide_sound(recipe: Recipe) -> ArraySource | None:
    """The sound that a sound dream goes towards, as far as it is heard; None: none.

    A file without sound or samples, or with some that are no numbers, is a `UserError`.
    """
    path = recipe.sound_wishes.guide
    if path is None:
        return None
    from mmdream.audio.frontend import MAX_GUIDE_SECONDS

    film = probe_guide_sound(path)
    with tempfile.TemporaryDirectory(prefix="mmdream") as folder:
        wave = Path(folder) / "guide.wav"
        extract_audio(film, film.audio_tracks[0], wave, None, Fraction(MAX_GUIDE_SECONDS))
        samples, rate = soundfile.read(wave, dtype="float32", always_2d=True)
    if not len(samples) or not np.isfinite(samples).all():
        raise UserError(f"{path}: has no samples to go towards, or some that are no numbers")
    return ArraySource(samples.T, rate, film.audio_tracks[0].layout)
