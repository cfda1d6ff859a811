"""The films of a folder by ids that say nothing of their place, and names for what is uploaded into it."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from mmdream.core.errors import UserError

FILM_SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".ogv", ".gif")
MADE = re.compile(r"\.(dream|compare)\.")
"""Of names that mmdream gives: they are results, no sources."""
MAX_UPLOAD_BYTES, MAX_UPLOADS = 8 << 30, 200
"""Of one film, and films that a folder may hold."""
MAX_NAME_LENGTH = 100
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
"""Names of devices on Windows."""


@dataclass(frozen=True, slots=True)
class Film:
    """A film of the folder."""

    id: str
    path: Path


def list_films(folder: Path) -> list[Film]:
    """The films in a folder, by name; links that lead out of it are none of them."""
    found = []
    for path in sorted(folder.iterdir(), key=lambda each: each.name.lower()):
        is_source = path.suffix.lower() in FILM_SUFFIXES and not MADE.search(path.name)
        if is_source and not path.name.startswith(".") and is_inside(path, folder) and path.is_file():
            found.append(Film(make_id(path.name), path))
    return found


def find_film(folder: Path, film_id: str) -> Film:
    """A film by its id; `UserError`: it is not there any more."""
    for film in list_films(folder):
        if film.id == film_id:
            return film
    raise UserError("this film is not in the folder any more; put it back, or open another")


def make_id(name: str) -> str:
    """An id of a name in the folder."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, with all links followed, lies in a folder."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


def is_inside_folder(folder: Path, name: str) -> bool:
    """Whether a name is that of a file right in a folder."""
    path = folder / name
    return is_inside(path, folder) and path.is_file() and path.parent.resolve() == folder.resolve()


def name_upload(folder: Path, given: str) -> Path:
    """A free name in the folder like the one that a browser gives, without any folder in it; `UserError`."""
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", given))[-1]
    name = "".join(each for each in name if each.isprintable() and each not in '<>:"|?*').strip(" .")
    stem, suffix = os.path.splitext(name)
    if suffix.lower() not in FILM_SUFFIXES:
        raise UserError(f"{name or 'this file'}: is no film by its name; it is not added")
    stem = stem.strip(" .")[:MAX_NAME_LENGTH] or "film"
    if RESERVED.fullmatch(stem) or MADE.search(f"{stem}{suffix}"):
        stem = f"film {stem}".replace(".", " ")
    if len(list_films(folder)) >= MAX_UPLOADS:
        raise UserError(f"the folder holds {MAX_UPLOADS} films already; no more are added")
    names = (f"{stem}{suffix}", *(f"{stem}-{number}{suffix}" for number in range(2, MAX_UPLOADS + 2)))
    path = next(path for path in map(folder.joinpath, names) if not os.path.lexists(path))
    if not is_inside(path, folder):
        raise UserError("this name leads out of the folder; it is not added")
    return path
