"""A Keras file of the user's own, read as a network's card without Keras: what its graph tells, and what not.

A ``.keras`` file is a ZIP of the graph as JSON and the weights as HDF5. Whatever could run code of the file's
is refused before Keras sees it. What the graph does not tell is guessed, and said; a card beside it,
``NAME.toml`` beside ``NAME.keras``, tells any of it for certain.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

from mmdream.core.errors import UserError
from mmdream.networks.card import AudioInput, ImageInput, NetworkCard, Rung, parse_rungs
from mmdream.networks.user_graph import ModelGraph, read_graph
from mmdream.networks.weight_sources import ModelFileWeights

pass

MAX_GRAPH_BYTES = 64_000_000
"""Bytes of a graph that are read."""
MAX_WEIGHTS_BYTES = 4 << 30
"""Bytes of weights, unpacked."""
KERAS_MODULES = re.compile(
    r"keras(\.(layers|models|initializers|regularizers|constraints|activations|dtype_policies))?"
    r"|keras\.src\.(models|ops)\.\w+"
)
"""Parts of Keras that a graph's classes may come from; others have functions that read and fetch files."""
TRAINING_MODULES = re.compile(r"keras\.(optimizers|losses|metrics)(\.\w+)*|builtins")
"""Those that how a model was taught may name besides; of an inner model Keras reads that, too."""
CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9_]*")
"""Names of classes: functions begin small, and Keras would follow a dot into any of its parts."""
REGISTERED_CLASSES = {
    ("mmdream.networks.image_models", "LocalResponse"),
    ("mmdream.networks.image_models", "Stem"),
    ("mmdream.networks.audio_models", "AdaptivePool"),
    # Where files that were written before these modules had their names say that the classes are.
    ("mmdream.networks.pictures", "LocalResponse"),
    ("mmdream.networks.pictures", "Stem"),
    ("mmdream.networks.earlier", "AdaptivePool"),
}
"""Module and name of every class that is registered here with Keras, each as ``mmdream>NAME``."""
VALUE_MARKS = ("__keras_tensor__", "__numpy__", "__tensor__", "__bytes__", "__ellipsis__", "__slice__")
"""Marks of values that are no classes."""
FORBIDDEN_LAYERS = (
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
    *("StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"),
)
"""Keras's own layers that run code of the file's, or read other files."""
MAX_RUNGS = 8
STEP_RANGES = {"picture": (0.008, 0.012), "sound": (0.030, 0.034)}
"""Of the shallowest and the deepest rung, as the cards have them."""


def build_user_card(path: Path, medium: str | None = None) -> NetworkCard:
    """The card of a Keras file.

    Args:
        path: the file.
        medium: "picture" or "sound"; None: by the channels of its input.

    Raises:
        UserError: no such file, one that cannot be a network here, or a card beside it that does not fit.
    """
    graph = read_graph(path, _read_safe_config(path))
    beside = path.with_suffix(".toml")
    told = _read_user_card(beside)
    kind = told.get("medium", medium or ("sound" if graph.channels == 1 else "picture"))
    if kind not in ("picture", "sound"):
        raise UserError(f"{beside}: medium is {kind!r}; choose picture or sound")
    if medium not in (None, kind):
        raise UserError(f"{path}: is a {kind} network by {beside.name}; a {medium} network is wanted")
    if graph.channels != (needed := 3 if kind == "picture" else 1):
        raise UserError(f"{path}: takes {graph.channels} channels; a {kind} network takes {needed}")
    return _override_card(_guess_card(path, graph, kind, told), told, graph, beside)


