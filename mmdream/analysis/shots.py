"""Scan a film before it is dreamed: time stamps, shots, flashes, fades, motion, brightness, black borders.

PySceneDetect's content detector says on thumbnails which frames are worth a closer look. Alone it takes fire
and the dark end of a fade for cuts, and misses most cuts of black-and-white films. The closer look asks what
the dream itself will ask: can this frame be fetched from the one before it along the flow?
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import Literal

import cv2
import numpy as np
from safetensors.numpy import load, save
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from mmdream.analysis.fades import measure_gain, measure_light, measure_presence
from mmdream.analysis.optical_flow import FLAT_DEVIATION, measure_motion, warp_onto
from mmdream.media.video_reader import Frame

THUMBNAIL_SIDE = 128
"""px of the longer side: DIS follows 15 % of the width there, and takes 2 ms."""
BLACK_LEVEL = 20
"""Brightest value of 255 that counts as black: film bars are noisy and rarely at zero."""
FAINT_RATIO = 0.2
"""Deviation of luma over the other image's: what is left of it at the end of a fade is no new image."""
DETECTOR_THRESHOLD = 2.0
"""Score of the content detector (its own threshold is 27) under which a frame cannot begin a shot."""
MAX_FLASH_FRAMES = 3

# Measured on all pairs of 14 pictures (n 182), pans, zooms, dissolves, fades, and five films. Unexplained:
# cuts 0.5..1 (5 % below, to 0.30), pans of 10 % of the width a frame up to 0.17, dissolves over 6 frames up
# to 0.26, flames 0.03, a head that fills the screen at once 0.36. Trust: cuts up to 0.15, all others 0.48 and
# more, but for pans of 15 % of the width a frame, which nothing can follow.
UNEXPLAINED_BREAK, TRUST_BREAK = 0.28, 0.3
UNEXPLAINED_CLEARLY, DIFFERENCE_CLEARLY = 0.7, 12.0
NOISE_DIFFERENCE = 2.0
"""Of 255; changes under it are noise."""
FLAT_CUT_DIFFERENCE, SUDDEN_RATIO = 6.0, 2.5
"""A cut to or from black changes more than this at once, and so many times more than its neighbours do: the
first step of a fade is as large as the second."""
FLASH_DIFFERENCE = 10.0
FLASH_RETURN_RATIO = 0.35
"""After a flash the image is back: what remains of its change is under this share."""

