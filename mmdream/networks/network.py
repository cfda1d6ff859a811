"""A network ready to be dreamed: features at its rungs, logits of its classes.

TensorFlow is imported only when a network is built, after its card and weights have been checked.
"""

from __future__ import annotations

import difflib
import gc
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.files import hash_file
from mmdream.core.memory import LruCache
from mmdream.core.rng import rng_for
from mmdream.networks.card import AudioInput, ImageInput, ModelFileWeights, NetworkCard
from mmdream.networks.weights import ARRAY_SUFFIXES, RANDOM, check_shapes, locate_weights, read_arrays
from mmdream.settings.targets import Term

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

CPU_INFO = Path("/proc/cpuinfo")
AUTO_NAMED_LAYERS = (
    *("conv2d", "depthwise_conv2d", "batch_normalization", "activation", "re_lu", "add", "concatenate"),
    *("max_pooling2d", "average_pooling2d", "global_average_pooling2d", "zero_padding2d", "dense"),
)
"""How Keras begins the names of layers that are given none."""
MAX_LOADED_NETWORKS = 4
"""Networks that a process keeps: one for pictures and one for sounds, and as many again of other settings."""
MAX_TRACES = 32
"""Of one network: a schedule's depths take one or two for each two neighbouring rungs."""


@dataclass(frozen=True, eq=False)
class Network:
    """A card with its graph and weights."""

    card: NetworkCard
    precision: str
    """"float32" or "bfloat16": weights and activations; "mixed_float16": activations alone."""
    model: keras.Model
    outputs: dict[str, Any]
    """The output of each layer, by its name: symbolic tensors of the model's graph."""
    traces: LruCache = field(default_factory=lambda: LruCache(MAX_TRACES))
    """What was traced of it, see `core.memory.cache_in_traces`."""

    def rung_features(self, places: tuple[int, ...]) -> Callable[[tf.Tensor], list[tf.Tensor]]:
        """Features at some rungs, by their places; layers above the deepest of them are never computed.

        Returns:
            A function to tensors [1, h, w, c] in the network's precision from its input. Images: float32
            [1, H, W, 3], RGB 0..1. Sounds: float32 [1, hop, band, 1], see `spectra.to_network_input`.
        """
        return self.layer_features(tuple(self.card.rungs[place].layer for place in places))

    def layer_features(self, names: tuple[str, ...]) -> Callable[[tf.Tensor], list[tf.Tensor]]:
        """Features at any layers by name, as `rung_features`; of layers without places [1, 1, 1, c]."""
        features = self._features(list(names))
        return lambda x: [a if len(a.shape) == 4 else a[:, None, None] for a in features(x)]

    def channel_counts(self) -> dict[str, int]:
        """Number of channels of every layer that can be dreamed, in the order of the graph."""
        return {
            name: int(output.shape[-1])
            for name, output in self.outputs.items()
            if len(output.shape) in (2, 4) and output.shape[-1] is not None
        }

    def class_logits(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Class logits, [1, class], for the input that `rung_features` takes; UserError: no classes."""
        if self.card.head is None:
            raise UserError(f"{self.card.name} has no classes")
        features = self._features([self.card.head])
        return lambda x: features(x)[0]

    def check_terms(self, terms: tuple[Term, ...]) -> None:
        """Refuse layers and channels that the network does not have; the UserError names the nearest ones."""
        known = self.channel_counts()
        for term in terms:
            if term.kind == "target":
                continue
            if term.name not in known:
                near = difflib.get_close_matches(term.name, known, 3, 0.5)
                near = near or [rung.layer for rung in self.card.rungs]
                raise UserError(
                    f'{self.card.name} has no layer "{term.name}"; nearest: {", ".join(near)}; '
                    f"all: `mmdream nets {self.card.name}`"
                )
            if term.channels and max(term.channels) >= known[term.name]:
                raise UserError(
                    f"channel {max(term.channels)} of {term.name}: {self.card.name} has 0 to "
                    f"{known[term.name] - 1} there"
                )

    def _features(self, names: list[str]) -> Callable[[tf.Tensor], list[tf.Tensor]]:
        from mmdream.networks.framework import keras, preprocess, swap_time_and_bands

        if unknown := set(names) - self.outputs.keys():
            raise ValueError(f"{self.card.name} has no layer {', '.join(sorted(unknown))}")
        # A dictionary, because Keras hands a list of one output back as a bare tensor.
        part = keras.Model(self.model.input, {name: self.outputs[name] for name in names})
        network_input = self.card.input
        transposed = isinstance(network_input, AudioInput) and network_input.transposed

        def features(x: tf.Tensor) -> list[tf.Tensor]:
            outputs = part(preprocess(x, network_input), training=False)
            return [swap_time_and_bands(outputs[name]) if transposed else outputs[name] for name in names]

        return features


def load_network(
    card: NetworkCard, weights: str | Path | None = None, precision: str = "float32", seed: int = 0
) -> Network:
    """Build a network; `weights` are as `locate_weights` takes and checks them, random ones by the seed."""
    return _build_network(card, locate_weights(card, weights), precision, seed)


# A network is a ring of references, which the collector would leave where it is for long.
_loaded_networks = LruCache(MAX_LOADED_NETWORKS, gone=gc.collect)


def load_shared_network(
    card: NetworkCard, path: Path | None, precision: str = "float32", seed: int = 0
) -> Network:
    """A network as `load_network` builds it, shared by all who ask for it: nobody may change its weights.

    `path` is that of its weights, as `locate_weights` gives it; a file that has changed is loaded anew.
    """
    key = repr(card), f"{RANDOM} {seed}" if path is None else hash_file(path), precision
    return _loaded_networks.get(key, lambda: _build_network(card, path, precision, seed))


def _build_network(card: NetworkCard, path: Path | None, precision: str, seed: int) -> Network:
    """A network with the weights of a file that `locate_weights` has checked; None: random ones."""
    model, outputs = build_graph(card, precision)
    if path is None:
        initialize_random(model, seed)
    elif path.suffix in ARRAY_SUFFIXES:
        assign_arrays(model, read_arrays(path), card.name, path)
    elif not isinstance(card.weights, ModelFileWeights):
        try:
            with warnings.catch_warnings():
                # Keras 3.15 only warns of layers that the file does not have.
                warnings.simplefilter("error", UserWarning)
                model.load_weights(path)
        except (ValueError, KeyError, OSError, TypeError, AttributeError, UserWarning) as error:
            raise UserError(f"{path}: weights of another network? they do not fit {card.name}") from error
    return Network(card, precision, model, outputs)


def build_graph(card: NetworkCard, precision: str) -> tuple[keras.Model, dict[str, Any]]:
    """A network's graph, and the output of each of its layers."""
    # Brings Keras in quietly; the image models themselves run on any of its backends.
    from mmdream.networks import audio_models, framework, image_models

    if isinstance(card.weights, ModelFileWeights):
        from mmdream.networks.user_model import load_flat_graph

        return load_flat_graph(card.weights.path, card.head, card.weights.fixed)
    arguments = {"classes": len(card.class_names()), "dtype": precision, **card.build}
    if isinstance(card.input, ImageInput):
        model = image_models.IMAGE_BUILDERS[card.builder](**arguments)
    else:
        model = audio_models.AUDIO_BUILDERS[card.builder](bands=card.input.bands, **arguments)
    input_layer, layers = framework.keras.layers.InputLayer, layers_by_name(model)
    return model, {name: la.output for name, la in layers.items() if not isinstance(la, input_layer)}


def layers_by_name(model: keras.Model) -> dict[str, Any]:
    """A model's layers by their `stable_layer_names`, in the order of the graph."""
    return dict(zip(stable_layer_names([layer.name for layer in model.layers]), model.layers, strict=True))


def stable_layer_names(names: list[str]) -> list[str]:
    """Layers' names as the first model of a process has them.

    Keras numbers those that have no name of their own through all models: conv2d, conv2d_1, ...
    """
    matches = [re.fullmatch(rf"({'|'.join(AUTO_NAMED_LAYERS)})(?:_(\d+))?", name) for name in names]
    first: dict[str, int] = {}
    for match in filter(None, matches):
        first[match[1]] = min(first.get(match[1], 1 << 30), int(match[2] or 0))

    def rename(name: str, match: re.Match[str] | None) -> str:
        number = int(match[2] or 0) - first[match[1]] if match else 0
        return name if match is None else f"{match[1]}_{number}" if number else match[1]

    return [rename(name, match) for name, match in zip(names, matches, strict=True)]


def list_layers(card: NetworkCard) -> dict[str, int]:
    """Every layer of a network that can be dreamed, with its channels, in the order of the graph."""
    return Network(card, "float32", *build_graph(card, "float32")).channel_counts()


def choose_precision(choice: str, card: NetworkCard, gpu: bool = False) -> str:
    """The number format to dream in, by a `choice` (auto, float32, bfloat16) and by what the machine has.

    Sounds are small enough for float32, and networks of the user's own may not bear less. A `gpu` takes
    Keras's mixed_float16: gradients are scaled by the number of pixels, so that they do not vanish in it.
    """
    if card.medium == "sound" or isinstance(card.weights, ModelFileWeights):
        return "float32"
    if choice != "auto":
        return choice
    return "mixed_float16" if gpu else "bfloat16" if has_bfloat16() else "float32"


def has_bfloat16() -> bool:
    """Whether the processor computes faster with bfloat16 than with float32.

    AMX does, and AMD's AVX-512. Intel's takes as long for the products, and longer for what is converted:
    9.9 seconds of network for 100 frames, 6.2 in float32.
    """
    try:
        flags = set(CPU_INFO.read_text().split())
    except OSError:  # not Linux
        return False
    return "amx_bf16" in flags or {"avx512_bf16", "AuthenticAMD"} <= flags


def assign_arrays(model: keras.Model, arrays: dict[str, np.ndarray], network: str, path: Path | str) -> None:
    """Assign arrays to a model's variables by name (`variables_by_name`); UserError: they do not fit."""
    variables = variables_by_name(model)
    required = {name: tuple(variable.shape) for name, variable in variables.items()}
    check_shapes(path, network, {name: array.shape for name, array in arrays.items()}, required)
    for name, variable in variables.items():
        variable.assign(arrays[name].astype(np.float32))


def variables_by_name(model: keras.Model) -> dict[str, Any]:
    """What a model's weights files hold, by name: ``<layer>_<variable>``."""
    return {
        f"{name}_{variable.name}": variable
        for name, layer in layers_by_name(model).items()
        for variable in layer.weights
    }


def initialize_random(model: keras.Model, seed: int) -> None:
    """He-normal kernels (He et al. 2015), drawn by place; all else as a fresh layer has it."""
    for place, variable in enumerate(model.variables):
        if variable.name == "kernel":
            shape = tuple(variable.shape)
            kernel = rng_for(seed, "weights", place).standard_normal(shape, np.float32)
            variable.assign(kernel * np.float32(np.sqrt(2 / np.prod(shape[:-1]))))
