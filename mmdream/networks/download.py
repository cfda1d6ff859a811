"""Downloads weights once, into the user's cache: pinned, bounded in size, never half there.

A public snapshot of raw float32 files, each with size and SHA-256 in a manifest, becomes one ``.npz``; an
HDF5 file of Keras's applications is kept where Keras itself keeps it.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import urllib.parse
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream.core.download import DownloadError, download_bytes, download_file
from mmdream.core.errors import UserError
from mmdream.core.files import hash_file

if TYPE_CHECKING:
    from mmdream.networks.card import KerasWeights

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SnapshotFile:
    """One line of a manifest: a raw little-endian float32 array, kernels in order out, y, x, in."""

    path: str
    bytes: int
    sha256: str
    array: str
    """Its name among the weights."""
    shape: tuple[int, ...]
    """As the network wants it: (y, x, in, out), (in, out) or (out,)."""


def read_snapshot_manifest(path: Path) -> list[SnapshotFile]:
    """The files of a snapshot, from tab-separated columns path, bytes, sha256, array, shape."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [
        SnapshotFile(name, int(size), sha256, array, tuple(int(side) for side in shape.split("x")))
        for name, size, sha256, array, shape in rows
    ]


def download_snapshot(address: str, manifest: Path, folder: Path, network: str) -> Path:
    """Gather a snapshot's raw files into one ``.npz``, unless it is there already and intact.

    Its name tells the manifest, so that a release with other weights fetches them. The address, ending in a
    slash, is the prefix of the files' paths.

    Raises:
        UserError: a file cannot be had or is not what the manifest says; nothing is written.
    """
    into = folder / f"{network}-{hash_file(manifest)[:12]}.npz"
    if _is_intact_zip(into):
        return into
    files = read_snapshot_manifest(manifest)
    earlier = folder / f"{network}.npz"
    if _has_pinned_arrays(earlier, files):
        earlier.replace(into)  # From a release whose names did not tell the manifest.
        return into
    log.info("%s: downloading %.0f MB", network, sum(file.bytes for file in files) / 1e6)
    arrays = {}
    try:
        for file in files:
            data = download_bytes(address + urllib.parse.quote(file.path), file.bytes)
            if len(data) != file.bytes or hashlib.sha256(data).hexdigest() != file.sha256:
                raise DownloadError(f"{file.path} is not the file that the manifest pins")
            arrays[file.array] = _to_keras_layout(np.frombuffer(data, "<f4"), file.shape)
        folder.mkdir(parents=True, exist_ok=True)
        # In a folder of its own, then renamed: two runs at once do not disturb each other.
        with tempfile.TemporaryDirectory(prefix=".part", dir=folder) as work:
            part = Path(work, into.name)
            np.savez(part, **arrays)  # type: ignore[arg-type]  # its stub takes **kwds for allow_pickle
            part.replace(into)
    except (DownloadError, OSError) as error:
        raise UserError(
            f"{network}: its weights could not be downloaded ({error}); go online once, or pass an "
            f".npz file with --weights FILE (or save it as {into}), or take --weights random"
        ) from error
    return into


def download_keras_file(source: KerasWeights, into: Path, network: str) -> Path:
    """One of Keras's weight files, from Keras's cache or into it.

    Raises:
        UserError: it cannot be had, or its checksum is not Keras's.
    """
    if into.is_file():
        if source.md5 and hash_file(into, "md5") != source.md5:
            raise UserError(f"{into}: damaged (checksum is not Keras's); delete it and try again")
        return into
    log.info("%s: downloading %s", network, source.file)
    try:
        checksum = f"md5:{source.md5}" if source.md5 else ""
        download_file(source.address, into, source.most_bytes, checksum)
    except (DownloadError, OSError) as error:
        raise UserError(
            f"{network}: {source.file} could not be downloaded ({error}); put it into "
            f"{into.parent}, or pass it with --weights FILE, or take --weights random"
        ) from error
    return into


def _is_intact_zip(path: Path) -> bool:
    """Whether an archive is there and fits the checksums in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):
        return False


def _has_pinned_arrays(path: Path, files: list[SnapshotFile]) -> bool:
    """Whether an archive's arrays are, to the bit, those that a manifest pins."""
    if not _is_intact_zip(path):
        return False
    try:
        with np.load(path, allow_pickle=False) as archive:
            for file in files:
                array = archive[file.array]
                raw = (array if array.ndim == 1 else np.moveaxis(array, -1, 0)).astype("<f4").tobytes()
                same = hashlib.sha256(raw).hexdigest() == file.sha256
                if (array.dtype, array.shape) != (np.float32, file.shape) or not same:
                    return False
    except (OSError, ValueError, KeyError):
        return False
    return True


def _to_keras_layout(flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A raw array (out, y, x, in) as the network wants it (y, x, in, out)."""
    if len(shape) == 1:
        return flat.reshape(shape)
    return np.ascontiguousarray(np.moveaxis(flat.reshape(shape[-1], *shape[:-1]), 0, -1))
