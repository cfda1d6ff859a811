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
SHOWN_CLASS_WEIGHT = 3.0
"""Weight of a class that the picture surely shows, in units of contrast. A dream by contrast alone leaves
little of what is broad: of waves in a sound a judge heard one in twenty behind it."""
RUNNING_MEAN_SECONDS = 2.0
"""Length of the running mean that contrast is measured against: local, so chunks agree."""
SPAN_SHARE = 0.2
"""Of the running mean: contrast is climbed in windows so long, so that pauses count like loud passages."""
WHOLE_SPAN = 2.0
"""Of a stretch, as long as any window gets: its contrast on the whole."""


GradientPair = Callable[[np.ndarray, np.ndarray, int], tuple[float, np.ndarray, np.ndarray]]
"""(canvas, power that sounds besides [column, band of the network], roll) -> the objective, nepers, and its
gradients with respect to both."""


def make_gradient(
    frontend: AudioFrontend,
    source: SpectrogramSlice,
    depth: float | np.ndarray,
    invent: float = 0.0,
    source_energy: float = 0.0,
    shown: np.ndarray | None = None,
) -> Callable[[np.ndarray, int], np.ndarray]:
    """The gradient of the objective over a stretch of sound: (canvas, roll) -> gradient, float32 [hop, band].

    The canvas, in nepers, is twice as wide where something is invented, at an amplitude; the roll moves the
    network's columns. `depth` is 0..1, one or float [column]; the source's energy weighs down events. `shown`
    says how surely a picture shows each class, 0..1, float32 [column, class]; None: there is none.
    """
    trace = _bind_trace(frontend, source, depth, invent, source_energy, shown, hears_more=False)
    if trace is None:
        return lambda canvas, roll: np.zeros_like(canvas)
    return lambda canvas, roll: np.asarray(trace(canvas, np.int32(roll), np.float32(invent)).numpy())


def make_gradient_pair(
    frontend: AudioFrontend,
    source: SpectrogramSlice,
    depth: float | np.ndarray,
    invent: float = 0.0,
    source_energy: float = 0.0,
    shown: np.ndarray | None = None,
    *,
    whole: bool = False,
) -> GradientPair:
    """The same where something sounds besides, which no gain acts on; `whole`: of all the stretch at once."""
    trace = _bind_trace(frontend, source, depth, invent, source_energy, shown, hears_more=True)
    span = WHOLE_SPAN if whole else SPAN_SHARE * _running_mean_share(frontend, len(source.power))

    def gradients(canvas: np.ndarray, more: np.ndarray, roll: int) -> tuple[float, np.ndarray, np.ndarray]:
        if trace is None:
            return 0.0, np.zeros_like(canvas), np.zeros_like(more)
        found = trace(canvas, np.int32(roll), np.float32(invent), more, np.float32(span))
        return float(found[0]), np.asarray(found[1].numpy()), np.asarray(found[2].numpy())

    return gradients


def _bind_trace(
    frontend: AudioFrontend,
    source: SpectrogramSlice,
    depth: float | np.ndarray,
    invent: float,
    source_energy: float,
    shown: np.ndarray | None,
    hears_more: bool,
) -> Callable[..., tf.Tensor] | None:
    """A step along a source's own terms, for what changes from step to step; None: all weights are 0."""
    depths = np.broadcast_to(np.asarray(depth), len(source.power))
    weights = frontend.term_weights(depths)
    terms = tuple(int(term) for term in np.flatnonzero(weights.any(axis=0)))
    if not terms:
        return None
    event = EVENT_WEIGHT * (np.maximum(depths - MIN_EVENT_DEPTH, 0.0) / (1 - MIN_EVENT_DEPTH)) ** 2
    event = (event / (1 + source_energy / STATIONARY_ENERGY)).astype(np.float32)
    if shown is None:
        shown = np.zeros((len(depths), 0), np.float32)
    event *= 1 - shown.max(axis=1, initial=0.0)
    has_events = frontend.goes_by_classes and bool(event.any())
    trace = trace_gradient(frontend, terms, has_events, shown.shape[1] > 0, invent > 0, hears_more)
    given = source.power, source.positions, weights[:, list(terms)], event, shown
    return lambda canvas, *changing: trace(canvas, *given, *changing)


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
    frontend: AudioFrontend,
    terms: tuple[int, ...],
    has_events: bool,
    has_shown: bool,
    invents: bool,
    hears_more: bool,
) -> Callable[..., tf.Tensor]:
    """Trace one step along some of the terms, towards events where the card has them, and what is shown.

    The step takes, if it `hears_more`, the power that sounds besides, and gives its gradient too.
    """
    card = frontend.network.card
    climbed = [frontend.terms[term] for term in terms]
    events = [card.classes.index(name) for name in card.events] if has_events else []

    def step(
        canvas: tf.Tensor,
        power: tf.Tensor,
        positions: tf.Tensor,
        weights: tf.Tensor,
        event: tf.Tensor,
        shown: tf.Tensor,
        roll: tf.Tensor,
        invent: tf.Tensor,
        more: tf.Tensor | None = None,
        span: tf.Tensor | None = None,
    ) -> tf.Tensor | list[tf.Tensor]:
        given = canvas if more is None else [canvas, more]
        with tf.GradientTape() as tape:
            tape.watch(given)
            gain = soft_limit(canvas[:, :N_BANDS], where=tf.where, tanh=tf.tanh)
            to_groups = tf.constant(frontend.band_to_group)
            total = power * tf.exp(2.0 * (_sample_at_columns(frontend, gain, positions) @ to_groups))
            if invents:
                level = soft_limit(canvas[:, N_BANDS:], MAX_INVENTED, MIN_INVENTED, tf.where, tf.tanh)
                new = compute_invented_power(level, frontend.typical_power, tf.exp)
                new = _sample_at_columns(frontend, new, positions) @ to_groups
                total += invent**2 * new * tf.constant(frontend.group_sizes)
            bands = total @ tf.constant(frontend.filterbank)
            bands = bands if more is None else bands + more
            features = _compute_features(frontend, bands, roll, climbed, bool(events) or has_shown)
            share = _running_mean_share(frontend, tf.shape(power)[0])
            spans = share, SPAN_SHARE * share if span is None else span
            value = _compute_objective(frontend, climbed, tf.roll(weights, roll, axis=0), features, spans)
            if events:
                value += _weigh_evidence(frontend, features, events, tf.roll(event, roll, axis=0))
            if has_shown:
                value += SHOWN_CLASS_WEIGHT * _weigh_shown(frontend, features, tf.roll(shown, roll, axis=0))
        slopes = tape.gradient(value, given)
        return slopes if more is None else [value, *slopes]

    width, groups = N_BANDS * (1 + invents), len(frontend.group_starts)
    classes = len(card.classes) if has_shown else 0
    shapes = (None, width), (None, groups), (None,), (None, len(climbed)), (None,), (None, classes)
    signature = [*map(tf.TensorSpec, shapes), tf.TensorSpec((), tf.int32), tf.TensorSpec(())]
    if hears_more:
        signature += [tf.TensorSpec((None, frontend.spec.bands)), tf.TensorSpec(())]
    return tf.function(step, input_signature=signature, autograph=False)


