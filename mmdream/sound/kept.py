"""Where finished chunks of a sound outlive the run that dreamed them."""

from __future__ import annotations

from typing import Protocol

import numpy as np

GROUP = 8
"""Chunks that are kept together, about 15 seconds."""


class Kept(Protocol):
    """A place for groups of chunks, by number."""

    def load(self, group: int) -> dict[str, np.ndarray] | None:
        """What `save` was given for a group; None: nothing yet."""

    def save(self, group: int, arrays: dict[str, np.ndarray]) -> None:
        """Keep what a group's chunks came to."""
