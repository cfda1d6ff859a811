"""The graph that is taught: every network of the zoo with other classes, what of it is free, and attacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmdream.datasets.folder import Example
from mmdream.networks.card import MODELS_FOLDER
from mmdream.networks.framework import keras, tf
from mmdream.networks.network import Network, build_graph, layers_by_name, load_network
from mmdream.networks.registry import list_networks, load_card
from mmdream.settings.training import TrainingSettings
from mmdream.training.data import draw_examples
from mmdream.training.model import (
    TrainableModel,
    build_child_graph,
    find_head,
    make_child_card,
    make_logits_model,
    unfreeze_above,
)

CLASSES = ("one", "two", "three")
PICTURES = [file.stem for file in MODELS_FOLDER.glob("*.toml") if load_card(file.stem).medium == "picture"]
SMALL = ("melnet", "residual_spec", "conv5_spec:slim_deep")


@pytest.mark.parametrize("name", [*PICTURES, *SMALL])
def test_every_network_takes_other_classes(name: str):
    parent = load_card(name)
    about = make_child_card(parent, "mine", CLASSES)
    whole, outputs = build_graph(about, "float32")
    assert {rung.layer for rung in about.rungs} <= outputs.keys()
    assert outputs[str(about.head)].shape[-1] == len(CLASSES)
    head = find_head(whole)
    assert head.kernel.shape[-1] == len(CLASSES)
    assert head in make_logits_model(whole, about).layers
    unfreeze_above(whole, about, len(about.rungs) // 2)
    layers = layers_by_name(whole)
    weighted = [layer for layer in layers.values() if layer.weights]
    fixed = [layer for layer in weighted if not layer.trainable]
    assert fixed
    assert len(fixed) < len(weighted)
    assert head.trainable
    assert not layers[about.rungs[0].layer].trainable
    assert layers[about.rungs[-1].layer].trainable
    unfreeze_above(whole, about, 0)
    assert [layer for layer in weighted if layer.trainable] == [head]
    unfreeze_above(whole, about, len(about.rungs))
    assert all(layer.trainable for layer in weighted)
    unfreeze_above(whole, about, about.rungs[1].layer)
    assert layers[about.rungs[1].layer].trainable
    assert not layers[about.rungs[0].layer].trainable


@pytest.mark.parametrize(("name", "shape"), [("squeezenet", (2, 70, 81, 3)), ("melnet", (2, 90, 64, 1))])
def test_a_pupil_is_fed_as_a_dream_is(name: str, shape: tuple[int, ...]):
    """Channel order, range and mean of the input: one function for both."""
    about = make_child_card(load_card(name), "mine", CLASSES)
    settings = TrainingSettings(about.medium, name, Path(), "mine", weights="random")
    whole = build_child_graph(about, load_card(name), settings, "float32")
    x = np.random.default_rng(0).random(shape, np.float32)
    model = TrainableModel(make_logits_model(whole, about), about.input)
    outputs = {layer: each.output for layer, each in layers_by_name(whole).items()}
    network = Network(about, "float32", whole, outputs)
    np.testing.assert_allclose(model(x).numpy(), network.class_logits()(tf.constant(x)).numpy(), atol=1e-5)


def test_a_child_has_its_parents_body():
    about = make_child_card(load_card("melnet"), "mine", CLASSES)
    whole = build_child_graph(
        about, load_card("melnet"), TrainingSettings("sound", "melnet", Path(), "mine"), "float32"
    )
    parent = load_network(load_card("melnet"))
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 1)).astype(np.float32)
    outputs = {layer: each.output for layer, each in layers_by_name(whole).items()}
    mine = Network(about, "float32", whole, outputs).layer_features(("c6",))(tf.constant(x))[0]
    np.testing.assert_array_equal(mine.numpy(), parent.layer_features(("c6",))(tf.constant(x))[0].numpy())


@pytest.mark.parametrize(("name", "shape"), [("dreamnet", (4, 64, 64, 3)), ("melnet", (4, 64, 64, 1))])
def test_an_attack_raises_the_loss_and_goes_no_further(name: str, shape: tuple[int, ...]):
    about = load_card(name)
    model = TrainableModel(make_logits_model(load_network(about).model, about), about.input)
    x = np.random.default_rng(0).uniform(0.2, 0.8, shape).astype(np.float32)
    y = tf.one_hot(tf.argmax(model(x), 1), len(about.class_names()))
    picture = about.medium == "picture"
    length = tf.fill((4,), 0.5) if picture else tf.constant(0.1)
    attacked = model.perturb(tf.constant(x), y, length, tf.constant([0, 0])).numpy()
    loss_of = keras.losses.categorical_crossentropy
    before, after = (loss_of(y, model(each), True).numpy() for each in (x, attacked))
    assert (after > before).all()
    if picture:
        np.testing.assert_allclose(np.sqrt(np.square(attacked - x).sum((1, 2, 3))), 0.5, rtol=1e-3)
        assert attacked.min() >= 0
        assert attacked.max() <= 1
    else:
        assert np.abs(attacked - x).max() <= 0.1 + 1e-6


def test_a_head_sees_every_example_as_often_as_any_other():
    every = [Example(Path(str(number)), 0) for number in range(7)]
    batches = [draw_examples(every, first, min(first + 4, 21), 0, "head order") for first in range(0, 21, 4)]
    shown = [example for batch in batches for example in batch]
    assert len(shown) == 21
    assert all(shown.count(each) == 3 for each in every)
    assert {each.file for each in shown[:7]} == {each.file for each in every}


def test_what_is_written_is_read_again(tmp_path: Path):
    import tomllib

    from mmdream.networks.registry import card_to_toml, list_variants, parse_card

    for name in [each for own in list_networks() for each in (own, *list_variants(own))]:
        about = load_card(name)
        again = parse_card("again", tomllib.loads(card_to_toml(about)), about.home)
        assert replace(again, name=name) == about
        assert again.facts == about.facts
    odd = replace(
        load_card("melnet"), classes=('a "b"', "c\\d", "ü = [1]", "# no\x7f", "\t"), facts={"x y": 1e-9}
    )
    assert parse_card("again", tomllib.loads(card_to_toml(odd)), odd.home).classes == odd.classes
