"""Weights as plain arrays by name: found, checked, and downloaded where they do not ship.

Nothing here needs TensorFlow, so that a wrong file is refused before it loads; nothing is unpickled.
Arrays are named ``<layer>_kernel`` (height, width, in, out) and ``<layer>_bias``.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from mmdream.core.download import cache_folders
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
from mmdream.networks.download import download_keras_file, download_snapshot, read_snapshot_manifest

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
    """All arrays of a file, by name.

    Raises:
        UserError: not an archive of plain number arrays, or a damaged one.
    """
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
        if shapes.get(name) == shape:
            continue
        wrong = f"has shape {_format_shape(shapes[name])}" if name in shapes else "is missing"
        needed = f"{network} needs {_format_shape(shape)}"
        raise UserError(f"{path}: weights of another network? array {name} {wrong}; {needed}")


def _format_shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


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
