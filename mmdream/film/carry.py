"""What the last dreamed frame hands to the next one, and how the dream neither fades nor overcooks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from safetensors.numpy import load, save

from mmdream.film.flow import Flow, warp

MOST = 4.0
"""A frame that lost much of its dream takes at most so many times the usual steps."""
EAGERNESS = 8.0
"""How soon it does: at a third of the dream lost, all of them. Strength then stays within about 10 % of the
shot's first frame (measured over 60 frames of two films)."""
BOOST = 2.0
"""Steps are up to 1 + this times longer where nothing could be carried: moving people would stay bare."""


@dataclass(frozen=True, slots=True)
class Carry:
    """The dream of the previous frame of the same shot.

    The *difference* is carried and not the dream: the source stays sharp under any number of warps, and
    errors fade.
    """

    detail: np.ndarray
    """float32 [H, W, 3], dream minus source."""
    grey: np.ndarray
    """uint8 [h, w], the frame as `flow.grey` gives it: the next frame's flow leads here."""
    yield_: float
    """Strength of the shot's first dream over the length of its ascent: what a full climb gives here."""

    def to_bytes(self) -> bytes:
        """The carry without loss, as a safetensors file."""
        arrays = {"detail": self.detail, "grey": self.grey, "yield": np.array([self.yield_])}
        return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})

    @staticmethod
    def from_bytes(data: bytes) -> Carry:
        """What `to_bytes` gave."""
        arrays = load(data)
        return Carry(arrays["detail"], arrays["grey"], float(arrays["yield"][0]))


@dataclass(frozen=True, slots=True)
class Laid:
    """What a frame starts from."""

    detail: np.ndarray
    """float32 [H, W, 3]."""
    effort: float
    """1..`MOST`: how many times the usual steps it should take."""
    boost: np.ndarray
    """float32 [H, W], 1..1 + `BOOST`: how much longer they should be."""


def strength(detail: np.ndarray) -> float:
    """Mean absolute difference that a dream makes, of the range 0..1."""
    return float(np.mean(np.abs(detail)))


def lay(carry: Carry, flow: Flow, share: float, ascent: float) -> Laid:
    """Move the last frame's dream onto this one.

    Where the flow is trusted, `share` of it is kept; less, if it has grown beyond what the shot's first
    frame had for the same ascent.

    Args:
        carry: what the previous frame left.
        flow: from this frame back to it.
        share: 0..1.
        ascent: length of a full climb now, steps times size of a step; changes with the schedule.
    """
    moved = warp(carry.detail, flow.back) * flow.trust[..., None]
    wanted, found = carry.yield_ * ascent, strength(moved)
    kept = share if found * share <= wanted else wanted / max(found, 1e-9)
    lack = 1.0 - found / max(wanted, 1e-9)
    return Laid(
        detail=moved * np.float32(kept),
        effort=float(np.clip(1.0 + EAGERNESS * lack, 1.0, MOST)),
        boost=1.0 + np.float32(BOOST) * (1.0 - flow.trust),
    )
