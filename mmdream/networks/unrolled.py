"""A Keras file of the user's own as one flat graph for any size of input: every layer can be dreamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdream.core.errors import UserError
from mmdream.networks.framework import keras

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
