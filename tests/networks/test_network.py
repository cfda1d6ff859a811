from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from mmdream.core.errors import UserError
from mmdream.networks import network as module
from mmdream.networks.card import Rung
from mmdream.networks.network import choose_precision, load_network
from mmdream.networks.registry import load_card

SCRIPTS = Path(__file__).parents[2] / "scripts"


def make_noise(height, width, seed=0):
    return np.random.default_rng(seed).random((1, height, width, 3), np.float32)


@pytest.mark.parametrize("name", ["dreamnet", "googlenet", "squeezenet", "vgg16", "vgg19", "inception_v3"])
def test_every_rung_exists_and_takes_odd_and_small_sizes(name):
    net = load_network(load_card(name), "random", "bfloat16")
    features = net.rung_features(tuple(range(len(net.card.rungs))))
    for size in ((95, 131), (33, 40), (1, 1)):
        found = features(make_noise(*size))
        assert len(found) == len(net.card.rungs)
        assert all(min(a.shape) >= 1 for a in found), size
        assert all(np.isfinite(np.asarray(a, np.float32)).all() for a in found)
    # Deeper is never finer.
    heights = [a.shape[1] for a in features(make_noise(128, 128))]
    assert heights == sorted(heights, reverse=True)


def test_layers_above_the_deepest_rung_are_left_out():
    net = load_network(load_card("googlenet"), "random")
    net_2 = dataclasses.replace(net, model=net.model)
    traced = []
    for layer in net.model.layers:
        if layer.name.startswith("inception_4a"):
            original = layer.call
            layer.call = lambda *a, original=original, name=layer.name, **k: (
                traced.append(name) or original(*a, **k)
            )
    net_2.rung_features((0, 2))(make_noise(64, 64))  # conv2 and 3b
    assert not traced
    net_2.rung_features((3,))(make_noise(64, 64))
    assert traced


def test_one_rung_and_its_order():
    net = load_network(load_card("dreamnet"))
    (one,) = net.rung_features((1,))(make_noise(64, 80))
    assert one.shape == (1, 8, 10, 480)
    deep, shallow = net.rung_features((3, 1))(make_noise(64, 80))
    assert (deep.shape[-1], shallow.shape[-1]) == (512, 480)
    np.testing.assert_array_equal(shallow, one)


def test_random_weights_belong_to_their_seed():
    seen = [
        load_network(load_card("dreamnet"), "random", seed=seed).rung_features((3,))(make_noise(64, 64))[0]
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.allclose(seen[0], seen[2])
    # He normal keeps the scale through the layers: neither silence nor explosion.
    assert 0.01 < float(np.std(seen[0])) < 10


def test_bfloat16_is_close(data):
    import cv2

    picture = cv2.imread(str(data / "photos" / "china.jpg"))[None, :256, :320, ::-1].astype(np.float32) / 255
    wide, narrow = (
        load_network(load_card("dreamnet"), None, p).rung_features((1, 3))(picture)
        for p in ("float32", "bfloat16")
    )
    for a, b in zip(wide, narrow, strict=True):
        a, b = np.asarray(a, np.float32).ravel(), np.asarray(b, np.float32).ravel()
        assert a @ b / np.sqrt((a @ a) * (b @ b)) > 0.999
        assert np.mean(b * b) == pytest.approx(np.mean(a * a), rel=0.02)


def test_dynamic_size_is_traced_once():
    import tensorflow as tf

    features = load_network(load_card("dreamnet")).rung_features((3,))
    traces = []

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.float32)])
    def measure_slope(x):
        traces.append(1)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_mean(tf.square(features(x)[0]))
        return tape.gradient(value, x)

    for size in ((64, 64), (101, 77), (17, 200)):
        gradient = measure_slope(tf.constant(make_noise(*size)))
        assert gradient.shape == (1, *size, 3)
        assert float(tf.norm(gradient)) > 0
    assert len(traces) == 1


