"""Small frames of a film that need no decoding of others: JPEGs one behind the other, with their seconds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from mmdream.media.frame_reader import FrameReader
from mmdream.studio.frames import encode_jpeg

PROXY_HEIGHT = 540
"""px; a larger frame is asked of the film itself."""
MAX_PROXY_BYTES = 1 << 30
"""Frames behind those are asked of the film, too."""
FRAMES_FILE, INDEX_FILE = "frames.mjpeg", "frames.safetensors"


class ProxyWriter:
    """Writes the frames of a film; without `close` they do not count."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._size = folder, 0
        self._file = open(folder / FRAMES_FILE, "wb")  # noqa: SIM115
        self._seconds: list[float] = []
        self._ends: list[int] = []

    def add(self, rgb: np.ndarray, seconds: float) -> None:
        """A frame, float32 [H, W, 3], 0..1, as shown from a second on; they rise."""
        if self._size < MAX_PROXY_BYTES:
            self._size += self._file.write(encode_jpeg(rgb, PROXY_HEIGHT))
            self._seconds.append(seconds)
            self._ends.append(self._size)

    def close(self) -> None:
        """From now on the frames can be read."""
        self._file.close()
        draft = self._folder / f"{INDEX_FILE}.draft"
        save_file({"seconds": np.array(self._seconds), "ends": np.array(self._ends, np.int64)}, draft)
        os.replace(draft, self._folder / INDEX_FILE)


class FrameProxy:
    """Reads the frames that a `ProxyWriter` has written; `OSError`: there are none (yet)."""

    def __init__(self, folder: Path) -> None:
        if not (folder / INDEX_FILE).is_file():
            raise FileNotFoundError(folder / INDEX_FILE)
        index = load_file(folder / INDEX_FILE)
        self._path, self._seconds = folder / FRAMES_FILE, index["seconds"]
        self._ends = np.concatenate(([0], index["ends"]))

    def read(self, seconds: float) -> tuple[bytes, float] | None:
        """The frame that is shown at a second, as JPEG, and its own second; None: it is not among these."""
        place = int(np.searchsorted(self._seconds, seconds + float(FrameReader.ROUNDING_SECONDS), "right"))
        is_cut_off = self._ends[-1] >= MAX_PROXY_BYTES
        if not len(self._seconds) or (place == len(self._seconds) and is_cut_off):
            return None
        place = max(place - 1, 0)
        with open(self._path, "rb") as file:
            file.seek(self._ends[place])
            return file.read(self._ends[place + 1] - self._ends[place]), float(self._seconds[place])
