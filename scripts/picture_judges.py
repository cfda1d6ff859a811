"""P(dog) and P(sea) of pictures, by networks of the zoo that dream in no film by default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import softmax

from mmdream.image.hints import cut_windows
from mmdream.image.octaves import resize
from mmdream.networks.framework import tf
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card

SOUNDS = {"dog": "dog bark", "sea": "sea waves"}
SEA = (107, 108, 109, 112, 117, 437, 460, 484, 510, 554, 625, 628, 780, 871, 914, 973, 975, 976, 977, 978)
CLASSES = {"dog": tuple(range(151, 269)), "sea": SEA}
"""ImageNet's classes: breeds; coasts, ships, shells, corals, what the table of couplings has for waves."""
PICTURE_JUDGES = {"squeezenet": "squeezenet_v1_1.npz", "googlenet": "googlenet_fp16.npz"}
PictureJudges = list[Callable[[np.ndarray], np.ndarray]]


def picture_judge(name: str, weights: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A network of the zoo: float32 [H, W, 3] -> P(dog), P(sea) of squares across it, [square, class]."""
    network = load_network(load_card(name), str(weights))
    head, side = network.class_logits(), network.card.input.side  # type: ignore[union-attr]

    def judge(rgb: np.ndarray) -> np.ndarray:
        windows = [resize(window, (side, side)) for window in cut_windows(rgb, 1.0)[0]]
        chances = softmax(head(tf.constant(np.stack(windows).clip(0, 1))).numpy().astype(np.float64), axis=1)
        return np.stack([chances[:, own].sum(axis=1) for own in CLASSES.values()], axis=1)

    return judge


def load_picture_judges(data: Path) -> PictureJudges:
    """All of them."""
    return [picture_judge(name, data / "weights" / file) for name, file in PICTURE_JUDGES.items()]


def chances_in_picture(judges: PictureJudges, rgb: np.ndarray) -> np.ndarray:
    """P(dog) and P(sea) of a picture, mean over judges, where it is likeliest, [class]."""
    return np.asarray(np.mean([judge(rgb) for judge in judges], axis=0).max(axis=0))
