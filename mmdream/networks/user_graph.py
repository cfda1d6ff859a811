"""The graph of a Keras file as plain data: its layers, how coarse each sees, what comes in and out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from mmdream.core.errors import UserError
from mmdream.networks.framework import keras

MODEL_KINDS = ("Functional", "Sequential")
KERNEL_LAYERS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
STRIDED_LAYERS = (*KERNEL_LAYERS, "MaxPooling2D", "AveragePooling2D")
ELEMENTWISE_LAYERS = (
    "Add",
    "Concatenate",
    "BatchNormalization",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "ELU",
)
MAX_CLASSES = 1 << 20
MAX_SIDE = 1 << 20
"""What a file may claim of its head and of its input."""
RUNG_LAYERS = (*KERNEL_LAYERS, *ELEMENTWISE_LAYERS)
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
    """Whether it can do with one size of input only: it lies behind a Flatten."""
    config: dict[str, Any]


@dataclass(frozen=True)
class ModelGraph:
    """What a file tells of its network."""

    size: tuple[int | None, int | None]
    channels: int
    layers: tuple[GraphLayer, ...]
    """In the order of the graph."""
    models: tuple[str, ...]
    """Names of the model and of those nested in it."""

    @property
    def head(self) -> str | None:
        """The layer of the class logits: the last dense one; None: there is none, or it is fixed."""
        dense = [layer for layer in self.layers if layer.kind == "Dense"]
        return dense[-1].name if dense and not dense[-1].fixed else None

    @property
    def classes(self) -> int:
        """Number of outputs of the head."""
        return int(next(la.config["units"] for la in reversed(self.layers) if la.name == self.head))

    @property
    def fixed_head(self) -> bool:
        """Whether there is a head for inputs of one size only."""
        return self.head is None and any(la.kind == "Dense" and la.fixed for la in self.layers)

    def entry(self) -> list[GraphLayer]:
        """What lies before the first layer with kernels."""
        found = []
        for layer in self.layers:
            if layer.kind in KERNEL_LAYERS:
                break
            found.append(layer)
        return found

    def ladder(self, most: int) -> list[str]:
        """Layers to dream, shallow to deep: the last at each stride, and more where that are few."""
        seen = [la for la in self.layers if la.kind in RUNG_LAYERS and not la.fixed]
        groups = [list(group) for _, group in groupby(seen, lambda layer: layer.stride)]
        chosen = {group[-1].name for group in groups}
        for group in sorted(groups, key=len, reverse=True):
            if len(chosen) < 3:
                chosen |= {group[len(group) * part // 3].name for part in (0, 1)}
        return [la.name for la in seen if la.name in chosen][-most:]


def read_graph(path: Path, config: dict[str, Any]) -> ModelGraph:
    """Read what a file's configuration tells.

    Args:
        path: the file, for errors.
        config: its functional or sequential model, as Keras 3 writes it.

    Raises:
        UserError: other than one input of [height, width, channel], or a form that is not Keras's.
    """
    try:
        inputs = [_check_shape(shape) for shape in _input_shapes(config) if shape is not None]
        layers, models = [each for each, _ in _walk_layers(config, _LayerState())], list(_model_names(config))
    # Arithmetic fails at a stride of 0, recursion at lists in lists.
    except (
        KeyError,
        TypeError,
        IndexError,
        ValueError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise UserError(f"{path}: its graph is not in the form of Keras 3; save it again") from error
    if len(inputs) != 1 or len(inputs[0]) != 4:
        told = "; ".join("x".join(map(str, shape[1:])) for shape in inputs) or "none"
        raise UserError(f"{path}: takes {told}; one input of height, width and channels is needed")
    _, height, width, channels = inputs[0]
    graph = ModelGraph((height, width), channels or 0, tuple(layers), tuple(models))
    if graph.head and not 0 < graph.classes <= MAX_CLASSES:
        raise UserError(f"{path}: claims {graph.classes} classes; at most {MAX_CLASSES} are read")
    return graph


def _check_shape(given: list[Any]) -> list[int | None]:
    """A shape, of whole numbers and of what is left open.

    Raises:
        ValueError: it is none.
    """
    if not all(side is None or (type(side) is int and 0 < side <= MAX_SIDE) for side in given):
        raise ValueError(f"{given} is no shape")
    return given


def _input_shapes(model: dict[str, Any]) -> Iterator[list[int | None] | None]:
    """Shapes of the inputs of the outermost model."""
    layers = model["config"]["layers"]
    given = [layer["config"]["batch_shape"] for layer in layers if layer["class_name"] == "InputLayer"]
    if given:
        yield from given
    elif layers[0]["class_name"] in MODEL_KINDS:
        yield from _input_shapes(layers[0])
    else:
        yield model["config"].get("build_input_shape")


def _model_names(model: dict[str, Any]) -> Iterator[str]:
    yield str(model["config"]["name"])
    for layer in model["config"]["layers"]:
        if layer["class_name"] in MODEL_KINDS:
            yield from _model_names(layer)


@dataclass(frozen=True)
class _LayerState:
    """How a layer's output lies to the network's input."""

    stride: float = 1.0
    fixed: bool = False
    pooled: bool = False
    """Whether it has lost height and width."""


def _walk_layers(model: dict[str, Any], entering: _LayerState) -> Iterator[tuple[GraphLayer, _LayerState]]:
    """The layers of a model with what each lets through."""
    chain = model["class_name"] == "Sequential"
    at: dict[str, _LayerState] = {}
    last = entering
    for layer in model["config"]["layers"]:
        before = [at[name] for name in _input_layer_names(layer.get("inbound_nodes", [])) if name in at]
        if not chain:
            last = _merge_states(before) if before else entering
        kind, config = str(layer["class_name"]), layer["config"]
        if kind in MODEL_KINDS:
            for inner, seen in _walk_layers(layer, last):
                yield inner, seen
                last = seen
        elif kind != "InputLayer":
            fixed = last.fixed or (kind in FLATTENING_LAYERS and not last.pooled)
            pooled = last.pooled or kind in (*GLOBAL_POOLS, "Flatten")
            last = _LayerState(last.stride * _layer_stride(kind, config), fixed, pooled)
            if kind == "Dense" and type(config["units"]) is not int:
                raise ValueError(f"{config['units']} is no number of units")
            yield GraphLayer(str(config["name"]), kind, last.stride, last.fixed, config), last
        at[str(config["name"])] = last


def _merge_states(before: list[_LayerState]) -> _LayerState:
    return _LayerState(
        max(each.stride for each in before),
        any(each.fixed for each in before),
        all(each.pooled for each in before),
    )


def _input_layer_names(node: Any) -> Iterator[str]:
    """Names of the layers that a layer takes its input from."""
    if isinstance(node, dict):
        if "keras_history" in node:
            yield str(node["keras_history"][0])
        for each in node.values():
            yield from _input_layer_names(each)
    elif isinstance(node, list):
        for each in node:
            yield from _input_layer_names(each)


def _layer_stride(kind: str, config: dict[str, Any]) -> float:
    """How much coarser a layer's output is than its input."""
    given = config.get("strides") or config.get("pool_size") or 1
    step = float(max(given) if isinstance(given, list) else given)
    if kind in STRIDED_LAYERS:
        return step
    if kind == "Conv2DTranspose":
        return 1 / step
    if kind == "UpSampling2D":
        size = config["size"]
        return 1 / float(max(size) if isinstance(size, list) else size)
    return 1.0


