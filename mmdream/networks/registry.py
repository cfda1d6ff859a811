"""Where cards and weights lie: those of the package, and in a folder of the user's those that were trained.

A trained network is one folder, ``NAME/``, with its card, its weights and the report of its training.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.core.paths import DATA, user_folder

_PACKAGED_MODELS = Path(__file__).parents[1] / "models"
MODELS_FOLDER = _PACKAGED_MODELS if _PACKAGED_MODELS.is_dir() else Path(__file__).parents[2] / "models"
"""Where cards and shipped weights lie: inside the wheel, or beside the package in a checkout."""

CARD_FILE = "card.toml"
"""Of a trained network, in its folder."""

NETWORK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a network may be called: a folder on any system, and no option, path, variant or file."""

FOREIGN_SUFFIXES = (
    ".h5",
    ".hdf5",
    ".pb",
    ".pt",
    ".pth",
    ".pkl",
    ".pickle",
    ".onnx",
    ".tflite",
    ".npz",
    ".safetensors",
)
"""Files that hold networks or weights and are no network here."""


def trained_folder() -> Path:
    """The folder of the networks that were trained: ``MMDREAM_MODELS``, or by the platform's custom."""
    if told := os.environ.get("MMDREAM_MODELS"):
        return Path(told).expanduser()
    return user_folder(DATA) / "models"


def list_card_names() -> list[str]:
    """The networks that have cards, sorted."""
    theirs = (path.parent.name for path in trained_folder().glob(f"*/{CARD_FILE}"))
    return sorted({*_shipped_names(), *(name for name in theirs if NETWORK_NAME.fullmatch(name))})


def find_card_file(name: str) -> Path:
    """Where the card of one of `list_card_names` lies; the package's goes before the user's."""
    return MODELS_FOLDER / f"{name}.toml" if name in _shipped_names() else trained_folder() / name / CARD_FILE


def new_network_folder(name: str, overwrite: bool) -> Path:
    """Where a network that is to be trained will lie.

    Raises:
        UserError: no name for a network, one of the package's, or a taken one.
    """
    if not NETWORK_NAME.fullmatch(name) or name.endswith((".", ".keras", ".toml", *FOREIGN_SUFFIXES)):
        raise UserError(
            f'-o "{name}": a network\'s name has letters, digits, "-", "_" and ".", no path or ending'
        )
    if name.lower() in _shipped_names():
        raise UserError(f"-o {name}: is a network of the package; choose another name")
    folder = trained_folder() / name
    if folder.exists() and not overwrite:
        raise UserError(f"{name}: exists already ({folder}); add --overwrite or choose another name with -o")
    return folder


def _shipped_names() -> list[str]:
    return [file.stem for file in MODELS_FOLDER.glob("*.toml")]
