"""Pictures to train on, cropped, enlarged and coloured at random, by the number of the step."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames

JUDGED_FRAMES = (40, 200, 400, 600)
"""Those of each film that judge_dreams.py begins from: what is judged is not trained on."""
Labelled = tuple[np.ndarray, int]
"""A picture, uint8 [h, w, 3] RGB, and the place of its class among Tiny ImageNet's, -1 for none."""


@dataclass(frozen=True)
class Pool:
    """Pictures to draw from."""

    large: tuple[list[Labelled], ...]
    """Several sets, drawn from alike whatever their size."""
    small: list[Labelled]
    """Of 64x64 px."""


@dataclass(frozen=True)
class Batch:
    """What one step is given."""

    pictures: np.ndarray
    """float32 [n, side, side, 3], RGB 0..1."""
    classes: np.ndarray
    """int32 [n], -1 for none."""


def load_pools(data: Path, tiny: Path | None, more: list[Path]) -> tuple[Pool, Pool]:
    """Those to train on, and those kept from it: each 40th large picture, each 500th small one.

    Args:
        data: folder of imagenet_samples.tar, wnids.txt and tiny_imagenet_train.tar.gz.
        tiny: tiny-imagenet-200 as its publisher packs it, in place of the archive.
        more: folders of large pictures, in one folder for each WordNet id.
    """
    wnids = (data / "wnids.txt").read_text().split()
    place = {wnid: number for number, wnid in enumerate(wnids)}
    large = read_archive(data / "imagenet_samples.tar", place)
    if tiny is None:
        small = read_archive(data / "tiny_imagenet_train.tar.gz", place)
    else:
        small = read_folder(tiny / "train", place)
    others = [read_folder(folder, place) for folder in more]
    return (
        Pool(
            ([p for n, p in enumerate(large) if n % 40], *others),
            [p for n, p in enumerate(small) if n % 500],
        ),
        Pool((large[::40],), small[::500]),
    )


def read_archive(archive: Path, place: dict[str, int]) -> list[Labelled]:
    """The pictures of a tar whose members begin with a WordNet id."""
    with tarfile.open(archive) as tar:
        return [
            (decode_picture(tar.extractfile(m).read()), place.get(m.name[:9], -1))  # type: ignore[union-attr]
            for m in tar
            if m.isfile()
        ]


def read_folder(folder: Path, place: dict[str, int]) -> list[Labelled]:
    """The pictures in folders named by a WordNet id."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpeg", ".jpg", ".png"))
    return [
        (decode_picture(file.read_bytes()), place.get(file.relative_to(folder).parts[0], -1))
        for file in files
    ]


def decode_picture(data: bytes) -> np.ndarray:
    """A coded picture as uint8 [h, w, 3] RGB, turned as stored: ImageNet ignores EXIF."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)[..., ::-1]


def read_film_frames(films: list[Path]) -> list[np.ndarray]:
    """Every sixth frame, at most 360 rows, but for those near one that judge_dreams.py begins from."""
    found = []
    for film in films:
        for number, frame in enumerate(read_frames(probe(film))):
            if number % 6 == 0 and min(abs(number - judged) for judged in JUDGED_FRAMES) >= 24:
                height, width = frame.rgb.shape[:2]
                size = (round(width * 360 / height), 360) if height > 360 else (width, height)
                small = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)
                found.append((small * 255).round().clip(0, 255).astype(np.uint8))
    return found


def batches(pool: Pool, count: int, side: int, first: int, last: int) -> Iterator[tuple[int, Batch]]:
    """Batches of steps `first` to `last`, made two ahead in a thread."""
    with ThreadPoolExecutor(1) as thread:
        ahead = {s: thread.submit(batch, pool, count, side, s) for s in range(first, min(first + 2, last))}
        for step in range(first, last):
            if step + 2 < last:
                ahead[step + 2] = thread.submit(batch, pool, count, side, step + 2)
            yield step, ahead.pop(step).result()


def batch(pool: Pool, count: int, side: int, seed: int) -> Batch:
    """One batch: half crops of the large pictures at 0.4 to 1.2x, half of the small ones, enlarged."""
    rng = np.random.default_rng((2016, seed))
    pictures = np.empty((count, side, side, 3), np.float32)
    classes = np.empty(count, np.int32)
    for place in range(count):
        small = place % 2
        of = pool.small if small else pool.large[rng.integers(len(pool.large))]
        picture, classes[place] = of[rng.integers(len(of))]
        crop_side = round(64 * rng.uniform(0.7, 1.0)) if small else round(side / rng.uniform(0.4, 1.2))
        pictures[place] = vary_colors(crop_square(picture, crop_side, side, rng), rng)
    return Batch(pictures, classes)


def crop_square(picture: np.ndarray, crop_side: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """A square of a picture, uint8 [h, w, 3], drawn and brought to `side` px, float32 0..1."""
    crop_side = min(crop_side, *picture.shape[:2])
    y, x = (int(rng.integers(size - crop_side + 1)) for size in picture.shape[:2])
    crop = picture[y : y + crop_side, x : x + crop_side]
    how = cv2.INTER_AREA if crop_side > side else cv2.INTER_CUBIC
    crop = cv2.resize(crop, (side, side), interpolation=how).astype(np.float32) / 255
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def vary_colors(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contrast 0.6 to 1.3, saturation 0 to 1.5, colours +-0.1."""
    grey = crop.mean(2, keepdims=True)
    crop = grey + (crop - grey) * np.float32(rng.uniform(0.0, 1.5))
    jitter = rng.uniform(-0.1, 0.1, 3).astype(np.float32)
    return np.clip((crop - 0.5) * np.float32(rng.uniform(0.6, 1.3)) + 0.5 + jitter, 0, 1)
