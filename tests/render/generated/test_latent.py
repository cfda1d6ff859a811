"""A latent as the first canvas: it climbs what pixels would climb, and stays what its generator can make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmdream.core.events import EventSink
from mmdream.image.gradient import evaluate_objective
from mmdream.image.objective import build_objective
from mmdream.image.octaves import resize
from mmdream.networks.generator_card import find_generator
from mmdream.render.generated import latent
from mmdream.render.generated.latent import climb_latent, turn_towards
from mmdream.render.models import load_image_network
from mmdream.render.start import GeneratedPicture, parse_start, read_start_image
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Targets, parse_target
from tests.command import mmdream

pytestmark = pytest.mark.usefixtures("small_generator")


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(wishes=Targets((parse_target("lemon"),)), size="64x48"),
        Recipe(schedule=Schedule(motif="eye"), size="64x48"),
    ],
    ids=["class", "motif"],
)
def test_a_latent_climbs_higher_than_any_it_could_begin_with(recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(latent, "STEPS", 10)
    monkeypatch.setattr(latent, "CANDIDATES", 6)
    card, network = find_generator("small"), load_image_network(recipe, EventSink())
    objective = build_objective(network.card, recipe.schedule.at(0.0), recipe.wishes)

    def score(picture: np.ndarray) -> float:
        return evaluate_objective(network, objective, resize(picture, (160, 160)))

    starts = [
        read_start_image(GeneratedPicture(card, (("lemon", 1.0),), number), Recipe(size="160x160"))
        for number in range(4)
    ]
    climbed = climb_latent(card, (("lemon", 1.0),), recipe, 0)
    assert climbed.shape == (32, 32, 3)
    assert score(climbed) > max(map(score, starts))
    assert np.abs(climbed - climb_latent(card, (("lemon", 1.0),), recipe, 1)).max() > 0.01


def test_a_turn_keeps_the_latents_length_and_has_its_angle():
    start, gradient = np.random.default_rng(0).standard_normal((2, 64), np.float32)
    turned = turn_towards(start, gradient, 0.1)
    length = np.linalg.norm(start)
    assert np.linalg.norm(turned) == pytest.approx(length, rel=1e-5)
    assert np.arccos(turned @ start / length**2) == pytest.approx(0.1, rel=1e-3)
    assert turned @ gradient > start @ gradient


def test_what_the_generator_does_not_make_is_climbed_from_whatever_it_makes():
    start = parse_start("generator:small", (parse_target("pizza"),), climbed=True)
    assert isinstance(start, GeneratedPicture)
    assert (start.shares, start.climbed) == ((), True)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--from", "noise"), "give --from generator:NAME with it"),
        (("--from", "generator:dreamnet"), "is a network that dreams"),
        (("--from", "generator:small"), "give --size WIDTHxHEIGHT"),
        (("--from", "generator:small", "--size", "64x64", "--target", "nothing at all"), "nothing at all"),
    ],
)
def test_a_latent_without_a_generator_is_told(tmp_path: Path, options: tuple[str, ...], line: str):
    done = mmdream("image", *options, "--canvas", "latent", "-o", tmp_path / "out.png")
    assert (done.returncode, line in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.iterdir())
