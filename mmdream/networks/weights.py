"""Weights as plain arrays by name: found, checked, and downloaded once where they do not ship.

Nothing here needs TensorFlow, so that a wrong file is refused before it loads; nothing is unpickled.
Arrays are named ``<layer>_kernel`` (height, width, in, out) and ``<layer>_bias``. Downloads are pinned,
bounded in size (`core.download`) and never half there.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import urllib.parse
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from mmdream.core.download import DownloadError, cache_folders, download_bytes, download_file
from mmdream.core.errors import UserError
from mmdream.core.files import hash_file
from mmdream.networks.card import (
    MODELS_FOLDER,
    KerasWeights,
    ModelFileWeights,
    NetworkCard,
    NoWeights,
    ShippedWeights,
    SnapshotWeights,
    TrainedWeights,
)

RANDOM = "random"
"""In place of a file: untrained weights."""
ARRAY_SUFFIXES = (".npz", ".safetensors")
"""Files of plain arrays; neither kind can run code."""
READ_ERRORS = (
    *(ValueError, TypeError, OSError, EOFError, AttributeError, LookupError, RuntimeError, SyntaxError),
    *(MemoryError, OverflowError, TokenError, zlib.error, zipfile.BadZipFile, SafetensorError),
)
"""What the readers raise at a file that is no archive of numbers; out of memory if they believe the shape
that an array claims."""

Shapes = dict[str, tuple[int, ...]]
log = logging.getLogger(__name__)


def locate_weights(card: NetworkCard, weights: str | Path | None = None) -> Path | None:
    """The file that holds a network's weights, checked as far as can be without TensorFlow.

    `weights` is a file, "random", or None for the card's own weights, downloaded if need be.

    Returns:
        An ``.npz`` or ``.safetensors`` file, an ``.h5`` or ``.keras`` file of Keras's applications and of
        networks without weights of their own, or the user's own Keras file; None: random.

    Raises:
        UserError: no such file, a file of another network, a damaged one, or no way to download.
    """
    if weights == RANDOM:
        return None
    if weights is None and isinstance(card.weights, ModelFileWeights):
        return card.weights.path
    path = _find_card_weights(card) if weights is None else Path(weights).expanduser()
    if weights is None and isinstance(card.weights, (ShippedWeights, TrainedWeights)):
        return path  # Its checksum is right; to compare its shapes with its own it would be unpacked twice.
    if not path.is_file():
        raise UserError(f"{path}: no such weights file (a file, or `random` for untrained weights)")
    by_keras = isinstance(card.weights, (KerasWeights, NoWeights))
    suffixes = (*ARRAY_SUFFIXES, ".h5", ".keras") if by_keras else ARRAY_SUFFIXES
    if path.suffix not in suffixes:
        raise UserError(f"{path}: {card.name} takes weights as {' or '.join(suffixes)}")
    if path.suffix in ARRAY_SUFFIXES and (required := _required_shapes(card)):
        check_shapes(path, card.name, {name: a.shape for name, a in read_arrays(path).items()}, required)
    elif path.suffix == ".h5" and path.read_bytes()[:4] != b"\x89HDF":
        raise UserError(f"{path}: is not an HDF5 file")
    elif path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise UserError(f"{path}: is not a Keras file")
    return path


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file, by name; a UserError if it is damaged or no archive of plain number arrays."""
    try:
        if path.suffix == ".safetensors":
            arrays = load_file(path)
        else:
            # NumPy itself leaves a damaged file open.
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        for name, array in arrays.items():
            # Not asked the other way round: bfloat16 is none of numpy's own kinds.
            if array.dtype.kind in "OSUMmc" or array.dtype.type is np.void:
                raise TypeError(f"{name} is of {array.dtype}")
        return arrays
    except READ_ERRORS as error:
        raise UserError(f"{path}: is no {path.suffix} file of number arrays, or is damaged") from error


