"""The finished film read back and held against its source: time stamps, samples, drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.film.opened import opened
from mmdream.film.proof_sounds import APART, TICK, check_sounds
from mmdream.film.source import Film, probe
from mmdream.film.tracks import SoundTrack


@dataclass(frozen=True, slots=True)
class Proof:
    """What a finished film holds."""

    frames: int
    seconds: float
    """From its start to the end of its longest stream."""
    drift_ms: float
    """The largest departure of a frame, or of a sound's beginning or end, from its place."""
    samples: int | None
    """Of the first sound that was encoded, or else of the first, at its own rate."""


def check(
    film: Film,
    out: Path,
    expected_pts_seconds: Sequence[float] | np.ndarray | None,
    tracks: Sequence[SoundTrack],
    *,
    start: Fraction | None = None,
    end: Fraction | None = None,
    on_warning: Callable[[str], None],
) -> Proof:
    """Read the finished film back.

    Args:
        film: the source.
        out: the finished film.
        expected_pts_seconds: seconds of the result at which each frame must be shown; None: the
            picture is the source's own copy and is only counted.
        tracks: the sound tracks that it must have, as `join` told them.
        start: second of the source at which the result begins; None: at its own beginning.
        end: second of the source at which it ends; None: at its own end.
        on_warning: told in one line what a copied sound track has lost on the way, and of languages
            that the container cannot tell.

    Raises:
        AssertionError: the film is not what it should be. That is an error of this program.
    """
    result = probe(out)
    stamps = shown_at(result) if result.picture is not None else np.zeros(0)
    drift = Fraction(0)
    if expected_pts_seconds is not None:
        wanted = np.sort(np.asarray(expected_pts_seconds, dtype=np.float64))
        if len(wanted) != len(stamps):
            raise AssertionError(
                f"{out.name} has {len(stamps)} frames instead of {len(wanted)} of {film.path.name}"
            )
        if len(wanted):
            drift = Fraction(float(np.abs(stamps - wanted).max()))
        if drift > TICK:
            raise AssertionError(f"{out.name} shows a frame {float(drift) * 1000:.3f} ms off its time")
    samples, off = check_sounds(film, result, tracks, (start, end), on_warning)
    if off > APART:
        raise AssertionError(f"{out.name} has a sound {float(off) * 1000:.3f} ms off its time")
    seconds = float(result.duration or 0)
    return Proof(len(stamps), seconds, float(max(drift, off)) * 1000, samples)


def shown_at(film: Film) -> np.ndarray:
    """Seconds of every frame on the film's own clock, float64 [frame], in order."""
    assert film.picture is not None
    with opened(film.path) as container:
        stream = container.streams[film.picture.index]
        pts = [p.pts for p in container.demux(stream) if p.pts is not None and not p.is_discard]
    return np.sort(np.asarray(pts, dtype=np.float64)) * float(film.picture.time_base)