Tensor = Any  # a symbolic Keras tensor; Keras ships no types


def load_flat_graph(
    path: Path, head: str | None, fixed: frozenset[str]
) -> tuple[keras.Model, dict[str, Tensor]]:
    """Load a file that `own` has found to be of Keras's own layers.

    Args:
        path: the file.
        head: the layer of the class logits; a softmax in it is taken off.
        fixed: layers that only one size of input suits; they are left out.

    Returns:
        A model from [n, height, width, channel], any height and width; what each layer gives, by its name.

    Raises:
        UserError: Keras cannot load it.
    """
    loaded = _load_model(path)
    try:
        shape = tuple(loaded.inputs[0].shape)
        pixels = keras.Input((None, None, shape[3]))
        found: dict[str, Tensor] = {}
        _apply_layers(loaded, pixels, head, fixed, found)
        return keras.Model(pixels, list(found.values())), found
    # RuntimeError is, among others, Keras's word for a layer whose call or shape it cannot tell.
    except (ValueError, TypeError, KeyError, OSError, AttributeError, RuntimeError) as error:
        raise _load_error(path, error) from error


def _load_model(path: Path) -> keras.Model:
    """What Keras makes of a file.

    Raises:
        UserError: it makes nothing of it. Keras believes the file, and what it then falls over comes up as
            an error of its own, of TensorFlow's, zipfile's or HDF5's.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise _load_error(path, error) from error


def _load_error(path: Path, error: Exception) -> UserError:
    told = " ".join(str(error).split())[:200]
    return UserError(f"{path}: Keras cannot load it as a network for any size of input ({told})")


def _apply_layers(
    model: keras.Model, x: Tensor, head: str | None, fixed: frozenset[str], found: dict[str, Tensor]
) -> Tensor:
    """Lead a tensor through a model, layer by layer, and remember what each gives."""
    given: dict[str, Tensor] = {}

    def call(layer: Any, *args: Any, **rest: Any) -> Tensor:
        if isinstance(layer, keras.Model):
            y = _apply_layers(layer, args[0], head, fixed, found)
        else:
            if layer.name == head and layer.activation is keras.activations.softmax:
                layer.activation = keras.activations.linear
            y = found[layer.name] = layer(*args, **rest)
        given[layer.name] = y
        return y

    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            if layer.name in fixed:
                break
            x = call(layer, x)
        return x
    if any(layer.name in fixed for layer in model.layers):
        model = _cut_before_fixed(model, fixed)
    # Not copies: the layers themselves, called anew. What comes back is: it may begin at a new input.
    keras.models.clone_model(model, x, lambda layer: layer, call)
    return given[model.output_names[0]]


def _cut_before_fixed(model: keras.Model, fixed: frozenset[str]) -> keras.Model:
    """The part of a functional model that lies before its fixed layers."""
    here = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    kept = [la.output for la in here if la.name not in fixed and not isinstance(la, keras.Model)]
    behind = [layer for layer in here if layer.name in fixed]
    inside = {id(layer.output) for layer in behind}
    return keras.Model(model.input, kept + [la.input for la in behind if id(la.input) not in inside])
