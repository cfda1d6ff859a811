"""The gradient of a network's objective to the pixels: the one place where pictures meet TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from mmdream.ascent.objectives import (
    channel_cosine,
    class_evidence,
    energy,
    guide_similarity,
    mean_activation,
)
from mmdream.core import rng
from mmdream.core.memory import cache_in_traces
from mmdream.image.octaves import resize
from mmdream.media import image
from mmdream.networks.card import NetworkCard
from mmdream.networks.framework import tf
from mmdream.networks.network import Network
from mmdream.settings.schedule import FrameSettings, Schedule
from mmdream.settings.targets import GuideImage, Objective, Targets, Term, parse_channel

RIVAL_WEIGHT = 1.0
"""Share of all classes' evidence that a class has to outdo: other networks tell dreams at 1 for what they are
several times as often as those at 0.5."""


def build_gradient(network: Network, wanted: Objective) -> Callable[[np.ndarray], np.ndarray]:
    """The gradient of an objective.

    Args:
        network: a picture network.
        wanted: its terms with their weights.

    Returns:
        float32 [H, W, 3], 0..1 -> float32 [H, W, 3]; any H and W, traced once for all sizes and weights.
    """
    traced = _traced_gradient(network, wanted.terms, wanted.measure, wanted.guide)
    weights = tf.constant(wanted.weights, tf.float32)

    def gradient(picture: np.ndarray) -> np.ndarray:
        # Not tf.constant, which takes eight times as long over an array.
        return traced(tf.convert_to_tensor(picture[None]), weights).numpy()[0]

    return gradient


def evaluate_objective(network: Network, wanted: Objective, picture: np.ndarray) -> float:
    """The objective of a picture, float32 [H, W, 3], 0..1; no unit."""
    traced = _traced_objective(network, wanted.terms, wanted.measure, wanted.guide)
    return float(traced(tf.convert_to_tensor(picture[None]), tf.constant(wanted.weights, tf.float32)))


ObjectiveFunction = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(picture float32 [1, H, W, 3], weights float32 [term]) -> float32 scalar."""


