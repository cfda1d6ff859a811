"""Where finished chunks of a sound outlive the run that dreamed them."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class ChunkStore(Protocol):
    """A place for chunks, by their number in the sound; one is what a kill may cost."""

    def load(self, number: int) -> dict[str, np.ndarray] | None:
        """What `save` was given for a chunk; None: nothing yet."""

    def save(self, number: int, arrays: dict[str, np.ndarray]) -> None:
        """Keep what a chunk came to."""