FrameMark = Literal["start", "on", "flash"]
"""What a frame is to its shot: the first; more of it; unlike both sides, which are alike."""
Box = tuple[int, int, int, int]
"""Top, bottom, left, right, half open, px."""
EMPTY_BOX: Box = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames between two cuts."""

    first: int
    stop: int
    """Frame numbers, half open."""
    box: Box
    """Of what is not border that stays black; empty if all is. Flashes do not count."""
    flashes: tuple[tuple[int, int], ...] = ()
    """Frame numbers, half open, of one to three frames; the dream goes on behind them as if they had not been
    there."""

    def is_flash(self, number: int) -> bool:
        """Whether a frame, by its number, is part of a flash."""
        begun = bisect_right(self.flashes, number, key=lambda flash: flash[0])
        return begun > 0 and number < self.flashes[begun - 1][1]


@dataclass(frozen=True, slots=True)
class Scan:
    """What was measured of every frame of a film."""

    shots: tuple[Shot, ...]
    pts: array[int]
    """Time stamp of every frame."""
    light: array[float]
    """Share of its picture that a fade leaves of every frame, 0..1, see `measure_light`."""
    time_base: Fraction
    repeated: int
    """Broken frames that will be stood in for."""
    motion: array[float] = field(default_factory=lambda: array("f"))
    """How far each frame moved since the one before it, see `measure_motion`."""
    brightness: array[float] = field(default_factory=lambda: array("f"))
    """Mean luma of every frame, 0..1."""
    warmth: array[float] = field(default_factory=lambda: array("f"))
    """Mean red over blue (Cr - Cb) of every frame, -1..1."""

    def presence(self, number: int) -> float:
        """How much of a frame is there, and of its dream: 1, and less the further it has faded, 0..1."""
        return measure_presence(self.light[number])

    def to_bytes(self) -> bytes:
        """The scan as a safetensors file."""
        flashes = [(k, *flash) for k, shot in enumerate(self.shots) for flash in shot.flashes]
        shots = [(shot.first, shot.stop, *shot.box) for shot in self.shots]
        arrays = {
            "shots": np.array(shots, np.int64).reshape(-1, 6),
            "flashes": np.array(flashes, np.int64).reshape(-1, 3),
            "pts": np.array(self.pts, np.int64),
            "clock": np.array(self.time_base.as_integer_ratio(), np.int64),
            "repeated": np.array([self.repeated], np.int64),
        }
        measured = {"light": self.light, "motion": self.motion, "brightness": self.brightness}
        measured["warmth"] = self.warmth
        return save(arrays | {name: np.array(values, np.float32) for name, values in measured.items()})

    @staticmethod
    def from_bytes(data: bytes) -> Scan:
        """Read what `to_bytes` gave."""
        arrays = load(data)
        flashes: dict[int, list[tuple[int, int]]] = {}
        for shot, first, stop in arrays["flashes"].tolist():
            flashes.setdefault(shot, []).append((first, stop))
        shots = tuple(
            Shot(first, stop, (top, bottom, left, right), tuple(flashes.get(k, ())))
            for k, (first, stop, top, bottom, left, right) in enumerate(arrays["shots"].tolist())
        )
        pts = array("q", arrays["pts"].tobytes())
        names = "light", "motion", "brightness", "warmth"
        light, *others = (array("f", arrays[name].tobytes()) for name in names)
        time_base, repeated = Fraction(*arrays["clock"].tolist()), int(arrays["repeated"][0])
        return Scan(shots, pts, light, time_base, repeated, *others)


def scan_frames(frames: Iterable[Frame]) -> Scan:
    """Read all frames that will be dreamed once, in flat memory; the shots cover them all."""
    pts: array[int] = array("q")
    light, motion, brightness, warmth = (array("f") for _ in range(4))
    time_base, repeated = Fraction(1), 0
    shots: list[Shot] = []
    shot: _OpenShot | None = None
    for number, (thumbnail, mark) in enumerate(mark_frames(frames)):
        if shot is not None and mark == "start":
            shots.append(shot.close(number, light))
        if shot is None or mark == "start":
            shot = _OpenShot(number)
        shot.add(number, thumbnail, mark == "flash")
        light.append(1.0)
        pts.append(thumbnail.pts)
        motion.append(thumbnail.motion)
        luma, red, blue = thumbnail.ycrcb.mean(axis=(0, 1)).tolist()
        brightness.append(luma / 255)
        warmth.append((red - blue) / 255)
        time_base = thumbnail.time_base
        repeated += thumbnail.repeated
    if shot is not None:
        shots.append(shot.close(len(light), light))
    return Scan(tuple(shots), pts, light, time_base, repeated, motion, brightness, warmth)


class _OpenShot:
    """A shot whose end was not read yet."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.row_maxima, self.column_maxima = np.zeros(1, np.float32), np.zeros(1, np.float32)
        self.contrasts, self.gains = array("f"), array("f")
        self.last: Thumbnail | None = None
        self.lit = EMPTY_BOX
        self.flashes: list[tuple[int, int]] = []

    def add(self, number: int, thumbnail: Thumbnail, is_flash: bool) -> None:
        """Add a frame."""
        # Of what is lit in this frame: a small thing in the dark is no fade.
        top, bottom, left, right = thumbnail.box
        contrast = float(thumbnail.ycrcb[top:bottom, left:right, 0].std()) if bottom > top else -1.0
        self.contrasts.append(contrast)
        self.gains.append(0.0)
        if not is_flash:
            self.row_maxima = np.maximum(self.row_maxima, thumbnail.row_maxima)
            self.column_maxima = np.maximum(self.column_maxima, thumbnail.column_maxima)
            top, bottom, left, right = self.lit = union_box(self.lit, thumbnail.box)
            if self.last is not None and top < bottom:
                before, after = (each.ycrcb[top:bottom, left:right, 0] for each in (self.last, thumbnail))
                self.gains[-1] = measure_gain(before, after)
            self.last = thumbnail
        elif self.flashes and self.flashes[-1][1] == number:
            self.flashes[-1] = self.flashes[-1][0], number + 1
        else:
            self.flashes.append((number, number + 1))

    def close(self, stop: int, light: array[float]) -> Shot:
        """The shot; the light of its frames is laid into `light`."""
        box = lit_box(self.row_maxima, self.column_maxima, BLACK_LEVEL / 255)
        shot = Shot(self.first, stop, box, tuple(self.flashes))
        is_flash = np.array([shot.is_flash(number) for number in range(self.first, stop)])
        light[self.first : stop] = array("f", measure_light(self.contrasts, self.gains, is_flash))
        return shot


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A frame in small, and what of it is measured."""

    pts: int
    time_base: Fraction
    repeated: bool
    ycrcb: np.ndarray
    """uint8 [h, w, 3]."""
    row_maxima: np.ndarray
    """Brightest value of each row of the whole frame, 0..1."""
    column_maxima: np.ndarray
    """Likewise."""
    box: Box
    """Of what is not black; empty if all is."""
    has_changed: bool
    """The content detector saw a change since the frame before."""
    motion: float
    """Since the frame before, see `measure_motion`."""


@dataclass(frozen=True, slots=True)
class FrameChange:
    """What of a frame does not come from the one before it."""

    difference: float
    """Mean absolute difference after motion is undone, of 255."""
    unexplained: float
    """Share of the luma's variance that the other frame, warped, does not explain, whatever the light."""
    trust: float
    """Share of the pixels whose flow both ways agrees."""
    is_flat: bool
    """One of the two shows nothing; the shares then have no meaning."""

    @property
    def is_break(self) -> bool:
        """Neither the motion nor the light explains this frame."""
        if self.is_flat or self.difference < NOISE_DIFFERENCE or self.unexplained < UNEXPLAINED_BREAK:
            return False
        clearly = self.unexplained >= UNEXPLAINED_CLEARLY and self.difference >= DIFFERENCE_CLEARLY
        return self.trust <= TRUST_BREAK or clearly


