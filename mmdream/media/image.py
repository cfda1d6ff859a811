"""Read and write image files as float32 RGB."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np

from mmdream.core.errors import UserError, silence_stderr

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
WHITE_LEVELS = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
"""White, in each type of sample that image files hold."""
MAX_IMAGE_PIXELS = 1 << 28
"""`mmdream/__init__.py` tells OpenCV the same."""
JPEG_MAGIC = b"\xff\xd8"
"""Its first bytes; it has eight bits and is never transparent."""
JPEG_OPTIONS = [cv2.IMWRITE_JPEG_QUALITY, 95]
WRITE_OPTIONS = {".jpg": JPEG_OPTIONS, ".jpeg": JPEG_OPTIONS, ".webp": [cv2.IMWRITE_WEBP_QUALITY, 95]}


def is_image(path: Path) -> bool:
    """Whether a file is an image by its first bytes; a GIF is taken for a film, which it may be."""
    return os.path.isfile(path) and path.suffix.lower() != ".gif" and cv2.haveImageReader(str(path))


def read_image(path: Path) -> np.ndarray:
    """Read an image file as float32 [H, W, 3], RGB, 0..1; what cannot be read is a `UserError`.

    Its EXIF orientation is applied, transparency is laid over black.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; give a picture") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if not len(data):
        raise UserError(f"{path}: the file is empty")
    # Where many are read at once, other threads write to stderr meanwhile.
    is_main = threading.current_thread() is threading.main_thread()
    try:
        with silence_stderr() if is_main else nullcontext():
            return _decode_image(path, data)
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
            raise
        raise UserError(f"{path}: takes more memory than there is; make the picture smaller") from None


def _decode_image(path: Path, data: np.ndarray) -> np.ndarray:
    unreadable = f"{path}: not a picture that can be read; give a {', '.join(IMAGE_SUFFIXES)} file"
    try:
        upright = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if upright is None:
            raise UserError(unreadable)
        if upright.shape[0] * upright.shape[1] > MAX_IMAGE_PIXELS:
            raise UserError(f"{path}: {upright.shape[1]}x{upright.shape[0]} pixels are too many")
        # The other way of decoding keeps transparency, and does not turn the picture.
        is_jpeg = data[:2].tobytes() == JPEG_MAGIC
        unchanged = upright if is_jpeg else cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in error.err:
            millions = MAX_IMAGE_PIXELS >> 20
            raise UserError(f"{path}: claims more than {millions} million pixels, too many") from None
        if error.code == cv2.Error.StsNoMem:
            raise
        raise UserError(unreadable) from None
    if unchanged is None or unchanged.dtype.name not in WHITE_LEVELS:
        raise UserError(unreadable)
    white = WHITE_LEVELS[unchanged.dtype.name]
    if unchanged.ndim == 3 and unchanged.shape[2] == 4 and unchanged.shape[:2] == upright.shape[:2]:
        upright = upright * (unchanged[..., 3:].astype(np.float32) / white)
    rgb = cv2.cvtColor(upright.astype(np.float32) / white, cv2.COLOR_BGR2RGB)
    return np.clip(np.nan_to_num(rgb), 0, 1)


def write_image(path: Path, rgb: np.ndarray) -> None:
    """Write uint8, or float32 0..1, [H, W, 3], RGB, in 8 bits, in the format of the suffix."""
    whole = rgb if rgb.dtype == np.uint8 else np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
    bgr = cv2.cvtColor(whole, cv2.COLOR_RGB2BGR)
    suffix = path.suffix.lower()
    encoded, data = cv2.imencode(suffix, bgr, WRITE_OPTIONS.get(suffix, []))
    if not encoded:
        raise UserError(f"{path}: the picture could not be encoded; try .png")
    path.write_bytes(data.tobytes())


def write_numbered_images(folder: Path) -> Callable[[np.ndarray], None]:
    """Make a folder and return what writes each image it is given there, as 0001.png, 0002.png, ..."""
    folder.mkdir()
    numbers = itertools.count(1)
    return lambda rgb: write_image(folder / f"{next(numbers):04}.png", rgb)
