"""A Keras file of the user's own: read without Keras, guessed aloud, dreamed at any size, never run."""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmdream import Recipe, dream_image, networks
from mmdream.audio.chunks import AudioDreamSettings
from mmdream.audio.dream import dream_source
from mmdream.audio.source import ArraySource
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.image.gradient import build_gradient
from mmdream.image.objective import objective_at_depth
from mmdream.networks.card import AudioInput, ImageInput
from mmdream.networks.framework import keras
from mmdream.networks.network import choose_precision, load_network
from mmdream.networks.registry import card_path, load_card
from mmdream.networks.user_graph import REGISTERED_CLASSES
from mmdream.settings.schedule import Schedule

# Keras 3.15 saves its variables through an array protocol older than numpy 2's.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

L = keras.layers


def make_convolution(name: str, channels: int, stride: int = 1) -> Any:
    return L.Conv2D(channels, 3, stride, "same", activation="relu", name=name)


def build_chain() -> keras.Model:
    """A chain, raw pixels in, softmax out."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            L.Rescaling(1 / 255),
            L.RandomFlip(),
            make_convolution("a", 6),
            L.MaxPooling2D(name="half"),
            make_convolution("b", 8),
            L.MaxPooling2D(name="quarter"),
            make_convolution("c", 8),
            L.GlobalAveragePooling2D(),
            L.Dense(4, activation="softmax", name="told"),
        ]
    )


def build_nested() -> keras.Model:
    """A known body inside a model with its arithmetic before it, as transfer learning makes them."""
    x = pixels = keras.Input((64, 64, 3))
    body = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(64, 64, 3), alpha=0.35
    )
    x = body(keras.applications.mobilenet_v2.preprocess_input(x), training=False)
    x = L.Dropout(0.2)(L.GlobalAveragePooling2D()(x))
    return keras.Model(pixels, L.Dense(3, name="told")(x))


def build_residual() -> keras.Model:
    """Ways that part and meet, and a block that weighs channels by a Reshape."""
    x = pixels = keras.Input((None, None, 3))
    x = make_convolution("a", 6, 2)(x)
    weight = L.Reshape((1, 1, 6))(L.Dense(6, activation="sigmoid")(L.GlobalAveragePooling2D()(x)))
    x = L.Add(name="sum")([x, L.Multiply()([make_convolution("b", 6)(x), weight])])
    x = make_convolution("c", 8, 2)(x)
    return keras.Model(pixels, L.Dense(2, name="told")(L.GlobalAveragePooling2D()(x)))


def build_flattened() -> keras.Model:
    """A head that only one size suits."""
    x = pixels = keras.Input((32, 32, 3))
    x = make_convolution("b", 8, 2)(make_convolution("a", 6)(x))
    return keras.Model(pixels, L.Dense(4, name="told")(L.Flatten()(x)))


def build_sound_model() -> keras.Model:
    """A sound network, bands first."""
    x = sound = keras.Input((64, 87, 1))
    for name, channels in (("a", 6), ("b", 8), ("c", 8)):
        x = L.AveragePooling2D(2, name=f"pool_{name}")(make_convolution(name, channels)(x))
    return keras.Model(sound, L.Dense(3, name="told")(L.GlobalAveragePooling2D()(x)))


Save = Callable[..., Path]


@pytest.fixture(scope="module")
def save_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[], keras.Model]], Path]:
    """A model's file, saved once."""
    folder = tmp_path_factory.mktemp("own")

    def save(build: Callable[[], keras.Model]) -> Path:
        path = folder / f"{build.__name__}.keras"
        if not path.exists():
            keras.utils.set_random_seed(3)
            build().save(path)
        return path

    return save


@pytest.mark.parametrize(
    ("build", "rungs", "size"),
    [
        (build_chain, ["a", "b", "c"], 32),
        (build_residual, ["sum", "c"], 48),
        (build_flattened, ["a", "b"], 32),
    ],
)
def test_features_are_those_of_the_model_itself(save_model: Save, build: Any, rungs: list[str], size: int):
    path = save_model(build)
    net = load_network(load_card(str(path)))
    assert set(rungs) <= {rung.layer for rung in net.card.rungs}
    assert isinstance(net.card.input, ImageInput)
    picture = np.random.default_rng(0).random((1, size, size, 3), np.float32)
    loaded = keras.saving.load_model(path)
    part = keras.Model(loaded.inputs[0], loaded.get_layer(rungs[-1]).output)
    theirs = part(picture * net.card.input.scale, training=False)
    (ours,) = net.layer_features((rungs[-1],))(picture)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [build_chain, build_nested, build_residual, build_flattened])
