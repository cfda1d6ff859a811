"""A video's frames before they are dreamed: read from any one on, and measured (light, motion, mask, ...)."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from mmdream.analysis.optical_flow import OpticalFlow, estimate_flow, half_size, shrink_flow, to_gray
from mmdream.analysis.shots import Scan, Shot
from mmdream.core.errors import Interrupted
from mmdream.image import octaves
from mmdream.image.gradient import NO_GAINS, ChannelGains
from mmdream.media.probe import MediaFile
from mmdream.media.video_reader import Frame, read_frames
from mmdream.render.couplings.heard import HeardSounds
from mmdream.render.hints import FilmHints, PassHints
from mmdream.render.passes.load import BoundPass
from mmdream.settings.schedule import FrameSettings

PREROLL_FRAMES = 48
"""Frames before the wanted one at which reading begins again: broken frames repeat what lies before them, and
the first frames behind a jump may lack what they refer to."""
MIN_FLOW_SIDE = 360
"""px of the shorter side of the image that flow is measured on, where the film has so many to give: half the
working resolution alone would be too coarse for it, and the dream would drift on a film that is larger."""
HASHED_ROWS = 8
"""Every so many rows of a frame are hashed: codecs go wrong by blocks."""


def hash_frame(frame: Frame) -> str:
    """What a frame is recognised by: 64 bits of a SHA-256 of some rows of its pixels, in hex."""
    return hashlib.sha256(np.ascontiguousarray(frame.rgb[::HASHED_ROWS]).data).hexdigest()[:16]


class FileFrameSource:
    """Reads frames of a file; goes on where the last request ended, and jumps elsewhere.

    A jump is trusted if it leads to all the time stamps and to the hash of the first wanted frame; otherwise
    the file is read from its beginning.
    """

    def __init__(
        self,
        film: MediaFile,
        span: tuple[Fraction | None, Fraction | None],
        pts: Sequence[int],
        hashes: Mapping[int, str],
        is_stopped: Callable[[], bool],
    ) -> None:
        """Read nothing yet.

        Args:
            film: the file.
            span: start and end of the part that is read, seconds from `MediaFile.start`; None: its own.
            pts: of all frames in it.
            hashes: `hash_frame` of some frames by number; to others no jump is trusted.
            is_stopped: asked at each frame on the way to the first; True ends the way with `Interrupted`.
        """
        self._film, self._span, self._pts = film, span, pts
        self._hashes, self._is_stopped = hashes, is_stopped
        self._next, self._frames = 0, read_frames(film, *span)

    def frames(self, first: int, stop: int) -> Generator[Frame, None, None]:
        """Frames `first` to `stop`, half open; fewer where the file ends."""
        if first != self._next:
            self._go_to(first)
        while self._next < stop:
            frame = next(self._frames, None)
            if frame is None:
                return
            self._next += 1
            yield frame

    def close(self) -> None:
        """Close the file."""
        self._frames.close()

    def _go_to(self, first: int) -> None:
        """Open the file so that frame `first` comes next."""
        self.close()
        film = self._film
        assert film.video is not None
        if first in self._hashes and first > PREROLL_FRAMES:
            before = first - PREROLL_FRAMES
            seconds = self._pts[before] * film.video.time_base - film.start
            frames = read_frames(film, seconds, self._span[1])
            if self._skip(frames, self._pts[before:first]):
                frame = next(frames, None)
                if frame is not None and hash_frame(frame) == self._hashes[first]:
                    self._next, self._frames = first, _put_back(frame, frames)
                    return
            frames.close()
        self._next, self._frames = first, read_frames(film, *self._span)
        self._skip(self._frames, self._pts[:first])

    def _skip(self, frames: Generator[Frame, None, None], pts: Iterable[int]) -> bool:
        """Pass over frames; whether all have these time stamps."""
        for wanted in pts:
            if self._is_stopped():
                frames.close()
                raise Interrupted
            frame = next(frames, None)
            if frame is None or frame.pts != wanted:
                return False
        return True


def _put_back(frame: Frame, frames: Generator[Frame, None, None]) -> Generator[Frame, None, None]:
    with closing(frames):
        yield frame
        yield from frames


@dataclass(frozen=True, slots=True)
class PassContext:
    """What one pass is to do with a frame."""

    settings: FrameSettings
    is_active: bool
    share: float
    """How much of its detail is added."""
    mask: np.ndarray | None
    """float32 [H, W], 0..1, where, at the source's resolution; None: everywhere."""
    hinted: ChannelGains
    """What the shot's hints make of the energies of channels."""
    heard: ChannelGains = field(default_factory=dict)
    """Likewise the sounds that are heard."""
    forgotten: float = 0.0
    """0..1: share of the carried dream that gives way to what is newly heard."""


