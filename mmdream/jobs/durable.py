"""Files that are whole or not there, also after a kill or a power cut."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BLOCK_BYTES = 1 << 20
"""Bytes read at once."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A draft beside `path` that takes its name when the block ends well, and is gone otherwise.

    The bytes are on the disk before the name is, and the name before the block is left.
    """
    draft = path.with_name(f"{path.name}.draft")
    try:
        yield draft
        with open(draft, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file so."""
    with atomic_file(path) as draft:
        draft.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk; Windows does so by itself and cannot open folders."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def hash_file(path: Path) -> str:
    """Of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