def test_any_size_can_be_dreamed_and_every_layer_is_listed(save_model: Save, build: Any):
    about = load_card(str(save_model(build)))
    net = load_network(about)
    picture = np.random.default_rng(0).random((41, 70, 3), np.float32)
    gradient = build_gradient(net, objective_at_depth(about, 0.6))(picture)
    assert gradient.shape == picture.shape
    assert np.isfinite(gradient).all()
    assert gradient.any()
    features = net.layer_features(tuple(net.channel_counts()))(picture[None])
    assert [a.shape[-1] for a in features] == list(net.channel_counts().values())
    if about.head:
        assert net.class_logits()(picture[None]).shape == (1, len(about.classes))


def test_what_is_guessed_is_said(save_model: Save):
    (line,) = load_card(str(save_model(build_chain))).guesses
    for part in ("rungs a, b, c", "0..255, by its Rescaling", "classes 0 to 3", "build_chain.toml"):
        assert part in line
    (line,) = load_card(str(save_model(build_nested))).guesses
    assert "0..255, by its TrueDivide" in line
    (line,) = load_card(str(save_model(build_flattened))).guesses
    assert "0..1, which its graph does not tell" in line
    assert "flattens" in line
    assert load_card(str(save_model(build_flattened))).head is None
    assert load_card(str(save_model(build_residual))).head == "told"


def test_what_is_guessed_is_announced_before_the_dream(save_model: Save):
    said: list[str] = []
    recipe = Recipe(net=str(save_model(build_chain)), schedule=Schedule(octaves=1, steps=1))
    picture = np.random.default_rng(0).random((24, 32, 3), np.float32)
    dream = dream_image(picture, recipe, listener=EventSink(say=said.append))
    assert not np.array_equal(dream, picture)
    assert said == list(load_card(str(save_model(build_chain))).guesses)


def test_softmax_is_taken_off_the_logits(save_model: Save):
    net = load_network(load_card(str(save_model(build_chain))))
    logits = net.class_logits()(np.random.default_rng(0).random((1, 32, 32, 3), np.float32)).numpy()
    assert not np.isclose(logits.sum(), 1)


def test_known_bodies_are_fed_as_keras_feeds_them(tmp_path: Path):
    path = tmp_path / "body.keras"
    build = keras.applications.MobileNetV2
    build(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.35).save(path)
    found = load_card(str(path))
    assert found.input == ImageInput("RGB", 2.0, (1.0, 1.0, 1.0), side=32)
    assert "as mobilenetv2" in found.guesses[0]


def test_a_sound_network_hears_bands_first(save_model: Save):
    about = load_card(str(save_model(build_sound_model)), "sound")
    assert isinstance(about.input, AudioInput)
    assert (about.input.bands, about.input.transposed) == (64, True)
    assert "64 bands, band by time" in about.guesses[0]
    net = load_network(about)
    sound = 0.1 * np.random.default_rng(1).standard_normal((1, 22050)).astype(np.float32)
    blocks: list[np.ndarray] = []
    dream_source(
        ArraySource(sound, 22050), blocks.append, net, AudioDreamSettings(Schedule(octaves=1, steps=2))
    )
    assert np.abs(np.concatenate(blocks, axis=1) - sound).max() > 1e-3
    features = net.rung_features((0,))(np.zeros((1, 30, 64, 1), np.float32))
    assert features[0].shape[1:3] == (30, 64)


