"""The gradient of the objective with respect to a sound canvas: where a dream's sound meets TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mmdream.ascent import objectives
from mmdream.audio.canvas import MAX_INVENTED, MIN_INVENTED, N_BANDS, compute_invented_power, soft_limit
from mmdream.audio.frontend import AudioFrontend, SpectrogramSlice
from mmdream.audio.spectra import make_stft, normalize_bands
from mmdream.core.memory import cache_in_traces
from mmdream.networks.audio_models import window_logits
from mmdream.networks.framework import tf
from mmdream.settings.targets import Term

if TYPE_CHECKING:
    from mmdream.networks.network import Network

LayerFeatures = dict[str, "tf.Tensor"]

EVENT_WEIGHT = 6.0
"""Weight at depth 1, in units of contrast, of the card's events: whichever a window is nearest to. In noise
they give figures attack and decay, where contrast alone draws long glides ("falling aeroplanes"); stationary
classes (rain, sea) would be equalisers. It sets in at MIN_EVENT_DEPTH."""
STATIONARY_ENERGY = 0.008
"""Contrast energy of pink noise. Sounds of more have figures of their own and get less of the events: with
all of it everything becomes a bark, and the contrast of a voice grows by half instead of twofold."""
TARGET_WEIGHT = 6.0
"""Weight of a class that the user targets, in units of contrast."""
RIVAL_SHARE = 0.5
"""Share of all classes' evidence that a class has to outdo; the whole would let the target die away."""
MIN_EVENT_DEPTH = 0.25
RUNNING_MEAN_SECONDS = 2.0
"""Length of the running mean that contrast is measured against: local, so chunks agree."""


def make_gradient(
    frontend: AudioFrontend,
    source: SpectrogramSlice,
    depth: float | np.ndarray,
    invent: float = 0.0,
    source_energy: float = 0.0,
) -> Callable[[np.ndarray, int], np.ndarray]:
    """The gradient of the objective over a stretch of sound: (canvas, roll) -> gradient, float32 [hop, band].

    The canvas, in nepers, is twice as wide where something is invented, at an amplitude; the roll moves the
    network's columns. `depth` is 0..1, one or float [column]; the source's energy weighs down events.
    """
    depths = np.broadcast_to(np.asarray(depth), len(source.power))
    weights = frontend.term_weights(depths)
    terms = tuple(int(term) for term in np.flatnonzero(weights.any(axis=0)))
    if not terms:  # All weights are 0.
        return lambda canvas, roll: np.zeros_like(canvas)
    event = EVENT_WEIGHT * (np.maximum(depths - MIN_EVENT_DEPTH, 0.0) / (1 - MIN_EVENT_DEPTH)) ** 2
    event = (event / (1 + source_energy / STATIONARY_ENERGY)).astype(np.float32)
    has_events = not frontend.target_weights and not frontend.guide and bool(event.any())
    trace = trace_gradient(frontend, terms, has_events, invent > 0)
    given = source.power, source.positions, weights[:, list(terms)], event
    return lambda canvas, roll: np.asarray(trace(canvas, *given, np.int32(roll), np.float32(invent)).numpy())


def measure_energies(
    frontend: AudioFrontend, source: SpectrogramSlice, terms: tuple[int, ...], first: float, stop: float
) -> np.ndarray:
    """Energies of some terms between two columns of a stretch, float32 [term].

    Contrast of layers, mean square of those without time, similarity to a guide, probability of a class.
    """
    if not terms:
        return np.zeros(0, np.float32)
    energies = trace_energies(frontend, terms)(source.power, np.float32(first), np.float32(stop))
    return np.asarray(energies.numpy())