def _guess_card(
    path: Path, graph: ModelGraph, kind: Literal["picture", "sound"], told: dict[str, Any]
) -> NetworkCard:
    """The card that a graph suggests; its input as far as it is told, which is taken out of `told`."""
    given, beside = told.pop("input", {}), path.with_suffix(".toml")
    if not isinstance(given, dict):
        raise UserError(f"{beside}: input is no table; write it under [input]")
    front, said = (guess_image_input if kind == "picture" else guess_audio_input)(graph, given, path)
    rungs = _guess_rungs(graph, kind)
    if "rungs" not in told:
        if not rungs:
            raise UserError(f"{path}: has no convolution to dream")
        said.insert(0, f"rungs {', '.join(rung.layer for rung in rungs)}, by its strides")
    if graph.head and not {"classes", "class_file"} & told.keys():
        said.append(f"classes 0 to {graph.classes - 1}")
    if graph.fixed_head:
        said.append("classes not to be dreamed, because it flattens inputs of one size")
    line = f"{path.name} taken for: {'; '.join(said)}. Tell what is wrong in {beside.name}"
    return NetworkCard(
        name=str(path),
        medium=kind,
        builder="own",
        about="A network of your own.",
        licence="yours to know",
        source=str(path),
        credits="yours to give",
        rungs=rungs,
        carried=0.1 if kind == "picture" else 1.0,
        input=front,
        weights=ModelFileWeights(path, frozenset(layer.name for layer in graph.layers if layer.fixed)),
        head=graph.head,
        classes=tuple(map(str, range(graph.classes))) if graph.head else (),
        guesses=(line,) if said else (),
    )


def _read_user_card(beside: Path) -> dict[str, Any]:
    """The card beside a file, where there is one."""
    if not beside.is_file():
        return {}
    try:
        return tomllib.loads(beside.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{beside}: is not a TOML file ({error})") from error


def _override_card(guess: NetworkCard, told: dict[str, Any], graph: ModelGraph, beside: Path) -> NetworkCard:
    """What is told in place of what is guessed.

    Raises:
        UserError: a key that no card has, a layer that the network does not have, or a value of another form.
    """
    known = [
        each.name
        for each in fields(NetworkCard)
        if each.name not in ("name", "builder", "weights", "guesses")
    ]
    layers = [layer.name for layer in graph.layers if not layer.fixed]
    for key in told:
        if key not in known:
            raise UserError(f'{beside}: unknown key "{key}"; choose from {", ".join((*known, "input"))}')
    try:
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in told.items()
        }
        if "rungs" in given:
            given["rungs"] = parse_rungs(given["rungs"])
        if "class_file" in given:
            given["class_file"] = str((beside.parent / given["class_file"]).resolve())
        found = replace(guess, **given)
        classes = len(found.class_names())
        named = [*(rung.layer for rung in found.rungs), *([found.head] if found.head else [])]
        found.mix(0.5)
    except (TypeError, ValueError, AttributeError, OSError) as error:
        raise UserError(f"{beside}: {error}") from error
    if graph.head and found.head == graph.head and classes != graph.classes:
        raise UserError(f"{beside}: names {classes} classes; {graph.head} has {graph.classes}")
    for name in named:
        if name not in layers:
            near = difflib.get_close_matches(str(name), layers, 3, 0.4) or layers[:3]
            raise UserError(f'{beside}: {guess.name} has no layer "{name}"; nearest: {", ".join(near)}')
    return found


def _read_safe_config(path: Path) -> dict[str, Any]:
    """The graph's description, of nothing but layers that run no code of the file's."""
    if not path.is_file():
        raise UserError(f"{path}: no such network; save one with model.save('NAME.keras')")
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if not {"config.json", "model.weights.h5"} <= names:
                raise UserError(f"{path}: is no Keras 3 file of a graph and HDF5 weights; save it again")
            if archive.getinfo("model.weights.h5").file_size > MAX_WEIGHTS_BYTES:
                raise UserError(f"{path}: holds more than {MAX_WEIGHTS_BYTES >> 30} GiB of weights")
            with archive.open("config.json") as file:
                text = file.read(MAX_GRAPH_BYTES + 1)
        if len(text) > MAX_GRAPH_BYTES:
            raise UserError(f"{path}: its graph is longer than {MAX_GRAPH_BYTES // 10**6} MB")
        config = json.loads(text.decode())
        if isinstance(config, dict):
            config.pop("compile_config", None)  # How the whole was taught is never read.
        foreign = next(_find_foreign_classes(config), None)
    # RuntimeError is zipfile's word for a locked file and an unknown packing, and json's for endless nesting.
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, RuntimeError, EOFError) as error:
        raise UserError(f"{path}: is not a Keras file, or is damaged") from error
    if foreign is not None:
        raise UserError(
            f"{path}: holds {foreign}, which is not Keras's own or may run code; rebuild it without"
        )
    if not isinstance(config, dict) or config.get("class_name") not in ("Functional", "Sequential"):
        raise UserError(f"{path}: is neither a functional nor a sequential model")
    return config


