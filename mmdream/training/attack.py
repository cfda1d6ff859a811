"""Small attacks on what a network is shown: what it must not answer to, its dreams will not be made of.

One gradient step each (Engstrom et al. 2019; Goodfellow et al. 2015), for any of Keras's backends.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any  # Keras ships no types


def perturb_images(pictures: Tensor, uphill: Tensor, length: Tensor) -> Tensor:
    """Pictures moved along a gradient by an L2 length each.

    Args:
        pictures: [n, h, w, 3], 0..1.
        uphill: the gradient of their loss.
        length: [n], of all of a picture's numbers 0..1.

    Returns:
        [n, h, w, 3], 0..1.
    """
    norm = ops.sqrt(ops.sum(ops.square(uphill), [1, 2, 3], keepdims=True)) + 1e-10
    return ops.clip(pictures + ops.reshape(length, (-1, 1, 1, 1)) * uphill / norm, 0.0, 1.0)


def perturb_signed(start: Tensor, uphill: Tensor, most: Tensor) -> Tensor:
    """A change of each number by at most `most` (FGSM), from a random start.

    Args:
        start: the random change that the gradient was taken at.
        uphill: the gradient of the loss there.
        most: in the unit of the input.
    """
    return ops.clip(start + most * ops.sign(uphill), -most, most)
