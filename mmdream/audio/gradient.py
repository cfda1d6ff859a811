"""Which way to move a sound canvas: the one place where sound meets TensorFlow.

A network hears the bands of its own front end, of the source under the canvas's gain and of what is invented
beside it, and the gradient of the objective comes back to both. A step is traced once for any length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmdream.ascent.objectives import (
    channel_cosine,
    class_evidence,
    guide_similarity,
    mean_activation,
    squared_deviation,
    temporal_contrast,
)
from mmdream.audio.canvas import (
    MAX_GAIN,
    MAX_INVENTED,
    MIN_GAIN,
    MIN_INVENTED,
    N_BANDS,
    compute_invented_power,
)
from mmdream.audio.filterbank import normalize_bands
from mmdream.core.memory import cache_in_traces
from mmdream.networks.audio_models import window_logits
from mmdream.networks.framework import tf
from mmdream.settings.targets import Term

if TYPE_CHECKING:
    from mmdream.audio.frontend import AudioFrontend
    from mmdream.networks.network import Network

LayerFeatures = dict[str, "tf.Tensor"]

EVENT_WEIGHT = 6.0
"""Weight at depth 1, in units of contrast, of a target that deep dreams have: whichever of the card's events
a window is nearest to. In noise it gives figures attack and decay, where contrast alone draws long glides
from the lowest to the highest bands ("falling aeroplanes"); standing classes (rain, sea, helicopter) would
be equalisers. It sets in at EVENT_DEPTH."""
STATIONARY_ENERGY = 0.008
"""Contrast energy of pink noise. Sounds of more have figures of their own, and need less of that target: with
all of it everything becomes a bark, and the contrast of a voice grows by half instead of twofold."""
TARGET_WEIGHT = 6.0
"""Weight of a class that is asked for, in units of contrast."""
RIVAL_SHARE = 0.5
"""Share of all classes' evidence that a class has to outdo; with the whole the target dies away beside
the contrast once it is reached (measured on barks in rain)."""
MIN_EVENT_DEPTH = 0.25
RUNNING_MEAN_SECONDS = 2.0
"""Length of the running mean that contrast is measured against: local, so chunks agree."""
MAX_GUIDE_CELLS = 2048
"""Of a guide: every cell of the dream is compared with all of them."""


@cache_in_traces
def trace_gradient(
    on: AudioFrontend, places: tuple[int, ...], eventful: bool, invents: bool
) -> Callable[..., tf.Tensor]:
    """Trace one step along some of the terms, and towards events where the card has them."""
    card = on.network.card
    wanted = [on.terms[place] for place in places]
    events = [card.classes.index(name) for name in card.events] if eventful else []
    width = N_BANDS * (1 + invents)

    def step(
        canvas: tf.Tensor,
        power: tf.Tensor,
        at: tf.Tensor,
        mix: tf.Tensor,
        event: tf.Tensor,
        roll: tf.Tensor,
        invent: tf.Tensor,
    ) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(canvas)
            gain = _soft_limit(canvas[:, :N_BANDS], MAX_GAIN, MIN_GAIN)
            laid = power * tf.exp(2.0 * (_sample_at_columns(on, gain, at) @ tf.constant(on.spread)))
            if invents:
                new = compute_invented_power(
                    _soft_limit(canvas[:, N_BANDS:], MAX_INVENTED, MIN_INVENTED), on.typical_power, tf.exp
                )
                laid += (
                    invent**2
                    * (_sample_at_columns(on, new, at) @ tf.constant(on.spread))
                    * tf.constant(on.widths)
                )
            found = _compute_features(on, laid, roll, wanted, bool(events))
            value = _compute_objective(
                on, wanted, tf.roll(mix, roll, axis=0), found, _running_mean_share(on, power)
            )
            if events:
                told = class_evidence(_compute_logits(on.network, found), events, RIVAL_SHARE)
                value += tf.reduce_mean(_resample_weight(tf.roll(event, roll, axis=0), told) * told)
        return tape.gradient(value, canvas)

    return tf.function(
        step,
        input_signature=[
            tf.TensorSpec((None, width)),
            tf.TensorSpec((None, len(on.groups))),
            tf.TensorSpec((None,)),
            tf.TensorSpec((None, len(wanted))),
            tf.TensorSpec((None,)),
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec(()),
        ],
        autograph=False,
    )


@cache_in_traces
def trace_energies(on: AudioFrontend, places: tuple[int, ...]) -> Callable[..., tf.Tensor]:
    """Trace `Ear.energies` for some of the terms."""
    wanted = [on.terms[place] for place in places]

    def one(
        term: Term, found: LayerFeatures, power: tf.Tensor, first: tf.Tensor, stop: tf.Tensor
    ) -> tf.Tensor:
        if term.kind == "target":
            chances = tf.nn.softmax(_compute_logits(on.network, found))
            return tf.reduce_mean(chances[:, on.network.card.class_index(term.name)])
        if on.is_guided(term):
            return _guide_similarity(on, term, tf.cast(found[term.name], tf.float32))
        a = _select_channels(found, term)
        if a.shape[1] == 1:
            return tf.reduce_mean(tf.square(a))
        n, columns = tf.cast(tf.shape(a)[1], tf.float32), tf.cast(tf.shape(power)[0], tf.float32)
        low = tf.cast(first * n / columns, tf.int32)
        high = tf.maximum(low + 1, tf.cast(tf.math.ceil(stop * n / columns), tf.int32))
        return tf.reduce_mean(squared_deviation(a, _running_mean_share(on, power))[:, low:high])

    def measured(power: tf.Tensor, first: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        found = _compute_features(on, power, tf.constant(0), wanted, False)
        return tf.stack([one(term, found, power, first, stop) for term in wanted])

    return tf.function(
        measured,
        input_signature=[tf.TensorSpec((None, len(on.groups))), tf.TensorSpec(()), tf.TensorSpec(())],
        autograph=False,
    )


def extract_guide_cells(network: Network, shown: np.ndarray, name: str) -> np.ndarray:
    """Features of a guide at a layer, float32 [cell, channel], at most `MAX_GUIDE_CELLS`, evenly spread.

    Args:
        network: a sound network.
        shown: float32 [1, column, band, 1], the guide as the network is given it.
        name: of the layer.
    """
    found = network.layers((name,))(tf.constant(shown))[0]
    flat = tf.cast(found, tf.float32).numpy().reshape(-1, found.shape[3])
    return np.asarray(flat[:: -(-len(flat) // MAX_GUIDE_CELLS)])


def _compute_features(
    on: AudioFrontend, power: tf.Tensor, roll: tf.Tensor, wanted: Sequence[Term], events: bool
) -> LayerFeatures:
    """Features that some terms need, by layer, of a stretch's power [column, group]."""
    card = on.network.card
    names = dict.fromkeys(term.name for term in wanted if term.kind != "target")
    if events or any(term.kind == "target" for term in wanted):
        names[card.rungs[-1].layer if card.events else str(card.head)] = None
    told = normalize_bands(power @ tf.constant(on.bank), on.front, tf.math.log, tf.exp)
    shown = tf.roll(told, roll, axis=0)[None, :: on.front.decimation, :, None]
    return dict(zip(names, on.network.layers(tuple(names))(shown), strict=True))