def _find_foreign_classes(node: Any, learning: bool = False) -> Iterator[str]:
    """What in a graph is not Keras's own, or may do more than compute.

    Args:
        node: of the graph.
        learning: it tells how a model was taught.
    """
    if isinstance(node, list):
        for each in node:
            yield from _find_foreign_classes(each, learning)
    if not isinstance(node, dict):
        return
    if "class_name" in node and not _is_allowed_class(node, learning):
        yield str(node.get("registered_name") or node["class_name"])
    for key, each in node.items():
        yield from _find_foreign_classes(each, learning or key == "compile_config")


def _is_allowed_class(node: dict[str, Any], learning: bool) -> bool:
    """Whether a class is Keras's own or ours, written in the very form in which Keras saves it.

    Keras asks its registry first, then the module, and takes a name's parts from wherever a dot leads.
    """
    name, module, registered = (
        str(node.get(key) or "") for key in ("class_name", "module", "registered_name")
    )
    if name in VALUE_MARKS:
        return True
    if (module, name) in REGISTERED_CLASSES:
        return registered == f"mmdream>{name}"
    if learning and name == "function":
        return TRAINING_MODULES.fullmatch(module) is not None and str(node.get("config")).isidentifier()
    own = KERAS_MODULES.fullmatch(module) or (learning and TRAINING_MODULES.fullmatch(module))
    return (
        bool(own and CLASS_NAME.fullmatch(name)) and name not in FORBIDDEN_LAYERS and registered in ("", name)
    )


def _guess_rungs(graph: ModelGraph, kind: str) -> tuple[Rung, ...]:
    """The last layer at each stride, and more of the same stride where these are few; shallow to deep."""
    wanted = graph.ladder(MAX_RUNGS)
    low, high = STEP_RANGES[kind]
    last = max(1, len(wanted) - 1)
    return tuple(Rung(name, round(low + (high - low) * n / last, 4)) for n, name in enumerate(wanted))


MAX_RAW_SCALE = 0.02
"""A scale below this brings 0..255 to something small; one above it takes 0..1."""
COMMON_BAND_COUNTS = (40, 48, 64, 80, 96, 128, 256)
"""By which the side of the bands is told where a network takes one size only."""
APPLICATION_INPUTS: dict[str, tuple[str, float, tuple[float, ...]]] = {
    "vgg16": ("BGR", 255.0, (103.939, 116.779, 123.68)),
    "vgg19": ("BGR", 255.0, (103.939, 116.779, 123.68)),
    "resnet50v2": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "resnet101v2": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "resnet152v2": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "resnet": ("BGR", 255.0, (103.939, 116.779, 123.68)),
    "mobilenetv3": ("RGB", 255.0, (0.0, 0.0, 0.0)),
    "mobilenet": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "inception": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "xception": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "nasnet": ("RGB", 2.0, (1.0, 1.0, 1.0)),
    "efficientnet": ("RGB", 255.0, (0.0, 0.0, 0.0)),
    "convnext": ("RGB", 255.0, (0.0, 0.0, 0.0)),
}
"""Order, scale and mean of Keras's applications, by how their models' names begin (`preprocess_input`)."""
INPUT_CHOICES = {
    "kind": ("log-mel", "db-mel", "power"),
    "mel": ("htk", "slaney"),
    "order": ("RGB", "BGR"),
}
"""Words that an input may hold."""
PREPROCESSING_LAYERS = ("Multiply", "Divide", "TrueDivide", "Subtract", "Add", "GetItem", "Normalization")
"""Operations before the first convolution by which a graph brings raw pixels into its range."""


def guess_image_input(graph: ModelGraph, told: dict[str, Any], path: Path) -> tuple[ImageInput, list[str]]:
    """The input of a picture network, and what of it is guessed.

    Args:
        graph: its graph.
        told: what its card says of the input.
        path: the file, for errors.

    Raises:
        UserError: the card says what is no input.
    """
    front, why = _guess_pixel_format(graph, path)
    guess: dict[str, Any] = {"order": front[0], "scale": front[1], "mean": front[2]}
    if graph.size[0]:
        guess["side"] = graph.size[0]
    given = _override_input(ImageInput, guess, told, path)
    if {"order", "scale", "mean"} <= told.keys():
        return given, []
    ranges = {1.0: "0..1", 2.0: "-1..1", 255.0: "0..255"}
    low = " less the mean of ImageNet" if any(front[2]) and front[1] == 255 else ""
    return given, [f"pictures {front[0]} {ranges[front[1]]}{low}, {why}"]


