"""Where a pass acts at each moment of a film: a mask, by the time of the film that it lies on."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mmdream.core.errors import UserError
from mmdream.media import image
from mmdream.media.probe import MediaFile, probe
from mmdream.media.video_reader import read_frames
from mmdream.settings.passes import Mask

ASPECT_TOLERANCE = 0.02
"""Share by which a mask may be wider or higher than its film: sides are rounded, to even numbers too."""
CLOCK_TOLERANCE = Fraction(1, 1000)
"""Seconds by which a mask's frame may be late: Matroska rounds to its tick, other containers do not, and the
same frame is meant."""
LOOK_BACK_SECONDS = Fraction(4)
"""Seconds before a moment from which on the frame that is shown then is looked for; doubled until found."""

TimedMask = tuple[Fraction, np.ndarray]
"""Seconds from which on they hold, and a mask's values, float32 [h, w], 0..1."""


@dataclass(frozen=True, slots=True)
class MaskSource:
    """What a mask is read from."""

    path: Path
    width: int
    height: int
    end_seconds: Fraction | None
    """Seconds after which nothing new comes, if that is known."""
    read: Callable[[Fraction | None], Generator[TimedMask, None, None]]
    """Its values in the order of time, from a second or from the beginning on."""


def mask_from_image(path: Path, rgb: np.ndarray) -> MaskSource:
    """A mask that stands still: float32 [h, w, 3], 0..1."""

    def once(_start: Fraction | None) -> Generator[TimedMask, None, None]:
        yield Fraction(0), mask_luminance(rgb)

    return MaskSource(path, rgb.shape[1], rgb.shape[0], Fraction(0), once)


def mask_from_video(film: MediaFile) -> MaskSource:
    """A mask that moves; where its frames are broken the last good one stands in.

    Raises:
        UserError: the file has no picture.
    """
    if film.video is None:
        raise UserError(f"{film.path}: is a sound; a mask is a picture or a film")

    def run(start: Fraction | None) -> Generator[TimedMask, None, None]:
        with closing(read_frames(film, start)) as frames:
            for frame in frames:
                yield frame.seconds, mask_luminance(frame.rgb)

    ends = (
        film.duration
        if film.video.duration is None
        else film.video.duration + (film.video.first * film.video.time_base - film.start)
    )
    return MaskSource(film.path, film.video.width, film.video.height, ends, run)


class MaskReader:
    """Reads a mask beside a film; two of its frames are in memory.

    Args:
        source: of the mask.
        width: of the film, px.
        height: likewise.
        feather: px of a film of 360 lines over which edges fade.

    Raises:
        UserError: the mask has another aspect than the film, or is too small to say where.
    """

    def __init__(self, source: MaskSource, width: int, height: int, feather: float) -> None:
        wide, high = source.width, source.height
        if min(wide, high) < 2:
            raise UserError(f"{source.path}: a mask of {wide}x{high} pixels is too small to say where")
        aspect = (wide * height) / (high * width)
        if max(aspect, 1 / aspect) > 1 + ASPECT_TOLERANCE:
            raise UserError(
                f"{source.path}: a mask of {wide}x{high} does not lie on {width}x{height}; "
                "give it the same ratio of width to height"
            )
        self._source = source
        self._size = width, height
        self._feather = feather
        self._values: Generator[TimedMask, None, None] | None = None
        self._since: Fraction | None = None
        self._held: np.ndarray | None = None
        self._next: TimedMask | None = None
        self._laid: np.ndarray | None = None

    def at(self, seconds: Fraction) -> np.ndarray:
        """The mask at a moment of the film; quick where moments rise.

        Of a film's mask it is the last frame that has begun: the first one before that, the last one for ever
        after.

        Args:
            seconds: of the film, as a player shows them.

        Returns:
            float32 [height, width], 0..1, read-only; the same array as long as the same frame is shown.

        Raises:
            UserError: the mask cannot be read.
        """
        moment = seconds + CLOCK_TOLERANCE
        if self._values is None or (self._since is not None and moment < self._since):
            self._open(moment)
        while self._next is not None and self._next[0] <= moment:
            self._take(self._next)
        if self._laid is None:
            assert self._held is not None
            self._laid = fit_mask(self._held, *self._size, self._feather)
            self._laid.flags.writeable = False
        return self._laid

    def close(self) -> None:
        """Close the file; the next `at` opens it again."""
        if self._values is not None:
            self._values.close()
        self._values = self._next = self._held = self._laid = None

    def _open(self, moment: Fraction) -> None:
        """Begin at the frame that is shown at a moment, however long it has been there."""
        near = moment if self._source.end_seconds is None else min(moment, self._source.end_seconds)
        back = LOOK_BACK_SECONDS
        while True:
            self.close()
            start = near - back if near > back else None
            self._values = self._source.read(start)
            first = next(self._values, None)
            if first is not None and (start is None or first[0] <= moment):
                break
            if start is None:
                raise UserError(f"{self._source.path}: no frame of it can be read")
            back *= 2
        self._take(first)
        if start is None:
            self._since = None  # What comes before the first frame is the first frame.

    def _take(self, values: TimedMask) -> None:
        assert self._values is not None
        self._since, self._held = values
        self._laid = None
        self._next = next(self._values, None)


