"""Small attacks on what a network is trained on, so that it does not answer to noise (`--robust`)."""

from __future__ import annotations

from typing import Any


def perturb_images(images: Any, gradient: Any, epsilon: Any) -> Any:
    """Images [n, h, w, 3], 0..1, moved along the gradient of their loss by L2 lengths `epsilon` [n].

    What a network must not answer to, its dreams will not be made of (Engstrom et al. 2019).
    """
    from keras import ops

    norm = ops.sqrt(ops.sum(ops.square(gradient), [1, 2, 3], keepdims=True)) + 1e-10
    return ops.clip(images + ops.reshape(epsilon, (-1, 1, 1, 1)) * gradient / norm, 0.0, 1.0)


def perturb_signed(start: Any, gradient: Any, epsilon: Any) -> Any:
    """A change of each value by at most `epsilon`: a step along the signs of the gradient, from `start`.

    FGSM (Goodfellow et al. 2015); `start` is a random change, and the gradient was taken there.
    """
    from keras import ops

    return ops.clip(start + epsilon * ops.sign(gradient), -epsilon, epsilon)
