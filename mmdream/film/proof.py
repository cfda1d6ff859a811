"""The finished film read back and held against its source: time stamps, samples, drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.film.opened import open_media
from mmdream.film.proof_sounds import MAX_DRIFT, STAMP_TOLERANCE, verify_audio_tracks
from mmdream.film.source import MediaFile, probe
from mmdream.film.tracks import OutputAudioTrack


@dataclass(frozen=True, slots=True)
class Verification:
    """What a finished film holds."""

    frames: int
    seconds: float
    """From its start to the end of its longest stream."""
    drift_ms: float
    """The largest departure of a frame, or of a sound's beginning or end, from its place."""
    samples: int | None
    """Of the first sound that was encoded, or else of the first, at its own rate."""


def verify_video(
    film: MediaFile,
    out: Path,
    expected_pts_seconds: Sequence[float] | np.ndarray | None,
    tracks: Sequence[OutputAudioTrack],
    *,
    start: Fraction | None = None,
    end: Fraction | None = None,
    on_warning: Callable[[str], None],
) -> Verification:
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
    stamps = read_frame_times(result) if result.video is not None else np.zeros(0)
    drift = Fraction(0)
    if expected_pts_seconds is not None:
        wanted = np.sort(np.asarray(expected_pts_seconds, dtype=np.float64))
        if len(wanted) != len(stamps):
            raise AssertionError(
                f"{out.name} has {len(stamps)} frames instead of {len(wanted)} of {film.path.name}"
            )
        if len(wanted):
            drift = Fraction(float(np.abs(stamps - wanted).max()))
        if drift > STAMP_TOLERANCE:
            raise AssertionError(f"{out.name} shows a frame {float(drift) * 1000:.3f} ms off its time")
    samples, off = verify_audio_tracks(film, result, tracks, (start, end), on_warning)
    if off > MAX_DRIFT:
        raise AssertionError(f"{out.name} has a sound {float(off) * 1000:.3f} ms off its time")
    seconds = float(result.duration or 0)
    return Verification(len(stamps), seconds, float(max(drift, off)) * 1000, samples)


def read_frame_times(film: MediaFile) -> np.ndarray:
    """Seconds of every frame on the film's own clock, float64 [frame], in order."""
    assert film.video is not None
    with open_media(film.path) as container:
        stream = container.streams[film.video.index]
        pts = [p.pts for p in container.demux(stream) if p.pts is not None and not p.is_discard]
    return np.sort(np.asarray(pts, dtype=np.float64)) * float(film.video.time_base)