def test_precision_goes_by_flags_alone(tmp_path, monkeypatch):
    picture, sound = load_card("dreamnet"), load_card("melnet")
    for flags, expected in (
        ("AuthenticAMD avx512f avx512_bf16", "bfloat16"),
        ("GenuineIntel avx512f avx512_bf16", "float32"),
        ("amx_bf16", "bfloat16"),
        ("avx2", "float32"),
    ):
        (tmp_path / "cpuinfo").write_text(f"flags\t\t: fpu {flags} sse\n")
        monkeypatch.setattr(module, "CPU_INFO", tmp_path / "cpuinfo")
        assert choose_precision("auto", picture) == expected
        assert choose_precision("auto", sound) == "float32"
    monkeypatch.setattr(module, "CPU_INFO", tmp_path / "nowhere")
    assert choose_precision("auto", picture) == "float32"
    assert choose_precision("bfloat16", picture) == "bfloat16"


def test_local_response_is_tensorflows_own():
    from mmdream.networks.framework import tf
    from mmdream.networks.image_models import LocalResponse

    rng = np.random.default_rng(0)
    x = tf.constant(rng.gamma(0.5, 100.0, (1, 5, 7, 12)).astype(np.float32))
    dy = tf.constant(rng.standard_normal(x.shape).astype(np.float32))
    found = []
    for layer in (LocalResponse(), lambda x: tf.nn.local_response_normalization(x, 2, 1.0, 1e-4 / 5, 0.75)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        found.append((y.numpy(), tape.gradient(y, x, dy).numpy()))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_head_only_where_there_are_classes():
    with pytest.raises(UserError, match="no classes"):
        load_network(load_card("vgg16"), "random").class_logits()
    logits = load_network(load_card("googlenet"), "random").class_logits()
    assert logits(make_noise(96, 96)).shape == (1, 1000)


def test_sound_network_hears():
    net = load_network(load_card("melnet"))
    hops = np.zeros((1, 101, net.card.input.bands, 1), np.float32)
    assert all(a.shape[0] == 1 for a in net.rung_features((0, len(net.card.rungs) - 1))(hops))
    assert net.class_logits()(hops).shape == (1, len(net.card.classes))


# Keras 3.15 saves its variables through an array protocol older than numpy 2's.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_application_weights_by_file(tmp_path):
    net = load_network(load_card("vgg16"), "random", seed=3)
    path = tmp_path / "vgg.weights.h5"
    net.model.save_weights(path)
    weighted = net.rung_features((2,))(make_noise(64, 64))[0]
    np.testing.assert_array_equal(
        load_network(load_card("vgg16"), path).rung_features((2,))(make_noise(64, 64))[0], weighted
    )
    with pytest.raises(UserError, match="weights of another network") as raised:
        load_network(load_card("vgg19"), path)
    assert "\n" not in str(raised.value)


def test_squeezenet_knows_its_classes(data, monkeypatch):
    """Caffe's padding, pools, channel order: over 45 % of 40 pictures are right."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from classify import accuracy

    weights = data / "weights" / "squeezenet_v1_1.npz"
    archive = data / "imagenet_samples.tar"
    right = load_network(load_card("squeezenet"), weights)
    first, five = accuracy(right, archive, 40)
    assert first > 0.45
    assert five > first
    swapped = dataclasses.replace(load_card("squeezenet").input, order="RGB")
    wrong = load_network(dataclasses.replace(load_card("squeezenet"), input=swapped), weights)
    assert accuracy(wrong, archive, 40)[0] < first


def test_normalisation_folds_away_and_back():
    """The shipped form and the trained form are one function, at sizes that no stride divides.

    A student that begins from the shipped form is that function too, with filters as long as they are to be.
    """
    if str(SCRIPTS) not in sys.path:
        sys.path.insert(0, str(SCRIPTS))
    from dreamnet_export import LENGTH, fold, unfold

    from mmdream.networks.image_models import dreamnet
    from mmdream.networks.network import assign_arrays

    rng = np.random.default_rng(5)
    trained = dreamnet(normalised=True)
    for variable in trained.variables:
        if variable.name == "moving_variance":
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        elif variable.name != "kernel":
            variable.assign(rng.normal(0.2, 0.3, variable.shape))
    plain, units = dreamnet(), {"p4c": np.full(512, 3, np.float32), "p5b": np.full(1024, 2, np.float32)}
    assign_arrays(plain, fold(trained, units), "dreamnet", "folded")
    x = make_noise(67, 90) - 0.5
    for a, b, unit in zip(plain(x), trained(x), (1, 3, 2, 1), strict=True):
        np.testing.assert_allclose(a, b * unit, rtol=1e-3, atol=1e-3)
    begun = dreamnet(normalised=True)
    again = [rng.uniform(0.5, 2, count).astype(np.float32) for count in (480, 512, 1024)]
    unfold(begun, fold(trained, units), again, x + 0.5)
    for a, b, unit in zip(plain(x), begun(x), (*again, 1), strict=True):
        np.testing.assert_allclose(a, b * unit, rtol=1e-3, atol=2e-3)
    lengths = np.sqrt(np.square(begun.get_layer("c3b_conv").kernel).sum((0, 1, 2)))
    np.testing.assert_allclose(lengths, LENGTH, rtol=1e-3)
    for a, b in zip(begun(x), begun(x, training=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-2)


def test_unknown_layer_is_a_bug_of_the_card():
    broken = dataclasses.replace(load_card("dreamnet"), rungs=(Rung("c9", 0.01),) * 3)
    with pytest.raises(ValueError, match="c9"):
        load_network(broken, "random").rung_features((0,))


@pytest.mark.parametrize("number_format", ["bfloat16", "mixed_float16"])
def test_half_as_many_bits_give_the_same_gradient(number_format: str):
    from mmdream.image.gradient import build_gradient
    from mmdream.image.objective import objective_at_depth

    y, x = np.mgrid[0:96, 0:128] / 32
    picture = np.stack([np.sin(x * 3 + y), np.cos(y * 4), np.sin(x * y)], -1) * 0.3 + 0.5
    exact, short = (
        build_gradient(
            load_network(load_card("dreamnet"), precision=form),
            objective_at_depth(load_card("dreamnet"), 0.9),
        )(picture.astype(np.float32)).ravel()
        for form in ("float32", number_format)
    )
    assert np.isfinite(short).all()
    assert exact @ short > 0.9 * np.linalg.norm(exact) * np.linalg.norm(short)


@pytest.mark.parametrize("stride", [2, 4])
def test_an_even_kernel_leaves_no_grid_in_the_gradient(stride: int):
    from mmdream.networks.framework import keras, tf
    from mmdream.networks.image_models import Even

    layer = keras.layers.Conv2D(5, 2 * stride, stride, "same", kernel_constraint=Even(stride))
    x = tf.constant(make_noise(12 * stride, 12 * stride))

    def measure_unevenness() -> float:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(layer(x) * tf.constant([1.0, -2.0, 3.0, 0.5, 2.0]))
        inner = tape.gradient(y, x).numpy()[0, 2 * stride : -2 * stride, 2 * stride : -2 * stride]
        return float(inner.std(axis=(0, 1)).max() / np.abs(inner).mean())

    layer.build(x.shape)
    assert measure_unevenness() > 0.1
    layer.kernel.assign(layer.kernel.constraint(layer.kernel))
    assert measure_unevenness() < 1e-4


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (6, 7)])
def test_the_stem_is_a_plain_convolution(size: tuple[int, int]):
    from mmdream.networks.framework import keras, tf
    from mmdream.networks.image_models import Stem

    plain, stem = (kind(48, 8, 4, "same", activation="relu") for kind in (keras.layers.Conv2D, Stem))
    pictures = tf.constant(make_noise(*size))
    plain(pictures), stem(pictures)
    stem.set_weights([w + 0.01 for w in plain.get_weights()])
    plain.set_weights(stem.get_weights())
    results = []
    for layer in (plain, stem):
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            seen = layer(pictures)
        results.append((seen, tape.gradient(seen, pictures)))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-5)
