"""What a picture's own pixels tell of a style: colours, and strokes of a few sizes and directions.

No network sees grain well behind its first stride, so noise of colour grows that it is blind to. Rectified
random filters at several sizes tell strokes from noise (Ustyuzhaninov, Brendel, Gatys, Bethge 2017, "What
does it take to generate natural textures?").
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np

from mmdream import chance
from mmdream.networks.fed import prolonged
from mmdream.networks.framework import tf

SIZES = 1, 2, 4
"""px of the picture that are one of the filters'; each a multiple of the one before."""
FILTERS, SIDE, STRIDE = 32, 4, 2
"""Their number, side and stride."""
CHROMA = 3.0
"""What colour weighs in them, over brightness: the eye minds its noise at any contrast."""
KINDS = 1 + len(SIZES)
"""Sets of features that `grains` gives."""


def grains(rgb: tf.Tensor, share: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Colours, and what the filters answer at each of the `SIZES`.

    Args:
        rgb: float32 [1, H, W, 3], 0..1.
        share: weight of each place, float32 [1, H, W, 1].

    Returns:
        `KINDS` pairs: features [1, h, w, c] and the weights of their cells, [1, h, w, 1].
    """
    found = [(rgb, share)]
    rgb, share = (prolonged(x, SIDE * SIZES[-1]) for x in (rgb, share))
    for before, size in pairwise((1, *SIZES)):
        if size > before:
            rgb, share = (tf.nn.avg_pool2d(x, size // before, size // before, "VALID") for x in (rgb, share))
        answers = tf.nn.relu(tf.nn.conv2d(rgb, tf.constant(_filters()), STRIDE, "VALID"))
        found.append((answers, tf.nn.avg_pool2d(share, SIDE, STRIDE, "VALID")))
    return found


@cache
def _filters() -> np.ndarray:
    """Random filters that see no even colour, of length 1; float32 [side, side, 3, filter]."""
    drawn = chance.rng(0, "grain").standard_normal((SIDE, SIDE, 3, FILTERS))
    drawn -= drawn.mean((0, 1))
    bright = drawn.mean(2, keepdims=True)
    drawn = bright + CHROMA * (drawn - bright)
    return (drawn / np.sqrt(np.square(drawn).sum((0, 1, 2)))).astype(np.float32)
