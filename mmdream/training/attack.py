"""Small adversarial perturbations of a network's input, one gradient step each, for any backend of Keras.

What a network must not answer to, its dreams will not be made of (Engstrom et al. 2019).
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any  # Keras ships no types


def perturb_images(images: Tensor, gradient: Tensor, epsilon: Tensor) -> Tensor:
    """Images moved along the gradient of their loss by an L2 length each.

    Args:
        images: [n, h, w, 3], 0..1.
        gradient: of the loss, [n, h, w, 3].
        epsilon: lengths, [n], over all values of an image.

    Returns:
        [n, h, w, 3], 0..1.
    """
    norm = ops.sqrt(ops.sum(ops.square(gradient), [1, 2, 3], keepdims=True)) + 1e-10
    return ops.clip(images + ops.reshape(epsilon, (-1, 1, 1, 1)) * gradient / norm, 0.0, 1.0)


def perturb_signed(start: Tensor, gradient: Tensor, epsilon: Tensor) -> Tensor:
    """A change of each value by at most `epsilon` (FGSM, Goodfellow et al. 2015), from a random start.

    Args:
        start: the random change that the gradient was taken at.
        gradient: of the loss there.
        epsilon: in the unit of the input.
    """
    return ops.clip(start + epsilon * ops.sign(gradient), -epsilon, epsilon)
