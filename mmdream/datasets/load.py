"""Examples as arrays; those of a prepared set are kept beside it, so that a second look takes no decoding."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from mmdream.core.errors import UserError
from mmdream.datasets.folder import Dataset, Example
from mmdream.datasets.sort import crop_square
from mmdream.media import image

CACHE_FOLDER = "cache"
"""Folder beside a set's files; it may be deleted."""

MAX_SECONDS = 60
"""Of a sound that is read; a recording of hours would not fit into memory, and no set here has longer."""

MAX_SAMPLE_RATE = 1 << 20
"""Samples a second that a sound may claim: what brings them to another rate is as long as this is large."""

BLOCK_SAMPLES = 1 << 16
"""Samples decoded at once: a header may claim any number of them."""


@dataclass(frozen=True, slots=True)
class ExampleFormat:
    """How examples are wanted."""

    side: int = 224
    """px of a picture, which is cut to a square."""
    rate: int = 22_050
    """Samples a second of a sound, which is mixed to one channel."""


def load_examples(of: Dataset, examples: Sequence[Example], form: ExampleFormat) -> list[np.ndarray]:
    """Load some examples, several at once.

    Args:
        of: the set they belong to.
        examples: any of its.
        form: how they are wanted.

    Returns:
        Pictures as float32 [side, side, 3], RGB, 0..1; sounds as float32 [samples], -1..1, each as long as it
        is, up to `MAX_SECONDS`. A second time gives the same values as the first.

    Raises:
        UserError: a file is damaged.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as workers:
        return list(workers.map(lambda example: load_example(of, example, form), examples))


def load_example(of: Dataset, example: Example, form: ExampleFormat) -> np.ndarray:
    """Load one example, see `load_examples`."""
    picture = of.medium == "picture"
    kept = _cache_path(of, example, f"picture-{form.side}" if picture else f"sound-{form.rate}")
    whole = _read_cached(kept)
    if whole is None:
        whole = _load_image(example.file, form.side) if picture else _load_audio(example.file, form.rate)
        if kept is not None:
            _write_cached(kept, whole)
    return whole.astype(np.float32) / np.float32(255 if picture else 32767)


def _cache_path(of: Dataset, example: Example, form: str) -> Path | None:
    """Where an example is kept; the name tells the file's size and time, so that another file is not it."""
    if of.about is None:
        return None
    try:
        about = example.file.stat()
    except OSError:
        raise UserError(f"{example.file}: is missing; see `mmdream data check {of.folder}`") from None
    name = f"{example.file.name}.{about.st_size}-{about.st_mtime_ns}.npy"
    return of.folder / CACHE_FOLDER / form / example.file.parent.name / name


def _read_cached(path: Path | None) -> np.ndarray | None:
    """What is kept, as integers; None: nothing."""
    try:
        found: np.ndarray | None = None if path is None else np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found


def _write_cached(path: Path, whole: np.ndarray) -> None:
    """Keep an example; where that cannot be, it is decoded again the next time."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(draft, "wb") as file:
            np.save(file, whole, allow_pickle=False)
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)


def _load_image(path: Path, side: int) -> np.ndarray:
    """uint8 [side, side, 3]."""
    pixels: np.ndarray = np.rint(crop_square(image.read_image(path), side) * 255).astype(np.uint8)
    return pixels


def _load_audio(path: Path, rate: int) -> np.ndarray:
    """int16 [samples]; what sets hold has hardly more bits."""
    try:
        with soundfile.SoundFile(path) as file:
            own = file.samplerate
            if not 0 < own <= MAX_SAMPLE_RATE:
                raise UserError(f"{path}: claims {own} samples a second; at most {MAX_SAMPLE_RATE} are read")
            blocks = file.blocks(BLOCK_SAMPLES, frames=MAX_SECONDS * own, dtype="float32", always_2d=True)
            samples = np.concatenate([np.zeros(0, np.float32), *(block.mean(axis=1) for block in blocks)])
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path}: cannot be read as a sound ({error})") from error
    if own != rate and len(samples):
        common = math.gcd(own, rate)
        samples = resample_poly(samples, rate // common, own // common)
    whole: np.ndarray = np.rint(np.clip(np.nan_to_num(samples), -1, 1) * 32767).astype(np.int16)
    return whole
