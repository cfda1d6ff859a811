"""What the regions of a picture hint at: motifs of its network that a window shows more of than windows do.

Each motif's score in a window is compared with what is usual in pictures (`NetworkCard.hints`). The likeliest
motifs are kept, each where it is hinted at; there, its channels weigh more than the others of their rung.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmdream.core.memory import cache_in_traces
from mmdream.image.gradient import count_places
from mmdream.image.octaves import resize
from mmdream.networks.card import ImageInput, NetworkCard
from mmdream.networks.framework import tf
from mmdream.networks.network import Network
from mmdream.networks.registry import find_motif
from mmdream.settings.targets import Term, parse_channel

WINDOW_SHARES = 1.0, 0.5
"""Sides of the windows over the picture's shorter side: things, and parts of things."""
WINDOW_STEP = 0.5
"""Of a window's side, from one window to the next."""
LOOK_SIDE = 360
"""px of the shorter side of a picture that is looked at, if it has so many."""
MAX_WINDOWS = 12
"""In a row, however long a picture is."""
MIN_DEVIATION = 0.02
"""Standard deviation of a picture, 0..1, that shows nothing and hints at nothing."""
MAX_MOTIFS = 8
"""Motifs of a picture at a time: with fewer, these would be all that is dreamed."""
MIN_HINT, MAX_HINT = 1.5, 3.5
"""Spreads by which a score lies above the usual: where a motif is as likely as none, and where more says no
more."""
SHARPNESS = 2.0
"""How much one spread more favours a motif: its share grows by the exponential of this."""
MIN_SHARE = 0.01
"""Of the picture, that a motif must have to be one of its motifs."""
HINT_GAIN = 7.0
"""What the energy of a motif's channels counts more where it is all that is hinted at."""
HEARD_GAIN = 32.0
"""Likewise where its sound is sure, and the setting is 1."""
MAX_COVER = 0.15
"""Share of the picture from which on a motif's gain falls with it: what is hinted at everywhere would be all
that is dreamed."""


@dataclass(frozen=True, slots=True)
class Hints:
    """Motifs that a picture hints at, and where."""

    names: tuple[str, ...]
    """The motif of the largest share first."""
    shares: np.ndarray
    """float32 [row, column, motif], 0..1: evenly spaced places of the picture; a place's sum is at most 1."""


def hinted_terms(card: NetworkCard) -> dict[str, Term]:
    """The motifs that can be hinted at, each as channels of one of the card's rungs."""
    terms, rungs = {}, {rung.layer for rung in card.rungs}
    for name, hint in card.hints.items():
        term = find_motif(card, name)
        term = parse_channel(hint.channels) if term.kind == "target" else term
        if term.name in rungs:
            terms[name] = term
    return terms


def shrink_look(image: np.ndarray) -> np.ndarray:
    """An image, float32 [H, W, 3], as small as it need be for the smallest of its windows to be seen."""
    height, width = image.shape[:2]
    factor = min(1.0, LOOK_SIDE / min(height, width))
    return resize(image, (max(1, round(height * factor)), max(1, round(width * factor))))


def measure_departures(network: Network, image: np.ndarray, step: float = WINDOW_STEP) -> np.ndarray:
    """How far each motif's score lies above what is usual in pictures, at each place of an image.

    Args:
        network: one whose card has hints.
        image: float32 [H, W, 3], 0..1.
        step: of a window's side, from one window to the next.

    Returns:
        float32 [row, column, motif] in spreads, of the windows that suit a place best; the motifs are those
        of `hinted_terms`. Very small where an image shows nothing.
    """
    terms, (rows, columns) = hinted_terms(network.card), count_places(image.shape[:2])
    if float(image.std()) < MIN_DEVIATION:
        return np.full((rows, columns, len(terms)), -np.inf, np.float32)
    hints = [network.card.hints[name] for name in terms]
    usual = np.array([hint.usual for hint in hints], np.float32)
    spread = np.array([hint.spread for hint in hints], np.float32)
    found = []
    for share in WINDOW_SHARES:
        windows, ys, xs = cut_windows(image, share, step)
        scores = measure_window_scores(network, windows)
        departures = ((scores - usual) / spread).reshape(len(ys), len(xs), -1)
        found.append(_interpolate(departures, ys, xs, (rows, columns)))
    return np.max(found, axis=0)