def mark_frames(frames: Iterable[Frame]) -> Iterator[tuple[Thumbnail, FrameMark]]:
    """Say of each frame whether it begins a shot, goes on, or is a flash; a few frames are held back.

    Flashes may follow each other: in a strobe, the frames between them stay one shot.
    """
    source, waiting = make_thumbnails(frames), deque[Thumbnail]()
    previous: Thumbnail | None = None
    shot_box, last_difference = EMPTY_BOX, 0.0
    while True:
        waiting.extend(islice(source, MAX_FLASH_FRAMES + 1 - len(waiting)))
        if not waiting:
            return
        if previous is not None and waiting[0].has_changed:
            change = measure_change(previous, waiting[0], shot_box)
            if length := _flash_length(previous, waiting, change, shot_box):
                for _ in range(length):
                    yield waiting.popleft(), "flash"
                continue
            is_cut = _is_cut(change, last_difference, waiting)
            last_difference = 0.0 if is_cut else change.difference
        else:
            is_cut, last_difference = previous is None, 0.0
        previous = waiting.popleft()
        shot_box = union_box(EMPTY_BOX if is_cut else shot_box, previous.box)
        yield previous, "start" if is_cut else "on"


def make_thumbnails(frames: Iterable[Frame]) -> Iterator[Thumbnail]:
    """Frames in small, and what of them is measured."""
    detector = ContentDetector(threshold=DETECTOR_THRESHOLD, min_scene_len=1)
    last_luma = None
    for number, frame in enumerate(frames):
        rgb = frame.rgb
        factor = min(1.0, THUMBNAIL_SIDE / max(rgb.shape[:2]))
        size = (max(1, round(rgb.shape[1] * factor)), max(1, round(rgb.shape[0] * factor)))
        small = np.rint(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)
        # The detector only counts; its rate has no meaning.
        cuts = detector.process_frame(FrameTimecode(number, fps=25.0), cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        ycrcb = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)
        motion = 0.0 if last_luma is None else measure_motion(last_luma, ycrcb[..., 0])
        rows = rgb.max(axis=(1, 2))
        # In two steps over rows that lie in one piece: numpy takes 20 times as long over axes (0, 2).
        columns = rgb.reshape(rgb.shape[0], -1).max(axis=0).reshape(-1, 3).max(axis=1)
        box = _inset_box(lit_box(small.max(axis=(1, 2)), small.max(axis=(0, 2)), BLACK_LEVEL), small)
        stamp = frame.pts, frame.time_base, frame.repeated
        yield Thumbnail(*stamp, ycrcb, rows, columns, box, bool(cuts), motion)
        last_luma = ycrcb[..., 0]