def test_a_card_beside_the_file_tells(save_model: Save, tmp_path: Path):
    path = tmp_path / "mine.keras"
    path.write_bytes(save_model(build_chain).read_bytes())
    assert card_path(str(path)) is None
    (tmp_path / "mine.toml").write_text(
        'classes = ["cat", "dog", "hen", "owl"]\nabout = "Mine."\n'
        'rungs = [{ layer = "half", step = 0.02 }]\n[input]\norder = "BGR"\nscale = 2.0\nmean = [1, 1, 1]\n'
    )
    found = load_card(str(path), "picture")
    assert card_path(str(path)) == tmp_path / "mine.toml"
    assert [rung.layer for rung in found.rungs] == ["half"]
    assert found.class_index("owl") == 3
    assert found.input == ImageInput("BGR", 2.0, (1, 1, 1), side=32)
    assert found.guesses == ()
    assert choose_precision("bfloat16", found) == "float32"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour = 1", "unknown key"),
        ("rungs = [", "is not a TOML file"),
        (f"rungs = {'[' * 5000}{']' * 5000}", "is not a TOML file"),
        (f"carried = {'9' * 5000}", "is not a TOML file"),
        ('rungs = [{ layer = "aa", step = 0.1 }]', 'no layer "aa"; nearest: a'),
        ('rungs = [{ name = "a" }]', "mine.toml"),
        ('head = "tol"', "nearest: told"),
        ("[input]\nscales = 1", "nearest: scale"),
        ('[input]\norder = "GRB"', "one of RGB, BGR"),
        ('[input]\nscale = "wide"', "a number"),
        ("[input]\nmean = [1]", "3 are needed"),
        ('medium = "sound"', "takes 1"),
        ('medium = "film"', "choose picture or sound"),
        ('classes = ["cat"]', "names 1 classes; told has 4"),
        ('class_file = "none.tsv"', "none.tsv"),
        ("input = 3", "no table"),
    ],
)
def test_a_wrong_card_is_told_in_one_line(save_model: Save, tmp_path: Path, text: str, says: str):
    path = tmp_path / "mine.keras"
    path.write_bytes(save_model(build_chain).read_bytes())
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(UserError, match=says) as raised:
        load_card(str(path))
    assert "\n" not in str(raised.value)


