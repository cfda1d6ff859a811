"""Short clips to teach a dreamer with: a camera that moves over photographs, and excerpts of films."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mmdream.core.errors import UserError
from mmdream.media.formats import VIDEO_SUFFIXES
from mmdream.media.image import read_image
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames

CLIP_SIZE = 192, 256
"""Height, width of a clip, px: room for four octaves."""
CLIP_FRAMES = 20, 70
"""Fewest and most."""
CLIP_RATE = 25
MAX_SPEED = 4.0
"""px a frame that a camera moves at most at the clip's size."""
STILL_SHARE = 0.15
"""Of the clips of photographs, those that stand still."""
FILM_SHARE = 0.2
"""Of the clips, those of films where there are both."""
COVERED_SHARE = 0.4
"""Those in which something passes by."""
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def list_material(folder: Path) -> tuple[list[Path], list[Path]]:
    """The pictures and the films in a folder and below it, sorted; UserError: there are too few."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    pictures = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
    films = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    if len(pictures) + len(films) < 2:
        raise UserError(f"{folder}: has no two pictures (.jpg, .png, .webp) or films to learn from")
    return pictures, films


Clip = list[np.ndarray]
"""Frames of one shot, float32 [*CLIP_SIZE, 3], 0..1."""


def draw_clip(files: Sequence[Path], rng: np.random.Generator) -> Clip:
    """A clip of a film in a fifth of the cases, if there are any, or else of pictures."""
    films = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    pictures = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
    count = int(rng.integers(*CLIP_FRAMES, endpoint=True))
    if films and (not pictures or rng.random() < FILM_SHARE):
        path = films[rng.integers(len(films))]
        frames = list(_read_excerpt(path, count, rng))
        if len(frames) >= CLIP_FRAMES[0]:
            return frames
    if not pictures:
        raise UserError(f"{films[0].parent}: its films are too short to learn from; give pictures, too")
    frames = list(_move_over(read_image(pictures[rng.integers(len(pictures))]), count, rng))
    if rng.random() < COVERED_SHARE:
        other = _move_over(read_image(pictures[rng.integers(len(pictures))]), count, rng)
        frames = list(_cover(frames, list(other), rng))
    return frames


def _read_excerpt(path: Path, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    film = probe(path)
    length = float(film.duration or 0)
    start = Fraction(round(1000 * rng.random() * max(length - count / 12, 0)), 1000)
    height, width = CLIP_SIZE
    place = None
    frames = read_frames(film, start, None)
    for _, frame in zip(range(count), frames, strict=False):
        h, w = frame.rgb.shape[:2]
        factor = max(height / h, width / w, min(1.0, 360 / min(h, w)))
        size = max(width, round(w * factor)), max(height, round(h * factor))
        small = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
        if place is None:
            place = int(rng.integers(size[1] - height + 1)), int(rng.integers(size[0] - width + 1))
        top, left = place
        yield np.clip(small[top : top + height, left : left + width], 0, 1)
    frames.close()


def _move_over(picture: np.ndarray, count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """A camera that glides over a picture, turns and draws nearer; beyond its rim lies its mirror image."""
    height, width = CLIP_SIZE
    h, w = picture.shape[:2]
    least = max(height / h, width / w)
    zoom = least * math.exp(rng.uniform(0, 0.5))
    still = rng.random() < STILL_SHARE
    speed = 0.0 if still else MAX_SPEED * rng.random() ** 2
    angle, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.02)
    growth, turn = (0.0, 0.0) if still else (rng.normal(0, 0.003), rng.normal(0, 0.002))
    flip = rng.random() < 0.5
    light = rng.uniform(0.8, 1.15)
    x, y = rng.uniform(0.3, 0.7) * w, rng.uniform(0.3, 0.7) * h
    image = np.clip((picture[:, ::-1] if flip else picture) * np.float32(light), 0, 1)
    image = np.ascontiguousarray(image, np.float32)
    tilt = rng.normal(0, 0.05)
    for _ in range(count):
        cos, sin = math.cos(tilt) / zoom, math.sin(tilt) / zoom
        matrix = np.array(
            [
                [cos, -sin, x - cos * width / 2 + sin * height / 2],
                [sin, cos, y - sin * width / 2 - cos * height / 2],
            ]
        )
        frame = cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )  # fmt: skip
        yield np.clip(frame, 0, 1)
        x += speed * math.cos(angle) / zoom
        y += speed * math.sin(angle) / zoom
        angle, zoom, tilt = angle + bend, zoom * math.exp(growth), tilt + turn


def _cover(
    frames: list[np.ndarray], others: list[np.ndarray], rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Something round, cut from other frames, that passes by."""
    height, width = CLIP_SIZE
    radius = rng.uniform(0.15, 0.35) * height
    start, stop = rng.uniform(0, 1, (2, 2)) * (width, height)
    for number, (frame, other) in enumerate(zip(frames, others, strict=True)):
        middle = start + (stop - start) * number / CLIP_FRAMES[1]
        mask: np.ndarray = np.zeros(CLIP_SIZE, np.float32)
        cv2.ellipse(
            mask, (int(middle[0]), int(middle[1])), (int(radius), int(1.2 * radius)), 0, 0, 360, 1.0, -1
        )
        mask = cv2.GaussianBlur(mask, (0, 0), 1.5)[..., None]
        yield frame + mask * (other - frame)
