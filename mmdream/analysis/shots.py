"""Scan a film before it is dreamed: time stamps, shots, flashes, fades, motion, brightness, black borders."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from safetensors.numpy import load, save

from mmdream.analysis.cuts import (
    BLACK_LEVEL,
    FLAT_DEVIATION,
    Box,
    FrameMark,
    Thumbnail,
    lit_box,
    mark_frames,
)
from mmdream.media.video_reader import Frame

FADE_GONE, FADE_FULL = 0.1, 0.3
"""Shares of a shot's largest contrast: below the first a fade leaves nothing to dream on, from the second on
a frame counts in full."""


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames between two cuts."""

    first: int
    stop: int
    """Frame numbers, half open."""
    box: Box
    """Top, bottom, left, right (half open) of what is not border that stays black; empty if all is.
    Flashes do not count."""
    flashes: tuple[tuple[int, int], ...] = ()
    """Frame numbers, half open, of one to three frames that are unlike both sides, which are alike:
    the dream goes on behind them as if they had not been there."""

    def is_flash(self, number: int) -> bool:
        """Whether a frame is part of a flash."""
        begun = bisect_right(self.flashes, number, key=lambda flash: flash[0])
        return begun > 0 and number < self.flashes[begun - 1][1]


@dataclass(frozen=True, slots=True)
class Scan:
    """What was measured of every frame of a film."""

    shots: tuple[Shot, ...]
    pts: array[int]
    """Time stamp of every frame."""
    light: array[float]
    """Contrast of every frame over the largest in its shot, 0..1."""
    time_base: Fraction
    repeated: int
    """Broken frames that will be stood in for."""
    motion: array[float] = field(default_factory=lambda: array("f"))
    """How far each frame moved since the one before it, see `measure_motion`."""
    brightness: array[float] = field(default_factory=lambda: array("f"))
    """Mean luma of every frame, 0..1."""

    def presence(self, number: int) -> float:
        """How much of a frame is there: 1, and less the further it has faded, 0..1."""
        return min(1.0, max(0.0, self.light[number] - FADE_GONE) / (FADE_FULL - FADE_GONE))

    def to_bytes(self) -> bytes:
        """The scan as a safetensors file."""
        flashes = [(k, *flash) for k, shot in enumerate(self.shots) for flash in shot.flashes]
        shots = [(shot.first, shot.stop, *shot.box) for shot in self.shots]
        return save(
            {
                "shots": np.array(shots, np.int64).reshape(-1, 6),
                "flashes": np.array(flashes, np.int64).reshape(-1, 3),
                "pts": np.array(self.pts, np.int64),
                "light": np.array(self.light, np.float32),
                "motion": np.array(self.motion, np.float32),
                "brightness": np.array(self.brightness, np.float32),
                "clock": np.array(self.time_base.as_integer_ratio(), np.int64),
                "repeated": np.array([self.repeated], np.int64),
            }
        )

    @staticmethod
    def from_bytes(data: bytes) -> Scan:
        """What `to_bytes` gave."""
        arrays = load(data)
        flashes: dict[int, list[tuple[int, int]]] = {}
        for shot, first, stop in arrays["flashes"].tolist():
            flashes.setdefault(shot, []).append((first, stop))
        shots = tuple(
            Shot(first, stop, (top, bottom, left, right), tuple(flashes.get(k, ())))
            for k, (first, stop, top, bottom, left, right) in enumerate(arrays["shots"].tolist())
        )
        pts = array("q", arrays["pts"].tobytes())
        light, *others = (array("f", arrays[name].tobytes()) for name in ("light", "motion", "brightness"))
        time_base, repeated = Fraction(*arrays["clock"].tolist()), int(arrays["repeated"][0])
        return Scan(shots, pts, light, time_base, repeated, *others)


def scan_frames(frames: Iterable[Frame]) -> Scan:
    """Read all frames that will be dreamed once, in flat memory; the shots cover them all."""
    pts: array[int] = array("q")
    light, motion, brightness = (array("f") for _ in range(3))
    time_base, repeated = Fraction(1), 0
    shots: list[Shot] = []
    shot: _OpenShot | None = None
    for number, (thumbnail, mark) in enumerate(mark_frames(frames)):
        if shot is None or mark is FrameMark.START:
            if shot is not None:
                shots.append(shot.close(number, light))
            shot = _OpenShot(number)
        light.append(shot.add(number, thumbnail, mark is FrameMark.FLASH))
        pts.append(thumbnail.pts)
        motion.append(thumbnail.motion)
        brightness.append(float(thumbnail.ycrcb[..., 0].mean()) / 255)
        time_base = thumbnail.time_base
        repeated += thumbnail.repeated
    if shot is not None:
        shots.append(shot.close(len(light), light))
    return Scan(tuple(shots), pts, light, time_base, repeated, motion, brightness)


class _OpenShot:
    """A shot whose end was not read yet."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.row_maxima, self.column_maxima = np.zeros(1, np.float32), np.zeros(1, np.float32)
        self.largest = 0.0
        self.flashes: list[tuple[int, int]] = []

    def add(self, number: int, thumbnail: Thumbnail, is_flash: bool) -> float:
        """Add a frame; returns its contrast, of 255."""
        # Of what is lit in this frame: a small thing in the dark is no fade.
        top, bottom, left, right = thumbnail.box
        contrast = float(thumbnail.ycrcb[top:bottom, left:right, 0].std()) if bottom > top else 0.0
        if not is_flash:
            self.row_maxima = np.maximum(self.row_maxima, thumbnail.row_maxima)
            self.column_maxima = np.maximum(self.column_maxima, thumbnail.column_maxima)
            self.largest = max(self.largest, contrast)
        elif self.flashes and self.flashes[-1][1] == number:
            self.flashes[-1] = self.flashes[-1][0], number + 1
        else:
            self.flashes.append((number, number + 1))
        return contrast

    def close(self, stop: int, light: array[float]) -> Shot:
        """The shot; its frames' contrasts are divided by its largest in place."""
        for number in range(self.first, stop):
            # A shot that shows nothing anywhere is not fading.
            light[number] = min(1.0, light[number] / self.largest) if self.largest >= FLAT_DEVIATION else 1.0
        box = lit_box(self.row_maxima, self.column_maxima, BLACK_LEVEL / 255)
        return Shot(self.first, stop, box, tuple(self.flashes))
