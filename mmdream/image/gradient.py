"""The gradient of a network's objective to the pixels: where images meet TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from mmdream.ascent.objectives import MEASURES, channel_cosine, class_evidence, energy, guide_similarity
from mmdream.core.memory import cache_in_traces
from mmdream.image.batch import current_meeting
from mmdream.image.spectrum import make_reference_noise
from mmdream.image.tiles import WHOLE, TileBox
from mmdream.networks.framework import tf
from mmdream.networks.network import Network
from mmdream.settings.targets import GuideImage, Objective, Term

RIVAL_WEIGHT = 1.0
"""Share of all classes' evidence that a class has to outdo: other networks tell dreams at 1 for what they are
several times as often as those at 0.5."""

FeatureFunction = Callable[[tf.Tensor], dict[str, tf.Tensor]]
"""Images float32 [n, H, W, 3] -> activations of layers by name, [n, h, w, c]."""
ObjectiveFunction = Callable[..., tf.Tensor]
"""(features of one image, weights float32 [term]) -> float32 scalar; where layers have gains, a box, float32
[4], and these come behind."""
GainsAt = Callable[[tf.Tensor], tf.Tensor]
"""Size of a layer, int32 [2] -> factors of its activations, float32 [1, h, w, c]."""
ChannelGains = Mapping[str, np.ndarray]
"""Of some layers, by name: factors of the channels' energies where a whole layer is climbed, float32
[row, column, c] at evenly spaced places of the image."""
NO_GAINS: ChannelGains = {}
PLACES = 9
"""Along an image's shorter side, at which gains are told apart."""
MAX_PLACES = 72
"""Along a side, however long an image is."""


def combine_gains(first: ChannelGains, second: ChannelGains) -> ChannelGains:
    """The product of two factors of energies."""
    if not first or not second:
        return first or second
    return {
        layer: first[layer] * second[layer] if layer in first and layer in second else each
        for layer, each in {**first, **second}.items()
    }


