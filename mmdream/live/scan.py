"""What can be said of a frame when it comes, without those behind it: cuts, flashes, fades, black borders.

It asks what `analysis.shots` asks of a whole film, in the order of time: a break is a cut at once, and one
that is taken back within three frames was a flash.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import cv2
import numpy as np

from mmdream.analysis.fades import GROWTH, STEADY_FRAMES, measure_gain, measure_presence
from mmdream.analysis.optical_flow import FLAT_DEVIATION, OpticalFlow, to_gray
from mmdream.analysis.shots import (
    BLACK_LEVEL,
    EMPTY_BOX,
    FLASH_RETURN_RATIO,
    FLAT_CUT_DIFFERENCE,
    MAX_FLASH_FRAMES,
    SUDDEN_RATIO,
    TRUST_BREAK,
    Box,
    Shot,
    Thumbnail,
    lit_box,
    make_thumbnails,
    measure_change,
    union_box,
)
from mmdream.image.octaves import Size
from mmdream.media.video_reader import Frame
from mmdream.render.source import (
    FrameContext,
    PassContext,
    crop_to_shot,
    measure_flow,
    shrink_to_flow_size,
    shrink_to_working_size,
)

FrameKind = Literal["cut", "on", "back"]
"""Of a frame: it begins a shot; goes on with it; or is back in the shot before a flash."""
STILL_DIFFERENCE = 0.6
"""Of 255, mean of a thumbnail: an image that changes less stands still."""
USUAL_DEVIATION = 24.0
"""Of luma, of 255, that a plain picture has which is not fading."""
SETTLING = 0.15
"""Share of the way to the whole that steady light goes in a frame."""
MIN_BORDER = 0.02
"""Of a side, that a border has at least."""
ENDLESS = 1 << 62
"""Number of the frame at which a shot that still runs ends."""


@dataclass(frozen=True, slots=True)
class FrameScan:
    """What was seen of a frame."""

    kind: FrameKind
    shot: Shot
    light: float
    """0..1: share of its picture that a fade leaves."""
    is_still: bool
    """It is the frame before over again."""

    @property
    def presence(self) -> float:
        """How much of its dream a fade leaves, 0..1."""
        return measure_presence(self.light)


class CausalScan:
    """Looks at the frames of a source one after the other."""

    def __init__(self) -> None:
        self._last: Thumbnail | None = None
        self._difference = 0.0
        self._shot = Shot(0, ENDLESS, EMPTY_BOX)
        self._before: tuple[Thumbnail, Shot, int, float] | None = None
        """Behind a break: the last frame before it, its shot, when, and by how much it broke."""
        self._level, self._peak, self._steady = 0.0, 0.0, 0

    def scan(self, frame: Frame) -> FrameScan:
        """Look at the next frame."""
        (thumbnail,) = make_thumbnails([frame])
        number, last = frame.index, self._last
        self._last = thumbnail
        box = _find_box(thumbnail)
        if last is None:
            self._shot = Shot(number, ENDLESS, box)
            return FrameScan("cut", self._shot, self._light(None, thumbnail), False)
        change = measure_change(last, thumbnail)
        previous, self._difference = self._difference, change.difference
        if self._before is not None:
            before, shot, when, broken = self._before
            if number - when > MAX_FLASH_FRAMES:
                self._before = None
            else:
                back = measure_change(before, thumbnail)
                alike = back.difference < FLAT_CUT_DIFFERENCE if back.is_flat else back.trust > TRUST_BREAK
                if alike and back.difference < FLASH_RETURN_RATIO * broken:
                    self._before, self._shot = None, shot
                    return FrameScan("back", shot, self._light(None, thumbnail), False)
        sudden = change.difference >= max(FLAT_CUT_DIFFERENCE, SUDDEN_RATIO * previous)
        if sudden if change.is_flat else change.is_break:
            self._before = last, self._shot, number, change.difference
            self._shot = Shot(number, ENDLESS, box)
            return FrameScan("cut", self._shot, self._light(None, thumbnail), False)
        light = self._light(last, thumbnail)
        if (wider := union_box(self._shot.box, box)) != self._shot.box:
            self._shot = replace(self._shot, box=wider)
        still = change.difference < STILL_DIFFERENCE and not thumbnail.repeated
        return FrameScan("on", self._shot, light, still)

    def _light(self, last: Thumbnail | None, thumbnail: Thumbnail) -> float:
        """The light by all gains since it was brightest; steady light becomes the whole."""
        if last is None:
            self._level = self._peak = 0.0
            self._steady = 0
        luma = thumbnail.ycrcb[..., 0]
        if float(luma.std()) < FLAT_DEVIATION:
            # A plain wall is dreamed on; black, and what a fade has left nothing of, is not.
            return 0.0 if last is not None or float(luma.mean()) < BLACK_LEVEL else 1.0
        if last is not None and float(last.ycrcb[..., 0].std()) < FLAT_DEVIATION:
            # Out of black a picture grows to what pictures have, as far as one can tell.
            self._level, self._peak = math.log(min(float(luma.std()) / USUAL_DEVIATION, 1.0)), 0.0
        elif last is not None:
            gain = measure_gain(last.ycrcb[..., 0], luma)
            self._level += gain
            steady = abs(gain) < GROWTH / STEADY_FRAMES
            self._steady = self._steady + 1 if steady else 0
            self._peak = max(self._peak, self._level)
            if self._steady > STEADY_FRAMES:
                # What stays as it is, is the picture.
                self._peak += SETTLING * (self._level - self._peak)
        return math.exp(min(self._level - self._peak, 0.0))


def _find_box(thumbnail: Thumbnail) -> Box:
    """What is not border of a frame; all of it where nothing is lit, or where hardly a rim is dark."""
    height, width = len(thumbnail.row_maxima), len(thumbnail.column_maxima)
    top, bottom, left, right = lit_box(thumbnail.row_maxima, thumbnail.column_maxima, BLACK_LEVEL / 255)
    if top == bottom:
        return 0, height, 0, width
    rim = MIN_BORDER * height, MIN_BORDER * width
    return (
        top if top >= rim[0] else 0, bottom if height - bottom >= rim[0] else height,
        left if left >= rim[1] else 0, right if width - right >= rim[1] else width,
    )  # fmt: skip


def measure_frame(
    frame: Frame,
    scan: FrameScan,
    size: Size,
    previous: np.ndarray | None,
    passes: tuple[PassContext, ...],
    is_fine: bool,
) -> FrameContext:
    """All that the passes need to know of a frame.

    Args:
        frame: as it came.
        scan: what was seen of it.
        size: height, width that the whole frame is dreamed at.
        previous: `FrameContext.gray` of the last frame that was dreamed, of any size; None: there is none.
        passes: what each pass is to do.
        is_fine: measure the flow as finely as for a film; else on half of the working resolution.
    """
    small = shrink_to_working_size(frame.rgb, scan.shot, size)
    inner = crop_to_shot(frame.rgb, scan.shot)
    gray = shrink_to_flow_size(inner, small) if is_fine or not small.size else to_gray(small)
    motion: OpticalFlow | None = None
    if previous is not None and scan.kind != "cut" and scan.presence > 0 and small.size:
        motion = measure_flow(_resize_gray(previous, gray), gray, small)
    return FrameContext(
        frame.index,
        Fraction(frame.seconds),
        scan.shot,
        scan.light,
        scan.presence,
        small,
        gray,
        motion,
        passes,
    )


def _resize_gray(previous: np.ndarray, gray: np.ndarray) -> np.ndarray:
    if previous.shape == gray.shape:
        return previous
    return cv2.resize(previous, gray.shape[::-1], interpolation=cv2.INTER_AREA)
