"""What the page shows of a film: its frames by time, its cuts, and the course of its sound."""

from __future__ import annotations

import functools
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mmdream.core.errors import UserError
from mmdream.media.audio_files import decode_audio
from mmdream.media.probe import MediaFile, probe
from mmdream.media.video_reader import Frame, read_frames

JPEG_QUALITY = 88
MAX_HEIGHT, THUMBNAIL_HEIGHT = 1080, 54
PEAKS = 1200
"""Of the course of a sound, over its whole length."""


@dataclass(frozen=True)
class FilmFacts:
    """What is known of a film without decoding it."""

    name: str
    duration: float
    width: int
    height: int
    rate: float
    """Frames a second; 0: it has no picture."""
    tracks: tuple[str, ...]


def describe_film(path: Path) -> FilmFacts:
    """Facts of a file; `UserError`: it is no film."""
    film = probe(path)
    video = film.video
    tracks = tuple(f"{t.number}: {t.layout}, {t.rate} Hz" for t in film.audio_tracks)
    rate = 0.0 if video is None else float(video.rate or 25)
    size = (0, 0) if video is None else (video.width, video.height)
    return FilmFacts(path.name, float(film.duration or 0), *size, rate, tracks)


class FrameReader:
    """Frames of one film by time; goes on decoding where the next one asked for is near."""

    NEAR_SECONDS = Fraction(1)
    ROUNDING_SECONDS = Fraction(1, 2000)
    """By which a frame's own second may be rounded down on its way here."""

    def __init__(self, path: Path) -> None:
        self._film: MediaFile = probe(path)
        self._frames: Generator[Frame, None, None] | None = None
        self._shown: Frame | None = None
        self._next: Frame | None = None

    def read(self, seconds: Fraction) -> Frame:
        """The frame that is shown at a second; before the film the first, behind it the last.

        `UserError`: there is none.
        """
        seconds += self.ROUNDING_SECONDS
        if (
            self._shown is None
            or not self._shown.seconds <= seconds <= self._shown.seconds + self.NEAR_SECONDS
        ):
            self._begin(max(seconds - self.NEAR_SECONDS / 4, Fraction(0)))
            if self._shown is None or self._shown.seconds > seconds:
                self._begin(Fraction(0))  # The frame before lasts long, or the film has ended.
        while self._next is not None and self._next.seconds <= seconds:
            self._advance()
        if self._shown is None:
            raise UserError(f"{self._film.path}: has no frame that can be shown")
        return self._shown

    def _begin(self, start: Fraction) -> None:
        self.close()
        self._frames = read_frames(self._film, start)
        self._next = next(self._frames, None)
        self._advance()

    def _advance(self) -> None:
        assert self._frames is not None
        self._shown, self._next = self._next, next(self._frames, None)

    def close(self) -> None:
        """Let go of the file."""
        if self._frames is not None:
            self._frames.close()
        self._frames = self._shown = self._next = None


def encode_jpeg(rgb: np.ndarray, height: int) -> bytes:
    """A picture, float32 [H, W, 3], 0..1, as JPEG, of at most so many rows."""
    if rgb.shape[0] > height:
        size = max(round(rgb.shape[1] * height / rgb.shape[0]), 1), height
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    pixels = np.rint(np.clip(rgb[..., ::-1], 0, 1) * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()


@functools.lru_cache(8)
def measure_peaks(path: Path, modified: float) -> list[float]:
    """The largest magnitude of a film's first sound track in `PEAKS` stretches, 0..1; none: it is silent."""
    del modified  # Of the file: another one has another course.
    film = probe(path)
    if not film.audio_tracks:
        return []
    track = film.audio_tracks[0]
    length = float(film.duration or track.duration or 0) * track.rate
    peaks = np.zeros(PEAKS, np.float32)
    offset = float(track.start) * track.rate
    for position, samples in decode_audio(film, track):
        loud = np.abs(samples).max(axis=0)
        at = ((position + offset + np.arange(len(loud))) * PEAKS / max(length, 1)).astype(int)
        np.maximum.at(peaks, np.clip(at, 0, PEAKS - 1), loud)
    return [round(float(each), 3) for each in peaks]
