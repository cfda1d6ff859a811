"""Read masks: where a pass acts at each moment of a film, from an image or a film of its own."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mmdream.core.errors import UserError
from mmdream.media.image import IMAGE_SUFFIXES, is_image, read_image
from mmdream.media.probe import MediaFile, probe
from mmdream.media.video_reader import read_frames
from mmdream.settings.passes import Mask, MaskPlace

ASPECT_TOLERANCE = 0.02
"""Share by which a mask may be wider or higher than its film: sides are rounded, to even numbers too."""
CLOCK_TOLERANCE = Fraction(1, 1000)
"""Seconds by which a mask's frame may be late, as Matroska rounds to its tick and others do not."""
LOOK_BACK_SECONDS = Fraction(4)
"""Seconds before a moment from where the frame shown then is looked for; doubled until there is one."""
BT709_LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
"""Of red, green and blue."""
REFERENCE_HEIGHT = 360
"""px of the film that feathers are given for."""
SNAP_DISTANCE = 2.5 / 255
"""What lies so close to black or white is meant to be: films are compressed."""
ROUNDING_TOLERANCE = 1e-4
"""More than sums of weights are off 1, and too little to be seen."""

TimedMask = tuple[Fraction, np.ndarray]
"""Second from which on a mask holds, and its values, float32 [h, w], 0..1."""


@dataclass(frozen=True, slots=True)
class MaskSource:
    """What a mask is read from."""

    path: Path
    width: int
    height: int
    end_seconds: Fraction | None
    """After which nothing new comes, if that is known."""
    read: Callable[[Fraction | None], Generator[TimedMask, None, None]]
    """Gives its values in the order of time, from a second or from the beginning on."""


def open_mask(mask: Mask, width: int, height: int) -> MaskReader:
    """Open a mask for a film or an image of this size, px as shown; a `UserError` if it does not fit."""
    path = mask.path
    if path is None:
        return MaskReader(make_ellipse(width, height), width, height, mask)
    if is_image(path):
        return MaskReader(mask_from_image(path, read_image(path)), width, height, mask)
    try:
        film = probe(path)
    except UserError as error:
        if not os.path.isfile(path) or not path.stat().st_size:
            raise
        raise UserError(
            f"{path}: is no mask that can be read; give a film or a {', '.join(IMAGE_SUFFIXES)} file"
        ) from error
    return MaskReader(mask_from_video(film), width, height, mask)


def check_mask(mask: Mask, width: int, height: int) -> None:
    """Refuse a mask that cannot be used, before any work is done; it is read at second 0."""
    reader = open_mask(mask, width, height)
    reader.at(Fraction(0))
    reader.close()


def make_ellipse(width: int, height: int) -> MaskSource:
    """An ellipse that just fits into a frame of this size."""
    y, x = np.mgrid[1 - height : height : 2, 1 - width : width : 2].astype(np.float32)
    radius = np.hypot(x / width, y / height)
    # A ramp of about a pixel: its edge is smooth.
    frames = [(Fraction(0), np.clip((1 - radius) * min(width, height) / 2 + 0.5, 0, 1))]
    return MaskSource(Path("ellipse"), width, height, Fraction(0), lambda _start: (frame for frame in frames))


def mask_from_image(path: Path, rgb: np.ndarray) -> MaskSource:
    """A mask that stands still: float32 [h, w, 3], 0..1."""
    height, width = rgb.shape[:2]
    frames = [(Fraction(0), mask_luminance(rgb))]
    return MaskSource(path, width, height, Fraction(0), lambda _start: (frame for frame in frames))


def mask_from_video(film: MediaFile) -> MaskSource:
    """A mask that moves; where its frames are broken the last good one stands in."""
    video = film.video
    if video is None:
        raise UserError(f"{film.path}: is a sound; a mask is a picture or a film")

    def read(start: Fraction | None) -> Generator[TimedMask, None, None]:
        with closing(read_frames(film, start)) as frames:
            for frame in frames:
                yield frame.seconds, mask_luminance(frame.rgb)

    end = film.duration
    if video.duration is not None:
        end = video.first_pts * video.time_base - film.start + video.duration
    return MaskSource(film.path, video.width, video.height, end, read)


