"""How far a picture is from a style and from its content, and the gradient of that.

A style is told by the moments of a network's features (`objectives.STATISTICS`), and by those of the pixels
themselves (`grain`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmdream import chance
from mmdream.networks.framework import tf
from mmdream.networks.network import Network
from mmdream.networks.recent import kept_with_it
from mmdream.objectives import STATISTICS, Moments, Texture, moments
from mmdream.picture.grain import KINDS, grains
from mmdream.picture.tiles import sewn, windows, within

SKETCH = 96
"""Channels of wider layers are mixed down to so many by a fixed random rotation: a square root of 512 by 512
costs more than the network, and what random mixtures agree in, the channels agree in."""
GRAIN = 1.0
"""Weight of the pixels' own statistics, all together, over that of all layers."""
CONTENT = 0.06
"""Weight of the distance from the content, over the content's variance, beside that from the style."""
PAD = 8, 16
"""Least and largest reflected rim in px: the network's zeros around a picture would be painted, and another
rim each step keeps its grid from showing."""
GRID = 32
"""Sides of what the network sees are multiples of this."""

Style = list[Moments]
"""Moments of the pixels' `grains`, then of the layers."""


@dataclass(frozen=True)
class Painting:
    """A style and what matters of it, at one size."""

    network: Network
    wanted: list[Texture]
    """As `Style`."""
    statistic: str
    content: float
    """Weight of the content, 1 as usual."""
    smooth: float
    """Weight of total variation."""

    def gradient(self, picture: np.ndarray, varied: float, rim: np.random.Generator) -> np.ndarray:
        """The way to the style.

        Args:
            picture: float32 [H, W, 7]: the picture 0..1, its content, and the share 0..1 of each place in the
                style.
            varied: `variance` of the content.
            rim: draws the reflected rim.

        Returns:
            float32 [H, W, 3]: the descent of the distance, times the number of pixels.
        """
        # A tile has a share of the whole's style, but as much content for each of its pixels.
        weights = tf.constant([picture.shape[0] * picture.shape[1] * 3, self.content * CONTENT / varied])
        rims = rim.integers(PAD[0], PAD[1] + 1, size=2)
        # Of a picture in tiles each tile alone has another style: the rest of the whole belongs to it.
        tiled = len(windows(*picture.shape[:2])) > 1
        whole = told(self.network, picture) if tiled else []
        widths = tuple(int(each.mean.shape[0]) for each in self.wanted)
        traced = _traced(self.network, self.statistic, tiled, widths)

        def at(part: np.ndarray) -> np.ndarray:
            return traced(
                tf.convert_to_tensor(part[None]), tf.constant(rims), self.wanted, whole, weights
            ).numpy()[0]

        return sewn(at, picture) - self.smooth * _rougher(picture[..., :3])

    def distances(self, picture: np.ndarray) -> tuple[float, float]:
        """How far a picture, as `gradient` takes it, is from the style, and from its content."""
        found = told(self.network, picture)
        style = _apart(self.statistic, found, self.wanted)
        away = _contents(self.network)
        parts = [float(away(tf.constant(picture[seen][None]))) for seen, _ in windows(*picture.shape[:2])]
        # Of like textures rounding can leave less than nothing.
        return max(0.0, float(style)), float(np.mean(parts)) / variance(self.network, picture[..., 3:6])


def told(network: Network, picture: np.ndarray) -> Style:
    """The style of a picture of any size, float32 [H, W, 7] as `Painting.gradient` takes it."""
    traced, found = _told(network), None
    for seen, kept in windows(*picture.shape[:2]):
        part = np.array(picture[seen])
        share = np.zeros(part.shape[:2], np.float32)
        inner = within(seen, kept)
        share[inner] = part[inner][..., 6]
        part[..., 6] = share
        here = traced(tf.convert_to_tensor(part[None]))
        found = here if found is None else _added(found, here)
    assert found is not None
    return found


