"""Random changes of real and made pictures alike, with a gradient: few pictures are not learned by heart.

As Zhao et al. 2020 ("Differentiable augmentation") do it: what tells the two apart never sees an unchanged
picture, and what is changed in all of them is not taken over by the generator.
"""

from __future__ import annotations

from mmdream.networks.framework import tf

WHOLE_SHARE, MIN_WINDOW = 0.3, 0.75
"""Share of the pictures that are seen whole; the least share of the others' side that is seen."""
BRIGHTNESS, SATURATION, CONTRAST = 0.15, 0.4, 0.25
"""Most that is added, and by which share saturation and contrast change at most."""


def augment_pictures(pictures: tf.Tensor, side: int, seed: tf.Tensor) -> tf.Tensor:
    """Cut, enlarge, mirror and recolour pictures at random.

    Args:
        pictures: float32 [n, s, s, 3], 0..1.
        side: px of the result.
        seed: int32 [2].

    Returns:
        float32 [n, side, side, 3], about 0..1: windows of any place, mirrored every other time.
    """
    count, own = tf.shape(pictures)[0], pictures.shape[1]
    draws = tf.random.stateless_uniform((8, count), seed)
    window = tf.where(draws[0] < WHOLE_SHARE, 1.0, MIN_WINDOW + (1 - MIN_WINDOW) * draws[1])
    rows = _window_matrix(window, draws[2], tf.zeros_like(window), side, own)
    columns = _window_matrix(window, draws[3], tf.cast(draws[4] < 0.5, tf.float32), side, own)
    # Two products with matrices: sampling by place has no quick gradient on processors.
    x = tf.einsum("nyh,nhwc->nywc", rows, pictures)
    x = tf.einsum("nxw,nywc->nyxc", columns, x)
    brightness, saturation, contrast = (
        most * (2 * draws[number] - 1)[:, None, None, None]
        for number, most in ((5, BRIGHTNESS), (6, SATURATION), (7, CONTRAST))
    )
    grey = tf.reduce_mean(x, 3, keepdims=True)
    x = grey + (x - grey) * (1 + saturation) + brightness
    mean = tf.reduce_mean(x, (1, 2, 3), keepdims=True)
    return mean + (x - mean) * (1 + contrast)


def _window_matrix(share: tf.Tensor, place: tf.Tensor, mirrored: tf.Tensor, side: int, own: int) -> tf.Tensor:
    """What interpolates a window of `own` values linearly at `side` places, [n, side, own].

    The window has a `share` of the values, lies at a `place` 0..1 of where it can, and is read backwards
    where `mirrored` is 1; each is [n].
    """
    along = (tf.range(side, dtype=tf.float32) + 0.5) / side
    along = mirrored[:, None] + (1 - 2 * mirrored[:, None]) * along
    places = (place * (1 - share))[:, None] + along * share[:, None]
    places = tf.clip_by_value(places * own - 0.5, 0.0, own - 1.0)
    return tf.maximum(1 - tf.abs(places[:, :, None] - tf.range(own, dtype=tf.float32)), 0)
