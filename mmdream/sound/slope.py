"""Which way to move a sound canvas: the one place where sound meets TensorFlow.

A network hears the bands of its own front end, of the source under the canvas's gain, and the gradient of the
objective comes back to the gain. A step is traced once for any number of columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from mmdream.networks.framework import tf
from mmdream.networks.sounds import window_logits
from mmdream.objectives import contrast, departures, target
from mmdream.sound.canvas import BANDS, HIGHEST, LOWEST
from mmdream.sound.front import heard
from mmdream.terms import Term

if TYPE_CHECKING:
    from mmdream.networks.network import Network
    from mmdream.sound.ear import Ear

Features = dict[str, "tf.Tensor"]

MOST_EVENT = 6.0
"""Weight at depth 1, in units of contrast, of a target that deep dreams have: whichever of the card's events
a window is nearest to. It gives figures attack, harmonics and decay where contrast alone draws long tones;
standing classes (rain, sea, helicopter) would be equalisers. It sets in at EVENT_DEPTH."""
RIVALS = 0.5
"""Share of all classes' evidence that a class has to outdo; with the whole the target dies away beside
the contrast once it is reached (measured on barks in rain)."""
EVENT_DEPTH = 0.25
MEAN_SECONDS = 2.0
"""Length of the running mean that contrast is measured against: local, so chunks agree."""


@lru_cache(maxsize=16)
def gradient(on: Ear, places: tuple[int, ...], eventful: bool) -> Callable[..., tf.Tensor]:
    """Trace one step along some of the terms, and towards events where the card has them."""
    card = on.network.card
    wanted = [on.terms[place] for place in places]
    events = [card.classes.index(name) for name in card.events] if eventful else []

    def step(
        canvas: tf.Tensor,
        power: tf.Tensor,
        at: tf.Tensor,
        mix: tf.Tensor,
        event: tf.Tensor,
        roll: tf.Tensor,
    ) -> tf.Tensor:
        limit = tf.where(canvas > 0, HIGHEST, LOWEST)
        with tf.GradientTape() as tape:
            tape.watch(canvas)
            gain = limit * tf.tanh(canvas / limit)
            gain = (gain if on.alike else _along(gain, at)) @ tf.constant(on.spread)
            found = _hear(on, power * tf.exp(2.0 * gain), roll, wanted, bool(events))
            value = _value(on, wanted, tf.unstack(mix, len(wanted)), found, _share(on, power))
            if events:
                value += event * target(_logits(on.network, found), events, RIVALS)
        return tape.gradient(value, canvas)

    return tf.function(
        step,
        input_signature=[
            tf.TensorSpec((None, BANDS)),
            tf.TensorSpec((None, len(on.groups))),
            tf.TensorSpec((None,)),
            tf.TensorSpec((len(wanted),)),
            tf.TensorSpec(()),
            tf.TensorSpec((), tf.int32),
        ],
        autograph=False,
    )


@lru_cache(maxsize=16)
def measure(on: Ear, places: tuple[int, ...]) -> Callable[..., tf.Tensor]:
    """Trace `Ear.energies` for some of the terms."""
    wanted = [on.terms[place] for place in places]

    def one(term: Term, found: Features, power: tf.Tensor, first: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        if term.kind == "target":
            chances = tf.nn.softmax(_logits(on.network, found))
            return tf.reduce_mean(chances[:, on.network.card.class_place(term.name)])
        a = _picked(found, term)
        if a.shape[1] == 1:
            return tf.reduce_mean(tf.square(a))
        n, columns = tf.cast(tf.shape(a)[1], tf.float32), tf.cast(tf.shape(power)[0], tf.float32)
        low = tf.cast(first * n / columns, tf.int32)
        high = tf.maximum(low + 1, tf.cast(tf.math.ceil(stop * n / columns), tf.int32))
        return tf.reduce_mean(departures(a, _share(on, power))[:, low:high])

    def measured(power: tf.Tensor, first: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        found = _hear(on, power, tf.constant(0), wanted, False)
        return tf.stack([one(term, found, power, first, stop) for term in wanted])

    return tf.function(
        measured,
        input_signature=[tf.TensorSpec((None, len(on.groups))), tf.TensorSpec(()), tf.TensorSpec(())],
        autograph=False,
    )


def _hear(on: Ear, power: tf.Tensor, roll: tf.Tensor, wanted: Sequence[Term], events: bool) -> Features:
    """Features that some terms need, by layer, of a stretch's power [column, group]."""
    card = on.network.card
    names = dict.fromkeys(term.name for term in wanted if term.kind != "target")
    if events or any(term.kind == "target" for term in wanted):
        names[card.rungs[-1].layer if card.events else str(card.head)] = None
    told = heard(power @ tf.constant(on.bank), on.front, tf.math.log, tf.exp)
    shown = tf.roll(told, roll, axis=0)[None, :: on.front.decimation, :, None]
    return dict(zip(names, on.network.layers(tuple(names))(shown), strict=True))


def _logits(network: Network, found: Features) -> tf.Tensor:
    """What a network names, [window, class]: in short windows where it tells events, else in the whole."""
    card = network.card
    if card.events:
        return window_logits(network.model, found[card.rungs[-1].layer])
    return tf.cast(found[str(card.head)][:, 0, 0], tf.float32)


def _picked(found: Features, term: Term) -> tf.Tensor:
    """The features of a layer's or a channel's term, float32 [1, time, band, channel]."""
    a = tf.cast(found[term.name], tf.float32)
    return tf.gather(a, list(term.channels), axis=3) if term.channels else a


def _share(on: Ear, power: tf.Tensor) -> tf.Tensor:
    """Length of the running mean over that of a stretch [column, group]."""
    columns = MEAN_SECONDS * on.stft.rate / on.stft.hop
    return tf.cast(columns, tf.float32) / tf.cast(tf.shape(power)[0], tf.float32)


def _value(
    on: Ear, wanted: Sequence[Term], mix: Sequence[tf.Tensor], found: Features, share: tf.Tensor
) -> tf.Tensor:
    """The weighted sum of the terms, nepers of energy."""
    values, timed, weights = [], [], []
    for term, weight in zip(wanted, mix, strict=True):
        if term.kind == "target":
            place = on.network.card.class_place(term.name)
            values.append(MOST_EVENT * weight * target(_logits(on.network, found), [place], RIVALS))
        elif (a := _picked(found, term)).shape[1] == 1:
            # Nothing begins or ends in a layer that has lost time.
            values.append(weight * tf.math.log(tf.reduce_mean(tf.square(a)) + 1e-12))
        else:
            timed.append(a)
            weights.append(weight)
    return tf.add_n([*values, contrast(timed, weights, share)] if timed else values)


def _along(gain: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """A canvas's gain [hop, band] between its hops, at places [column]."""
    before = tf.floor(at)
    share = (at - before)[:, None]
    low = tf.cast(before, tf.int32)
    high = tf.minimum(low + 1, tf.shape(gain)[0] - 1)
    return tf.gather(gain, low) * (1.0 - share) + tf.gather(gain, high) * share
