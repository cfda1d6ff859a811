"""Who is to be named for the recordings of a folder: by its table of credits, or by the files' own tags."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from mmdream.media.probe import read_tags

CREDITS_FILE = "credits.tsv"
"""Beside recordings: who made them."""
MAX_TABLE_BYTES, MAX_CREDIT_LENGTH = 1 << 20, 300
TITLES, AUTHORS = ("title",), ("author", "artist", "creator")
LICENCES, ADDRESSES = ("licence", "license", "copyright"), ("address", "url", "source", "website")
"""What a column or tag may be called."""


def read_credit_table(folder: Path) -> dict[str, str]:
    """The credit of each file by its name in ``credits.tsv``, from the folder on; none where there is none.

    A table has a line of column names, of which one is "file".
    """
    path = folder / CREDITS_FILE
    if not path.is_file() or path.stat().st_size > MAX_TABLE_BYTES:
        return {}
    text = path.read_text("utf-8-sig", errors="replace").replace("\0", "")
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    found = {}
    for row in rows:
        told = {str(name).strip().lower(): str(value) for name, value in row.items()}
        if name := told.pop("file", ""):
            found[name.strip()] = format_credit(told)
    return found


def find_credit(path: Path, folder: Path, table: Mapping[str, str]) -> str:
    """The credit of a file of a folder; empty: nobody is named."""
    names = path.relative_to(folder).as_posix(), path.name
    return next((table[name] for name in names if name in table), "") or format_credit(read_tags(path))


def format_credit(told: Mapping[str, str]) -> str:
    """``TITLE by AUTHOR (LICENCE, ADDRESS)``, what of it is told; empty: neither author nor licence is."""

    def find(names: tuple[str, ...]) -> str:
        values = (told[name] for name in names if told.get(name, "").strip())
        return "".join(c for c in " ".join(next(values, "").split()) if c.isprintable())[:MAX_CREDIT_LENGTH]

    title, author, licence, address = map(find, (TITLES, AUTHORS, LICENCES, ADDRESSES))
    if not author and not licence:
        return ""
    who = " by ".join(filter(None, (title, author)))
    how = ", ".join(filter(None, (licence, address)))
    return f"{who} ({how})".strip() if how else who
