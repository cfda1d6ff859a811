"""What the studio keeps of a folder: one readable file, written whole at each change."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import tomli_w

from mmdream.core.errors import UserError
from mmdream.core.files import write_atomically
from mmdream.settings.definition import fields_to_dict

PROJECT_FILE = "studio.toml"
MAX_TRIES = 20


@dataclass
class Key:
    """A setting's value at a second; of motifs their names."""

    setting: str
    at: float
    value: float | str
    ease: Literal["linear", "smooth", "hold"] = "linear"
    """The way to the setting's next key."""


@dataclass
class Try:
    """A dream at the cursor that was looked at."""

    id: str
    seconds: float
    settings: dict[str, Any]
    keys: list[Key] = field(default_factory=list)
    mask: str = ""


@dataclass
class FilmState:
    """How a film is to be dreamed, as far as that differs from the usual."""

    settings: dict[str, Any] = field(default_factory=dict)
    """By the names of the command's options: text, true, or several texts."""
    keys: list[Key] = field(default_factory=list)
    mask: str = ""
    """Name of a picture in the folder; empty: none."""
    cursor: float = 0.0
    tries: list[Try] = field(default_factory=list)
    """The newest first."""


@dataclass
class QueuedJob:
    """A film that is to be made, is being made, or was."""

    id: str
    film: str
    """Names in the folder."""
    out: str
    command: list[str]
    """Words behind `mmdream`."""
    started: bool = False
    held: bool = False
    """It was stopped, and does not start by itself."""
    pid: int = 0


@dataclass
class Project:
    """All of it."""

    films: dict[str, FilmState] = field(default_factory=dict)
    """By their names in the folder."""
    open: str = ""
    """Name of the film that was open last."""
    jobs: list[QueuedJob] = field(default_factory=list)


def read_project(folder: Path) -> Project:
    """The project of a folder; a new one where there is none; `UserError`: its file is damaged."""
    path = folder / PROJECT_FILE
    if not path.is_file():
        return Project()
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Project)
    except (ValueError, msgspec.ValidationError) as error:
        raise UserError(f"{path}: cannot be read ({error}); mend it, or move it away") from None


def write_project(folder: Path, project: Project) -> None:
    """Keep it; `OSError`: there is no room, and the file is as it was."""
    write_atomically(folder / PROJECT_FILE, tomli_w.dumps(fields_to_dict(project)).encode())
