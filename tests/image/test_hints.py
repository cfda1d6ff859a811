"""Hints: what a picture shows more of than pictures do, where it does, and what that makes of a dream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmdream.image import tiles
from mmdream.image.gradient import build_gradient
from mmdream.image.hints import (
    HINT_GAIN,
    MAX_COVER,
    MAX_MOTIFS,
    Hints,
    choose_hints,
    cut_windows,
    hint_gains,
    hinted_terms,
    measure_departures,
    shrink_look,
)
from mmdream.image.objective import build_objective, follows_hints
from mmdream.media.image import read_image
from mmdream.networks.registry import load_card
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Objective, Targets, Term, parse_target

P4C = Objective((Term("layer", "p4c"),), (1.0,))


def test_every_hint_of_the_card_is_channels_of_a_rung(network):
    card, counts = network.card, network.channel_counts()
    terms = hinted_terms(card)
    assert terms.keys() == card.motifs.keys() == card.hints.keys()
    for name, term in terms.items():
        assert term.name in {rung.layer for rung in card.rungs}, name
        assert 0 <= min(term.channels) <= max(term.channels) < counts[term.name], name
        assert card.hints[name].spread > 0, name


def test_a_pavilion_hints_at_a_dome_and_meadows_and_flowers_at_theirs(network, data: Path):
    for name, wanted in {"china": {"dome"}, "vacation": {"flower"}, "sky": {"mountain"}}.items():
        look = shrink_look(read_image(data / "photos" / f"{name}.jpg"))
        assert min(look.shape[:2]) <= 360
        hints = choose_hints(network.card, measure_departures(network, look))
        assert wanted <= set(hints.names), hints.names
        assert len(hints.names) <= MAX_MOTIFS
        assert 0 <= hints.shares.min() <= hints.shares.sum(axis=2).max() <= 1 + 1e-6


def test_what_shows_nothing_hints_at_nothing(network):
    grey = np.full((90, 160, 3), 0.5, np.float32)
    assert choose_hints(network.card, measure_departures(network, grey)).names == ()


def test_motifs_are_chosen_by_their_share_of_all_places(network):
    names = list(hinted_terms(network.card))
    departures = np.zeros((4, 6, len(names)), np.float32)
    departures[:, :4, 7], departures[:, 4:, 3] = 3.0, 9.0
    hints = choose_hints(network.card, departures)
    assert hints.names[:2] == (names[7], names[3])
    assert hints.shares[:, :4, 0].min() > 0.5 > 0.1 > hints.shares[:, 4:, 0].max()
    assert hints.shares[:, 4:, 1].min() > 0.5 > 0.1 > hints.shares[:, :4, 1].max()


def test_windows_cover_pictures_of_any_shape():
    for size in ((90, 160), (16, 900), (1, 1), (30, 20)):
        windows, ys, xs = cut_windows(np.zeros((*size, 3), np.float32), 0.5)
        assert len(windows) == len(ys) * len(xs)
        assert windows.shape[1] == windows.shape[2]
        for middles, side in zip((ys, xs), size, strict=True):
            assert middles[0] == pytest.approx(1 - middles[-1])
            assert middles[0] == pytest.approx(windows.shape[1] / 2 / side)


def test_gains_act_on_a_motifs_channels_where_it_is_hinted_at(network, picture):
    shares = np.zeros((9, 12, 1), np.float32)
    shares[:, :6] = 1.0
    gains = hint_gains(network, Hints(("dome",), shares), picture.shape[:2])
    assert gains.keys() == {"p4c"}
    channels = list(hinted_terms(network.card)["dome"].channels)
    # Half of the picture is more than it may cover.
    assert np.allclose(gains["p4c"][:, :6, channels], 1 + HINT_GAIN * MAX_COVER / 0.5)
    small = hint_gains(
        network, Hints(("dome",), shares * (np.arange(12) == 1)[None, :, None] / 2), picture.shape[:2]
    )
    assert np.allclose(small["p4c"][:, 1, channels], 1 + HINT_GAIN / 2)
    gains["p4c"][:, :6, channels] = 1
    assert np.all(gains["p4c"] == 1)

    plain = build_gradient(network, P4C)(picture)
    even = build_gradient(network, P4C, gains)(picture)
    np.testing.assert_allclose(even, plain, atol=1e-4 * np.abs(plain).max())
    more = build_gradient(network, P4C, hint_gains(network, Hints(("dome",), shares), picture.shape[:2]))(
        picture
    )
    left, right = (np.abs(more - plain)[:, half].mean() for half in (slice(0, 32), slice(96, 128)))
    assert left > 3 * right


def test_hints_of_a_picture_fit_its_copies(network):
    names = tuple(hinted_terms(network.card))[:6]
    gains = hint_gains(network, Hints(names, np.full((9, 16, 6), 0.1, np.float32)), (48, 64))
    assert {gain.shape[:2] for gain in gains.values()} == {(9, 12)}


def test_tiles_take_the_gains_of_their_own_places(network, data: Path):
    image = read_image(data / "photos" / "tuebingen.jpg")[:448, :640]
    rng = np.random.default_rng(0)
    gains = {"p4c": rng.uniform(0, 4, (9, 13, 512)).astype(np.float32)}
    gradient = build_gradient(network, P4C, gains)
    whole = gradient(image)
    sewn, lost = (tiles.apply_tiled(gradient, image, 320, 128, placed) for placed in (True, False))
    misses = [float(np.square(whole - other).mean() / np.square(whole).mean()) for other in (sewn, lost)]
    assert misses[0] < 1e-3 < misses[1]


def test_hints_yield_to_all_that_is_asked_for():
    card, nothing = load_card("dreamnet"), Targets()
    assert follows_hints(card, Schedule(), nothing)
    assert follows_hints(card, Schedule(motif="auto", depth=0.3), nothing)
    for motif in ("none", "dog"):
        assert not follows_hints(card, Schedule(motif=motif), nothing)
    for targets in (
        Targets((parse_target("goldfish"),)),
        Targets((Term("layer", "p4c"),)),
        Targets((Term("channel", "p4c", (7,)),)),
        Targets(guide=Path("guide.png")),
        Targets(measure="mean"),
    ):
        assert not follows_hints(card, Schedule(), targets)
    assert not follows_hints(load_card("vgg16"), Schedule(), nothing)
    # The rungs are climbed as ever.
    one, other = (build_objective(card, Schedule(motif=motif).at(0.0), nothing) for motif in ("auto", "none"))
    assert one == other
