"""The graph of a user's Keras file, read as plain data before Keras sees it, and refused if it may run code.

A ``.keras`` file is a ZIP of the graph as JSON and the weights as HDF5.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from mmdream.core.errors import UserError

MAX_GRAPH_BYTES = 64_000_000
MAX_WEIGHTS_BYTES = 4 << 30
"""Unpacked."""
MAX_CLASSES = MAX_SIDE = 1 << 20
"""What a file may claim of its head and of its input."""
KERAS_MODULES = re.compile(
    r"keras(\.(layers|models|initializers|regularizers|constraints|activations|dtype_policies))?"
    r"|keras\.src\.(models|ops)\.\w+"
)
"""Parts of Keras that a graph's classes may come from; others have functions that read and fetch files."""
TRAINING_MODULES = re.compile(r"keras\.(optimizers|losses|metrics)(\.\w+)*|builtins")
"""Those that the training of a model may name besides; of an inner model Keras reads that, too."""
CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9_]*")
"""Functions begin small, and Keras would follow a dot into any of its parts."""
REGISTERED_CLASSES = {
    ("mmdream.networks.image_models", "LocalResponse"),
    ("mmdream.networks.image_models", "Stem"),
    ("mmdream.networks.audio_models", "AdaptivePool"),
}
"""Module and name of every class that is registered here with Keras, each as ``mmdream>NAME``."""
EARLIER_MODULES = {
    "mmdream.networks.pictures": "mmdream.networks.image_models",
    "mmdream.networks.earlier": "mmdream.networks.audio_models",
}
"""Names of those modules in files that earlier versions saved."""
VALUE_MARKS = ("__keras_tensor__", "__numpy__", "__tensor__", "__bytes__", "__ellipsis__", "__slice__")
"""Marks of values that are no classes."""
FORBIDDEN_LAYERS = (
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
    *("StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"),
)
"""Keras's own layers that run code of the file's, or read other files."""
MODEL_KINDS = ("Functional", "Sequential")
KERNEL_LAYERS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
STRIDED_LAYERS = (*KERNEL_LAYERS, "MaxPooling2D", "AveragePooling2D")
RUNG_LAYERS = (
    *KERNEL_LAYERS,
    *("Add", "Concatenate", "BatchNormalization", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU"),
)
"""Kinds of layers that may be a rung."""
GLOBAL_POOLS = ("GlobalAveragePooling2D", "GlobalMaxPooling2D", "Mean", "Max")
FLATTENING_LAYERS = ("Flatten", "Reshape")


@dataclass(frozen=True)
class GraphLayer:
    """One layer of a graph, wherever it is nested."""

    name: str
    kind: str
    stride: float
    """Of its output over the network's input."""
    fixed: bool
    """Whether it suits one size of input only: it lies behind a Flatten."""
    pooled: bool
    """Whether its output has lost height and width."""
    config: dict[str, Any]


INPUT = GraphLayer("", "InputLayer", 1.0, False, False, {})


@dataclass(frozen=True)
class ModelGraph:
    """The network in a file."""

    size: tuple[int | None, int | None]
    """Height, width of the input."""
    channels: int
    layers: tuple[GraphLayer, ...]
    """In the order of the graph."""
    models: tuple[str, ...]
    """Names of the model and of those nested in it."""

    @property
    def dense(self) -> GraphLayer | None:
        """The last dense layer, which gives the class logits."""
        return next((layer for layer in reversed(self.layers) if layer.kind == "Dense"), None)

    @property
    def head(self) -> str | None:
        """The layer of the class logits; None: there is none, or it is fixed."""
        return None if self.dense is None or self.dense.fixed else self.dense.name

    @property
    def classes(self) -> int:
        """Number of outputs of the head."""
        return int(self.dense.config["units"]) if self.dense and self.head else 0

    def choose_rungs(self, most: int) -> list[str]:
        """Layers to dream, shallow to deep: the last at each stride, and more where these are few."""
        layers = [la for la in self.layers if la.kind in RUNG_LAYERS and not la.fixed]
        groups = [list(group) for _, group in groupby(layers, lambda layer: layer.stride)]
        chosen = {group[-1].name for group in groups}
        for group in sorted(groups, key=len, reverse=True):
            if len(chosen) < 3:
                chosen |= {group[len(group) * part // 3].name for part in (0, 1)}
        return [la.name for la in layers if la.name in chosen][-most:]


def read_graph(path: Path) -> ModelGraph:
    """Read a Keras file; UserError: it may run code, or has not one input [height, width, channel]."""
    config = _read_safe_config(path)
    try:
        inputs = _input_shapes(config)
        layers = tuple(_walk_layers(config, [INPUT]))
        models = tuple(_model_names(config))
    # Arithmetic fails at a stride of 0, recursion at lists in lists.
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UserError(f"{path}: its graph is not in the form of Keras 3; save it again") from error
    if len(inputs) != 1 or len(inputs[0]) != 4:
        shapes = "; ".join("x".join(map(str, shape[1:])) for shape in inputs) or "none"
        raise UserError(f"{path}: takes {shapes}; one input of height, width and channels is needed")
    _, height, width, channels = inputs[0]
    graph = ModelGraph((height, width), channels or 0, layers, models)
    if graph.head and not 0 < graph.classes <= MAX_CLASSES:
        raise UserError(f"{path}: claims {graph.classes} classes; at most {MAX_CLASSES} are read")
    return graph


def _read_safe_config(path: Path) -> dict[str, Any]:
    """The description of a graph, of nothing but layers that run no code of the file's."""
    if not path.is_file():
        raise UserError(f"{path}: no such network; save one with model.save('NAME.keras')")
    try:
        with zipfile.ZipFile(path) as archive:
            if not {"config.json", "model.weights.h5"} <= set(archive.namelist()):
                raise UserError(f"{path}: is no Keras 3 file of a graph and HDF5 weights; save it again")
            if archive.getinfo("model.weights.h5").file_size > MAX_WEIGHTS_BYTES:
                raise UserError(f"{path}: holds more than {MAX_WEIGHTS_BYTES >> 30} GiB of weights")
            with archive.open("config.json") as file:
                text = file.read(MAX_GRAPH_BYTES + 1)
        if len(text) > MAX_GRAPH_BYTES:
            raise UserError(f"{path}: its graph is longer than {MAX_GRAPH_BYTES // 10**6} MB")
        config = json.loads(text.decode())
        if isinstance(config, dict):
            config.pop("compile_config", None)  # The training of the whole is never read.
        foreign = next(_find_foreign_classes(config), None)
    # RuntimeError is zipfile's word for a locked file and an unknown packing, and json's for endless nesting.
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, RuntimeError, EOFError) as error:
        raise UserError(f"{path}: is not a Keras file, or is damaged") from error
    if foreign is not None:
        raise UserError(
            f"{path}: holds {foreign}, which is not Keras's own or may run code; rebuild it without"
        )
    if not isinstance(config, dict) or config.get("class_name") not in MODEL_KINDS:
        raise UserError(f"{path}: is neither a functional nor a sequential model")
    return config


def _find_foreign_classes(node: Any, training: bool = False) -> Iterator[str]:
    """Classes in a graph, or in how a model was trained, that are not Keras's or may do more than compute."""
    if isinstance(node, list):
        for each in node:
            yield from _find_foreign_classes(each, training)
    elif isinstance(node, dict):
        if "class_name" in node and not _is_allowed_class(node, training):
            yield str(node.get("registered_name") or node["class_name"])
        for key, each in node.items():
            yield from _find_foreign_classes(each, training or key == "compile_config")


def _is_allowed_class(node: dict[str, Any], training: bool) -> bool:
    """Whether a class is Keras's own or ours, written in the very form in which Keras saves it.

    Keras asks its registry first, then the module, and takes a name's parts from wherever a dot leads.
    """
    name, module, registered = (
        str(node.get(key) or "") for key in ("class_name", "module", "registered_name")
    )
    if name in VALUE_MARKS:
        return True
    if (EARLIER_MODULES.get(module, module), name) in REGISTERED_CLASSES:
        return registered == f"mmdream>{name}"
    if training and name == "function":
        return TRAINING_MODULES.fullmatch(module) is not None and str(node.get("config")).isidentifier()
    known = KERAS_MODULES.fullmatch(module) or (training and TRAINING_MODULES.fullmatch(module))
    return (
        bool(known and CLASS_NAME.fullmatch(name))
        and name not in FORBIDDEN_LAYERS
        and registered in ("", name)
    )


def _input_shapes(model: dict[str, Any]) -> list[list[int | None]]:
    """Shapes of the inputs of the outermost model: whole numbers, and None for what is left open."""
    layers = model["config"]["layers"]
    shapes = [layer["config"]["batch_shape"] for layer in layers if layer["class_name"] == "InputLayer"]
    if not shapes and layers[0]["class_name"] in MODEL_KINDS:
        return _input_shapes(layers[0])
    shapes = [shape for shape in shapes or [model["config"].get("build_input_shape")] if shape is not None]
    for side in chain.from_iterable(shapes):
        if side is not None and not (type(side) is int and 0 < side <= MAX_SIDE):
            raise ValueError(f"{side} is no side of an input")
    return shapes


def _model_names(model: dict[str, Any]) -> Iterator[str]:
    yield str(model["config"]["name"])
    for layer in model["config"]["layers"]:
        if layer["class_name"] in MODEL_KINDS:
            yield from _model_names(layer)


def _walk_layers(model: dict[str, Any], entering: list[GraphLayer]) -> Iterator[GraphLayer]:
    """The layers of a model, and of those nested in it, behind those that its input comes from."""
    before = entering
    outputs: dict[str, list[GraphLayer]] = {}
    for layer in model["config"]["layers"]:
        kind, config = str(layer["class_name"]), layer["config"]
        if model["class_name"] != "Sequential":
            names = _input_layer_names(layer.get("inbound_nodes", []))
            before = [each for name in names for each in outputs.get(name, ())] or entering
        if kind in MODEL_KINDS:
            for inner in _walk_layers(layer, before):
                yield inner
                before = [inner]
        elif kind != "InputLayer":
            if kind == "Dense" and type(config["units"]) is not int:
                raise ValueError(f"{config['units']} is no number of units")
            pooled = all(each.pooled for each in before)
            before = [
                GraphLayer(
                    str(config["name"]),
                    kind,
                    max(each.stride for each in before) * _layer_stride(kind, config),
                    any(each.fixed for each in before) or (kind in FLATTENING_LAYERS and not pooled),
                    pooled or kind in (*GLOBAL_POOLS, "Flatten"),
                    config,
                )
            ]
            yield before[0]
        outputs[str(config["name"])] = before


def _input_layer_names(node: Any) -> Iterator[str]:
    """Names of the layers that a layer takes its input from."""
    if isinstance(node, dict) and "keras_history" in node:
        yield str(node["keras_history"][0])
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _input_layer_names(each)


def _layer_stride(kind: str, config: dict[str, Any]) -> float:
    """How much coarser a layer's output is than its input."""
    up = kind == "UpSampling2D"
    step = config["size"] if up else config.get("strides") or config.get("pool_size") or 1
    step = float(max(step) if isinstance(step, list) else step)
    return step if kind in STRIDED_LAYERS else 1 / step if up or kind == "Conv2DTranspose" else 1.0