def _objective_function(
    network: Network, terms: tuple[Term, ...], measure: str, guide: GuideImage | None
) -> ObjectiveFunction:
    """The weighted sum of the terms; every layer is computed once."""
    card = network.card
    names = tuple(dict.fromkeys(str(card.head) if t.kind == "target" else t.name for t in terms))
    features = network.layers(names)
    usual = dict(
        zip(
            names,
            (float(energy(a)) for a in features(tf.constant(make_reference_noise()[None]))),
            strict=True,
        )
    )
    model = {} if guide is None else dict(zip(names, features(tf.constant(guide.rgb[None])), strict=True))

    def one(term: Term, found: dict[str, tf.Tensor]) -> tf.Tensor:
        if term.kind == "target":
            logits = tf.cast(found[str(card.head)][:, 0, 0], tf.float32)
            return tf.reduce_mean(class_evidence(logits, [card.class_index(term.name)], RIVAL_WEIGHT))
        a, scale = found[term.name], max(usual[term.name], 1e-12)
        if term.kind == "layer" and guide is not None:
            cells = tf.reshape(tf.cast(model[term.name], tf.float32), (-1, a.shape[3]))
            return guide_similarity(a, cells, measure == "cosine") / (1.0 if measure == "cosine" else scale)
        if term.channels and measure == "cosine":
            return channel_cosine(a, term.channels)
        if term.channels:
            a = tf.gather(a, list(term.channels), axis=3)
        # Over what is usual there, so that weights mean the same on every layer: a constant, and not what
        # is met here, so that tiles add up to the whole.
        return mean_activation(a) / scale**0.5 if measure == "mean" else energy(a) / scale

    def value(picture: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        found = dict(zip(names, features(picture), strict=True))
        shares = tf.unstack(weights, len(terms))
        return tf.add_n([share * one(term, found) for share, term in zip(shares, terms, strict=True)])

    return value


def _input_signature(terms: tuple[Term, ...]) -> list[tf.TensorSpec]:
    # One trace for all sizes: a trace costs a second or two, and four octaves would pay it four times.
    return [
        tf.TensorSpec([1, None, None, 3], tf.float32),
        tf.TensorSpec([len(terms)], tf.float32),
    ]


@cache_in_traces
def _traced_objective(
    network: Network, terms: tuple[Term, ...], measure: str, guide: GuideImage | None
) -> Callable[..., tf.Tensor]:
    return tf.function(
        _objective_function(network, terms, measure, guide), input_signature=_input_signature(terms)
    )


@cache_in_traces
def _traced_gradient(
    network: Network, terms: tuple[Term, ...], measure: str, guide: GuideImage | None
) -> Callable[..., tf.Tensor]:
    value = _objective_function(network, terms, measure, guide)

    @tf.function(input_signature=_input_signature(terms))
    def gradient(picture: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(picture)
            # The mean over the cells makes a large picture's gradient small; undo it, so that tiles of any
            # size agree with the whole, and before the gradient is taken, so that float16 can hold it.
            climbed = tf.cast(tf.size(picture), tf.float32) * value(picture, weights)
        return tape.gradient(climbed, picture)

    return gradient


def make_reference_noise(side: int = 192) -> np.ndarray:
    """A fixed picture of 1/f noise, the spectrum of natural pictures (Field, 1987).

    Returns:
        float32 [side, side, 3], mean 0.5, deviation 0.2, mostly grey, clipped to 0..1.
    """
    noise = rng.rng_for(0, "pink").standard_normal((side, side, 4))
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    falloff = 1.0 / np.maximum(np.hypot(fy, fx), 1.0 / side)
    layers = np.fft.irfft2(np.fft.rfft2(noise, axes=(0, 1)) * falloff[..., None], (side, side), (0, 1))
    layers /= layers.std(axis=(0, 1))
    grey, colours = layers[..., 3:], layers[..., :3]
    return np.clip(0.5 + 0.2 * (0.9 * grey + 0.4 * colours), 0, 1).astype(np.float32)


MAX_GUIDE_SIDE = 256
"""Longest side of a guide in px: its cells are compared with every cell of the picture."""


def read_guide(wishes: Targets) -> GuideImage | None:
    """The guide as the network is shown it, its details as large as in a dream; None: there is none.

    Raises:
        UserError: a guide that is no picture.
    """
    if wishes.guide is None:
        return None
    rgb = image.read_image(wishes.guide)
    factor = min(1.0, MAX_GUIDE_SIDE / max(rgb.shape[:2]))
    size = max(1, round(rgb.shape[0] * factor)), max(1, round(rgb.shape[1] * factor))
    small = resize(rgb, size)
    return GuideImage(small, hashlib.sha256(str(size).encode() + small.tobytes()).hexdigest())


def build_objective(
    card: NetworkCard, moment: FrameSettings, wishes: Targets, guide: GuideImage | None = None
) -> Objective:
    """The terms asked for and the moment's motifs; where there are neither, the rungs next to its depth.

    Those also where a guide has no other layer to be looked for. All motifs of a schedule are among the terms
    at any time, so that a step is traced once for all.

    Args:
        card: of the network.
        moment: of the schedule.
        wishes: the user's.
        guide: theirs, as `read_guide` gives it, where it has been read already: whoever asks for many moments
            reads it once, and is not led elsewhere by a file that changes meanwhile.

    Raises:
        UserError: there is no such motif, a guide that is no picture.
    """
    terms = [(term.plain, term.weight) for term in wishes.terms]
    terms += [(card.motif(name), share) for name, share in moment.motifs]
    unguided = wishes.guide is not None and all(term.kind != "layer" for term, _ in terms)
    if not terms or unguided:
        # A guide alone says what is wanted.
        rungs = objective_at_depth(card, moment.depth, away=wishes.guide is None)
        terms += zip(rungs.terms, rungs.weights, strict=True)
    return Objective(
        tuple(term for term, _ in terms),
        tuple(weight for _, weight in terms),
        wishes.measure,
        guide or read_guide(wishes),
    )


def objective_at_depth(card: NetworkCard, depth: float, away: bool = True) -> Objective:
    """The energy of the two rungs next to a depth of 0..1, blended; less that of what they go away from."""
    found: list[tuple[Term, float]] = []
    for rung, share in zip(card.rungs, map(float, card.mix(depth)), strict=True):
        if share:
            found.append((Term("layer", rung.layer), share))
        if share and away:
            left = [parse_channel(f"{rung.layer}:{numbers}") for numbers in rung.away]
            found += [(term.plain, -share * term.weight) for term in left]
    return Objective(tuple(term for term, _ in found), tuple(weight for _, weight in found))


def step_size(card: NetworkCard, objective: Objective) -> float:
    """RMS of one ascent step in the range 0..1."""
    return card.step_along(objective.terms, objective.weights)


def check_targets(card: NetworkCard, schedule: Schedule, wishes: Targets) -> None:
    """Refuse what the card does not know, before the network is loaded.

    Raises:
        UserError: unknown class or motif (names the nearest ones), a guide that is no picture.
    """
    if wishes.guide is not None:
        image.read_image(wishes.guide)
    for name in schedule.fade.names:
        card.motif(name)
    card.check_classes(wishes.terms)
