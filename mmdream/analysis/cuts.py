"""Where shots begin and where a flash only interrupts one, told on small pictures as the film passes.

PySceneDetect's content detector says which frames are worth a closer look. Alone it takes fire and the dark
end of a fade for cuts, and misses most cuts of black-and-white films. The closer look asks what the dream
itself will ask: can this frame be fetched from the one before it along the flow?
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import cv2
import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from mmdream.analysis import optical_flow

THUMBNAIL_SIDE = 128
"""px of the longer side: DIS follows 15 % of the width there, and takes 2 ms."""
BLACK_LEVEL = 20
"""Brightest value of 255 that counts as black: film bars are noisy and rarely at zero."""
FLAT_DEVIATION = 2.5
"""Standard deviation of luma, of 255, under which a picture shows nothing that could be found again."""
FAINT_RATIO = 0.2
"""The same, as a share of the other picture's: what is left of it at the end of a fade is no new picture."""
DETECTOR_THRESHOLD = 2.0
"""Score of the content detector (its own threshold is 27) under which a frame cannot begin a shot."""
MAX_FLASH_FRAMES = 3
"""Frames."""
MIN_FLOW_SIDE = 16
"""px; DIS cannot take less."""
FLOW_TOLERANCE_PX = 0.35
"""px by which flow there and back may miss a pixel."""

# Measured on all pairs of 14 photographs and paintings (n 182), pans, zooms, dissolves and fades, and on five
# films. Strangeness: cuts 0.5..1 (5 % below, to 0.30), pans of 10 % of the width a frame up to 0.17,
# dissolves over 6 frames up to 0.26, flames 0.03, a head that fills the screen at once 0.36. Trust: cuts up
# to 0.15, all others 0.48 and more, but for pans of 15 % of the width a frame, which nothing can follow.
UNEXPLAINED_BREAK, TRUST_BREAK = 0.28, 0.3
UNEXPLAINED_CLEARLY, DIFFERENCE_CLEARLY = 0.7, 12.0
NOISE_DIFFERENCE = 2.0
"""Changes under this, of 255, are noise."""
FLAT_CUT_DIFFERENCE, SUDDEN_RATIO = 6.0, 2.5
"""A cut to or from black changes more than this at once, and so many times more than its neighbours do: the
first step of a fade is as large as the second."""
FLASH_DIFFERENCE = 10.0
FLASH_RETURN_RATIO = 0.35
"""After a flash the picture is back: what remains of its change is under this share."""


class FrameMark(Enum):
    """What a frame is to the one before it."""

    START = "first frame of a shot"
    ON = "goes on"
    FLASH = "unlike both sides, which are alike"


Box = tuple[int, int, int, int]
"""Top, bottom, left, right, half open."""
EMPTY_BOX: Box = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A frame in small."""

    ycrcb: np.ndarray
    """uint8 [h, w, 3], Y, Cr, Cb."""
    box: Box
    """Of what is not black; empty if all is."""
    has_changed: bool
    """The content detector saw a change since the frame before."""


@dataclass(frozen=True, slots=True)
class FrameChange:
    """What of a frame does not come from another one."""

    size: float
    """Mean absolute difference after motion is undone, of 255."""
    unexplained: float
    """Share of the luma's variance that the other frame, moved, does not explain, whatever the light."""
    trust: float
    """Share of the pixels whose flow both ways agrees."""
    flat: bool
    """One of the two shows nothing; the shares then have no meaning."""

    @property
    def is_break(self) -> bool:
        """Neither the motion nor the light explains this picture."""
        if self.flat or self.size < NOISE_DIFFERENCE or self.unexplained < UNEXPLAINED_BREAK:
            return False
        return self.trust <= TRUST_BREAK or (
            self.unexplained >= UNEXPLAINED_CLEARLY and self.size >= DIFFERENCE_CLEARLY
        )


class ThumbnailMaker:
    """Makes the small pictures of a film's frames, in order."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._detector = ContentDetector(threshold=DETECTOR_THRESHOLD, min_scene_len=1)
        self._count = 0

    def look(self, rgb: np.ndarray) -> Thumbnail:
        """See the next frame, float32 [H, W, 3], 0..1."""
        factor = min(1.0, THUMBNAIL_SIDE / max(rgb.shape[:2]))
        size = (max(1, round(rgb.shape[1] * factor)), max(1, round(rgb.shape[0] * factor)))
        small = np.rint(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)
        # The detector only counts; its rate has no meaning.
        stamp = FrameTimecode(self._count, fps=25.0)
        stirs = bool(self._detector.process_frame(stamp, cv2.cvtColor(small, cv2.COLOR_RGB2BGR)))
        self._count += 1
        box = _inset_box(
            lit_box(small.max(axis=(1, 2)), small.max(axis=(0, 2)), BLACK_LEVEL), *small.shape[:2]
        )
        return Thumbnail(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb), box, stirs)


def lit_box(rows: np.ndarray, columns: np.ndarray, black: float) -> Box:
    """The box of what is brighter than `black`; empty if nothing is.

    Args:
        rows: brightest value of each row.
        columns: of each column.
        black: in their unit.
    """
    ys, xs = np.flatnonzero(rows > black), np.flatnonzero(columns > black)
    if not len(ys) or not len(xs):
        return EMPTY_BOX
    return int(ys[0]), int(ys[-1]) + 1, int(xs[0]), int(xs[-1]) + 1


def _inset_box(box: Box, height: int, width: int) -> Box:
    """The box without its rim where it ends inside the picture: half of a bar's pixel is there."""
    top, bottom, left, right = box
    inner = (top + (top > 0), bottom - (bottom < height), left + (left > 0), right - (right < width))
    return inner if inner[0] < inner[1] and inner[2] < inner[3] else box


