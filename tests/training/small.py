"""Small sets of pictures and sounds that a network can tell apart in seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import soundfile

SIDE = 64
RATE = 16_000


def write_stripes(root: Path, classes: tuple[str, ...] = ("level", "upright"), count: int = 20) -> Path:
    """Pictures with stripes that lie (the first class), or stand."""
    for place, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(count):
            rng = np.random.default_rng((place, number))
            along = np.sin(np.arange(SIDE) * rng.uniform(0.5, 0.9) + rng.uniform(0, 6))
            waves = np.tile(
                along[:, None] if place == 0 else along[None], (1, SIDE) if place == 0 else (SIDE, 1)
            )
            picture = (
                128 + 70 * waves[..., None] + rng.normal(0, 12, (SIDE, SIDE, 3)) + rng.uniform(-30, 30, 3)
            )
            cv2.imwrite(str(root / name / f"{number}.png"), np.clip(picture, 0, 255).astype(np.uint8))
    return root


def write_noises(root: Path, count: int = 16) -> Path:
    """Sounds: beeps with pauses, and a hiss without."""
    for place, name in enumerate(("beep", "hiss")):
        (root / name).mkdir(parents=True)
        for number in range(count):
            rng = np.random.default_rng((place, number))
            t = np.arange(round(1.2 * RATE)) / RATE
            tone = np.sin(2 * np.pi * rng.uniform(500, 900) * t) * ((t * 2 + rng.random()) % 1 < 0.3)
            hiss = rng.normal(0, 0.1, len(t))
            sound = 0.3 * tone + 1e-4 * hiss if place == 0 else hiss
            soundfile.write(root / name / f"{number}.wav", sound, RATE)
    return root
