"""The small attacks that a network is trained against (`--robust`), on any backend of Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_ATTACK = {"picture": 1.5, "sound": 0.25}
"""Longest epsilon of `--robust`, in `TrainingInputs.attack_unit`: of a picture of 160 px; deviations of a
sound's input. A finished network is tested under a share of it, see `mmdream.training.evaluate`."""
ATTACK_WARMUP_SHARE = 0.3
"""Share of the training over which attacks grow to their length."""


@dataclass(frozen=True, eq=False)
class Attack:
    """The attacks that a network is trained against."""

    epsilon: float
    """Longest: L2 length over a whole picture; change of each value of a sound's input."""
    steps: int
    """Of the whole training."""
    seed: int


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