class MaskReader:
    """Reads a mask beside a film of this size, px; two of its frames are in memory.

    `how` says where it lies, how large it is and how soft at each time. A mask of another aspect than the
    film, or of a pixel, is a `UserError`.
    """

    def __init__(self, source: MaskSource, width: int, height: int, how: Mask) -> None:
        size = f"{source.width}x{source.height}"
        if min(source.width, source.height) < 2:
            raise UserError(f"{source.path}: a mask of {size} pixels is too small to say where")
        aspect = (source.width * height) / (source.height * width)
        if max(aspect, 1 / aspect) > 1 + ASPECT_TOLERANCE:
            raise UserError(
                f"{source.path}: a mask of {size} does not lie on {width}x{height}; "
                "give it the same ratio of width to height"
            )
        self._source = source
        self._size = width, height
        self._how = how
        self._frames: Generator[TimedMask, None, None] | None = None
        self._since: Fraction | float = -math.inf
        self._values = np.zeros((0, 0), np.float32)
        self._next: TimedMask | None = None
        self._fitted: np.ndarray | None = None
        self._place: MaskPlace | None = None

    def at(self, seconds: Fraction) -> np.ndarray:
        """The mask at a second of the film, float32 [h, w], 0..1, read-only; quick where seconds rise.

        It is the mask's last frame that has begun (before that the first one), and the same array as long as
        that frame is shown and the mask stays where it is. A mask that cannot be read is a `UserError`.
        """
        moment = seconds + CLOCK_TOLERANCE
        if self._frames is None or moment < self._since:
            self._seek(moment)
        while self._next is not None and self._next[0] <= moment:
            self._show(self._next)
        place = self._how.at(float(seconds))
        if self._fitted is None or place != self._place:
            self._fitted, self._place = fit_mask(self._values, *self._size, place), place
            self._fitted.flags.writeable = False
        return self._fitted

    def close(self) -> None:
        """Close the file; the next `at` opens it again."""
        if self._frames is not None:
            self._frames.close()
        self._frames = self._next = self._fitted = None

    def _seek(self, moment: Fraction) -> None:
        """Begin at the frame that is shown at a moment, however long it has been there."""
        end = self._source.end_seconds
        near = moment if end is None else min(moment, end)
        back = LOOK_BACK_SECONDS
        while True:
            self.close()
            start = near - back if near > back else None
            self._frames = self._source.read(start)
            first = next(self._frames, None)
            if first is not None and (start is None or first[0] <= moment):
                break
            if start is None:
                raise UserError(f"{self._source.path}: no frame of it can be read")
            back *= 2
        self._show(first)
        if start is None:
            self._since = -math.inf  # What comes before the first frame is the first frame.

    def _show(self, timed: TimedMask) -> None:
        assert self._frames is not None
        self._since, self._values = timed
        self._fitted = None
        self._next = next(self._frames, None)


def mask_luminance(rgb: np.ndarray) -> np.ndarray:
    """A mask's values, float32 [h, w, 3], 0..1 -> [h, w], 0..1; what is nearly white is white."""
    return _snap_to_black_and_white(cv2.transform(rgb, BT709_LUMA), SNAP_DISTANCE)


def fit_mask(values: np.ndarray, width: int, height: int, place: MaskPlace) -> np.ndarray:
    """Resize a mask, float32 [h, w], 0..1, move it to its place, and fade its edges.

    A sharp edge goes from 0 to 1 over the feather's px at `REFERENCE_HEIGHT`; beyond the borders the mask is
    mirrored for that, and where it does not reach the frame it is 0. The result is exactly 0 and 1 where
    everything within half that ramp is.
    """
    if values.shape != (height, width):
        # Linear, as cubic curves would leave 0..1.
        method = cv2.INTER_AREA if height * width < values.size else cv2.INTER_LINEAR
        values = cv2.resize(values, (width, height), interpolation=method)
    if (place.x, place.y, place.size) != (0.5, 0.5, 1.0):
        # OpenCV counts from the middle of the first pixel.
        middle = (width - 1) / 2, (height - 1) / 2
        shift = (place.x - 0.5) * width, (place.y - 0.5) * height
        rows = [
            [place.size if k == j else 0.0 for j in range(2)] + [(1 - place.size) * middle[k] + shift[k]]
            for k in range(2)
        ]
        values = cv2.warpAffine(values, np.array(rows), (width, height), flags=cv2.INTER_LINEAR)
    # Three box blurs turn a step into a ramp: near to a Gaussian (Wells, "Efficient synthesis of Gaussian
    # filters by cascaded uniform filters", IEEE PAMI 8, 1986), they take the same time at any width, and end.
    half_ramp = round(place.feather * height / REFERENCE_HEIGHT / 2)
    for radius in ((half_ramp + number) // 3 for number in range(3)):
        values = cv2.blur(values, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)
    return _snap_to_black_and_white(values, ROUNDING_TOLERANCE)


def _snap_to_black_and_white(values: np.ndarray, distance: float) -> np.ndarray:
    _, values = cv2.threshold(values, distance, 0, cv2.THRESH_TOZERO)
    values[values > 1 - distance] = 1
    return values
