"""Many dreams in one process: networks are built and traced once, what is not asked for any more goes."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmdream import Recipe, Schedule, dream_audio, dream_image
from mmdream.core.events import EventSink
from mmdream.image.gradient import build_gradient
from mmdream.image.objective import build_objective
from mmdream.media import image
from mmdream.networks.framework import keras, tf
from mmdream.networks.network import MAX_LOADED_NETWORKS, MAX_TRACES, Network, load_network
from mmdream.networks.registry import load_card
from mmdream.render.models import load_audio_network, load_image_network, read_guide
from mmdream.settings.targets import Objective, Targets, Term

# Keras 3.15 calls NumPy in its older way where it saves variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

QUICK = Recipe(schedule=Schedule(octaves=1, steps=1))
TRACED = type(tf.function(lambda x: x))


def find_traced_functions() -> list[Any]:
    """The functions of the package to be traced that are alive."""
    gc.collect()
    alive = [each for each in gc.get_objects() if issubclass(type(each), TRACED)]
    return [each for each in alive if each.python_function.__module__.startswith("mmdream.")]


def count_traces() -> list[int]:
    """How often each of them was traced."""
    return [each.experimental_get_tracing_count() for each in find_traced_functions()]


def make_noise(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)


def test_pictures_after_the_first_trace_nothing():
    first = dream_image(make_noise(0), QUICK)
    before = count_traces()
    for seed, size in ((1, (48, 64)), (2, (56, 40))):
        dream_image(make_noise(seed, *size), QUICK)
    np.testing.assert_array_equal(dream_image(make_noise(0), QUICK), first)
    assert count_traces() == before


def test_sounds_after_the_first_trace_nothing():
    sound = np.sin(np.arange(8000) / 9).astype(np.float32) * np.linspace(0, 0.5, 8000, dtype=np.float32)
    dream_audio(sound, 16_000, QUICK)
    before = count_traces()
    dream_audio(sound[::-1].copy(), 16_000, QUICK)
    assert count_traces() == before


def test_networks_that_were_not_asked_for_lately_are_freed():
    def find_networks() -> list[Network]:
        return [each for each in gc.get_objects() if issubclass(type(each), Network)]

    known = set(map(id, find_networks()))
    dream_image(make_noise(0), replace(QUICK, weights="random", seed=100))
    ((net, model),) = ((weakref.ref(n), weakref.ref(n.model)) for n in find_networks() if id(n) not in known)
    for seed in range(101, 101 + MAX_LOADED_NETWORKS):
        load_image_network(replace(QUICK, weights="random", seed=seed), EventSink())
    gc.collect()
    assert (net(), model()) == (None, None)


def test_of_many_settings_the_last_ones_stay_traced():
    network = load_image_network(QUICK, EventSink())

    def compute_gradient(number: int) -> object:
        return build_gradient(network, Objective((Term("channel", "c2b", (number,)),), (1.0,)))

    known = set(map(id, find_traced_functions()))
    compute_gradient(0)
    (first,) = (weakref.ref(each) for each in find_traced_functions() if id(each) not in known)
    for number in range(1, MAX_TRACES + 1):
        compute_gradient(number)
    assert len(network.traces) == MAX_TRACES
    gc.collect()
    assert first() is None


def test_other_weights_in_the_same_file_are_loaded(tmp_path: Path):
    path, found = tmp_path / "mine.npz", []
    for seed in (0, 1):
        source = load_network(load_card("dreamnet"), "random", seed=seed)
        np.savez(path, **{f"{la.name}_{v.name}": v.numpy() for la in source.model.layers for v in la.weights})
        found.append(dream_image(make_noise(0), replace(QUICK, weights=str(path))))
    assert not np.array_equal(*found)


def test_another_network_in_the_same_keras_file_is_loaded(tmp_path: Path):
    path, found = tmp_path / "mine.keras", []
    for seed in (0, 1):
        pixels = keras.Input((None, None, 3))
        kernel = keras.initializers.HeNormal(seed)
        keras.Model(pixels, keras.layers.Conv2D(4, 3, name="c", kernel_initializer=kernel)(pixels)).save(path)
        found.append(dream_image(make_noise(0), replace(QUICK, net=str(path))))
    assert not np.array_equal(*found)


def test_threads_share_a_network():
    recipe = replace(QUICK, weights="random", sound_weights="random", seed=77)
    found: list[object] = []

    def load_both() -> None:
        found.append((load_image_network(recipe, EventSink()), load_audio_network(recipe, EventSink())))

    threads = [threading.Thread(target=load_both) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1


def test_who_changes_weights_has_a_network_of_his_own():
    shared, own = (
        load_image_network(replace(QUICK, precision="float32"), EventSink()),
        load_network(load_card("dreamnet")),
    )
    assert own is not shared
    assert own.model is not shared.model


def test_a_guide_that_has_changed_is_gone_towards(tmp_path: Path):
    network, path, found = load_image_network(QUICK, EventSink()), tmp_path / "guide.png", []
    for seed in (1, 2):
        image.write_image(path, make_noise(seed))
        towards = Targets(guide=path)
        objective = build_objective(network.card, QUICK.schedule.at(0.0), towards, read_guide(towards))
        found.append(build_gradient(network, objective)(make_noise(0)))
    assert not np.array_equal(*found)
