"""The finished film read back and held against its source: time stamps, samples, drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mmdream.film.opened import opened
from mmdream.film.source import Film, Sound, probe

PADDING = 1024
"""Samples of one AAC packet: MP4's sound may be so much longer or, where it starts late,
earlier."""
TICK = Fraction(1, 1000)
"""Matroska's clock, and the least by which stamps of any film are held apart here."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a finished film holds."""

    frames: int
    seconds: float
    """From its start to the end of its longest stream."""
    drift_ms: float
    """The largest departure of a frame, or of the sound's beginning or end, from its place."""
    samples: int | None
    """Of its first sound, at the sound's own rate."""


def check(
    film: Film,
    out: Path,
    expected_pts_seconds: Sequence[float] | np.ndarray | None,
    expected_samples: int | None,
    rate: int | None,
    *,
    sound_start: Fraction | None = None,
) -> Proof:
    """Read the finished film back.

    Args:
        film: the source.
        out: the finished film.
        expected_pts_seconds: seconds of the result at which each frame must be shown; None: the
            picture is the source's own copy and is only counted.
        expected_samples: of the first sound at `rate`; None: there is none, or it is the source's
            own copy.
        rate: samples a second of the dreamed sound.
        sound_start: second of the result at which the sound begins, if that is to be verified.

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
    samples = None
    if result.sounds:
        sound = result.sounds[0]
        samples = _samples(result, sound)
        if expected_samples is not None:
            assert rate is not None
            drift = max(
                drift,
                _sound_drift(out, result, sound, samples, expected_samples, rate, sound_start),
            )
    elif expected_samples:
        raise AssertionError(f"{out.name} has no sound")
    return Proof(len(stamps), float(result.duration or 0), float(drift) * 1000, samples)


def _sound_drift(
    out: Path,
    result: Film,
    sound: Sound,
    samples: int,
    wanted: int,
    rate: int,
    start: Fraction | None,
) -> Fraction:
    """Seconds by which the sound's beginning is off; its length must fit.

    A lossless track must have every sample. Of others the length may differ by a packet's padding.
    A late AAC track begins with silent padding, and is judged by its end.
    """
    exact = sound.codec.startswith("pcm")
    expected = Fraction(wanted, rate)
    off = Fraction(samples, sound.rate) - expected
    if abs(off) > (0 if exact else Fraction(PADDING, sound.rate) + TICK):
        raise AssertionError(
            f"{out.name} has {samples} samples at {sound.rate} Hz instead of {wanted} at {rate} Hz"
        )
    if start is None:
        return Fraction(0)
    early = result.start + sound.start - start
    late = early + off
    return min(abs(early), abs(late))


def shown_at(film: Film) -> np.ndarray:
    """Seconds of every frame on the film's own clock, float64 [frame], in order."""
    assert film.picture is not None
    with opened(film.path) as container:
        stream = container.streams[film.picture.index]
        pts = [p.pts for p in container.demux(stream) if p.pts is not None and not p.is_discard]
    return np.sort(np.asarray(pts, dtype=np.float64)) * float(film.picture.time_base)


def _samples(film: Film, sound: Sound) -> int:
    """Samples that a player gives of a track: what decodes, up to the length the file states."""
    count = 0
    with opened(film.path) as container:
        stream = container.streams[sound.index]
        assert isinstance(stream, av.AudioStream)
        for frame in container.decode(stream):
            assert isinstance(frame, av.AudioFrame)
            count += frame.samples
    if sound.duration is not None:
        # Of an MP4 track; padding in front of a late one is part of the length it states.
        count = min(count, round(sound.duration * sound.rate))
    return count
