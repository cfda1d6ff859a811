"""Random numbers addressed by place, never by history.

A frame or a chunk draws the same numbers whether it is dreamed alone, after others or in another process, so
an excerpt looks like that part of the whole and a second run equals the first.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np


def rng_for(seed: int, *place: str | int | Fraction) -> np.random.Generator:
    """The generator of one place: ``rng_for(seed, "picture", Fraction(1, 25), octave)``; order matters."""
    address = "/".join(str(part) for part in (seed, *place))
    digest = hashlib.sha256(address.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
