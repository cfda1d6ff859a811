"""What is measured of a frame before it is dreamed: its shot, light, motion, borders and masks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mmdream.analysis.optical_flow import OpticalFlow, estimate_flow, to_gray
from mmdream.analysis.shots import Scan, Shot
from mmdream.image import octaves
from mmdream.media.video_reader import Frame
from mmdream.render.passes import PassRenderer
from mmdream.settings.passes import Span
from mmdream.settings.schedule import FrameSettings


@dataclass(frozen=True, slots=True)
class BoundPass:
    """A pass with its network and files loaded."""

    renderer: PassRenderer
    span: Span
    read_mask: Callable[[Fraction], np.ndarray] | None = None
    """Seconds of the source -> float32 [H, W], 0..1, at the source's resolution; None: it acts everywhere."""


@dataclass(frozen=True, slots=True)
class PassContext:
    """What one pass is to do with a frame."""

    settings: FrameSettings
    is_active: bool
    share: float
    """How much of its detail is added."""
    mask: np.ndarray | None
    """float32 [H, W], 0..1, where, at the source's resolution; None: everywhere."""


@dataclass(frozen=True, slots=True)
class FrameContext:
    """What the passes need to know of a frame."""

    index: int
    """Number of the frame within the video, or within the excerpt."""
    seconds: Fraction
    """Of the source, as a player shows it."""
    shot: Shot
    light: float
    """0..1: the frame's contrast over the largest in its shot."""
    presence: float
    """0..1: how much of the image a fade leaves."""
    small: np.ndarray
    """float32 [h, w, 3]: what lies within the shot's borders, at the working resolution."""
    gray: np.ndarray
    """uint8, half the size of `small`."""
    motion: OpticalFlow | None
    """From this frame back to the one before; None where a dream begins anew."""
    passes: tuple[PassContext, ...]
    """One for each pass."""


@dataclass(frozen=True)
class OfflineScan:
    """Measures the frames of a video that was scanned before."""

    scan: Scan
    size: octaves.Size
    """Height, width of the working resolution."""
    coherent: bool
    """Whether dreams are carried from frame to frame."""
    passes: tuple[BoundPass, ...]

    def measure(
        self, frame: Frame, index: int, previous: np.ndarray | None
    ) -> tuple[FrameContext, np.ndarray | None]:
        """Measure a frame.

        Args:
            frame: of the source.
            index: its number in the scan.
            previous: `FrameContext.gray` of the last frame that was dreamed, as this returned it; None: none.

        Returns:
            The context, and what is `previous` for the next frame.
        """
        shots = self.scan.shots
        shot = shots[bisect_right(shots, index, key=lambda each: each.first) - 1]
        presence = self.scan.presence(index)
        small = shrink_to_working_size(frame.rgb, shot, self.size)
        gray = to_gray(small) if small.size else np.zeros((0, 0), np.uint8)
        if index == shot.first or presence == 0 or not self.coherent:
            previous = None
        motion = None
        if not shot.is_flash(index):
            motion = None if previous is None else estimate_flow(previous, gray)
            previous = gray if presence > 0 and small.size else None
        passes = tuple(_measure_pass(bound, frame.seconds, presence) for bound in self.passes)
        light = self.scan.light[index]
        context = FrameContext(index, frame.seconds, shot, light, presence, small, gray, motion, passes)
        return context, previous


def _measure_pass(bound: BoundPass, seconds: Fraction, presence: float) -> PassContext:
    at = float(seconds)
    settings, is_active = bound.renderer.schedule.at(at), bound.span.is_active(at)
    share = settings.strength * presence * bound.span.opacity(at)
    mask = None if bound.read_mask is None or not is_active else bound.read_mask(seconds)
    return PassContext(settings, is_active, share, mask)


def shrink_to_working_size(rgb: np.ndarray, shot: Shot, size: octaves.Size) -> np.ndarray:
    """What lies within a shot's borders, of float32 [H, W, 3] that is worked on at a size (height, width)."""
    top, bottom, left, right = shot.box
    height, width = rgb.shape[:2]
    inner = round((bottom - top) * size[0] / height), round((right - left) * size[1] / width)
    if not all(inner):
        return np.zeros((0, 0, 3), np.float32)
    return np.ascontiguousarray(octaves.resize(crop_to_shot(rgb, shot), inner))


def crop_to_shot(image: np.ndarray, shot: Shot) -> np.ndarray:
    """What lies within a shot's borders, of [H, W, ...]; a view."""
    top, bottom, left, right = shot.box
    return image[top:bottom, left:right]
