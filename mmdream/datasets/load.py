"""Loads examples as arrays; those of a prepared set are cached beside it, decoded."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import soundfile
from scipy.signal import resample_poly

from mmdream.core.errors import UserError
from mmdream.datasets.folder import Dataset, Example
from mmdream.media.image import read_image

CACHE_FOLDER = "cache"
"""Beside a set's files; it may be deleted."""
MAX_SECONDS = 60
"""Of a sound that is read; a recording of hours would not fit into memory, and no set here has longer."""
MAX_SAMPLE_RATE = 1 << 20
"""That a sound may claim: the filter that resamples is as long as this is large."""
BLOCK_SAMPLES = 1 << 16
"""Decoded at once: a header may claim any number of them."""


@dataclass(frozen=True, slots=True)
class ExampleFormat:
    """How examples are wanted."""

    side: int = 224
    """px of a picture, which is cut to a square."""
    rate: int = 22_050
    """Samples a second of a sound, which is mixed to one channel."""


def load_examples(dataset: Dataset, examples: Sequence[Example], format: ExampleFormat) -> list[np.ndarray]:
    """Load some of a set's examples, several at once; a UserError names a damaged file.

    Pictures are float32 [side, side, 3], RGB, 0..1; sounds float32 [samples], -1..1, each as long as it is,
    up to `MAX_SECONDS`. The cache gives the same values.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as workers:
        return list(workers.map(lambda example: load_example(dataset, example, format), examples))


def load_example(dataset: Dataset, example: Example, format: ExampleFormat) -> np.ndarray:
    """Load one example, see `load_examples`."""
    is_image, values = dataset.medium == "picture", None
    if dataset.info:
        name = f"picture-{format.side}" if is_image else f"sound-{format.rate}"
        path = _cache_path(dataset, example, name)
        with suppress(OSError, ValueError, EOFError):
            values = np.load(path, allow_pickle=False)
    if values is None:
        if is_image:
            square = crop_square(read_image(example.file), format.side)
            values = np.rint(square * 255).astype(np.uint8)
        else:
            values = _load_audio(example.file, format.rate)
        if dataset.info:
            _write_cached(path, values)
    return values.astype(np.float32) / np.float32(255 if is_image else 32767)


def _cache_path(dataset: Dataset, example: Example, format: str) -> Path:
    """Where an example is cached; the name tells the file's size and time, so that another file is not it."""
    try:
        stat = example.file.stat()
    except OSError:
        raise UserError(f"{example.file}: is missing; see `mmdream data check {dataset.folder}`") from None
    name = f"{example.file.name}.{stat.st_size}-{stat.st_mtime_ns}.npy"
    return dataset.folder / CACHE_FOLDER / format / example.file.parent.name / name


def _write_cached(path: Path, values: np.ndarray) -> None:
    """Cache an example; where that cannot be, it is decoded again the next time."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(draft, "wb") as file:
            np.save(file, values, allow_pickle=False)
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)


def crop_square(rgb: np.ndarray, side: int) -> np.ndarray:
    """The largest square in the middle of float32 [H, W, 3], 0..1, as float32 [side, side, 3], 0..1."""
    short = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - short) // 2, (rgb.shape[1] - short) // 2
    square = rgb[top : top + short, left : left + short]
    interpolation = cv2.INTER_AREA if side < short else cv2.INTER_CUBIC
    resized: np.ndarray = np.clip(cv2.resize(square, (side, side), interpolation=interpolation), 0, 1)
    return resized


def _load_audio(path: Path, rate: int) -> np.ndarray:
    """int16 [samples]; what sets hold has hardly more bits."""
    try:
        with soundfile.SoundFile(path) as file:
            own_rate = file.samplerate
            if not 0 < own_rate <= MAX_SAMPLE_RATE:
                raise UserError(
                    f"{path}: claims {own_rate} samples a second; at most {MAX_SAMPLE_RATE} are read"
                )
            blocks = file.blocks(
                BLOCK_SAMPLES, frames=MAX_SECONDS * own_rate, dtype="float32", always_2d=True
            )
            samples = np.concatenate([np.zeros(0, np.float32), *(block.mean(axis=1) for block in blocks)])
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a sound ({error})") from error
    if own_rate != rate and len(samples):
        divisor = math.gcd(own_rate, rate)
        samples = resample_poly(samples, rate // divisor, own_rate // divisor)
    values: np.ndarray = np.rint(np.clip(np.nan_to_num(samples), -1, 1) * 32767).astype(np.int16)
    return values