def union_box(a: Box, b: Box) -> Box:
    """The smallest box that holds both; an empty one holds nothing."""
    if a[0] == a[1] or b[0] == b[1]:
        return b if a[0] == a[1] else a
    return min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3])


def measure_change(previous: Thumbnail, current: Thumbnail, box: Box = EMPTY_BOX) -> FrameChange:
    """Compare two frames, without borders that are black in both: bars would make all pictures alike.

    Args:
        previous: the one before.
        current: the one after.
        box: of the shot so far; a small thing that crosses the dark is no picture of its own.
    """
    top, bottom, left, right = union_box(box, union_box(previous.box, current.box))
    if top == bottom:
        return FrameChange(0.0, 0.0, 1.0, True)
    a, b = (np.ascontiguousarray(look.ycrcb[top:bottom, left:right]) for look in (previous, current))
    back, trust = _flow_and_trust(np.ascontiguousarray(a[..., 0]), np.ascontiguousarray(b[..., 0]))
    (moved,) = optical_flow.warp(a.astype(np.float32), (), back)
    size = float(np.abs(moved - b).mean())
    x, y = moved[..., 0].ravel(), b[..., 0].ravel()
    spread = min(float(a[..., 0].std()), float(x.std())), float(y.std())
    if min(spread) < max(FLAT_DEVIATION, FAINT_RATIO * max(spread)):
        return FrameChange(size, 1.0, 0.0, True)
    alike = max(0.0, float(np.corrcoef(x, y)[0, 1]))
    return FrameChange(size, 1 - alike**2, trust, False)


def _flow_and_trust(previous: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, float]:
    """Backward flow and the share of pixels that the forward flow leads back to their place.

    Not `estimate_flow`, whose trust asks how well a pixel may be carried and leans to yes: here both
    answers must weigh the same.
    """
    height, width = current.shape
    if min(height, width) < MIN_FLOW_SIDE:
        return np.zeros((height, width, 2), np.float32), 0.0
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back, forth = dis.calc(current, previous, None), dis.calc(previous, current, None)
    apart = np.square(back + optical_flow.warp(forth, (), back)[0]).sum(-1)
    return back, float((apart < 0.01 * np.square(back).sum(-1) + FLOW_TOLERANCE_PX**2).mean())


def mark_frames(looks: Iterable[Thumbnail]) -> Iterator[tuple[Thumbnail, FrameMark]]:
    """Say of each frame whether it begins a shot, goes on, or is a flash; a few frames are held back.

    Flashes may follow each other as they like: in a strobe, the frames between them stay one shot.
    """
    source, waiting = iter(looks), deque[Thumbnail]()
    base: Thumbnail | None = None
    box, before = EMPTY_BOX, 0.0
    while True:
        while len(waiting) <= MAX_FLASH_FRAMES and (look := next(source, None)) is not None:
            waiting.append(look)
        if not waiting:
            return
        if base is not None and waiting[0].has_changed:
            found = measure_change(base, waiting[0], box)
            if length := _flash_length(base, waiting, found, box):
                for _ in range(length):
                    yield waiting.popleft(), FrameMark.FLASH
                continue
            cut = _is_cut(found, before, waiting)
            before = 0.0 if cut else found.size
        else:
            cut, before = base is None, 0.0
        base = waiting.popleft()
        box = union_box(EMPTY_BOX if cut else box, base.box)
        yield base, FrameMark.START if cut else FrameMark.ON


def _flash_length(base: Thumbnail, waiting: deque[Thumbnail], found: FrameChange, box: Box) -> int:
    """How many of the waiting frames are a flash: the first frame after them is like the last before."""
    if found.size < FLASH_DIFFERENCE and not found.is_break:
        return 0
    for length in range(1, min(MAX_FLASH_FRAMES, len(waiting) - 1) + 1):
        back = measure_change(base, waiting[length], box)
        same = back.size < FLAT_CUT_DIFFERENCE if back.flat else back.trust > TRUST_BREAK
        if same and back.size < FLASH_RETURN_RATIO * found.size:
            return length
    return 0


def _is_cut(found: FrameChange, before: float, waiting: deque[Thumbnail]) -> bool:
    """Whether the first of the waiting frames begins a shot."""
    if not found.flat or found.size < FLAT_CUT_DIFFERENCE:
        return found.is_break
    after = 0.0
    if len(waiting) > 1 and waiting[1].has_changed:
        following = measure_change(waiting[0], waiting[1])
        after = 0.0 if following.is_break else following.size
    return found.size >= SUDDEN_RATIO * max(before, after)


def measure_motion(previous: np.ndarray, current: np.ndarray) -> float:
    """How far a picture moved, as its mean change over its mean slope.

    Both pictures are brought to one light and one contrast first, so that flicker and fades are no motion.
    True for small motions; a large one reads as less than it is, as it leaves the picture's slopes.

    Args:
        previous: uint8 [h, w], luma of a small picture.
        current: the same of the next one.

    Returns:
        Share of the longer side, >= 0; 0 where either picture shows nothing.
    """
    before, after = previous.astype(np.float32), current.astype(np.float32)
    spreads = float(before.std()), float(after.std())
    if min(spreads) < FLAT_DEVIATION:
        return 0.0
    before, after = (before - before.mean()) / spreads[0], (after - after.mean()) / spreads[1]
    slope = float(np.abs(np.diff(after, axis=0)).mean() + np.abs(np.diff(after, axis=1)).mean())
    return float(np.abs(after - before).mean()) / slope / max(after.shape)