@cache_in_traces
def trace_gradient(
    frontend: AudioFrontend, terms: tuple[int, ...], has_events: bool, invents: bool
) -> Callable[..., tf.Tensor]:
    """Trace one step along some of the terms, and towards events where the card has them."""
    card = frontend.network.card
    climbed = [frontend.terms[term] for term in terms]
    events = [card.classes.index(name) for name in card.events] if has_events else []

    def step(
        canvas: tf.Tensor,
        power: tf.Tensor,
        positions: tf.Tensor,
        weights: tf.Tensor,
        event: tf.Tensor,
        roll: tf.Tensor,
        invent: tf.Tensor,
    ) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(canvas)
            gain = soft_limit(canvas[:, :N_BANDS], where=tf.where, tanh=tf.tanh)
            to_groups = tf.constant(frontend.band_to_group)
            total = power * tf.exp(2.0 * (_sample_at_columns(frontend, gain, positions) @ to_groups))
            if invents:
                level = soft_limit(canvas[:, N_BANDS:], MAX_INVENTED, MIN_INVENTED, tf.where, tf.tanh)
                new = compute_invented_power(level, frontend.typical_power, tf.exp)
                new = _sample_at_columns(frontend, new, positions) @ to_groups
                total += invent**2 * new * tf.constant(frontend.group_sizes)
            features = _compute_features(frontend, total, roll, climbed, bool(events))
            share = _running_mean_share(frontend, power)
            value = _compute_objective(frontend, climbed, tf.roll(weights, roll, axis=0), features, share)
            if events:
                value += _weigh_evidence(frontend, features, events, tf.roll(event, roll, axis=0))
        return tape.gradient(value, canvas)

    width, groups = N_BANDS * (1 + invents), len(frontend.group_starts)
    shapes = (None, width), (None, groups), (None,), (None, len(climbed)), (None,)
    signature = [*map(tf.TensorSpec, shapes), tf.TensorSpec((), tf.int32), tf.TensorSpec(())]
    return tf.function(step, input_signature=signature, autograph=False)