def count_places(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the places that gains of an image of a height and width are told apart at."""
    rows, columns = (min(round(PLACES * side / min(size)), MAX_PLACES) for side in size)
    return rows, columns


def build_gradient(
    network: Network, objective: Objective, gains: ChannelGains = NO_GAINS
) -> Callable[..., np.ndarray]:
    """The gradient of an objective, traced once for all: float32 [H, W, 3], 0..1 -> float32 [H, W, 3].

    It also takes a `TileBox`, if the image is a part of the one whose places have `gains`. In a
    `GradientMeeting` it is computed together with those of others.
    """
    about = objective.terms, objective.measure, objective.guide, tuple(gains)
    traced = _traced_gradient(network, *about)
    weights = tf.constant(objective.weights, tf.float32)
    factors = [tf.convert_to_tensor(np.sqrt(gain)) for gain in gains.values()]

    def gradient(image: np.ndarray, box: TileBox = WHOLE) -> np.ndarray:
        place = (tf.constant(box, tf.float32),) if gains else ()
        # Not tf.constant, which takes eight times as long over an array.
        given = tf.convert_to_tensor(image[None]), weights, *place, *factors
        meeting = current_meeting()
        if meeting is None:
            return traced(*given).numpy()[0]
        key = id(network), about, image.shape, *(factor.shape for factor in factors)
        return meeting.compute(key, given, compute_together)

    def compute_together(asked: Sequence[tuple[tf.Tensor, ...]]) -> Sequence[np.ndarray]:
        if len(asked) == 1:
            return traced(*asked[0]).numpy()
        images, *rest = zip(*asked, strict=True)
        stacked = [tf.concat(images, 0), *(tf.stack(each) for each in rest)]
        return _traced_gradients(network, len(asked), *about)(*stacked).numpy()

    return gradient


def measure_channel_energies(
    network: Network, layers: tuple[str, ...], image: np.ndarray, places: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Mean square of each channel of some layers at places of an image, so many rows and columns of them.

    The image is float32 [H, W, 3], 0..1; the energies are float32 [row, column, c] each.
    """
    traced = _traced_channel_energies(network, layers)
    energies = traced(tf.convert_to_tensor(image[None]), tf.constant(places, tf.int32))
    return {name: energy.numpy() for name, energy in zip(layers, energies, strict=True)}


def evaluate_objective(network: Network, objective: Objective, image: np.ndarray) -> float:
    """The objective of an image, float32 [H, W, 3], 0..1; no unit."""
    traced = _traced_objective(network, objective.terms, objective.measure, objective.guide)
    return float(traced(tf.convert_to_tensor(image[None]), tf.constant(objective.weights, tf.float32)))


@cache_in_traces
def _traced_objective(
    network: Network, terms: tuple[Term, ...], measure: str, guide: GuideImage | None
) -> Callable[..., tf.Tensor]:
    features_of, score = _objective_functions(network, terms, measure, guide)

    @tf.function(input_signature=_input_signature(terms), autograph=False)
    def objective(image: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return score(features_of(image), weights)

    return objective


@cache_in_traces
def _traced_channel_energies(network: Network, layers: tuple[str, ...]) -> Callable[..., list[tf.Tensor]]:
    features = network.layer_features(layers)

    @tf.function(input_signature=[*_input_signature(())[:1], tf.TensorSpec([2], tf.int32)], autograph=False)
    def energies(image: tf.Tensor, places: tf.Tensor) -> list[tf.Tensor]:
        squares = [tf.square(tf.cast(a, tf.float32)) for a in features(image)]
        return [tf.image.resize(each, places, "area")[0] for each in squares]

    return energies


@cache_in_traces
def _traced_gradient(
    network: Network, terms: tuple[Term, ...], measure: str, guide: GuideImage | None, gained: tuple[str, ...]
) -> Callable[..., tf.Tensor]:
    features_of, score = _objective_functions(network, terms, measure, guide, gained)

    @tf.function(input_signature=_input_signature(terms, gained), autograph=False)
    def gradient(image: tf.Tensor, weights: tf.Tensor, *gains: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(image)
            # The mean over the cells makes a large image's gradient small; undo it, so that tiles of any
            # size agree with the whole, and before the gradient is taken, so that float16 can hold it.
            total = tf.cast(tf.size(image), tf.float32) * score(features_of(image), weights, *gains)
        return tape.gradient(total, image)

    return gradient


@cache_in_traces
def _traced_gradients(
    network: Network,
    count: int,
    terms: tuple[Term, ...],
    measure: str,
    guide: GuideImage | None,
    gained: tuple[str, ...],
) -> Callable[..., tf.Tensor]:
    """As `_traced_gradient`, of so many images at once, each with weights and gains of its own."""
    features_of, score = _objective_functions(network, terms, measure, guide, gained)
    alone = _input_signature(terms, gained)
    image = tf.TensorSpec([count, None, None, 3], tf.float32)
    rest = [tf.TensorSpec([count, *spec.shape], spec.dtype) for spec in alone[1:]]

    @tf.function(input_signature=[image, *rest], autograph=False)
    def gradients(images: tf.Tensor, *given: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            features, pixels = features_of(images), tf.cast(tf.size(images[0]), tf.float32)
            totals = [
                pixels * score({name: a[k : k + 1] for name, a in features.items()}, *(x[k] for x in given))
                for k in range(count)
            ]
            total = tf.add_n(totals)
        return tape.gradient(total, images)

    return gradients


def _input_signature(terms: tuple[Term, ...], gained: tuple[str, ...] = ()) -> list[tf.TensorSpec]:
    # One trace for all sizes: a trace costs a second or two, and four octaves would pay it four times.
    image, weights = tf.TensorSpec([1, None, None, 3], tf.float32), tf.TensorSpec([len(terms)], tf.float32)
    place = [tf.TensorSpec([4], tf.float32)] if gained else []
    return [image, weights, *place, *(tf.TensorSpec([None] * 3, tf.float32) for _ in gained)]


def _objective_functions(
    network: Network,
    terms: tuple[Term, ...],
    measure: str,
    guide: GuideImage | None,
    gained: tuple[str, ...] = (),
) -> tuple[FeatureFunction, ObjectiveFunction]:
    """The features of images, every layer computed once, and the weighted sum of the terms of one's."""
    card, cosine = network.card, measure == "cosine"
    names = tuple(dict.fromkeys(str(card.head) if t.kind == "target" else t.name for t in terms))
    layers = network.layer_features(names)

    def features_of(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(names, layers(image), strict=True))

    reference = features_of(tf.constant(make_reference_noise()[None]))
    usual_energy = {name: float(energy(a)) for name, a in reference.items()}
    guide_features = {} if guide is None else features_of(tf.constant(guide.rgb[None]))

    def evaluate(term: Term, features: dict[str, tf.Tensor], gains: Mapping[str, GainsAt]) -> tf.Tensor:
        if term.kind == "target":
            logits = tf.cast(features[str(card.head)][:, 0, 0], tf.float32)
            return tf.reduce_mean(class_evidence(logits, [card.class_index(term.name)], RIVAL_WEIGHT))
        a, scale = features[term.name], max(usual_energy[term.name], 1e-12)
        if term.kind == "layer" and guide is not None:
            cells = tf.reshape(tf.cast(guide_features[term.name], tf.float32), (-1, a.shape[3]))
            return guide_similarity(a, cells, cosine) / (1.0 if cosine else scale)
        if term.channels and cosine:
            return channel_cosine(a, term.channels)
        if term.channels:
            a = tf.gather(a, list(term.channels), axis=3)
        elif term.name in gains:
            a = tf.cast(a, tf.float32) * gains[term.name](tf.shape(a)[1:3])
        # Over what is usual there, so that weights mean the same on every layer: a constant, and not what
        # is met here, so that tiles add up to the whole.
        evaluate_layer, power = MEASURES[measure]
        return evaluate_layer(a) / scale**power

    def score(features: dict[str, tf.Tensor], weights: tf.Tensor, *placed: tf.Tensor) -> tf.Tensor:
        box, factors = placed[:1], placed[1:]
        gains = {
            layer: partial(tf.image.crop_and_resize, factor[None], box[0][None], [0])
            for layer, factor in zip(gained, factors, strict=True)
        }
        shares = tf.unstack(weights, len(terms))
        return tf.add_n(
            [share * evaluate(term, features, gains) for share, term in zip(shares, terms, strict=True)]
        )

    return features_of, score
