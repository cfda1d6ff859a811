"""Habituation: what a dream has shown for long gives way, and what the source shows does not count."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mmdream.analysis.shots import scan_frames
from mmdream.core.events import EventSink
from mmdream.image.gradient import build_gradient, count_places, measure_channel_energies
from mmdream.image.habituation import (
    DRIFT,
    Fatigue,
    drift_gains,
    elapsed_share,
    fatigue_gains,
    habituate,
)
from mmdream.media.video_reader import Frame
from mmdream.render.frames import FramePipeline
from mmdream.render.temporal import TemporalState
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Objective, Term, parse_channel


def test_the_loudest_channel_gives_way_and_recovers():
    source = make_energies(9.0, 1.0, 1.0, 1.0)
    added = make_energies(9.0, 9.0, 2.0, 1.0)
    tired: Fatigue = {}
    for _ in range(20):
        tired = habituate(tired, source, added, elapsed_share(1.0))
    # Of what is added at the place itself a little is forgotten, for faint places.
    assert 0.85 < tired["layer"].sum() < 1
    gains = fatigue_gains(tired["layer"], 1.0)[0, 0]
    # The first channel is as strong as ever it was, but that is the source's.
    assert gains[1] < 0.1 < gains[2] < gains[3] == gains[0] == 1
    for _ in range(20):
        tired = habituate(tired, source, make_energies(9.0, 1.0, 2.0, 1.0), 0.4)
    recovered = fatigue_gains(tired["layer"], 1.0)[0, 0]
    assert recovered[1] > 0.99
    assert recovered[2] < 0.1


def test_a_place_tires_most_of_what_was_dreamed_there():
    source = {"layer": np.zeros((1, 3, 2), np.float32)}
    added = {"layer": np.array([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.001]]], np.float32)}
    here, there, bare = fatigue_gains(habituate({}, source, added, 1.0)["layer"], 1.0)[0]
    assert here[0] < 0.5 * there[0]
    assert there[1] < 0.5 * here[1]
    # Where hardly anything was added, only what is seen elsewhere tires.
    np.testing.assert_allclose(bare[0], bare[1], rtol=0.05)


def test_nothing_tires_without_habituation_or_without_a_dream():
    energies = make_energies(1.0, 1.0, 1.0, 1.0)
    assert np.array_equal(fatigue_gains(np.array([0.7, 0.3], np.float32), 0.0), np.ones(2, np.float32))
    assert not habituate({}, energies, energies, 1.0)["layer"].any()


def test_attention_drifts_slowly_by_the_seed_and_favours_nothing():
    times = np.arange(0, 400, 0.2)
    size = 9, 16, 64
    drift = np.log([drift_gains("p4c", size, 0.6, 1, seconds) for seconds in times])
    spread = 0.6 * DRIFT
    assert np.abs(np.diff(drift, axis=0)).max() < spread
    assert np.abs(drift.mean(axis=0)).max() < 0.1 * spread
    assert drift.std(axis=0) == pytest.approx(np.full(size, spread), rel=0.1)
    # Neighbours agree, and the two ends of the picture have their own.
    across = [np.corrcoef(drift[0, :, 0].ravel(), drift[0, :, k].ravel())[0, 1] for k in (1, 15)]
    assert across[0] > 0.7 > 0.5 > across[1]
    others = [drift_gains("p4c", size, 0.6, 2, 0.0), drift_gains("c3b", size, 0.6, 1, 0.0)]
    assert all(abs(np.corrcoef(np.log(other).ravel(), drift[0].ravel())[0, 1]) < 0.5 for other in others)
    assert np.array_equal(drift_gains("p4c", size, 0.0, 1, 3.0), np.ones(size, np.float32))


def test_gains_choose_among_the_channels_of_a_layer(network, picture):
    layer, channel = Term("layer", "p4c"), parse_channel("p4c:7")
    gains = {"p4c": np.eye(512, dtype=np.float32)[None, None, 7]}
    one = build_gradient(network, Objective((layer,), (512.0,)), gains)(picture)
    same = build_gradient(network, Objective((channel,), (1.0,)))(picture)
    np.testing.assert_allclose(one, same, atol=2e-2 * np.abs(same).max())
    even = build_gradient(network, Objective((layer,), (1.0,)), {"p4c": np.ones((2, 3, 512), np.float32)})(
        picture
    )
    whole = build_gradient(network, Objective((layer,), (1.0,)))(picture)
    np.testing.assert_allclose(even, whole, atol=2e-2 * np.abs(whole).max())


def test_a_dream_that_lasts_shows_more_with_habituation(network, picture):
    """Half of what a dream adds to a layer lies in more channels, the longer it goes on."""

    def spread(habituation: float) -> int:
        state = dream_still(picture, habituation)
        dream = np.clip(picture + state.detail, 0, 1)
        places = count_places(picture.shape[:2])
        before, now = (
            measure_channel_energies(network, ("p4c",), x, places)["p4c"] for x in (picture, dream)
        )
        added = np.sort(np.maximum(now - before, 0).mean(axis=(0, 1)))[::-1].cumsum()
        return int((added < added[-1] / 2).sum())

    assert spread(1.0) > 1.3 * spread(0.0)


def make_energies(*channels: float) -> dict[str, np.ndarray]:
    """Of a layer with one place."""
    return {"layer": np.array([[channels]], np.float32)}


def dream_still(picture: np.ndarray, habituation: float) -> TemporalState:
    """A picture that stands still for two seconds, dreamed; the state behind it."""
    height, width = picture.shape[:2]
    recipe = Recipe(Schedule(octaves=2, steps=4, habituation=habituation))
    pipeline = FramePipeline.load(recipe, (width, height), EventSink(), scored_every=1000)
    frames = [Frame(picture, k, Fraction(1, 25), k, Fraction(k, 25)) for k in range(50)]
    measurer, states = pipeline.measurer(scan_frames(frames)), pipeline.initial_states
    previous = None
    for index, frame in enumerate(frames):
        context, previous = measurer.measure(frame, index, previous)
        states, _ = pipeline.step(states, frame, context)
    assert states[0] is not None
    return states[0]
