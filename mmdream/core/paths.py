"""Where files that are no project's lie in a user's home, by the platform's custom."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CACHE = ("XDG_CACHE_HOME", ".cache", "Library/Caches")
DATA = ("XDG_DATA_HOME", ".local/share", "Library/Application Support")
"""The variable that names a kind's folder, its usual place below the home, and that on a Mac."""


def user_folder(kind: tuple[str, str, str]) -> Path:
    """Our folder for a kind of files, `CACHE` or `DATA`; it may not exist yet."""
    variable, usual, mac = kind
    own = Path.home() / (mac if sys.platform == "darwin" else usual)
    if sys.platform == "win32":
        own = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    return Path(os.environ.get(variable) or own) / "mmdream"
