"""Every network of the zoo: each listed layer can be dreamed, classes have names, wrong ones are told."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from mmdream.ascent.engine import AscentProblem, ascend
from mmdream.ascent.objectives import energy
from mmdream.audio.canvas import N_BANDS, smooth_gradient, soft_limit
from mmdream.audio.chunks import AudioDreamSettings
from mmdream.audio.dream import dream_source
from mmdream.audio.frontend import AudioFrontend, SpectrogramSlice, get_frontend
from mmdream.audio.gradient import make_gradient, measure_energies
from mmdream.audio.source import ArraySource
from mmdream.audio.spectra import make_stft
from mmdream.core.errors import UserError
from mmdream.networks.card import MODELS_FOLDER, KerasWeights, NoWeights, describe_weights
from mmdream.networks.framework import tf
from mmdream.networks.network import Network, list_layers, load_network
from mmdream.networks.registry import card_path, list_networks, list_variants, load_card
from mmdream.networks.weights import locate_weights
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Targets, Term, parse_channel, parse_target

SOUNDS = ("melnet", "vgg19_mel", "residual_spec", "conv5_spec:slim_deep")
"""With the smallest of the last one's sizes; the others differ in widths alone."""


@cache
def network(name: str) -> Network:
    """A network with random weights, built once."""
    return load_network(load_card(name), "random")


@pytest.fixture(scope="module", autouse=True)
def forget_networks() -> Iterator[None]:
    """They fill the memory, and every later collection would walk them."""
    yield
    network.cache_clear()
    gc.collect()


