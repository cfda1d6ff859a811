"""What a picture's own pixels tell of a style: colours, and strokes of a few sizes and directions.

No network sees grain well behind its first stride, so noise of colour grows that it is blind to. Rectified
random filters at several sizes tell strokes from noise (Ustyuzhaninov, Brendel, Gatys, Bethge 2017, "What
does it take to generate natural textures?").
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np

from mmdream.core import rng
from mmdream.networks.framework import tf
from mmdream.networks.preprocess import extend_edges

PIXEL_SCALES = 1, 2, 4
"""px of the picture that are one of the filters'; each a multiple of the one before."""
FILTER_COUNT, FILTER_SIDE, FILTER_STRIDE = 32, 4, 2
"""Their number, side and stride."""
CHROMA_WEIGHT = 3.0
"""What colour weighs in them, over brightness: the eye minds its noise at any contrast."""
PIXEL_FEATURE_SETS = 1 + len(PIXEL_SCALES)
"""Sets of features that `extract_pixel_features` gives."""


def extract_pixel_features(rgb: tf.Tensor, share: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Colours, and what the filters answer at each of the `PIXEL_SCALES`.

    Args:
        rgb: float32 [1, H, W, 3], 0..1.
        share: weight of each place, float32 [1, H, W, 1].

    Returns:
        `PIXEL_FEATURE_SETS` pairs: features [1, h, w, c] and the weights of their cells, [1, h, w, 1].
    """
    found = [(rgb, share)]
    rgb, share = (extend_edges(x, FILTER_SIDE * PIXEL_SCALES[-1]) for x in (rgb, share))
    for before, size in pairwise((1, *PIXEL_SCALES)):
        if size > before:
            rgb, share = (tf.nn.avg_pool2d(x, size // before, size // before, "VALID") for x in (rgb, share))
        answers = tf.nn.relu(tf.nn.conv2d(rgb, tf.constant(_random_filters()), FILTER_STRIDE, "VALID"))
        found.append((answers, tf.nn.avg_pool2d(share, FILTER_SIDE, FILTER_STRIDE, "VALID")))
    return found


@cache
def _random_filters() -> np.ndarray:
    """Random filters that see no even colour, of length 1; float32 [side, side, 3, filter]."""
    drawn = rng.rng_for(0, "grain").standard_normal((FILTER_SIDE, FILTER_SIDE, 3, FILTER_COUNT))
    drawn -= drawn.mean((0, 1))
    bright = drawn.mean(2, keepdims=True)
    drawn = bright + CHROMA_WEIGHT * (drawn - bright)
    return (drawn / np.sqrt(np.square(drawn).sum((0, 1, 2)))).astype(np.float32)
