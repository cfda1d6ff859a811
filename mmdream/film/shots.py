"""One cheap look at the film before it is dreamed: time stamps, cuts, and borders that stay black."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from safetensors.numpy import load, save
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from mmdream.film.frames import Frame

BLACK = 20 / 255
"""Brightest value that counts as black: film bars are noisy and rarely at zero."""
SCAN_WIDTH = 256
"""Cuts are found on pictures of this width, as PySceneDetect itself shrinks them."""


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames between two cuts."""

    first: int
    stop: int
    """Frame numbers, half open."""
    box: tuple[int, int, int, int]
    """Top, bottom, left, right (half open) of what is not border that stays black; empty if all is."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one look at the film told."""

    shots: tuple[Shot, ...]
    pts: array[int]
    """Time stamp of every frame, 8 bytes each."""
    time_base: Fraction
    repeated: int
    """Broken frames that will be stood in for."""

    def to_bytes(self) -> bytes:
        """The scan as a safetensors file."""
        rows = [(shot.first, shot.stop, *shot.box) for shot in self.shots]
        return save(
            {
                "shots": np.array(rows, np.int64).reshape(-1, 6),
                "pts": np.array(self.pts, np.int64),
                "clock": np.array([self.time_base.numerator, self.time_base.denominator], np.int64),
                "repeated": np.array([self.repeated], np.int64),
            }
        )

    @staticmethod
    def from_bytes(data: bytes) -> Scan:
        """What `to_bytes` gave."""
        arrays = load(data)
        rows = arrays["shots"].tolist()
        shots = tuple(Shot(first, stop, tuple(box)) for first, stop, *box in rows)
        pts = array("q", arrays["pts"].tolist())
        return Scan(shots, pts, Fraction(*arrays["clock"].tolist()), int(arrays["repeated"][0]))


def scan(frames: Iterable[Frame]) -> Scan:
    """Read the film once.

    Cuts are found by PySceneDetect's content detector with its own threshold of 27 on frames of ours, so
    that both passes count alike. A shot may be a single frame: a flash has nothing to carry, either way.

    Args:
        frames: all frames that will be dreamed, in order.

    Returns:
        The shots, which cover all frames; no shots for no frames.
    """
    detector = ContentDetector(min_scene_len=1)
    pts: array[int] = array("q")
    time_base, repeated = Fraction(1), 0
    firsts: list[int] = []
    lights: list[_Light] = []
    for frame in frames:
        time_base = frame.time_base
        repeated += frame.repeated
        light = _Light(frame.rgb.max(axis=(1, 2)), frame.rgb.max(axis=(0, 2)))
        stamp = FrameTimecode(len(pts), fps=25.0)  # The detector only counts; its rate has no meaning.
        if detector.process_frame(stamp, _small(frame.rgb)) or not firsts:
            firsts.append(len(pts))
            lights.append(light)
        else:
            lights[-1] = lights[-1].brightest(light)
        pts.append(frame.pts)
    stops = [*firsts[1:], len(pts)]
    shots = tuple(
        Shot(first, stop, light.box()) for first, stop, light in zip(firsts, stops, lights, strict=True)
    )
    return Scan(shots, pts, time_base, repeated)


@dataclass(frozen=True, slots=True)
class _Light:
    """The brightest value of each row and each column."""

    rows: np.ndarray
    columns: np.ndarray

    def brightest(self, other: _Light) -> _Light:
        return _Light(np.maximum(self.rows, other.rows), np.maximum(self.columns, other.columns))

    def box(self) -> tuple[int, int, int, int]:
        rows, columns = np.flatnonzero(self.rows > BLACK), np.flatnonzero(self.columns > BLACK)
        if not len(rows) or not len(columns):
            return 0, 0, 0, 0
        return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _small(rgb: np.ndarray) -> np.ndarray:
    """uint8 BGR of about `SCAN_WIDTH` columns."""
    height, width = rgb.shape[:2]
    factor = min(1.0, SCAN_WIDTH / width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(np.rint(small * 255).astype(np.uint8), cv2.COLOR_RGB2BGR)


def inside(box: tuple[int, int, int, int], height: int, width: int) -> np.ndarray | None:
    """Where a shot may be dreamed.

    Args:
        box: of the shot.
        height: of the mask, px; the box is in the same pixels.
        width: of the mask, px.

    Returns:
        float32 [height, width, 1], 1 inside the box; None when it covers everything.
    """
    top, bottom, left, right = box
    if box == (0, height, 0, width):
        return None
    mask = np.zeros((height, width, 1), np.float32)
    mask[top:bottom, left:right] = 1
    return mask
