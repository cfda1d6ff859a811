"""What a prepared set holds, file by file, beside its files: a table and a few words about the whole.

``FOLDER/input/CLASS/*`` are the files, ``FOLDER/manifest.tsv`` has a line for each, ``FOLDER/dataset.json``
tells which set it is and what keeps training and test apart.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

from mmdream.core import files
from mmdream.core.errors import UserError
from mmdream.datasets.layouts import MEDIA_SUFFIXES

TABLE_FILE, INFO_FILE, INPUT_FOLDER = "manifest.tsv", "dataset.json", "input"

MAX_NAME_LENGTH = 255
"""Signs; a folder cannot be called by more."""


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One file."""

    file: str
    """Below the set's folder, with slashes: ``input/CLASS/NAME``."""
    label: str
    """Its class."""
    fold: str
    """The publisher's fold, or its part: train, validation, test; empty: none."""
    group: str
    """Speaker or recording; files of one group are never divided. Empty: it stands alone."""
    licence: str
    source: str
    bytes: int
    sha256: str
    origin: str
    """SHA-256 of the publisher's file; another one where pictures were made smaller."""


@dataclass(frozen=True)
class DatasetInfo:
    """The whole set."""

    name: str
    variant: str
    medium: str
    split: str
    classes: tuple[str, ...]
    licence: str
    citation: str


def is_prepared(folder: Path) -> bool:
    """Whether a folder holds a prepared set."""
    return (folder / INFO_FILE).is_file()


def write_manifest(folder: Path, about: DatasetInfo, rows: Sequence[ManifestRow]) -> None:
    """Write both, the table first: a folder without the words about it is not prepared.

    Args:
        folder: the set's.
        about: the whole.
        rows: its files; no cell holds what ends cells or lines.
    """
    table = ["\t".join(field.name for field in fields(ManifestRow))]
    table += ["\t".join(map(str, astuple(row))) for row in rows]
    files.write_atomically(folder / TABLE_FILE, ("\n".join(table) + "\n").encode())
    text = json.dumps(asdict(about), indent=2, ensure_ascii=False)
    files.write_atomically(folder / INFO_FILE, f"{text}\n".encode())


def read_manifest(folder: Path) -> tuple[DatasetInfo, list[ManifestRow]]:
    """Read both.

    Raises:
        UserError: they are damaged, or name files outside of the set.
    """
    try:
        told: dict[str, Any] = json.loads((folder / INFO_FILE).read_text("utf-8"))
        about = DatasetInfo(**{**told, "classes": tuple(told["classes"])})
        for name in (about.name, about.variant, about.medium, about.split, *about.classes):
            if not isinstance(name, str) or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
                raise ValueError(f"{str(name)[:MAX_NAME_LENGTH]!r} is no name")
        if about.medium not in MEDIA_SUFFIXES:
            raise ValueError(f"{about.medium!r} is no medium")
        head, *table = (folder / TABLE_FILE).read_text("utf-8").rstrip("\n").split("\n")
        if head.split("\t") != [field.name for field in fields(ManifestRow)]:
            raise ValueError("another first line")
        rows = [_parse_row(line.split("\t"), about.classes) for line in table]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{folder}: its {TABLE_FILE} or {INFO_FILE} is damaged ({error}); prepare the set again elsewhere"
        ) from error
    return about, rows


def _parse_row(cells: list[str], classes: tuple[str, ...]) -> ManifestRow:
    file, label, fold, group, licence, source, size, sha256, origin = cells
    row = ManifestRow(file, label, fold, group, licence, source, int(size), sha256, origin)
    folder, home, name = file.split("/")
    if (
        (folder, home) != (INPUT_FOLDER, label)
        or label not in classes
        or not (_is_safe_name(label) and _is_safe_name(name))
    ):
        raise ValueError(f"it names {row.file!r} of {row.label!r}")
    return row


def _is_safe_name(name: str) -> bool:
    """Whether a name is one, on any system, and leads nowhere."""
    return name not in ("", ".", "..") and not any(sign in name for sign in "/\\:\0")