def make_archive(config: Any, weights: str = "model.weights.h5", packing: int = zipfile.ZIP_STORED) -> bytes:
    """A Keras file around a graph."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as file:
        file.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        file.writestr("metadata.json", "{}")
        file.writestr(weights, b"")
    return buffer.getvalue()


def lock_archive(data: bytes) -> bytes:
    """An archive whose first file says that it has a password."""
    changed, listed = bytearray(data), data.find(b"PK\x01\x02")
    changed[6] |= 1
    changed[listed + 8] |= 1
    return bytes(changed)


def damage_archive(data: bytes) -> bytes:
    """An archive whose first file cannot be unpacked."""
    return data[:44] + bytes(byte ^ 0xFF for byte in data[44:64]) + data[64:]


def make_sequential_graph(
    *layers: dict[str, Any], shape: tuple[int | None, ...] = (None, 8, 8, 3)
) -> dict[str, Any]:
    """The graph of a sequential model."""
    first = {"module": "keras.layers", "class_name": "InputLayer"}
    first |= {"config": {"batch_shape": list(shape), "name": "in"}}  # type: ignore[dict-item]
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "s", "layers": [first, *layers]},
    }


def make_layer(kind: str, module: str | None = "keras.layers", **rest: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": {"name": kind.lower(), **rest}}


NESTED: Any = []
for _ in range(900):
    NESTED = [NESTED]
CONV = make_layer("Conv2D", strides=[1, 1])
EVIL = {
    "Lambda": make_layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wEA"}}),
    "a lambda inside": make_layer("Conv2D", activation={"class_name": "__lambda__", "config": {}}),
    "a function": make_layer(
        "Conv2D", activation={"module": "os", "class_name": "function", "config": "system"}
    ),
    "a function of builtins": make_layer(
        "Conv2D", activation={"module": "builtins", "class_name": "function", "config": "eval"}
    ),
    "another module": make_layer("Popen", "subprocess", args=["touch", "x"]),
    "Keras's own fetching": make_layer("get_file", "keras.utils", origin="http://127.0.0.1"),
    "a class of the file's": {**make_layer("Mine", None), "registered_name": "mine>Mine"},
    "a saved model": make_layer("TFSMLayer", filepath="/x"),
    "a module of Torch": make_layer("TorchModuleWrapper", module="AAAA"),
    "a table from a file": make_layer("StringLookup", vocabulary="/etc/passwd"),
    "a table by another way": make_layer(
        "IndexLookup", "keras.src.layers.preprocessing.index_lookup", vocabulary="/etc/passwd"
    ),
    "a name of ours that there is not": {**make_layer("system", "os"), "registered_name": "mmdream>Evil"},
    "our name on another class": {**make_layer("system", "os"), "registered_name": "mmdream>Stem"},
    "our name on Keras's class": {**make_layer("Conv2D"), "registered_name": "mmdream>Stem"},
    "our name on one of its functions": {
        **make_layer("get_file", "keras.utils"),
        "registered_name": "mmdream>get_file",
    },
    "our class by another name": {
        **make_layer("Stem", "mmdream.networks.image_models"),
        "registered_name": "Stem",
    },
    "our name in place of a class's": {"class_name": "mmdream>Stem", "config": {"name": "stem"}},
    "a function behind dots": make_layer("datasets.mnist.load_data", "keras"),
    "a function of a part that is known": make_layer("clone_model", "keras.models"),
    "how an inner model was taught": {
        **make_layer("Sequential", "keras", layers=[]),
        "compile_config": {"loss": make_layer("TFSMLayer", filepath="/x")},
    },
    "a function that taught an inner model": {
        **make_layer("Sequential", "keras", layers=[]),
        "compile_config": {"loss": {"module": "os", "class_name": "function", "config": "system"}},
    },
}


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
def test_what_could_run_code_is_refused_before_keras_sees_it(tmp_path: Path, evil: dict[str, Any]):
    path = tmp_path / "evil.keras"
    for graph in (
        make_sequential_graph(CONV, evil),
        make_sequential_graph({**make_sequential_graph(evil), "name": "inner"}, CONV),
    ):
        path.write_bytes(make_archive(graph))
        with pytest.raises(UserError, match="may run code") as raised:
            load_card(str(path))
        assert "\n" not in str(raised.value)


def test_a_class_of_ours_is_known_by_what_is_registered(tmp_path: Path):
    for module in pkgutil.iter_modules(networks.__path__, f"{networks.__name__}."):
        importlib.import_module(module.name)
    registered = keras.saving.get_custom_objects()
    ours = {name: kind for name, kind in registered.items() if name.startswith("mmdream>")}
    assert {f"mmdream>{name}" for _, name in REGISTERED_CLASSES} == ours.keys()
    assert {(kind.__module__, kind.__name__) for kind in ours.values()} == REGISTERED_CLASSES
    x = pixels = keras.Input((32, 32, 3))
    x = ours["mmdream>LocalResponse"]()(ours["mmdream>Stem"](4, 4, 2, name="stem")(x))
    x = ours["mmdream>AdaptivePool"](4)(make_convolution("a", 6)(x))
    keras.Model(pixels, L.Dense(3, name="told")(L.GlobalAveragePooling2D()(x))).save(tmp_path / "a.keras")
    assert "stem" in load_network(load_card(str(tmp_path / "a.keras"))).outputs


def test_a_file_with_our_classes_under_their_earlier_names_is_read():
    """Saved when they stood in `networks.pictures` and `networks.earlier`."""
    path = Path(__file__).with_name("data") / "earlier_classes.keras"
    network = load_network(load_card(str(path)))
    kinds = {type(layer).__name__ for layer in network.model.layers}
    assert {"Stem", "LocalResponse", "AdaptivePool"} <= kinds
    picture = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    np.testing.assert_allclose(network.class_logits()(picture)[0], [0.01603786, 0.02630849], rtol=1e-4)


def test_an_inner_model_that_was_compiled_is_read(tmp_path: Path):
    body = keras.Sequential([keras.Input((32, 32, 3)), make_convolution("a", 6), make_convolution("b", 6, 2)])
    body.compile("adam", loss=keras.losses.MeanSquaredError(), metrics=["mae"])
    body.optimizer.build(body.trainable_variables)
    whole = keras.Sequential([keras.Input((32, 32, 3)), body, make_convolution("c", 8, 2)])
    whole.compile(keras.optimizers.SGD(0.1), loss="mse")
    whole.save(tmp_path / "a.keras")
    assert {"a", "b", "c"} <= load_network(load_card(str(tmp_path / "a.keras"))).outputs.keys()


def test_a_real_lambda_is_refused(tmp_path: Path):
    path = tmp_path / "lambda.keras"
    keras.Sequential([keras.Input((8, 8, 3)), L.Lambda(lambda x: x * 2), make_convolution("a", 2)]).save(path)
    with pytest.raises(UserError, match="Lambda"):
        load_card(str(path))


WRONG = {
    "no archive": (b"text", "not a Keras file"),
    "an old form": (make_archive(make_sequential_graph(CONV), "model.weights.npz"), "is no Keras 3 file"),
    "no graph": (make_archive("{"), "not a Keras file"),
    "deep": (make_archive("[" * 100_000), "not a Keras file"),
    "locked": (lock_archive(make_archive(make_sequential_graph(CONV))), "not a Keras file"),
    "torn inside": (
        damage_archive(make_archive(make_sequential_graph(CONV), packing=zipfile.ZIP_DEFLATED)),
        "not a Keras file",
    ),
    "no model": (make_archive(make_layer("Conv2D")), "neither a functional nor a sequential"),
    "no layers": (
        make_archive({"module": "keras", "class_name": "Sequential", "config": {}}),
        "form of Keras 3",
    ),
    "a class of its own": (
        make_archive({"module": "mine", "class_name": "Net", "config": {}}),
        "may run code",
    ),
    "classes by name": (
        make_archive(make_sequential_graph(CONV, make_layer("Dense", units="/etc/passwd"))),
        "form of Keras 3",
    ),
    "classes without end": (
        make_archive(make_sequential_graph(CONV, make_layer("Dense", units=10**30))),
        "at most 1048576",
    ),
    "no stride": (
        make_archive(make_sequential_graph(make_layer("Conv2DTranspose", strides=[0, 0]), CONV)),
        "form of Keras 3",
    ),
    "a scale by name": (
        make_archive(make_sequential_graph(make_layer("Rescaling", scale="a"), CONV)),
        "scales by 'a'",
    ),
    "a side by name": (make_archive(make_sequential_graph(CONV, shape=(None, "a", 8, 3))), "form of Keras 3"),  # type: ignore[arg-type]
    "a side without end": (
        make_archive(make_sequential_graph(CONV, shape=(None, 10**30, 8, 3))),
        "form of Keras 3",
    ),
    "lists in lists": (
        make_archive(make_sequential_graph({**CONV, "inbound_nodes": NESTED})),
        "form of Keras 3|not a Keras|cannot load",
    ),
    "series": (make_archive(make_sequential_graph(CONV, shape=(None, 8, 3))), "one input"),
    "two channels": (make_archive(make_sequential_graph(CONV, shape=(None, 8, 8, 2))), "takes 2 channels"),
    "no convolution": (make_archive(make_sequential_graph(make_layer("Flatten"))), "no convolution"),
    "no weights": (make_archive(make_sequential_graph(CONV)), "Keras cannot load it"),
}


@pytest.mark.parametrize(("content", "says"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_a_network_is_told_in_one_line(tmp_path: Path, content: bytes, says: str):
    path = tmp_path / "mine.keras"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says) as raised:
        load_network(load_card(str(path)))
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_weights_that_do_not_fit_their_checksum_are_told(save_model: Save, tmp_path: Path):
    path, data = tmp_path / "mine.keras", bytearray(save_model(build_chain).read_bytes())
    data[data.rindex(b"TREE")] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="Keras cannot load it"):
        load_network(load_card(str(path)))


def test_other_files_and_senses_are_told():
    with pytest.raises(UserError, match="pickled ones are never read"):
        load_card("mine.pth")
    with pytest.raises(UserError, match="no such network"):
        load_card("nowhere.keras")


def test_a_picture_network_is_no_sound_network(save_model: Save):
    with pytest.raises(UserError, match="a sound network takes 1"):
        load_card(str(save_model(build_chain)), "sound")
    with pytest.raises(UserError, match="a picture network takes 3"):
        load_card(str(save_model(build_sound_model)), "picture")


def test_a_card_is_read_without_keras(save_model: Save):
    code = (
        "import sys\nfrom mmdream.networks.registry import load_card\n"
        "assert load_card(sys.argv[1]).rungs\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(save_model(build_chain))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
