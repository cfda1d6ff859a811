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
from mmdream.networks.card import NetworkCard, Rung, parse_rungs
from mmdream.networks.graph import ModelGraph, read_graph
from mmdream.networks.guess import guess_audio_input, guess_image_input
from mmdream.networks.origins import ModelFileWeights

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