def check_shapes(path: Path | str, network: str, shapes: Shapes, required: Shapes) -> None:
    """Raise a UserError that names the first array that a file lacks or has in another shape."""
    for name, shape in required.items():
        if shapes.get(name) != shape:
            wrong = f"has shape {'x'.join(map(str, shapes[name]))}" if name in shapes else "is missing"
            needed = f"{network} needs {'x'.join(map(str, shape))}"
            raise UserError(f"{path}: weights of another network? array {name} {wrong}; {needed}")


def _required_shapes(card: NetworkCard) -> Shapes:
    """Names and shapes of the arrays that a network needs; empty where only Keras knows."""
    if isinstance(card.weights, (ShippedWeights, TrainedWeights)):
        return {name: a.shape for name, a in read_arrays(card.home / card.weights.file).items()}
    if isinstance(card.weights, SnapshotWeights):
        manifest = read_snapshot_manifest(MODELS_FOLDER / card.weights.manifest)
        return {file.array: file.shape for file in manifest}
    return {}


def _find_card_weights(card: NetworkCard) -> Path:
    """Where the card's own weights are, after a download if need be."""
    source = card.weights
    if isinstance(source, (ShippedWeights, TrainedWeights)):
        path = card.home / source.file
        if not path.is_file() or hash_file(path) != source.sha256:
            shipped = isinstance(source, ShippedWeights)
            remedy = "install mmdream again" if shipped else "train the network again"
            raise UserError(f"{path}: missing or damaged; {remedy}")
        return path
    if isinstance(source, SnapshotWeights):
        folder = cache_folders()["mmdream"]
        return download_snapshot(source.address, MODELS_FOLDER / source.manifest, folder, card.name)
    if isinstance(source, NoWeights):
        raise UserError(
            f"{card.name}: has no weights, {source.why}; give --weights FILE, or --weights random "
            "(--sound-weights for the sound of a film)"
        )
    assert isinstance(source, KerasWeights)
    return download_keras_file(source, cache_folders()["keras"] / source.file, card.name)


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
        SnapshotFile(name, int(size), sha256, array, tuple(map(int, shape.split("x"))))
        for name, size, sha256, array, shape in rows
    ]


def download_snapshot(address: str, manifest: Path, folder: Path, network: str) -> Path:
    """Gather a snapshot's raw files into one ``.npz``, unless it is there already and intact.

    Its name tells the manifest, so that a release with other weights fetches them. The address, ending in a
    slash, is the prefix of the files' paths. A UserError, and nothing written, if one of them is not had.
    """
    into = folder / f"{network}-{hash_file(manifest)[:12]}.npz"
    with suppress(UserError):
        read_arrays(into)
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
            # (out, y, x, in), as the network wants it: (y, x, in, out).
            array = np.frombuffer(data, "<f4").reshape(file.shape[-1], *file.shape[:-1])
            arrays[file.array] = np.ascontiguousarray(np.moveaxis(array, 0, -1))
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
    """One of Keras's weight files, from Keras's cache or into it; UserError: not had, or damaged."""
    if into.is_file():
        if source.md5 and hash_file(into, "md5") != source.md5:
            raise UserError(f"{into}: damaged (checksum is not Keras's); delete it and try again")
        return into
    log.info("%s: downloading %s", network, source.file)
    try:
        download_file(source.address, into, source.most_bytes, f"md5:{source.md5}" if source.md5 else "")
    except (DownloadError, OSError) as error:
        raise UserError(
            f"{network}: {source.file} could not be downloaded ({error}); put it into "
            f"{into.parent}, or pass it with --weights FILE, or take --weights random"
        ) from error
    return into


def _has_pinned_arrays(path: Path, files: list[SnapshotFile]) -> bool:
    """Whether an archive is there whose arrays are, to the bit, those that a manifest pins."""
    try:
        arrays = read_arrays(path)
    except UserError:
        return False
    for file in files:
        array = arrays.get(file.array)
        if array is None or array.dtype != np.float32 or array.shape != file.shape:
            return False
        if hashlib.sha256(np.moveaxis(array, -1, 0).astype("<f4").tobytes()).hexdigest() != file.sha256:
            return False
    return True