def style_of(network: Network, painting: np.ndarray) -> Style:
    """The style of a whole painting, float32 [H, W, 3], 0..1."""
    height, width = painting.shape[:2]
    return told(
        network, np.concatenate((painting, painting, np.ones((height, width, 1), np.float32)), axis=2)
    )


def variance(network: Network, content: np.ndarray) -> float:
    """How much features of a content, float32 [H, W, 3], differ from place to place: mean over channels."""
    traced = _spread(network)
    sums = [traced(tf.constant(content[seen][None])) for seen, _ in windows(*content.shape[:2])]
    mean, square = (np.mean([each[place] for each in sums], axis=0) for place in (0, 1))
    # What is less than rounding is no measure for a content without any.
    return max(float(np.mean(square - mean * mean)), 1e-4 * float(np.mean(square))) + 1e-9


def blended(styles: Sequence[tuple[Style, float]]) -> Style:
    """The moments of several paintings taken together, each by its share."""
    whole = sum(weight for _, weight in styles)

    def mixed(place: int) -> Moments:
        found = [(each[place], weight / whole) for each, weight in styles]
        # Over their number of cells: a larger painting is no stronger one.
        return (
            tf.constant(1.0),
            tf.add_n([share / sums[0] * sums[1] for sums, share in found]),
            tf.add_n([share / sums[0] * sums[2] for sums, share in found]),
        )

    return [mixed(place) for place in range(len(styles[0][0]))]


def _rougher(rgb: np.ndarray) -> np.ndarray:
    """The gradient of total variation, float32 [H, W, 3]: the sum of the differences of neighbours."""
    slope = np.zeros_like(rgb)
    for axis in (0, 1):
        later, earlier = slope.swapaxes(0, axis)[1:], slope.swapaxes(0, axis)[:-1]
        signs = np.sign(np.diff(rgb.swapaxes(0, axis), axis=0))
        later += signs
        earlier -= signs
    return slope


def _added(a: Style, b: Style) -> Style:
    return [tuple(x + y for x, y in zip(one, other, strict=True)) for one, other in zip(a, b, strict=True)]


def _seen(network: Network, rgb: tf.Tensor, share: tf.Tensor) -> tuple[Style, tf.Tensor]:
    """Moments of a picture [1, H, W, 3], and its features at the layer of the content."""
    card = network.card
    names = tuple(dict.fromkeys((*card.style_layers, card.content_layer)))
    found = dict(zip(names, network.layers(names)(rgb), strict=True))
    sums = [moments(a, weight) for a, weight in grains(rgb, share)]
    for name in card.style_layers:
        a = _sketched(found[name])
        weight = tf.image.resize(share, tf.shape(a)[1:3], method="area")
        sums.append(moments(a, weight))
    return sums, tf.cast(found[card.content_layer], tf.float32)


def _sketched(a: tf.Tensor) -> tf.Tensor:
    """At most `SKETCH` channels, rotated out of [1, h, w, c]."""
    wide = a.shape[3]
    if wide <= SKETCH:
        return a
    draw = chance.rng(0, "sketch", wide).standard_normal((wide, SKETCH))
    rotation = np.linalg.qr(draw)[0].astype(np.float32)
    return tf.tensordot(tf.cast(a, tf.float32), tf.constant(rotation), 1)


def _apart(statistic: str, found: Style, wanted: Sequence[Texture]) -> tf.Tensor:
    """Mean over the layers, and the pixels' own by `GRAIN`."""
    apart = [STATISTICS[statistic](a, b) for a, b in zip(found, wanted, strict=True)]
    grain, layers = apart[:KINDS], apart[KINDS:]
    return tf.add_n(layers) / len(layers) + GRAIN * tf.add_n(grain) / len(grain)


def _spec(depth: int) -> tf.TensorSpec:
    return tf.TensorSpec([1, None, None, depth], tf.float32)


