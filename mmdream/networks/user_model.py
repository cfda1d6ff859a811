"""A network of the user's own: the card that its Keras file suggests, and its graph for any size of input.

What the file does not say is guessed, and the user is told; a card beside it, ``NAME.toml`` beside
``NAME.keras``, says any of it for certain.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import fields, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

import msgspec

from mmdream.core.errors import UserError
from mmdream.networks.card import (
    AudioInput,
    ImageInput,
    ModelFileWeights,
    NetworkCard,
    Rung,
    lists_to_tuples,
    parse_rungs,
)
from mmdream.networks.user_graph import KERNEL_LAYERS, ModelGraph, read_graph

if TYPE_CHECKING:
    import keras

MAX_RUNGS = 8
STEP_RANGES = {"picture": (0.008, 0.012), "sound": (0.030, 0.034)}
"""Steps of the shallowest and the deepest rung, as the cards have them."""
MAX_RAW_SCALE = 0.02
"""A Rescaling below this brings 0..255 to something small; one above it takes 0..1."""
COMMON_BAND_COUNTS = (40, 48, 64, 80, 96, 128, 256)
"""By which the side of the bands is found where a network takes one size only."""
PixelFormat = tuple[Literal["RGB", "BGR"], float, tuple[float, float, float]]
"""Order, scale and mean."""
RAW: PixelFormat = ("RGB", 255.0, (0.0, 0.0, 0.0))
UNIT: PixelFormat = ("RGB", 1.0, (0.0, 0.0, 0.0))
SIGNED: PixelFormat = ("RGB", 2.0, (1.0, 1.0, 1.0))
CAFFE: PixelFormat = ("BGR", 255.0, (103.939, 116.779, 123.68))
APPLICATION_INPUTS = (
    dict.fromkeys(("resnet50v2", "resnet101v2", "resnet152v2"), SIGNED)
    | dict.fromkeys(("vgg16", "vgg19", "resnet"), CAFFE)
    | dict.fromkeys(("mobilenetv3", "efficientnet", "convnext"), RAW)
    | dict.fromkeys(("mobilenet", "inception", "xception", "nasnet"), SIGNED)
)
"""Pixel formats of Keras's applications, by how their models' names begin (`preprocess_input`)."""
PREPROCESSING_LAYERS = ("Multiply", "Divide", "TrueDivide", "Subtract", "Add", "GetItem", "Normalization")
"""Operations before the first convolution by which a graph brings raw pixels into its range."""
MELNET_INPUT: dict[str, Any] = {
    "kind": "log-mel",
    "window_seconds": 2048 / 44100,
    "hop_seconds": 512 / 44100,
    "low_hz": 40.0,
} | {"high_hz": 16000.0, "floor": 1e-9, "divisor": 4.0, "level_dbfs": -23.0, "mu": (-16.0,)}

Tensor = Any  # a symbolic Keras tensor; Keras ships no types


def build_user_card(path: Path, medium: str | None = None) -> NetworkCard:
    """The card of a Keras file, of a medium, or of the one its channels suggest; UserError: it is unfit."""
    graph = read_graph(path)
    card_file = path.with_suffix(".toml")
    try:
        keys = tomllib.loads(card_file.read_text(encoding="utf-8")) if card_file.is_file() else {}
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{card_file}: is not a TOML file ({error})") from error
    kind = keys.get("medium", medium or ("sound" if graph.channels == 1 else "picture"))
    if kind not in ("picture", "sound"):
        raise UserError(f"{card_file}: medium is {kind!r}; choose picture or sound")
    if medium not in (None, kind):
        raise UserError(f"{path}: is a {kind} network by {card_file.name}; a {medium} network is wanted")
    if graph.channels != (needed := 3 if kind == "picture" else 1):
        raise UserError(f"{path}: takes {graph.channels} channels; a {kind} network takes {needed}")
    return _override_card(_guess_card(path, graph, kind, keys), keys, graph, card_file)


def _guess_card(
    path: Path, graph: ModelGraph, medium: Literal["picture", "sound"], keys: dict[str, Any]
) -> NetworkCard:
    """The card that a graph suggests; the `input` among the keys is taken out of them, and heeded."""
    given, card_file = keys.pop("input", {}), path.with_suffix(".toml")
    if not isinstance(given, dict):
        raise UserError(f"{card_file}: input is no table; write it under [input]")
    guess_input = _guess_image_input if medium == "picture" else _guess_audio_input
    network_input, guesses = guess_input(graph, given, path)
    names, (low, high) = graph.choose_rungs(MAX_RUNGS), STEP_RANGES[medium]
    if "rungs" not in keys:
        if not names:
            raise UserError(f"{path}: has no convolution to dream")
        guesses.insert(0, f"rungs {', '.join(names)}, by its strides")
    if graph.head and not {"classes", "class_file"} & keys.keys():
        guesses.append(f"classes 0 to {graph.classes - 1}")
    if graph.dense and graph.dense.fixed:
        guesses.append("classes not to be dreamed, because it flattens inputs of one size")
    line = f"{path.name} taken for: {'; '.join(guesses)}. Tell what is wrong in {card_file.name}"
    return NetworkCard(
        name=str(path),
        medium=medium,
        builder="own",
        about="A network of your own.",
        licence="yours to know",
        source=str(path),
        credits="yours to give",
        rungs=tuple(
            Rung(name, round(low + (high - low) * number / max(1, len(names) - 1), 4))
            for number, name in enumerate(names)
        ),
        carried=0.1 if medium == "picture" else 1.0,
        input=network_input,
        weights=ModelFileWeights(path, frozenset(layer.name for layer in graph.layers if layer.fixed)),
        head=graph.head,
        classes=tuple(map(str, range(graph.classes))),
        guesses=(line,) if guesses else (),
    )


def _override_card(guess: NetworkCard, keys: dict[str, Any], graph: ModelGraph, file: Path) -> NetworkCard:
    """The keys of a card in place of what is guessed; a UserError for what does not fit the network."""
    names = [each.name for each in fields(NetworkCard)]
    known = [name for name in names if name not in ("name", "builder", "weights", "guesses")]
    for key in keys:
        if key not in known:
            raise UserError(f'{file}: unknown key "{key}"; choose from {", ".join((*known, "input"))}')
    try:
        given = lists_to_tuples(keys)
        if "rungs" in given:
            given["rungs"] = parse_rungs(given["rungs"])
        if "class_file" in given:
            given["class_file"] = str((file.parent / given["class_file"]).resolve())
        card = replace(guess, **given)
        classes = len(card.class_names())
        named = [*(rung.layer for rung in card.rungs), *([card.head] if card.head else [])]
        card.mix(0.5)
    except (TypeError, ValueError, AttributeError, OSError) as error:
        raise UserError(f"{file}: {error}") from error
    if graph.head and card.head == graph.head and classes != graph.classes:
        raise UserError(f"{file}: names {classes} classes; {graph.head} has {graph.classes}")
    layers = [layer.name for layer in graph.layers if not layer.fixed]
    for name in named:
        if name not in layers:
            near = difflib.get_close_matches(str(name), layers, 3, 0.4) or layers[:3]
            raise UserError(f'{file}: {guess.name} has no layer "{name}"; nearest: {", ".join(near)}')
    return card


def _guess_image_input(graph: ModelGraph, keys: dict[str, Any], path: Path) -> tuple[ImageInput, list[str]]:
    """The input of an image network, by its graph and the keys of its card, and what of it is guessed."""
    (order, scale, mean), reason = _guess_pixel_format(graph, path)
    guess = {"order": order, "scale": scale, "mean": mean, "side": graph.size[0] or ImageInput.side}
    network_input = _override_input(ImageInput, guess, keys, path)
    if {"order", "scale", "mean"} <= keys.keys():
        return network_input, []
    ranges = {1.0: "0..1", 2.0: "-1..1", 255.0: "0..255"}
    centred = " less the mean of ImageNet" if any(mean) and scale == 255 else ""
    return network_input, [f"pictures {order} {ranges[scale]}{centred}, {reason}"]


def _guess_pixel_format(graph: ModelGraph, path: Path) -> tuple[PixelFormat, str]:
    """The pixel format of an image network, and why."""
    for layer in takewhile(lambda layer: layer.kind not in KERNEL_LAYERS, graph.layers):
        if layer.kind == "Rescaling":
            scale = layer.config.get("scale", 1.0)
            try:
                least = float(min(scale) if isinstance(scale, list) else scale)
            except (TypeError, ValueError) as error:
                raise UserError(f"{path}: its {layer.name} scales by {scale!r}, no number") from error
            return (RAW if least < MAX_RAW_SCALE else UNIT), "by its Rescaling"
        if layer.kind in PREPROCESSING_LAYERS:
            return RAW, f"by its {layer.kind}"
    for name in graph.models:
        for beginning, pixels in APPLICATION_INPUTS.items():
            if name.lower().startswith(beginning):
                return pixels, f"as {name} does"
    return UNIT, "which its graph does not tell"


def _guess_audio_input(graph: ModelGraph, keys: dict[str, Any], path: Path) -> tuple[AudioInput, list[str]]:
    """The input of a sound network, and what of it is guessed; no graph tells much of it."""
    rows, columns = graph.size
    bands_first = rows is not None and (
        columns is None or (rows in COMMON_BAND_COUNTS and columns not in COMMON_BAND_COUNTS)
    )
    transposed = bool(keys.get("transposed", bands_first))
    bands = keys.get("bands", rows if transposed else columns)
    if bands is None:
        raise UserError(
            f"{path}: leaves its number of bands open; tell it in {path.with_suffix('.toml').name}"
        )
    guess = {**MELNET_INPUT, "bands": bands, "transposed": transposed}
    network_input = _override_input(AudioInput, guess, keys, path)
    if {"kind", "window_seconds", "hop_seconds"} <= keys.keys():
        return network_input, []
    order, hop = "band by time" if transposed else "time by band", 1000 * network_input.hop_seconds
    return network_input, [f"{network_input.kind} of {bands} bands, {order}, hop {hop:.1f} ms, as melnet's"]


def _override_input(kind: type, guess: dict[str, Any], keys: dict[str, Any], path: Path) -> Any:
    """An input of a kind, the card's keys over what is guessed; a UserError for an unknown or wrong one."""
    known, file = [each.name for each in fields(kind)], path.with_suffix(".toml")
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(key, known, 3, 0.4) or known
            raise UserError(f'{file}: input has no "{key}"; nearest: {", ".join(near)}')
    values, types = lists_to_tuples({**guess, **keys}), get_type_hints(kind)
    for name, value in values.items():
        try:
            msgspec.convert(value, types[name])
        except msgspec.ValidationError as error:
            form = "true or false" if types[name] is bool else "a number, or a list of them"
            if choices := [each for each in get_args(types[name]) if isinstance(each, str)]:
                form = f"one of {', '.join(choices)}"
            raise UserError(f"{file}: {name} of the input is {value!r}; it is {form}") from error
    network_input = kind(**values)
    key, lengths = ("mean", (3,)) if kind is ImageInput else ("mu", (1, values["bands"]))
    if len(values[key]) not in lengths:
        raise UserError(f"{file}: {key} has {len(values[key])} numbers; {lengths[-1]} are needed")
    return network_input