def _compute_logits(network: Network, found: LayerFeatures) -> tf.Tensor:
    """What a network names, [window, class]: in short windows where it tells events, else in the whole."""
    card = network.card
    if card.events:
        return window_logits(network.model, found[card.rungs[-1].layer])
    return tf.cast(found[str(card.head)][:, 0, 0], tf.float32)


def _select_channels(found: LayerFeatures, term: Term) -> tf.Tensor:
    """The features of a layer's or a channel's term, float32 [1, time, band, channel]."""
    a = tf.cast(found[term.name], tf.float32)
    return tf.gather(a, list(term.channels), axis=3) if term.channels else a


def _running_mean_share(on: AudioFrontend, power: tf.Tensor) -> tf.Tensor:
    """Length of the running mean over that of a stretch [column, group]."""
    columns = RUNNING_MEAN_SECONDS * on.stft.rate / on.stft.hop
    return tf.cast(columns, tf.float32) / tf.cast(tf.shape(power)[0], tf.float32)


def _compute_objective(
    on: AudioFrontend, wanted: Sequence[Term], mix: tf.Tensor, found: LayerFeatures, share: tf.Tensor
) -> tf.Tensor:
    """The weighted sum of the terms, nepers of energy; `mix` is float32 [column, term]."""
    values, timed, weights = [], [], []
    for term, weight in zip(wanted, tf.unstack(mix, axis=1), strict=True):
        if term.kind == "target":
            place = on.network.card.class_index(term.name)
            told = class_evidence(_compute_logits(on.network, found), [place], RIVAL_SHARE)
            values.append(TARGET_WEIGHT * tf.reduce_mean(_resample_weight(weight, told) * told))
            continue
        a, whole = _select_channels(found, term), tf.reduce_mean(weight)
        if on.is_guided(term):
            values.append(whole * _guide_similarity(on, term, a))
        elif on.measure == "cosine" and term.channels:
            values.append(whole * channel_cosine(found[term.name], term.channels))
        elif on.measure == "mean":
            # Over what is met here, which is held, so that weights mean the same on every layer.
            usual = tf.stop_gradient(tf.reduce_mean(tf.square(a)))
            values.append(whole * mean_activation(a) * tf.math.rsqrt(usual + 1e-12))
        elif a.shape[1] == 1:
            # Nothing begins or ends in a layer that has lost time.
            values.append(whole * tf.math.log(tf.reduce_mean(tf.square(a)) + 1e-12))
        else:
            timed.append(a)
            weights.append(_resample_weight(weight, a[0]))
    return tf.add_n([*values, temporal_contrast(timed, weights, share)] if timed else values)


def _guide_similarity(on: AudioFrontend, term: Term, a: tf.Tensor) -> tf.Tensor:
    """How well each place finds its like in the guide; 1 where it is as strong as the guide itself."""
    guide = on.guide[term.name]
    cosine = on.measure == "cosine"
    usual = 1.0 if cosine else max(float(np.mean(np.square(guide))), 1e-12)
    return guide_similarity(a, tf.constant(guide), cosine) / usual


def _soft_limit(canvas: tf.Tensor, highest: float, lowest: float) -> tf.Tensor:
    """A canvas within its soft limits; see `canvas.soft_limit`."""
    limit = tf.where(canvas > 0, highest, lowest)
    return limit * tf.tanh(canvas / limit)


def _sample_at_columns(on: AudioFrontend, values: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """Values [hop, band] of the canvas at the network's columns, which lie at places [column] on it."""
    if on.alike:
        return values
    before = tf.floor(at)
    share = (at - before)[:, None]
    low = tf.cast(before, tf.int32)
    high = tf.minimum(low + 1, tf.shape(values)[0] - 1)
    return tf.gather(values, low) * (1.0 - share) + tf.gather(values, high) * share


def _resample_weight(weight: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """A weight [column] at the times of features [time, ...] over the same stretch, float32 [time]."""
    n, columns = tf.shape(features)[0], tf.cast(tf.shape(weight)[0], tf.float32)
    places = (tf.range(tf.cast(n, tf.float32)) + 0.5) * columns / tf.cast(n, tf.float32)
    return tf.gather(weight, tf.cast(places, tf.int32))