def lit_box(rows: np.ndarray, columns: np.ndarray, black: float) -> Box:
    """The box of what is brighter than `black`, by the brightest value of each row and column."""
    ys, xs = np.flatnonzero(rows > black), np.flatnonzero(columns > black)
    if not len(ys) or not len(xs):
        return EMPTY_BOX
    return int(ys[0]), int(ys[-1]) + 1, int(xs[0]), int(xs[-1]) + 1


def _inset_box(box: Box, image: np.ndarray) -> Box:
    """The box without its rim where it ends inside the image: half of a bar's pixel is there."""
    height, width = image.shape[:2]
    top, bottom, left, right = box
    inset = (top + (top > 0), bottom - (bottom < height), left + (left > 0), right - (right < width))
    return inset if inset[0] < inset[1] and inset[2] < inset[3] else box


def union_box(a: Box, b: Box) -> Box:
    """The smallest box that holds both; an empty one holds nothing."""
    if a[0] == a[1] or b[0] == b[1]:
        return b if a[0] == a[1] else a
    return min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3])


def _flash_length(previous: Thumbnail, waiting: deque[Thumbnail], change: FrameChange, shot_box: Box) -> int:
    """How many of the waiting frames are a flash: the first frame after them is like the last before."""
    if change.difference < FLASH_DIFFERENCE and not change.is_break:
        return 0
    for length in range(1, min(MAX_FLASH_FRAMES, len(waiting) - 1) + 1):
        back = measure_change(previous, waiting[length], shot_box)
        is_alike = back.difference < FLAT_CUT_DIFFERENCE if back.is_flat else back.trust > TRUST_BREAK
        if is_alike and back.difference < FLASH_RETURN_RATIO * change.difference:
            return length
    return 0


def _is_cut(change: FrameChange, last_difference: float, waiting: deque[Thumbnail]) -> bool:
    """Whether the first of the waiting frames begins a shot."""
    if not change.is_flat or change.difference < FLAT_CUT_DIFFERENCE:
        return change.is_break
    if len(waiting) > 1 and waiting[1].has_changed:
        following = measure_change(waiting[0], waiting[1])
        if not following.is_break:
            last_difference = max(last_difference, following.difference)
    return change.difference >= SUDDEN_RATIO * last_difference


def measure_change(previous: Thumbnail, current: Thumbnail, shot_box: Box = EMPTY_BOX) -> FrameChange:
    """Compare two frames, without borders that are black in both: bars would make all images alike.

    `shot_box` is of the shot so far; a small thing that crosses the dark is no image of its own.
    """
    top, bottom, left, right = union_box(shot_box, union_box(previous.box, current.box))
    if top == bottom:
        return FrameChange(0.0, 0.0, 1.0, True)
    a, b = (np.ascontiguousarray(each.ycrcb[top:bottom, left:right]) for each in (previous, current))
    warped, trust = warp_onto(a, b)
    difference = float(np.abs(warped - b).mean())
    x, y = warped[..., 0].ravel(), b[..., 0].ravel()
    deviations = min(float(a[..., 0].std()), float(x.std())), float(y.std())
    if min(deviations) < max(FLAT_DEVIATION, FAINT_RATIO * max(deviations)):
        return FrameChange(difference, 1.0, 0.0, True)
    return FrameChange(difference, 1 - max(0.0, float(np.corrcoef(x, y)[0, 1])) ** 2, trust, False)