def guess_audio_input(graph: ModelGraph, told: dict[str, Any], path: Path) -> tuple[AudioInput, list[str]]:
    """The input of a sound network, and what of it is guessed; no graph tells much of it.

    Raises:
        UserError: as `guess_image_input`; or the number of bands is open.
    """
    rows, columns = graph.size
    first = rows is not None and (
        columns is None or (rows in COMMON_BAND_COUNTS and columns not in COMMON_BAND_COUNTS)
    )
    transposed = bool(told.get("transposed", first))
    bands = told.get("bands", rows if transposed else columns)
    if bands is None:
        raise UserError(
            f"{path}: leaves its number of bands open; tell it in {path.with_suffix('.toml').name}"
        )
    guess = {"kind": "log-mel", "window_seconds": 2048 / 44100, "hop_seconds": 512 / 44100, "bands": bands}
    guess |= {"low_hz": 40.0, "high_hz": 16000.0, "floor": 1e-9, "divisor": 4.0, "level_dbfs": -23.0}
    guess |= {"mu": (-16.0,), "transposed": transposed}
    given = _override_input(AudioInput, guess, told, path)
    if {"kind", "window_seconds", "hop_seconds"} <= told.keys():
        return given, []
    way = "band by time" if transposed else "time by band"
    return given, [
        f"{given.kind} of {bands} bands, {way}, hop {1000 * given.hop_seconds:.1f} ms, as melnet's"
    ]


def _guess_pixel_format(graph: ModelGraph, path: Path) -> tuple[tuple[str, float, tuple[float, ...]], str]:
    """Order, scale and mean of a picture network, and why."""
    raw, plain = ("RGB", 255.0, (0.0, 0.0, 0.0)), ("RGB", 1.0, (0.0, 0.0, 0.0))
    for layer in graph.entry():
        if layer.kind == "Rescaling":
            scale = layer.config.get("scale", 1.0)
            try:
                least = float(min(scale) if isinstance(scale, list) else scale)
            except (TypeError, ValueError) as error:
                raise UserError(f"{path}: its {layer.name} scales by {scale!r}, no number") from error
            return (raw if least < MAX_RAW_SCALE else plain), "by its Rescaling"
        if layer.kind in PREPROCESSING_LAYERS:
            return raw, f"by its {layer.kind}"
    for name in graph.models:
        for begins, front in APPLICATION_INPUTS.items():
            if name.lower().startswith(begins):
                return front, f"as {name} does"
    return plain, "which its graph does not tell"


def _override_input(form: type, guess: dict[str, Any], told: dict[str, Any], path: Path) -> Any:
    """An input of a form, told over guessed."""
    known, beside = [each.name for each in fields(form)], path.with_suffix(".toml")
    for key in told:
        if key not in known:
            near = difflib.get_close_matches(key, known, 3, 0.4) or known
            raise UserError(f'{beside}: input has no "{key}"; nearest: {", ".join(near)}')
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in {**guess, **told}.items()}
    wrong = [key for key, choices in INPUT_CHOICES.items() if key in values and values[key] not in choices]
    wrong += [key for key in ("mu", "mean") if key in values and not _are_numbers(values[key])]
    wrong += [
        key
        for key, value in values.items()
        if key not in (*INPUT_CHOICES, "mu", "mean", "transposed") and not _are_numbers((value,))
    ]
    if wrong:
        what = (
            f"one of {', '.join(INPUT_CHOICES[wrong[0]])}"
            if wrong[0] in INPUT_CHOICES
            else "a number, or a list of them"
        )
        raise UserError(f"{beside}: {wrong[0]} of the input is {values[wrong[0]]!r}; it is {what}")
    found = form(**values)
    lengths = {"mean": (3,)} if form is ImageInput else {"mu": (1, values["bands"])}
    for key, allowed in lengths.items():
        if len(values[key]) not in allowed:
            raise UserError(f"{beside}: {key} has {len(values[key])} numbers; {allowed[-1]} are needed")
    return found


def _are_numbers(values: Any) -> bool:
    return isinstance(values, tuple) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in values
    )
