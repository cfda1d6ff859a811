"""A dream in few passes through a dreamer: a small network that was taught what an ascent would add.

A dreamer gives a *direction* for the detail, as the gradient does, and steps along it have the lengths of the
ascent's; but one pass takes the place of several steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mmdream.ascent.engine import normalize_rms
from mmdream.core.errors import UserError
from mmdream.core.files import hash_file
from mmdream.image.gradient import ChannelGains, count_places
from mmdream.image.octaves import OctavePass, Size, resize, resize_step_scale, to_grey
from mmdream.networks.dreamer_card import DreamerCard
from mmdream.networks.dreamer_model import GRID, build_dreamer
from mmdream.networks.framework import tf
from mmdream.networks.network import Network, assign_arrays
from mmdream.networks.weights import read_arrays
from mmdream.settings.targets import Objective

STEPS_PER_PASS = 4
"""Of an ascent, that one pass of a dreamer takes the place of."""

FRAMES_PER_PASS = 2
"""Carried frames whose steps a dreamer takes together, in one of them: momentum spreads what comes of it."""

CLIMBING_FRAMES = 3
"""Likewise where its passes take turns with the gradient, a step of which takes about as long."""

PASS_LENGTH, FULL_PASS_LENGTH = 0.7, 0.5
"""Of a pass over that of its steps one by one, which lead to and fro; of the passes of a frame in full, which
lead the same way."""

CLIMB_LENGTH = 0.49
"""Likewise of one long step along the gradient, which changes what is there more than a dreamer does."""

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Pictures, float32 [h, w, 6], and channel weights, float32 [row, column, channel], see
`networks.dreamer_model.build_dreamer` -> the detail's change, float32 [h, w, 3]."""


def plan_dreamer_passes(octave: OctavePass, steps_per_pass: int = STEPS_PER_PASS) -> list[OctavePass]:
    """The steps of an octave pass in near-equal portions, one for each pass of a dreamer."""
    count = -(-octave.steps // steps_per_pass)
    bounds = [octave.steps * k // count for k in range(count + 1)] if count else []
    return [OctavePass(octave.size, stop - first, octave.smoothing) for first, stop in pairwise(bounds)]


def grid_size(size: Size) -> Size:
    """Height and width of the pictures that a dreamer is given of an octave: about half of its own."""
    height, width = (max(1, round(side / 2 / GRID)) * GRID for side in size)
    return height, width


def make_pictures(source: np.ndarray, detail: np.ndarray, size: Size) -> np.ndarray:
    """What a dreamer sees of a source and a detail at an octave's size: float32 [h, w, 6]."""
    shape = grid_size(size)
    return np.concatenate([resize(source, shape), resize(detail, shape)], axis=2)


def weigh_channels(
    objective: Objective, gains: ChannelGains, counts: Mapping[str, int], layers: Sequence[str], size: Size
) -> np.ndarray:
    """What an objective's gradient weighs the energy of each channel by, at places of an image.

    Args:
        objective: terms of layers and channels of `layers`.
        gains: see `ChannelGains`.
        counts: channels of each layer.
        layers: those that a dreamer was taught.
        size: height and width of the image.

    Returns:
        float32 [row, column, channel] of all layers, one after the other; over their mean magnitude.
    """
    places = count_places(size)
    fields = {layer: np.zeros((*places, counts[layer]), np.float32) for layer in layers}
    for term, weight in zip(objective.terms, objective.weights, strict=True):
        field = fields[term.name]
        if term.channels:
            field[..., list(term.channels)] += np.float32(weight * counts[term.name] / len(term.channels))
        else:
            field += np.float32(weight) * gains.get(term.name, np.float32(1))
    # The mean of a layer's squares is climbed: a channel counts the less, the more there are.
    whole = np.concatenate([field / np.float32(counts[layer]) for layer, field in fields.items()], axis=2)
    return whole / max(float(np.abs(whole).mean()), 1e-12)


@dataclass(frozen=True)
class Dreamer:
    """A dreamer with its weights."""

    layers: tuple[str, ...]
    """Of the dreamed network, whose channels it was taught."""
    predict: Predict

    def directions(
        self, source: np.ndarray, detail: np.ndarray, size: Size, weights: np.ndarray
    ) -> np.ndarray:
        """Where the detail is to go, float32 [h, w, 3] of RMS 1, on the grid of an octave."""
        return normalize_rms(self.predict(make_pictures(source, detail, size), weights))


def load_dreamer(card: DreamerCard, network: Network) -> Dreamer:
    """A dreamer for a network, in its precision; `UserError`: its weights are missing or damaged."""
    if not card.weights.is_file() or hash_file(card.weights) != card.sha256:
        raise UserError(
            f"{card.weights}: missing or damaged; teach the dreamer again, or install mmdream again"
        )
    counts = network.channel_counts()
    dtype = "float32" if network.precision == "float32" else network.precision
    model = build_dreamer(sum(counts[layer] for layer in card.layers), dtype)
    assign_arrays(model, read_arrays(card.weights), "the dreamer", card.weights)
    return Dreamer(card.layers, make_predict(model))


def make_predict(model: object) -> Predict:
    """A dreamer's graph as a function of arrays, traced once for all sizes."""
    channels = model.inputs[1].shape[-1]  # type: ignore[attr-defined]

    @tf.function(
        input_signature=[
            tf.TensorSpec([1, None, None, 6], tf.float32),
            tf.TensorSpec([1, None, None, channels], tf.float32),
        ],
        autograph=False,
    )
    def predict(pictures: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return model([pictures, weights], training=False)  # type: ignore[operator]

    # Here, as a network's gradient is, and not while the first frame that needs it waits.
    predict(tf.zeros([1, GRID, GRID, 6]), tf.zeros([1, 1, 1, channels]))
    return lambda pictures, weights: predict(
        tf.convert_to_tensor(pictures[None]), tf.convert_to_tensor(weights[None])
    ).numpy()[0]


def dream_in_passes(
    source: np.ndarray,
    detail: np.ndarray,
    octaves: Sequence[OctavePass],
    direction: Callable[[np.ndarray, np.ndarray, Size], np.ndarray],
    step: float,
    *,
    step_scale: np.ndarray | None = None,
    color: str = "full",
    steps_per_pass: int = STEPS_PER_PASS,
    on_step: Callable[[np.ndarray], None] | None = None,
) -> np.ndarray:
    """As `octaves.dream_octaves`, by passes of a dreamer in place of so many steps along a gradient each.

    `direction` takes source and detail, float32 [H, W, 3], and an octave's size, see `Dreamer.directions`.
    """
    shape = (source if step_scale is None else step_scale).shape[:2]
    gain = np.zeros((*shape, 3), np.float32)
    for octave in octaves:
        for portion in plan_dreamer_passes(octave, steps_per_pass):
            so_far = np.clip(source + detail + resize(gain, source.shape[:2]), 0, 1) - source
            change = direction(source, so_far, octave.size)
            if color == "source":
                change = to_grey(change)
            factor = FULL_PASS_LENGTH if step_scale is None else PASS_LENGTH
            change = np.float32(factor * step * portion.steps) * change
            if step_scale is not None:
                change = change * resize_step_scale(step_scale, grid_size(octave.size))
            gain += resize(change, gain.shape[:2])
            if on_step is not None:
                on_step(np.clip(source + detail + resize(gain, source.shape[:2]), 0, 1))
    return gain
