"""Where finished chunks of a sound outlive the run that dreamed them."""

from __future__ import annotations

from typing import Protocol

import numpy as np

GROUP = 2
"""Chunks that are kept together, under 4 seconds of sound: what a kill may cost."""


class Kept(Protocol):
    """A place for groups of chunks, by number."""

    def load(self, group: int) -> dict[str, np.ndarray] | None:
        """What `save` was given for a group; None: nothing yet."""

    def save(self, group: int, arrays: dict[str, np.ndarray]) -> None:
        """Keep what a group's chunks came to."""