def cut_windows(
    image: np.ndarray, share: float, step: float = WINDOW_STEP
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Square windows of an image, float32 [H, W, 3], of a share of its shorter side, row by row.

    Returns the windows, float32 [window, h, w, 3], and the middles of their rows and of their columns, 0..1.
    """
    sides = image.shape[:2]
    side = max(1, round(share * min(sides)))

    def place_windows(length: int) -> list[int]:
        count = min(math.ceil((length - side) / (step * side)) + 1, MAX_WINDOWS)
        return [round(first) for first in np.linspace(0, length - side, count)]

    tops, lefts = map(place_windows, sides)
    windows = [image[top : top + side, left : left + side] for top in tops for left in lefts]
    middles = (
        (np.array(each) + side / 2) / length for each, length in zip((tops, lefts), sides, strict=True)
    )
    return np.stack(windows), *middles


def measure_window_scores(network: Network, windows: np.ndarray) -> np.ndarray:
    """The score of each motif in each window: float32 [window, h, w, 3], 0..1 -> [window, motif].

    Of a class its logit over the mean of all; of channels the root of their mean activation.
    """
    front = network.card.input
    assert isinstance(front, ImageInput)
    seen = np.stack([resize(window, (front.side, front.side)) for window in windows])
    scores: np.ndarray = _traced_scores(network)(tf.convert_to_tensor(np.clip(seen, 0, 1))).numpy()
    return scores


@cache_in_traces
def _traced_scores(network: Network) -> Callable[[tf.Tensor], tf.Tensor]:
    card = network.card
    assert isinstance(card.input, ImageInput)
    terms = [find_motif(card, name) for name in hinted_terms(card)]
    classes = [card.class_index(term.name) if term.kind == "target" else 0 for term in terms]
    names = tuple(dict.fromkeys(str(card.head) if term.kind == "target" else term.name for term in terms))
    layers = network.layer_features(names)

    def measure(windows: tf.Tensor) -> tf.Tensor:
        means = [tf.reduce_mean(tf.cast(a, tf.float32), axis=(1, 2)) for a in layers(windows)]
        features = dict(zip(names, means, strict=True))

        def score(term: Term, number: int) -> tf.Tensor:
            if term.kind == "target":
                logits = features[str(card.head)]
                return logits[:, number] - tf.reduce_mean(logits, axis=1)
            heights = tf.sqrt(tf.maximum(tf.gather(features[term.name], list(term.channels), axis=1), 0.0))
            return tf.reduce_mean(heights, axis=1)

        return tf.stack([score(*each) for each in zip(terms, classes, strict=True)], axis=1)

    side = card.input.side
    return tf.function(
        measure, input_signature=[tf.TensorSpec([None, side, side, 3], tf.float32)], autograph=False
    )


def _interpolate(values: np.ndarray, ys: np.ndarray, xs: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Values at window middles, float32 [y, x, motif], brought to evenly spaced places; held at the rims."""
    rows, columns = ((np.arange(n) + 0.5) / n for n in size)
    return _interpolate_rows(_interpolate_rows(values, ys, rows).swapaxes(0, 1), xs, columns).swapaxes(0, 1)


def _interpolate_rows(values: np.ndarray, at: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows of values that stand at rising positions, linearly interpolated at others, and held beyond."""
    positions = np.interp(places, at, np.arange(len(at)))
    below = np.minimum(positions.astype(int), max(len(at) - 2, 0))
    above = np.minimum(below + 1, len(at) - 1)
    share = (positions - below).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    return values[below] * (1 - share) + values[above] * share


def choose_hints(card: NetworkCard, departures: np.ndarray) -> Hints:
    """The motifs of a picture that are the likeliest over all its places, of those that are `automatic`.

    Departures are float32 [row, column, motif], see `measure_departures`. At a place, the shares of all
    motifs and of none are a softmax; what is hinted at ever so clearly leaves room for others.
    """
    able = list(hinted_terms(card))
    names = [name for name in able if card.hints[name].automatic]
    departures = np.take(departures, [able.index(name) for name in names], axis=2)
    likely = np.exp(SHARPNESS * (np.minimum(departures, MAX_HINT) - MIN_HINT))
    shares = (likely / (1 + likely.sum(axis=2, keepdims=True))).astype(np.float32)
    of_all = shares.mean(axis=(0, 1))
    order = [k for k in np.argsort(-of_all, kind="stable")[:MAX_MOTIFS] if of_all[k] >= MIN_SHARE]
    return Hints(tuple(names[k] for k in order), np.ascontiguousarray(shares[..., order]))


def hint_gains(
    network: Network,
    hints: Hints,
    size: tuple[int, int],
    most: float = HINT_GAIN,
    max_cover: float = MAX_COVER,
) -> dict[str, np.ndarray]:
    """What the energy of channels is multiplied by, by layer: float32 [row, column, channel], 1 or more.

    The places are those of an image of a height and width that the hinting picture is a copy of. `most` is
    added where a motif is all, and over more than `max_cover` of the picture less.
    """
    terms, counts = hinted_terms(network.card), network.channel_counts()
    places = count_places(size)
    gains: dict[str, np.ndarray] = {}
    for place, name in enumerate(hints.names):
        term, share = terms[name], np.maximum(resize(hints.shares[..., place, None], places), 0)
        gain = gains.setdefault(term.name, np.ones((*places, counts[term.name]), np.float32))
        height = most * min(1.0, max_cover / max(float(share.mean()), 1e-6))
        gain[..., list(term.channels)] += np.float32(height) * share
    return gains