def load_flat_graph(
    path: Path, head: str | None, fixed: frozenset[str]
) -> tuple[keras.Model, dict[str, Tensor]]:
    """Load a file that `read_graph` has accepted as one flat graph: every layer can be dreamed.

    A softmax in the `head` is taken off; `fixed` layers, which only one size of input suits, are left out.

    Returns:
        A model from [n, height, width, channel] of any size; the output of each layer, by its name.
    """
    from mmdream.networks.framework import keras

    outputs: dict[str, Tensor] = {}
    try:
        loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
        pixels = keras.Input((None, None, tuple(loaded.inputs[0].shape)[3]))
        _apply_layers(loaded, pixels, head, fixed, outputs)
        return keras.Model(pixels, list(outputs.values())), outputs
    # Keras believes the file: errors are its own, TensorFlow's, zipfile's or HDF5's.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: Keras cannot load it as a network for any size of input ({reason})"
        ) from error


def _apply_layers(
    model: keras.Model, x: Tensor, head: str | None, fixed: frozenset[str], outputs: dict[str, Tensor]
) -> Tensor:
    """Lead a tensor through a model, layer by layer, and collect the output of each."""
    from mmdream.networks.framework import keras

    own: dict[str, Tensor] = {}

    def call(layer: Any, *args: Any, **options: Any) -> Tensor:
        if isinstance(layer, keras.Model):
            y = _apply_layers(layer, args[0], head, fixed, outputs)
        else:
            if layer.name == head and layer.activation is keras.activations.softmax:
                layer.activation = keras.activations.linear
            y = outputs[layer.name] = layer(*args, **options)
        own[layer.name] = y
        return y

    if isinstance(model, keras.Sequential):
        for layer in takewhile(lambda layer: layer.name not in fixed, model.layers):
            x = call(layer, x)
        return x
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if behind := [layer for layer in layers if layer.name in fixed]:
        # The part that lies before the fixed layers.
        kept = [la.output for la in layers if la.name not in fixed and not isinstance(la, keras.Model)]
        inside = {id(layer.output) for layer in behind}
        ends = [layer.input for layer in behind if id(layer.input) not in inside]
        model = keras.Model(model.input, kept + ends)
    # Not copies: the layers themselves, called anew. What comes back is: it may begin at a new input.
    keras.models.clone_model(model, x, lambda layer: layer, call)
    return own[model.output_names[0]]