@dataclass(frozen=True, slots=True)
class FrameContext:
    """What the passes need to know of a frame."""

    index: int
    """Number of the frame within the video, or within the excerpt."""
    seconds: Fraction
    """Of the source, as a player shows it."""
    shot: Shot
    light: float
    """0..1: share of its picture that a fade leaves."""
    presence: float
    """0..1: how much of its dream a fade leaves."""
    small: np.ndarray
    """float32 [h, w, 3]: what lies within the shot's borders, at the working resolution."""
    gray: np.ndarray
    """uint8, what flow is measured on, see `shrink_to_flow_size`."""
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
    hints: PassHints = ()
    heard: HeardSounds | None = None
    """What the source's sound has in it; None: it does not matter."""

    def measure(
        self, frame: Frame, index: int, previous: np.ndarray | None
    ) -> tuple[FrameContext, np.ndarray | None]:
        """Measure the frame of a number in the scan, and return `previous` for the next one too.

        That is `FrameContext.gray` of the last frame that was dreamed; None: there is none.
        """
        shots = self.scan.shots
        number = bisect_right(shots, index, key=lambda each: each.first) - 1
        shot = shots[number]
        presence = self.scan.presence(index)
        small = shrink_to_working_size(frame.rgb, shot, self.size)
        gray = shrink_to_flow_size(crop_to_shot(frame.rgb, shot), small)
        begins = index == shot.first and index > 0  # Before the first frame of all lies the last of a loop.
        if begins or presence == 0 or not self.coherent:
            previous = None
        motion = None
        if not shot.is_flash(index):
            motion = None if previous is None else measure_flow(previous, gray, small)
            previous = gray if presence > 0 and small.size else None
        ticks = self.scan.pts[index] - self.scan.pts[index - 1] if index else 0
        elapsed = float(ticks * self.scan.time_base)
        passes = tuple(
            _measure_pass(bound, frame.seconds, elapsed, presence, number, hints, small.shape[:2], self.heard)
            for bound, hints in zip(self.passes, self.hints or [None] * len(self.passes), strict=True)
        )
        light = self.scan.light[index]
        context = FrameContext(index, frame.seconds, shot, light, presence, small, gray, motion, passes)
        return context, previous


def _measure_pass(
    bound: BoundPass,
    seconds: Fraction,
    elapsed: float,
    presence: float,
    shot: int,
    hints: FilmHints | None,
    size: tuple[int, int],
    heard: HeardSounds | None,
) -> PassContext:
    at = float(seconds)
    settings, is_active = bound.renderer.schedule.at(at), bound.span.is_active(at)
    share = settings.strength * presence * bound.span.opacity(at)
    mask = None if bound.read_mask is None or not is_active else bound.read_mask(seconds)
    hinted = NO_GAINS if hints is None else hints.gains(bound.renderer.network, shot, at, size)
    favoured, forgotten = NO_GAINS, 0.0
    # A black frame has no places to favour anything at.
    if heard is not None and settings.heard_to_seen > 0 and all(size):
        favoured = heard.gains(bound.renderer.network, at, size, settings.heard_to_seen)
        forgotten = heard.forgetting(bound.renderer.network, at, elapsed, settings.heard_to_seen)
    return PassContext(settings, is_active, share, mask, hinted, favoured, forgotten)


def shrink_to_working_size(rgb: np.ndarray, shot: Shot, size: octaves.Size) -> np.ndarray:
    """What lies within a shot's borders, of float32 [H, W, 3] that is worked on at a size (height, width)."""
    top, bottom, left, right = shot.box
    height, width = rgb.shape[:2]
    inner = round((bottom - top) * size[0] / height), round((right - left) * size[1] / width)
    if not all(inner):
        return np.zeros((0, 0, 3), np.float32)
    return np.ascontiguousarray(octaves.resize(crop_to_shot(rgb, shot), inner))


def shrink_to_flow_size(rgb: np.ndarray, small: np.ndarray) -> np.ndarray:
    """The image that flow is measured on, uint8 [h, w], of what lies within a shot's borders.

    Half the size of `small`, which is `rgb` at the working resolution; where the film is larger,
    the lesser of `MIN_FLOW_SIDE` and half of the film's size, if that is more.
    """
    if not small.size:
        return np.zeros((0, 0), np.uint8)
    wanted = min(MIN_FLOW_SIDE, *half_size((rgb.shape[0], rgb.shape[1])))
    if min(half_size((small.shape[0], small.shape[1]))) >= wanted:
        return to_gray(small)
    image = small if min(small.shape[:2]) >= wanted else rgb
    factor = wanted / min(image.shape[:2])
    return to_gray(image, (round(image.shape[0] * factor), round(image.shape[1] * factor)))


def measure_flow(previous: np.ndarray, gray: np.ndarray, small: np.ndarray) -> OpticalFlow:
    """The flow between two images of `shrink_to_flow_size`, at half the size of `small`."""
    return shrink_flow(estimate_flow(previous, gray), half_size((small.shape[0], small.shape[1])))


def crop_to_shot(image: np.ndarray, shot: Shot) -> np.ndarray:
    """What lies within a shot's borders, of [H, W, ...]; a view."""
    top, bottom, left, right = shot.box
    return image[top:bottom, left:right]
