"""A long take in pieces that can be dreamed beside each other: where it is cut, and how pieces are joined.

A piece's dream begins some frames before it is seen, and over its first frames the piece before it goes over
into it: not the finished images are cross-faded, which would show both dreams at once, but the detail that is
carried, a little at each frame, and the ascent goes on from the mixture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from safetensors.numpy import load, save

from mmdream.analysis.shots import Scan
from mmdream.image.habituation import Fatigue
from mmdream.render.temporal import TemporalState, TemporalStates, pack_states, unpack_states

WARM_UP_FRAMES = 36
"""Frames before a seam at which its piece's dream begins: behind `SETTLING_FRAMES` it has settled."""
OVERLAP_FRAMES = 24
"""Frames behind a seam over which one piece's dream goes over into the next one's."""


@dataclass(frozen=True, slots=True)
class Seam:
    """Where one piece of a take goes over into the next."""

    number: int
    warm: int
    """The frame at which the next piece's dream begins."""
    first: int
    """The first frame of the overlap, which the piece before shows."""
    stop: int
    """The first frame that the next piece shows."""
    is_loop: bool = False
    """Whether that is the video's first frame, behind its last."""

    @property
    def following(self) -> int:
        """The first frame that the next piece shows, by its number."""
        return 0 if self.is_loop else self.stop


SeamStates = tuple[TemporalStates, TemporalStates]
"""Those of the next piece at the frames before `Seam.first` and before `Seam.stop`."""


def plan_seams(scan: Scan, seconds: float | None, loop: bool = False) -> tuple[Seam, ...]:
    """The seams of takes longer than so many seconds, which are cut into equal pieces; None: none.

    A loop has one more, from the last take to the first frame, if that take is long enough.
    """
    seams: list[Seam] = []
    for shot in scan.shots if seconds is not None else ():
        assert seconds is not None
        length = shot.stop - shot.first
        lasts = (scan.pts[shot.stop - 1] - scan.pts[shot.first]) * float(scan.time_base)
        pieces = min(math.ceil(lasts / seconds), length // (WARM_UP_FRAMES + OVERLAP_FRAMES))
        for piece in range(1, pieces):
            first = shot.first + length * piece // pieces
            seams.append(Seam(len(seams), first - WARM_UP_FRAMES, first, first + OVERLAP_FRAMES))
    last = scan.shots[-1]
    free = seams[-1].stop if seams and seams[-1].first >= last.first else last.first
    if loop and last.stop - free >= WARM_UP_FRAMES + OVERLAP_FRAMES:
        first = last.stop - OVERLAP_FRAMES
        seams.append(Seam(len(seams), first - WARM_UP_FRAMES, first, last.stop, is_loop=True))
    return tuple(seams)


def begin_loop(states: TemporalStates) -> TemporalStates:
    """The states of a loop's last frame as those of the frame before its first."""
    return tuple(each and replace(each, habituated_at=Fraction(0)) for each in states)


def pack_seam(states: SeamStates) -> bytes:
    """States without loss, as a safetensors file."""
    named = {
        f"{name}/{key}": array
        for name, each in zip(("first", "stop"), states, strict=True)
        for key, array in load(pack_states(each)).items()
    }
    return save(named)


def unpack_seam(data: bytes) -> SeamStates:
    """What `pack_seam` was given."""
    arrays = load(data)

    def unpack(name: str) -> TemporalStates:
        begin = f"{name}/"
        own = {key.removeprefix(begin): each for key, each in arrays.items() if key.startswith(begin)}
        return unpack_states(save(own))

    return unpack("first"), unpack("stop")


def mix_states(states: TemporalStates, others: TemporalStates, share: float) -> TemporalStates:
    """States of one frame on their way to others of the same frame, of which they take a share, 0..1."""
    return tuple(
        other if state is None or other is None or share == 1 else _mix_state(state, other, np.float32(share))
        for state, other in zip(states, others, strict=True)
    )


def _mix_state(state: TemporalState, other: TemporalState, share: np.float32) -> TemporalState:
    rest = np.float32(1) - share
    return replace(
        state,
        detail=rest * state.detail + share * other.detail,
        change=rest * state.change + share * other.change,
        fill=rest * state.fill + share * other.fill,
        unit_gain=float(rest * state.unit_gain + share * other.unit_gain),
        step_gain=float(rest * state.step_gain + share * other.step_gain),
        light=max(state.light, other.light),
        age=min(state.age, other.age),
        fatigue=_mix_fatigue(state.fatigue, other.fatigue, share),
    )


def _mix_fatigue(fatigue: Fatigue, other: Fatigue, share: np.float32) -> Fatigue:
    mixed: Mapping[str, np.ndarray] = {
        layer: (np.float32(1) - share) * shares + share * other[layer] if layer in other else shares
        for layer, shares in fatigue.items()
    }
    return {**other, **mixed}


def find_seam(seams: Sequence[Seam], frame: int) -> Seam | None:
    """The seam in whose overlap a frame lies; None: in none."""
    return next((seam for seam in seams if seam.first <= frame < seam.stop), None)
