"""What the page shows of a film: its frames by time, its cuts, and the course of its sound."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmdream.core.errors import UserError
from mmdream.media.audio_files import decode_audio
from mmdream.media.probe import probe

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
    """Frames a second."""
    tracks: tuple[str, ...]


def describe_film(path: Path) -> FilmFacts:
    """Facts of a file; `UserError`: it is no film, or has no picture."""
    film = probe(path)
    video = film.video
    if video is None:
        raise UserError(f"{path.name}: has no picture; `mmdream audio` dreams its sound")
    tracks = tuple(f"{t.number}: {t.layout}, {t.rate} Hz" for t in film.audio_tracks)
    duration, rate = float(film.duration or 0), float(video.rate or 25)
    return FilmFacts(path.name, duration, video.width, video.height, rate, tracks)


def encode_jpeg(rgb: np.ndarray, height: int) -> bytes:
    """A picture, float32 [H, W, 3], 0..1, as JPEG, of at most so many rows."""
    if rgb.shape[0] > height:
        size = max(round(rgb.shape[1] * height / rgb.shape[0]), 1), height
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    pixels = np.rint(np.clip(rgb[..., ::-1], 0, 1) * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()


def decode_jpeg(data: bytes) -> np.ndarray:
    """A picture of `encode_jpeg`, float32 [H, W, 3], 0..1."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels[..., ::-1].astype(np.float32) / 255


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