@cache_in_traces
def trace_energies(frontend: AudioFrontend, terms: tuple[int, ...]) -> Callable[..., tf.Tensor]:
    """Trace `measure_energies`."""
    measured = [frontend.terms[term] for term in terms]

    def measure(power: tf.Tensor, first: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        features = _compute_features(frontend, power, tf.constant(0), measured, False)

        def measure_term(term: Term) -> tf.Tensor:
            if term.kind == "target":
                probabilities = tf.nn.softmax(_compute_logits(frontend.network, features))
                return tf.reduce_mean(probabilities[:, frontend.network.card.class_index(term.name)])
            if frontend.is_guided(term):
                return _measure_similarity(frontend, term, tf.cast(features[term.name], tf.float32))
            a = _select_channels(features, term)
            if a.shape[1] == 1:
                return tf.reduce_mean(tf.square(a))
            n, columns = tf.cast(tf.shape(a)[1], tf.float32), tf.cast(tf.shape(power)[0], tf.float32)
            low = tf.cast(first * n / columns, tf.int32)
            high = tf.maximum(low + 1, tf.cast(tf.math.ceil(stop * n / columns), tf.int32))
            deviation = objectives.squared_deviation(a, _running_mean_share(frontend, power))
            return tf.reduce_mean(deviation[:, low:high])

        return tf.stack([measure_term(term) for term in measured])

    signature = [*map(tf.TensorSpec, ((None, len(frontend.group_starts)), (), ()))]
    return tf.function(measure, input_signature=signature, autograph=False)


def _compute_features(
    frontend: AudioFrontend, power: tf.Tensor, roll: tf.Tensor, terms: list[Term], has_events: bool
) -> LayerFeatures:
    """Features that some terms need, by layer, of a stretch's power [column, group]."""
    card = frontend.network.card
    names = dict.fromkeys(term.name for term in terms if term.kind != "target")
    if has_events or any(term.kind == "target" for term in terms):
        names[card.rungs[-1].layer if card.events else str(card.head)] = None
    bands = normalize_bands(power @ tf.constant(frontend.filterbank), frontend.spec, tf.math.log, tf.exp)
    given = tf.roll(bands, roll, axis=0)[None, :: frontend.spec.decimation, :, None]
    return dict(zip(names, frontend.network.layer_features(tuple(names))(given), strict=True))


def _compute_logits(network: Network, features: LayerFeatures) -> tf.Tensor:
    """Class logits, [window, class]: in short windows where the card has events, else of the whole."""
    card = network.card
    if card.events:
        return window_logits(network.model, features[card.rungs[-1].layer])
    return tf.cast(features[str(card.head)][:, 0, 0], tf.float32)


def _compute_objective(
    frontend: AudioFrontend, terms: list[Term], weights: tf.Tensor, features: LayerFeatures, share: tf.Tensor
) -> tf.Tensor:
    """The sum of the terms under weights, float32 [column, term]; nepers of energy."""
    values, contrasts, contrast_weights = [], [], []
    for term, weight in zip(terms, tf.unstack(weights, axis=1), strict=True):
        if term.kind == "target":
            place = frontend.network.card.class_index(term.name)
            values.append(TARGET_WEIGHT * _weigh_evidence(frontend, features, [place], weight))
            continue
        a, mean_weight = _select_channels(features, term), tf.reduce_mean(weight)
        if frontend.is_guided(term):
            values.append(mean_weight * _measure_similarity(frontend, term, a))
        elif frontend.measure == "cosine" and term.channels:
            values.append(mean_weight * objectives.channel_cosine(features[term.name], term.channels))
        elif frontend.measure == "mean":
            # Over what is met here, which is held, so that weights mean the same on every layer.
            usual = tf.stop_gradient(tf.reduce_mean(tf.square(a)))
            values.append(mean_weight * objectives.mean_activation(a) * tf.math.rsqrt(usual + 1e-12))
        elif a.shape[1] == 1:
            # A layer without time has no contrast.
            values.append(mean_weight * tf.math.log(tf.reduce_mean(tf.square(a)) + 1e-12))
        else:
            contrasts.append(a)
            contrast_weights.append(_resample_weight(weight, a[0]))
    if contrasts:
        values.append(objectives.temporal_contrast(contrasts, contrast_weights, share))
    return tf.add_n(values)


def _weigh_evidence(
    frontend: AudioFrontend, features: LayerFeatures, classes: list[int], weight: tf.Tensor
) -> tf.Tensor:
    """Mean evidence of the class that is nearest under a weight [column]."""
    logits = _compute_logits(frontend.network, features)
    evidence = objectives.class_evidence(logits, classes, RIVAL_SHARE)
    return tf.reduce_mean(_resample_weight(weight, evidence) * evidence)


def _measure_similarity(frontend: AudioFrontend, term: Term, a: tf.Tensor) -> tf.Tensor:
    """Similarity to the guide's nearest features; 1 where they are as strong as the guide itself."""
    guide = frontend.guide[term.name]
    cosine = frontend.measure == "cosine"
    usual = 1.0 if cosine else max(float(np.mean(np.square(guide))), 1e-12)
    return objectives.guide_similarity(a, tf.constant(guide), cosine) / usual


def _select_channels(features: LayerFeatures, term: Term) -> tf.Tensor:
    """The features of a layer's or a channel's term, float32 [1, time, band, channel]."""
    a = tf.cast(features[term.name], tf.float32)
    return tf.gather(a, list(term.channels), axis=3) if term.channels else a


def _running_mean_share(frontend: AudioFrontend, power: tf.Tensor) -> tf.Tensor:
    """Length of the running mean over that of a stretch [column, group]."""
    columns = RUNNING_MEAN_SECONDS * frontend.stft.rate / frontend.stft.hop
    return tf.cast(columns, tf.float32) / tf.cast(tf.shape(power)[0], tf.float32)


def _sample_at_columns(frontend: AudioFrontend, values: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Values [hop, band] of the canvas at positions [column] on it, those of the network's columns."""
    if frontend.stft.hop == make_stft(frontend.stft.rate).hop:
        return values
    before = tf.floor(positions)
    share = (positions - before)[:, None]
    low = tf.cast(before, tf.int32)
    high = tf.minimum(low + 1, tf.shape(values)[0] - 1)
    return tf.gather(values, low) * (1.0 - share) + tf.gather(values, high) * share


def _resample_weight(weight: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """A weight [column] at the times of features [time, ...] over the same stretch, float32 [time]."""
    n, columns = tf.shape(features)[0], tf.cast(tf.shape(weight)[0], tf.float32)
    positions = (tf.range(tf.cast(n, tf.float32)) + 0.5) * columns / tf.cast(n, tf.float32)
    return tf.gather(weight, tf.cast(positions, tf.int32))
