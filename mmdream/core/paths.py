"""Our folders in a user's home, by the platform's custom; they may not exist yet."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def user_cache_folder() -> Path:
    """For what can be downloaded or computed again; ``XDG_CACHE_HOME`` goes first, on any platform."""
    return Path(os.environ.get("XDG_CACHE_HOME") or platformdirs.user_cache_dir(opinion=False)) / "mmdream"


def user_data_folder() -> Path:
    """For trained networks; ``XDG_DATA_HOME`` goes first, on any platform."""
    return Path(os.environ.get("XDG_DATA_HOME") or platformdirs.user_data_dir()) / "mmdream"