@kept_with_it
def _told(network: Network) -> Callable[[tf.Tensor], Style]:
    return tf.function(lambda x: _seen(network, x[..., :3], x[..., 6:])[0], input_signature=[_spec(7)])


@kept_with_it
def _contents(network: Network) -> Callable[[tf.Tensor], tf.Tensor]:
    """Mean squared distance of the features of a picture and its content."""

    def away(x: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.square(_kept(network, x[..., :3]) - _kept(network, x[..., 3:6])))

    return tf.function(away, input_signature=[_spec(7)])


@kept_with_it
def _spread(network: Network) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Means over all places of a content's features, and of their squares, [c]."""

    def told(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        a = _kept(network, content)
        return tf.reduce_mean(a, axis=(0, 1, 2)), tf.reduce_mean(tf.square(a), axis=(0, 1, 2))

    return tf.function(told, input_signature=[_spec(3)])


def _kept(network: Network, rgb: tf.Tensor) -> tf.Tensor:
    """Features at the layer of the content, float32."""
    return tf.cast(network.layers((network.card.content_layer,))(rgb)[0], tf.float32)


@kept_with_it
def _traced(
    network: Network, statistic: str, tiled: bool, widths: tuple[int, ...]
) -> Callable[..., tf.Tensor]:
    """(part [1, h, w, 7], rims [2], what is wanted, the whole's style, weights [2]) -> [1, h, w, 3].

    Traced once for all sizes, which takes seconds; `widths` are the features' numbers in a style.
    """
    wanted = [Texture(*(tf.TensorSpec(shape) for shape in ([w], [w, w], [w, w]))) for w in widths]
    sums = [tuple(tf.TensorSpec(shape) for shape in ([], [w], [w, w])) for w in widths] if tiled else []
    signature = [_spec(7), tf.TensorSpec([2], tf.int64), wanted, sums, tf.TensorSpec([2])]

    @tf.function(input_signature=signature)
    def gradient(
        part: tf.Tensor, rims: tf.Tensor, wanted: list[Texture], whole: Style, weights: tf.Tensor
    ) -> tf.Tensor:
        rgb, content, share = part[..., :3], part[..., 3:6], part[..., 6:]
        with tf.GradientTape() as tape:
            tape.watch(rgb)
            # Mirrored pixels do not pull on those they mirror: in corners four would pull on one.
            held = tf.stop_gradient(rgb)
            padded = _rimmed(held, rims) + _rimmed(rgb - held, rims, "CONSTANT")
            beside = _rimmed(content, rims)
            found, a = _seen(network, padded, _rimmed(share, rims))
            if tiled:
                found = [_anchored(own, all_) for own, all_ in zip(found, whole, strict=True)]
            away = tf.reduce_mean(tf.square(a - _kept(network, beside))) * tf.cast(tf.size(rgb), tf.float32)
            # Times the pixels: the more there are, the less does each count, and float16 has to hold it.
            loss = weights[0] * _apart(statistic, found, wanted) + weights[1] * away
        return -tape.gradient(loss, rgb)

    return gradient


def _anchored(own: Moments, whole: Moments) -> Moments:
    """The whole's moments, which move as a part's own do."""
    return tuple(all_ + here - tf.stop_gradient(here) for here, all_ in zip(own, whole, strict=True))


def _rimmed(x: tf.Tensor, rims: tf.Tensor, how: str = "REFLECT") -> tf.Tensor:
    """Lay a rim about [1, h, w, c], up to sides that are multiples of `GRID`: reflected, or of zeros."""
    sides = tf.shape(x)[1:3]
    rims = tf.minimum(tf.cast(rims, tf.int32), sides - 1)
    behind = tf.minimum(rims + (-(sides + 2 * rims)) % GRID, sides - 1)
    return tf.pad(x, [(0, 0), (rims[0], behind[0]), (rims[1], behind[1]), (0, 0)], how)
