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

from mmdream.data.tree import ENDINGS
from mmdream.errors import UserError
from mmdream.jobs import durable

TABLE, ABOUT, INPUT = "manifest.tsv", "dataset.json", "input"

LONGEST_NAME = 255
"""Signs; a folder cannot be called by more."""


@dataclass(frozen=True, slots=True)
class Row:
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
class About:
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
    return (folder / ABOUT).is_file()


def write(folder: Path, about: About, rows: Sequence[Row]) -> None:
    """Write both, the table first: a folder without the words about it is not prepared.

    Args:
        folder: the set's.
        about: the whole.
        rows: its files; no cell holds what ends cells or lines.
    """
    table = ["\t".join(field.name for field in fields(Row))]
    table += ["\t".join(map(str, astuple(row))) for row in rows]
    durable.write(folder / TABLE, ("\n".join(table) + "\n").encode())
    text = json.dumps(asdict(about), indent=2, ensure_ascii=False)
    durable.write(folder / ABOUT, f"{text}\n".encode())


def read(folder: Path) -> tuple[About, list[Row]]:
    """Read both.

    Raises:
        UserError: they are damaged, or name files outside of the set.
    """
    try:
        told: dict[str, Any] = json.loads((folder / ABOUT).read_text("utf-8"))
        about = About(**{**told, "classes": tuple(told["classes"])})
        for name in (about.name, about.variant, about.medium, about.split, *about.classes):
            if not isinstance(name, str) or not name.isprintable() or len(name) > LONGEST_NAME:
                raise ValueError(f"{str(name)[:LONGEST_NAME]!r} is no name")
        if about.medium not in ENDINGS:
            raise ValueError(f"{about.medium!r} is no medium")
        head, *table = (folder / TABLE).read_text("utf-8").rstrip("\n").split("\n")
        if head.split("\t") != [field.name for field in fields(Row)]:
            raise ValueError("another first line")
        rows = [_row(line.split("\t"), about.classes) for line in table]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{folder}: its {TABLE} or {ABOUT} is damaged ({error}); prepare the set again elsewhere"
        ) from error
    return about, rows


def _row(cells: list[str], classes: tuple[str, ...]) -> Row:
    file, label, fold, group, licence, source, size, sha256, origin = cells
    row = Row(file, label, fold, group, licence, source, int(size), sha256, origin)
    folder, home, name = file.split("/")
    if (folder, home) != (INPUT, label) or label not in classes or not (_plain(label) and _plain(name)):
        raise ValueError(f"it names {row.file!r} of {row.label!r}")
    return row


def _plain(name: str) -> bool:
    """Whether a name is one, on any system, and leads nowhere."""
    return name not in ("", ".", "..") and not any(sign in name for sign in "/\\:\0")
