"""What a picture asks of a sound's grains: the kinds it shows over time, from which side, and how large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmdream.networks.card import NetworkCard

LEAST_FAVOUR = 0.02
"""Of an atom whose kind is not shown, at an amount of 1."""
CLEARLY = 0.75
"""Spreads of clarity from which on a kind is wholly there."""
SHARPNESS = 4
"""Power of a kind's clarity over that of the clearest: what is half as clear is hardly heard beside it."""
APPEARANCE = 1.0
"""Spreads that a kind grows clearer from one look to the next where it appears."""
LEVELS_DB = -6.0, 3.0
"""Of a grain whose motif is a point, and whose motif fills `FULL_SIZE` of the picture."""
FULL_SIZE = 0.4
CUTOFFS = 2_000.0, 20_000.0
"""Hz above which a grain is dulled whose motif is a point, and whose motif fills `FULL_SIZE`."""


@dataclass(frozen=True)
class PictureCues:
    """What a stretch of a picture shows of kinds that sound."""

    kinds: tuple[str, ...]
    """Classes of the sound network, and other kinds by their names."""
    seconds: np.ndarray
    """float64 [look], rising, of the source."""
    clarity: np.ndarray
    """float32 [look, kind], spreads by which a kind is clearer than usual; 0: it is not shown."""
    sides: np.ndarray
    """float32 [look, kind], -1 (left) to 1 (right)."""
    sizes: np.ndarray
    """float32 [look, kind], 0..1 of the picture."""

    def match_atoms(self, card: NetworkCard, atom_kinds: Sequence[str]) -> np.ndarray:
        """Number of the kind that each atom is of, int [atom]; -1: of none."""
        classes = [card.find_class(kind) for kind in self.kinds]

        def match(kind: str) -> int:
            if kind in self.kinds:
                return self.kinds.index(kind)
            number = card.find_class(kind)
            return -1 if number is None or number not in classes else classes.index(number)

        return np.array([match(kind) for kind in atom_kinds], int)

    def at(self, seconds: np.ndarray) -> np.ndarray:
        """Place of the look that holds at each time, int [time]; that of the first before it."""
        return np.maximum(np.searchsorted(self.seconds, seconds, "right") - 1, 0)

    def shares(self, seconds: np.ndarray, matches: np.ndarray) -> np.ndarray:
        """How surely the kind of each atom is shown, float [time, atom] 0..1; 0 of what no motif stands for.

        The surer the clearer it is, and beside the clearest of those that can be heard.
        """
        clarity = self._clarity(seconds, matches)
        clearest = clarity.max(axis=1, keepdims=True, initial=0.0)
        return np.minimum(clarity / CLEARLY, 1.0) * (clarity / np.maximum(clearest, 1e-9)) ** SHARPNESS

    def class_shares(self, card: NetworkCard, seconds: np.ndarray) -> np.ndarray:
        """How surely each class of a network is shown, float32 [time, class] 0..1, beside the others."""
        shares = self.shares(seconds, self.match_atoms(card, card.primary_names()))
        return np.asarray(shares, np.float32)

    def favour(self, seconds: np.ndarray, matches: np.ndarray, amounts: np.ndarray) -> np.ndarray:
        """How likely each atom is beside what it would be, float [time, atom] 0..1, for amounts [time], 0..1.

        What no motif stands for is as likely as there is nothing else to be heard.
        """
        if not len(self.seconds):
            return np.ones((len(seconds), len(matches)))
        clearest = self._clarity(seconds, matches).max(axis=1, keepdims=True, initial=0.0)
        own = np.where(matches >= 0, self.shares(seconds, matches), 1 - np.minimum(clearest / CLEARLY, 1.0))
        return np.asarray((LEAST_FAVOUR + (1 - LEAST_FAVOUR) * own) ** amounts[:, None])

    def _clarity(self, seconds: np.ndarray, matches: np.ndarray) -> np.ndarray:
        """Clarity of each atom's kind, float64 [time, atom]."""
        if not self.clarity.size:
            return np.zeros((len(seconds), len(matches)))
        return np.where(matches >= 0, self.clarity[self.at(seconds)].astype(np.float64)[:, matches], 0.0)

    def appearances(self) -> np.ndarray:
        """Seconds at which a kind becomes clearer, float64 [appearance]."""
        if not self.clarity.size:
            return np.zeros(0)
        grown = np.diff(self.clarity, axis=0, prepend=self.clarity[:1]).max(axis=1) >= APPEARANCE
        return self.seconds[grown]

    def place(self, seconds: float, kind: int) -> tuple[float, float, float] | None:
        """Clarity, side and size of a kind at a time; None: it is not shown."""
        if kind < 0 or not len(self.seconds):
            return None
        look = int(self.at(np.array([seconds]))[0])
        if not self.clarity[look, kind]:
            return None
        rows = self.clarity, self.sides, self.sizes
        clarity, side, size = (float(row[look, kind]) for row in rows)
        return clarity, side, size


def scale_level(size: float, amount: float) -> float:
    """Factor of a grain's amplitude whose motif has a size, 0..1, by an amount, 0..1."""
    low, high = LEVELS_DB
    return float(10 ** (amount * (low + (high - low) * min(size / FULL_SIZE, 1.0)) / 20))


def find_cutoff(size: float, amount: float) -> float:
    """Hz above which a grain is dulled whose motif has a size, 0..1, by an amount, 0..1; 0: it is not."""
    low, high = CUTOFFS
    share = amount * (1 - min(size / FULL_SIZE, 1.0))
    return high * (low / high) ** share if share > 0 else 0.0