BT709_LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
"""Of red, green and blue (ITU-R BT.709)."""
REFERENCE_HEIGHT = 360
"""Height, px, of the picture that feathers are given for."""
SNAP_DISTANCE = 2.5 / 255
"""What lies so close to black or white is meant to be: films are compressed."""
ROUNDING_TOLERANCE = 1e-4
"""More than sums of weights are off 1, and too little to be seen."""


def mask_luminance(rgb: np.ndarray) -> np.ndarray:
    """A mask's values, float32 [h, w, 3], 0..1 -> [h, w], 0..1; what is nearly white is white."""
    return _snap_to_black_and_white(cv2.transform(rgb, BT709_LUMA), SNAP_DISTANCE)


def fit_mask(values: np.ndarray, width: int, height: int, feather: float) -> np.ndarray:
    """Bring a mask to a picture's size and fade its edges; the borders of the picture are mirrors.

    Args:
        values: float32 [h, w], 0..1.
        width: of the picture, px.
        height: likewise.
        feather: px of a picture of `REFERENCE_HEIGHT` lines over which a sharp edge goes from 0 to 1.

    Returns:
        float32 [height, width], 0..1: exactly 0 and 1 where everything within half a ramp is.
    """
    if values.shape != (height, width):
        smaller = height * width < values.size
        # Linear, as cubic curves would leave 0..1.
        method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        values = cv2.resize(values, (width, height), interpolation=method)
    for reach in box_radii(feather * height / REFERENCE_HEIGHT):
        box = (2 * reach + 1, 2 * reach + 1)
        values = cv2.blur(values, box, borderType=cv2.BORDER_REFLECT)
    return _snap_to_black_and_white(values, ROUNDING_TOLERANCE)


def box_radii(ramp: float) -> list[int]:
    """Three boxes that turn a step into a ramp.

    Together they are near to a Gaussian (Wells, "Efficient synthesis of Gaussian filters by cascaded uniform
    filters", IEEE PAMI 8, 1986), take the same time at any width, and end, as a Gaussian does not.

    Args:
        ramp: px from 0 to 1, >= 0; rounded to an even number.

    Returns:
        What each box covers on either side of its middle, px; their sum is half a ramp.
    """
    half = round(ramp / 2)
    return [(half + number) // 3 for number in range(3)]


def _snap_to_black_and_white(values: np.ndarray, near: float) -> np.ndarray:
    _, values = cv2.threshold(values, near, 0, cv2.THRESH_TOZERO)
    values[values > 1 - near] = 1
    return values


def open_mask(mask: Mask, width: int, height: int) -> MaskReader:
    """Open a mask beside a film or a picture.

    Args:
        mask: its file is looked at; of a film no more than the first frame.
        width: of the film, px, as shown.
        height: likewise.

    Raises:
        UserError: no such file, neither a picture nor a film, no picture in it, or another aspect.
    """
    return MaskReader(_open_mask_source(mask), width, height, mask.feather)


def check_mask(mask: Mask, width: int, height: int) -> None:
    """Refuse a mask that cannot be used, before any work is done.

    Args:
        mask: it is read at second 0.
        width: of the film, px, as shown.
        height: likewise.

    Raises:
        UserError: what `open_mask` says, or no frame of it can be read.
    """
    reader = open_mask(mask, width, height)
    reader.at(Fraction(0))
    reader.close()


def _open_mask_source(mask: Mask) -> MaskSource:
    path = mask.path
    if image.is_image(path):
        return mask_from_image(path, image.read_image(path))
    try:
        film = probe(path)
    except UserError as error:
        if not os.path.isfile(path) or not path.stat().st_size:
            raise
        raise UserError(
            f"{path}: is no mask that can be read; give a film or a {', '.join(image.IMAGE_SUFFIXES)} file"
        ) from error
    return mask_from_video(film)
