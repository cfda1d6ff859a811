from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from film_copy import Copy, copy_film
from make import make_bursts, make_times, make_uneven_times, write_film

from mmdream.media import verify


def verify_copy(copy: Copy, *, late: float = 0, more: int = 0, missing: int = 0) -> verify.Verification:
    """Verify a copy against time stamps, samples or frames that are off."""
    stamps = [float(second) + late for second in copy.seconds]
    [track] = copy.tracks
    assert track.wave_span is not None
    laid = replace(track.wave_span, n_samples=track.wave_span.n_samples + more)
    return verify.verify_video(
        copy.source,
        copy.result.path,
        stamps[missing:],
        [replace(track, wave_span=laid)],
        on_warning=copy.warnings.append,
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("sound_at", [Fraction(0), Fraction(3, 10)])
def test_a_true_copy_is_proven(suffix: str, sound_at: Fraction, tmp_path: Path) -> None:
    copy = copy_film(
        write_film(tmp_path / "film.mp4", make_uneven_times(40), sound=make_bursts(1.3), sound_at=sound_at),
        suffix,
        tmp_path,
    )
    found = verify_copy(copy)
    assert found.frames == 40
    assert found.drift_ms <= (0.001 if suffix == ".mp4" else 1)
    assert copy.sound is not None
    assert found.samples is not None
    assert abs(found.samples - copy.sound.shape[1]) <= (1024 if suffix == ".mp4" else 0)
    assert found.seconds == pytest.approx(float(copy.result.duration or 0), abs=0.001)


def test_whatever_is_off_is_found(tmp_path: Path) -> None:
    copy = copy_film(
        write_film(tmp_path / "film.mp4", make_times(30, 25), sound=make_bursts(1.3)), ".mkv", tmp_path
    )
    verify_copy(copy)
    for change in ({"late": 0.004}, {"more": 1}, {"more": -1}, {"missing": 1}):
        with pytest.raises(AssertionError, match="again"):
            verify_copy(copy, **change)


def test_a_lost_sound_is_found(tmp_path: Path) -> None:
    copy = copy_film(
        write_film(tmp_path / "film.mp4", make_times(10, 25), sound=make_bursts(0.4)), ".mp4", tmp_path
    )
    mute = copy_film(write_film(tmp_path / "mute.mp4", make_times(10, 25)), ".mp4", tmp_path)
    with pytest.raises(AssertionError, match="0 sound tracks instead of 1"):
        verify.verify_video(copy.source, mute.result.path, None, copy.tracks, on_warning=copy.warnings.append)


def test_kept_streams_are_only_counted(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", make_times(30, 25), sound=make_bursts(1.3))
    copy = copy_film(path, ".mp4", tmp_path, keep_picture=True)
    found = verify.verify_video(
        copy.source, copy.result.path, None, copy.tracks, on_warning=copy.warnings.append
    )
    assert found.frames == 30
    assert not copy.warnings
