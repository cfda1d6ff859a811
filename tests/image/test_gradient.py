"""Objectives: gradients are the sum of their terms', all rise within three steps, classes come nearer."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mmdream.image import octaves
from mmdream.image.gradient import build_gradient, evaluate_objective
from mmdream.image.objective import build_objective, objective_at_depth, step_size
from mmdream.media import image
from mmdream.networks.framework import tf
from mmdream.networks.network import load_network
from mmdream.networks.registry import find_motif, load_card
from mmdream.render.models import read_guide
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Objective, Targets, Term, parse_channel, parse_layer, parse_target

P3B, P4C = Term("layer", "p3b"), Term("layer", "p4c")


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("guide") / "rings.png"
    y, x = np.mgrid[-48:48, -48:48]
    rings = 0.5 + 0.5 * np.sin(np.hypot(x, y) / 3)
    image.write_image(path, np.repeat(rings[..., None], 3, 2).astype(np.float32))
    return path


def make_objective(weights: tuple[float, ...], terms=(P3B, P4C)) -> Objective:
    return Objective(terms, weights)


def test_gradients_and_scores_add_up(network, picture):
    one, other = (build_gradient(network, make_objective(w))(picture) for w in ((1, 0), (0, 1)))
    scores = [evaluate_objective(network, make_objective(w), picture) for w in ((1, 0), (0, 1))]
    for a, b in ((2, 0), (1, -1), (0.5, 3)):
        mixed = build_gradient(network, make_objective((a, b)))(picture)
        np.testing.assert_allclose(mixed, a * one + b * other, atol=2e-3 * np.abs(mixed).max())
        assert evaluate_objective(network, make_objective((a, b)), picture) == pytest.approx(
            a * scores[0] + b * scores[1], rel=1e-4
        )
    alone = build_gradient(network, Objective((P3B,), (1,)))(picture)
    np.testing.assert_allclose(alone, one, atol=1e-4 * np.abs(one).max())


OBJECTIVES = {
    "layer": ("energy", [parse_layer("c2b")]),
    "layers": ("energy", [parse_layer("p3b"), parse_layer("p4c=0.5")]),
    "away": ("energy", [parse_layer("p3b=-1")]),
    "mean": ("mean", [parse_layer("p4c")]),
    "channel": ("energy", [parse_channel("p4c:7,12")]),
    "channel's mean": ("mean", [parse_channel("p4c:7,12")]),
    "pure channel": ("cosine", [parse_channel("p4c:7,12")]),
    "class": ("energy", [parse_target("goldfish")]),
    "class and layer": ("energy", [parse_target("school bus=0.5"), parse_layer("p3b")]),
    "guide": ("energy", []),
    "guide's direction": ("cosine", []),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_it_rises_within_three_steps(name: str, network, picture, guide):
    measure, terms = OBJECTIVES[name]
    wishes = Targets(tuple(terms), measure, guide if "guide" in name else None)
    moment = Schedule(octaves=1, steps=3, depth=0.7).at(0)
    objective = build_objective(network.card, moment, wishes, read_guide(wishes))
    visits = octaves.plan_full_passes([picture.shape[:2]], 3)
    gain = octaves.dream_octaves(
        picture,
        np.zeros_like(picture),
        visits,
        build_gradient(network, objective),
        step_size(network.card, objective),
        seed=0,
        time=Fraction(0),
    )
    before = evaluate_objective(network, objective, picture)
    after = evaluate_objective(
        network, objective, octaves.make_detail_limiter(picture, "full")(gain) + picture
    )
    assert after > before + 0.01 * abs(before)


def test_a_target_is_climbed_towards(network):
    objective = Objective((Term("target", "goldfish"),), (1.0,))
    place = network.card.class_index("goldfish")

    def compute_probability(picture: np.ndarray) -> float:
        return float(tf.nn.softmax(network.class_logits()(tf.constant(picture[None])))[0, place])

    nearer = 0
    for seed in range(10):
        noise = np.random.default_rng(seed).uniform(0.3, 0.7, (96, 96, 3)).astype(np.float32)
        gain = octaves.dream_octaves(
            noise,
            np.zeros_like(noise),
            octaves.plan_full_passes([(96, 96)], 4),
            build_gradient(network, objective),
            0.01,
            seed=seed,
            time=Fraction(0),
        )
        nearer += compute_probability(np.clip(noise + gain, 0, 1)) > compute_probability(noise)
    assert nearer >= 9


def test_a_depth_is_a_blend_of_layers_and_steps_are_the_rungs(network):
    about = network.card
    objective = objective_at_depth(about, 0.9, away=False)
    assert [term.name for term in objective.terms] == [rung.layer for rung in about.rungs[-2:]]
    blended = float(about.mix(0.9) @ [rung.step for rung in about.rungs])
    assert step_size(about, objective) == pytest.approx(blended)
    assert step_size(about, objective_at_depth(about, 0.9)) == pytest.approx(blended, rel=0.01)
    assert step_size(about, Objective((Term("target", "goldfish"),), (-1.0,))) == about.rungs[-1].step
    assert step_size(about, Objective((P3B,), (0.0,))) == 0.0


def test_what_would_fill_every_dream_is_gone_away_from(network, picture):
    about = network.card
    filling = Objective((parse_channel(f"p4c:{about.rungs[-1].away[0]}").unweighted,), (1.0,))

    def measure_filling(away: bool) -> float:
        objective = objective_at_depth(about, 1.0, away)
        gain = octaves.dream_octaves(
            picture,
            np.zeros_like(picture),
            octaves.plan_full_passes([picture.shape[:2]], 10),
            build_gradient(network, objective),
            step_size(about, objective),
            seed=0,
            time=Fraction(0),
        )
        return evaluate_objective(network, filling, np.clip(picture + gain, 0, 1))

    assert measure_filling(away=True) < 0.9 * measure_filling(away=False)


def test_motifs_share_and_a_guide_always_has_a_layer(network, guide):
    about = network.card
    fading = Schedule(motif=((0, "dog"), (2, "spiral"))).at(0.5)
    objective = build_objective(about, fading, Targets((parse_target("goldfish=2"),)))
    assert [term.kind for term in objective.terms] == ["target", "channel", "channel"]
    assert objective.weights == (2.0, 0.75, 0.25)
    towards = Targets(guide=guide)
    guided = build_objective(about, fading, towards, read_guide(towards))
    assert {term.kind for term in guided.terms} == {"channel", "layer"}


@pytest.mark.parametrize("name", ["dreamnet", "googlenet"])
def test_every_motif_of_a_card_is_one_of_its_network(name: str):
    about = load_card(name)
    known = load_network(about, "random").channel_counts()
    assert len(about.motifs) >= 40
    for motif in about.motifs:
        term = find_motif(about, motif)
        if term.kind == "target":
            about.class_index(term.name)
        else:
            assert max(term.channels) < known[term.name]


@pytest.mark.parametrize(("name", "count"), [("dreamnet", 200), ("googlenet", 1000), ("squeezenet", 1000)])
def test_classes_go_by_every_name_and_there_are_as_many_as_logits(name: str, count: int):
    about = load_card(name)
    every = about.class_names()
    assert len(every) == count
    assert load_network(about, "random").class_logits()(tf.zeros((1, 96, 96, 3))).shape == (1, count)
    goldfish = about.class_index("goldfish")
    assert about.class_index("n01443537") == about.class_index("Goldfish") == goldfish
    assert all(about.class_index(names[0]) == place for place, names in enumerate(every))