@pytest.mark.parametrize("name", [*list_networks("picture"), *SOUNDS])
def test_every_listed_layer_can_be_dreamed(name: str):
    """Features of the promised shape, through which the objective's gradient comes back to the input."""
    net = network(name)
    listed = net.channel_counts()
    assert {rung.layer for rung in net.card.rungs} <= listed.keys()
    net.check_terms(tuple(Term("layer", each) for each in listed))
    bands = getattr(net.card.input, "bands", 0)
    shape = (1, 64, bands, 1) if bands else (1, 64, 64, 3)
    x = tf.constant(np.random.default_rng(0).random(shape, np.float32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        features = net.layer_features(tuple(listed))(x)
        value = tf.add_n([tf.math.log(energy(a) + 1e-12) for a in features])
    for each, a in zip(listed, features, strict=True):
        assert (len(a.shape), a.shape[-1]) == (4, listed[each]), each
    gradient = tape.gradient(value, x).numpy()
    assert np.isfinite(gradient).all()
    assert gradient.any()


def test_the_layers_that_earlier_projects_name_are_there():
    vgg = network("vgg19_mel").channel_counts()
    for block, count in ((1, 2), (2, 2), (3, 4), (4, 4), (5, 4)):
        assert f"mp{block}" in vgg
        for number in range(1, count + 1):
            assert {f"conv{block}_{number}", f"relu{block}_{number}"} <= vgg.keys()
    assert {
        "avgpool",
        "linear1",
        "reluC_1",
        "dropout1",
        "linear2",
        "reluC_2",
        "dropout2",
        "output",
    } <= vgg.keys()
    assert (vgg["conv3_1"], vgg["linear1"], vgg["output"]) == (256, 4096, 10)
    residual = network("residual_spec").channel_counts()
    for block, width in (("1a", 16), ("2b", 64), ("3b", 128), ("4a", 256), ("5a", 256), ("5b", 256)):
        assert residual[f"residual_{block}"] == width
    assert residual["classification_1"] == 2


@pytest.mark.parametrize("size", ["fat_shallow", "xsmall", "slim_deep", "vgg16_skipped", "vgg16"])
def test_sizes_have_the_published_layers(size: str):
    from mmdream.networks.audio_models import CONV5_SIZES

    shape = CONV5_SIZES[size]
    convolutions = [name for name in shape if name.startswith("conv")]
    dense = [name for name in shape if name.startswith("fc")]
    published = {"fat_shallow": (5, 2), "xsmall": (7, 1), "slim_deep": (9, 1), "vgg16_skipped": (5, 1)}
    assert (len(convolutions), len(dense)) == (published | {"vgg16": (13, 2)})[size]
    name = "conv5_spec" if size == "fat_shallow" else f"conv5_spec:{size}"
    assert load_card(name).build.get("size", "fat_shallow") == size
    assert {rung.layer for rung in load_card(name).rungs} <= set(convolutions)


def test_layers_without_names_of_their_own_are_called_alike_in_every_process():
    """Keras numbers them through all models that a process builds."""
    from mmdream.networks.network import stable_layer_names

    assert stable_layer_names(["conv2d_94", "activation_7", "conv2d_96", "mixed9_0"]) == [
        "conv2d",
        "activation",
        "conv2d_2",
        "mixed9_0",
    ]
    first, second = (list(list_layers(load_card("inception_v3"))) for _ in range(2))
    assert first == second
    assert "activation_2" in first


def test_adaptive_pooling_is_pytorchs():
    """Cells from floor(i n / s) to ceil((i + 1) n / s), half open; also where there are fewer places."""
    from mmdream.networks.audio_models import AdaptivePool

    for height, width in ((4, 13), (7, 7), (1, 30), (11, 8)):
        x = np.random.default_rng(0).random((1, height, width, 2), np.float32)
        found = AdaptivePool(7)(x)
        assert found.shape == (1, 7, 7, 2)
        for i, j in ((0, 0), (3, 5), (6, 6)):
            rows = slice(i * height // 7, -(-(i + 1) * height // 7))
            columns = slice(j * width // 7, -(-(j + 1) * width // 7))
            np.testing.assert_allclose(found[0, i, j], x[0, rows, columns].mean((0, 1)), rtol=1e-5)


def test_variants_are_cards_of_their_own():
    us8k, fma = load_card("vgg19_mel"), load_card("vgg19_mel:fma_small")
    assert (len(us8k.classes), len(fma.classes)) == (10, 8)
    assert us8k.input.mu == (-23.5891,)
    assert (fma.input.mu, fma.input.divisor) == ((-24.1847,), 16.8729)
    assert fma.input.bands == us8k.input.bands == 128
    assert "residual_spec:slow" in list_variants("residual_spec")
    assert card_path("vgg19_mel:fma_small") == MODELS_FOLDER / "vgg19_mel.toml"
    with pytest.raises(UserError, match="fma_small"):
        load_card("vgg19_mel:fma_smal")


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2"])
def test_classes_of_an_application_are_found_by_name(name: str):
    net = network(name)
    assert net.card.class_index("goldfish") == 1
    picture = np.random.default_rng(0).random((1, 70, 50, 3), np.float32)
    assert net.class_logits()(picture).shape == (1, 1000)


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2"])
def test_weights_of_kerass_own_form_fit(name: str):
    """Layers with weights lie in the order of Keras's own model with a head, and so of its file."""
    import keras

    build = {"resnet50": keras.applications.ResNet50, "mobilenet_v2": keras.applications.MobileNetV2}[name]
    theirs = [layer for layer in build(weights=None).layers if layer.weights]
    ours = [layer for layer in network(name).model.layers if layer.weights]
    assert [layer.name for layer in ours] == [layer.name for layer in theirs]
    assert [[w.shape for w in la.weights] for la in ours] == [[w.shape for w in la.weights] for la in theirs]


def test_checksum_and_file_are_what_keras_states():
    import keras

    where = load_card("resnet50").weights
    assert isinstance(where, KerasWeights)
    assert where.md5 in inspect.getsource(inspect.getmodule(keras.applications.ResNet50))
    light = load_card("mobilenet_v2").weights
    assert isinstance(light, KerasWeights)
    assert light.md5 == ""
    assert "not verified" in describe_weights(light)


@pytest.mark.parametrize("name", ["vgg19_mel", "residual_spec", "conv5_spec"])
def test_a_network_without_weights_says_what_to_do(name: str):
    assert isinstance(load_card(name).weights, NoWeights)
    with pytest.raises(UserError, match="--weights random"):
        locate_weights(load_card(name))
    assert "pickle" in describe_weights(load_card("vgg19_mel").weights)


def test_wrong_names_tell_the_nearest_and_how_to_list_all():
    net = network("residual_spec")
    with pytest.raises(UserError, match=r"residual_5a.*`mmdream nets residual_spec`"):
        net.check_terms((Term("layer", "residual_5aa"),))
    with pytest.raises(UserError, match="0 to 15"):
        net.check_terms((parse_channel("residual_1a:16"),))
    with pytest.raises(UserError, match="female"):
        net.card.check_classes((parse_target("femal"),))
    assert list_layers(net.card) == net.channel_counts()


@pytest.mark.parametrize("name", SOUNDS)
def test_an_ascent_climbs_through_any_front_end(name: str):
    """On the canvas's own grid, whatever columns and bands the network hears; and the target rises too."""
    net, rate, hops = network(name), 16000, 96
    rung, chosen = Term("layer", net.card.rungs[1].layer), parse_target(net.card.classes[1])
    for term in (rung, chosen):
        on = get_frontend(net, rate, Targets((term,)))
        own, canvas = on.stft.hop, make_stft(rate).hop
        places = np.arange(0, hops, own / canvas, dtype=np.float32)
        rng = np.random.default_rng(0)
        power = (1e-4 * rng.exponential(1.0, (len(places), len(on.group_starts)))).astype(np.float32)
        stretch = SpectrogramSlice(power, np.minimum(places, hops - 1))
        start = np.zeros((hops, N_BANDS), np.float32)

        def slope(
            x: np.ndarray, _: int, on: AudioFrontend = on, stretch: SpectrogramSlice = stretch
        ) -> np.ndarray:
            return smooth_gradient(make_gradient(on, stretch, 0.5)(x, 0), 1.5)

        gain = soft_limit(ascend(AscentProblem(start, 0.05, slope, lambda x: x), 8))
        along = np.stack([np.interp(stretch.positions, np.arange(hops), row) for row in gain.T], axis=1)
        gained = SpectrogramSlice(
            (power * np.exp(2 * along @ on.band_to_group)).astype(np.float32), stretch.positions
        )
        before, after = (float(measure_energies(on, x, (0,), 0, len(places))[0]) for x in (stretch, gained))
        # Random residual blocks make logits so large that a chance of 0 is exact.
        assert after > before or (term is chosen and before in (0, 1)), term


def test_nothing_is_climbed_where_all_weights_are_zero():
    nothing = Targets((Term("layer", "c4", weight=0.0),))
    on = get_frontend(network("melnet"), 16000, nothing)
    stretch = SpectrogramSlice(
        np.ones((96, len(on.group_starts)), np.float32), np.arange(96, dtype=np.float32)
    )
    assert not make_gradient(on, stretch, 0.5)(np.zeros((96, N_BANDS), np.float32), 0).any()
    sound = 0.1 * np.random.default_rng(1).standard_normal((1, 8000)).astype(np.float32)
    report = dream_source(
        ArraySource(sound, 16000),
        lambda _: None,
        network("melnet"),
        AudioDreamSettings(Schedule(octaves=1, steps=1), targets=nothing),
    )
    assert np.isfinite(report.strength)


@pytest.mark.parametrize(
    ("name", "rate"), [("vgg19_mel", 8000), ("residual_spec", 44_100), ("conv5_spec:slim_deep", 44_100)]
)
def test_sounds_of_any_rate_climb_layers_and_classes(name: str, rate: int):
    net = network(name)
    deep = Term("layer", net.card.rungs[2].layer)
    targets = (deep, parse_target(f"{net.card.classes[1]}=0.5"))
    sound = 0.1 * np.random.default_rng(1).standard_normal((2, rate // 2)).astype(np.float32)
    blocks: list[np.ndarray] = []
    schedule = Schedule(octaves=1, steps=2, depth=0.5)
    settings = AudioDreamSettings(schedule, targets=Targets(targets))
    report = dream_source(ArraySource(sound, rate), blocks.append, net, settings)
    out = np.concatenate(blocks, axis=1)
    assert out.shape == sound.shape
    assert np.isfinite(out).all()
    assert np.abs(out - sound).max() > 1e-3
    assert np.isfinite(report.objective_gain)
