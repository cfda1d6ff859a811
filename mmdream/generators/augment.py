"""Random changes of real and made examples alike, with a gradient: few of them are not learned by heart.

As Zhao et al. 2020 ("Differentiable augmentation") do it: what tells the two apart never sees an unchanged
picture or sound, and what is changed in all of them is not taken over by the generator.
"""

from __future__ import annotations

from mmdream.networks.framework import tf

WHOLE_SHARE, MIN_WINDOW = 0.3, 0.75
"""Share of the pictures that are seen whole; the least share of the others' side that is seen."""
BRIGHTNESS, SATURATION, CONTRAST = 0.15, 0.4, 0.25
"""Most that is added, and by which share saturation and contrast change at most."""

STRETCH, DELAY = 0.12, 6
"""Share by which an event is longer or shorter at most, and the most frames by which it begins later."""
BAND_SHIFT, LEVEL = 0.03, 0.075
"""Share of its bands by which an event is moved at most; what is added at most, 6 dB."""
WAVE_DELAY, WAVE_GAIN_DB = 800, 6.0
"""Most samples by which a wave begins later; most that it is louder or softer."""


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


def augment_spectrograms(maps: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Stretch events, let them begin later, and move them in pitch and level at random.

    Args:
        maps: float32 [n, frame, band, 1], 0..1.
        seed: int32 [2].

    Returns:
        The same shape, about 0..1; 0 where nothing is moved to.
    """
    count, frames, bands = tf.shape(maps)[0], maps.shape[1], maps.shape[2]
    draws = tf.random.stateless_uniform((4, count), seed)
    even = tf.ones_like(draws[0])
    rows = _line_matrix(-DELAY * draws[0], 1 + STRETCH * (2 * draws[1] - 1), frames)
    columns = _line_matrix(BAND_SHIFT * bands * (2 * draws[2] - 1), even, bands)
    x = tf.einsum("nyh,nhw->nyw", rows, maps[..., 0])
    x = tf.einsum("nxw,nyw->nyx", columns, x)
    return (x + LEVEL * (2 * draws[3] - 1)[:, None, None])[..., None]


def augment_waves(waves: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Let waves, float32 [n, sample, 1], begin later, make them louder or softer, and turn some over.

    Of the same shape; all of a batch begin as much later.
    """
    count, samples = tf.shape(waves)[0], waves.shape[1]
    draws = tf.random.stateless_uniform((2, count), seed)
    delay = tf.random.stateless_uniform((), seed + 1, 0, WAVE_DELAY, tf.int32)
    gain = 10 ** (WAVE_GAIN_DB * (2 * draws[0] - 1) / 20) * tf.where(draws[1] < 0.5, -1.0, 1.0)
    later = tf.pad(waves, [[0, 0], [WAVE_DELAY, 0], [0, 0]])
    first = WAVE_DELAY - delay
    x = later[:, first : first + samples] * gain[:, None, None]
    return tf.ensure_shape(x, (None, samples, 1))


def _line_matrix(first: tf.Tensor, step: tf.Tensor, size: int) -> tf.Tensor:
    """What interpolates `size` values linearly at places `first`, `first + step`, ...: [n, size, size].

    `first` and `step` are [n]; beyond its ends everything is 0.
    """
    places = first[:, None] + step[:, None] * tf.range(size, dtype=tf.float32)
    return tf.maximum(1 - tf.abs(places[:, :, None] - tf.range(size, dtype=tf.float32)), 0)