@cache_in_traces
def trace_energies(frontend: AudioFrontend, terms: tuple[int, ...]) -> Callable[..., tf.Tensor]:
    """Trace `measure_energies`."""
    measured = [frontend.terms[term] for term in terms]

    def measure(power: tf.Tensor, first: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        bands = power @ tf.constant(frontend.filterbank)
        features = _compute_features(frontend, bands, tf.constant(0), measured, False)

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
            deviation = objectives.squared_deviation(a, _running_mean_share(frontend, tf.shape(power)[0]))
            return tf.reduce_mean(deviation[:, low:high])

        return tf.stack([measure_term(term) for term in measured])

    signature = [*map(tf.TensorSpec, ((None, len(frontend.group_starts)), (), ()))]
    return tf.function(measure, input_signature=signature, autograph=False)


def _compute_features(
    frontend: AudioFrontend, power: tf.Tensor, roll: tf.Tensor, terms: list[Term], has_classes: bool
) -> LayerFeatures:
    """Features that some terms need, by layer, of a stretch's power [column, band of the network]."""
    card = frontend.network.card
    names = dict.fromkeys(term.name for term in terms if term.kind != "target")
    if has_classes or any(term.kind == "target" for term in terms):
        names[card.rungs[-1].layer if card.events else str(card.head)] = None
    bands = normalize_bands(power, frontend.spec, tf.math.log, tf.exp)
    given = tf.roll(bands, roll, axis=0)[None, :: frontend.spec.decimation, :, None]
    return dict(zip(names, frontend.network.layer_features(tuple(names))(given), strict=True))


def _compute_logits(network: Network, features: LayerFeatures) -> tf.Tensor:
    """Class logits, [window, class]: in short windows where the card has events, else of the whole."""
    card = network.card
    if card.events:
        return window_logits(network.model, features[card.rungs[-1].layer])
    return tf.cast(features[str(card.head)][:, 0, 0], tf.float32)


def _compute_objective(
    frontend: AudioFrontend,
    terms: list[Term],
    weights: tf.Tensor,
    features: LayerFeatures,
    spans: tuple[tf.Tensor, tf.Tensor],
) -> tf.Tensor:
    """The sum of the terms under weights, float32 [column, term]; nepers of energy.

    `spans` are those of `temporal_contrast`, of its running mean and of its windows.
    """
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
        values.append(objectives.temporal_contrast(contrasts, contrast_weights, *spans))
    return tf.add_n(values)


def _weigh_evidence(
    frontend: AudioFrontend, features: LayerFeatures, classes: list[int], weight: tf.Tensor
) -> tf.Tensor:
    """Mean evidence of the class that is nearest under a weight [column]."""
    logits = _compute_logits(frontend.network, features)
    evidence = objectives.class_evidence(logits, classes, RIVAL_SHARE)
    return tf.reduce_mean(_resample_weight(weight, evidence) * evidence)


def _weigh_shown(frontend: AudioFrontend, features: LayerFeatures, shown: tf.Tensor) -> tf.Tensor:
    """Mean evidence of every class under its own weight, [column, class]."""
    logits = _compute_logits(frontend.network, features)
    evidence = objectives.evidence_by_class(logits, RIVAL_SHARE)
    return tf.reduce_mean(tf.reduce_sum(_resample_weight(shown, evidence) * evidence, axis=1))


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


def _running_mean_share(frontend: AudioFrontend, columns: tf.Tensor | int) -> tf.Tensor:
    """Length of the running mean over that of a stretch of so many columns."""
    length = RUNNING_MEAN_SECONDS * frontend.stft.rate / frontend.stft.hop
    return tf.cast(length, tf.float32) / tf.cast(columns, tf.float32)


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
    """A weight [column, ...] at the times of features [time, ...] over the same stretch, [time, ...]."""
    n, columns = tf.shape(features)[0], tf.cast(tf.shape(weight)[0], tf.float32)
    positions = (tf.range(tf.cast(n, tf.float32)) + 0.5) * columns / tf.cast(n, tf.float32)
    return tf.gather(weight, tf.cast(positions, tf.int32))
