"""The finished film read back and held against its source: time stamps, samples, drift."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mmdream.media.open import open_media
from mmdream.media.probe import AudioTrack, MediaFile, probe
from mmdream.media.tracks import OutputAudioTrack, describe_track, read_packet_times, select_times


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


AAC_PADDING = 1024
"""Samples of one AAC packet: MP4's sound may be so much longer or, where it starts late,
earlier."""
STAMP_TOLERANCE = Fraction(1, 1000)
"""Matroska's clock, and the least by which stamps of any film are held apart here."""
MAX_PCM_PACKET_SECONDS = 0.2
"""Seconds of plain samples that a packet may hold."""
MAX_DRIFT = 2 * STAMP_TOLERANCE
"""Stamps of one packet may be rounded to that clock in source and result."""


def verify_audio_tracks(
    film: MediaFile,
    result: MediaFile,
    tracks: Sequence[OutputAudioTrack],
    span: tuple[Fraction | None, Fraction | None],
    on_warning: Callable[[str], None],
) -> tuple[int | None, Fraction]:
    """Compare the sound tracks of a result with what they should be.

    Args:
        film: the source.
        result: the finished film.
        tracks: what it must have, in order.
        span: start and end of the excerpt, seconds since `MediaFile.start`; None: the film's own.
        on_warning: told in one line of packets and languages that were lost.

    Returns:
        Samples of the first track that was encoded, or else of the first, at its own rate; and the seconds
        by which the worst of those that were encoded is off.

    Raises:
        AssertionError: they are not. That is an error of this program.
    """
    count = len(result.audio_tracks) + len(result.undecodable_audio)
    if count != len(tracks):
        raise AssertionError(f"{result.path.name} has {count} sound tracks instead of {len(tracks)}")
    heard = {sound.number: sound for sound in result.audio_tracks}
    pairs = [(track, heard[number]) for number, track in enumerate(tracks, 1) if number in heard]
    for number in result.undecodable_audio:
        if tracks[number - 1].wave_span is not None:
            raise AssertionError(f"{result.path.name} has nothing in its sound track {number}")
        lost = describe_track(tracks[number - 1].sound)
        on_warning(f"{film.path}: nothing of {lost} can be decoded in {result.path.name}")
    for track, sound in pairs:
        _compare_languages(film, result, track.sound, sound, on_warning)
    _compare_copied_tracks(
        film, result, [pair for pair in pairs if pair[0].wave_span is None], span, on_warning
    )
    samples, drift = None, Fraction(0)
    for track, sound in pairs:
        if track.wave_span is not None:
            counted = _count_samples(result, sound)
            samples = counted if samples is None else samples
            drift = max(drift, _encoded_drift(result, sound, counted, track, span[0] or Fraction(0)))
    if samples is None and result.audio_tracks:
        samples = _count_samples(result, result.audio_tracks[0])
    return samples, drift


def _compare_languages(
    film: MediaFile,
    result: MediaFile,
    wanted: AudioTrack,
    sound: AudioTrack,
    on_warning: Callable[[str], None],
) -> None:
    if sound.language == wanted.language:
        return
    if _can_store_language(result.path.suffix.lower(), wanted.language):
        raise AssertionError(
            f"{result.path.name} has {describe_track(sound)} instead of {describe_track(wanted)}"
        )
    on_warning(f"{film.path}: {result.path.suffix} cannot tell the language of {describe_track(wanted)}")


def _can_store_language(suffix: str, language: str | None) -> bool:
    """Whether a container can tell a language: MP4 has room for three letters, QuickTime for few of those."""
    if suffix == ".mov":
        return language is None
    return suffix != ".mp4" or language is None or re.fullmatch("[a-z]{3}", language) is not None


def _compare_copied_tracks(
    film: MediaFile,
    result: MediaFile,
    pairs: Sequence[tuple[OutputAudioTrack, AudioTrack]],
    span: tuple[Fraction | None, Fraction | None],
    on_warning: Callable[[str], None],
) -> None:
    before = read_packet_times(film.path, [track.sound.index for track, _ in pairs])
    after = read_packet_times(result.path, [sound.index for _, sound in pairs])
    for track, sound in pairs:
        times, got = before[track.sound.index], after[sound.index]
        # What lies within a tick of the excerpt's border may be in it or not.
        some = select_times(film, times, *span, margin=-float(STAMP_TOLERANCE))
        most = select_times(film, times, *span, margin=float(STAMP_TOLERANCE))
        begins = float(got[0]) if len(got) else np.inf
        if len(some) and not most[0] - MAX_DRIFT <= begins <= some[0] + MAX_DRIFT:
            raise AssertionError(
                f"{result.path.name} begins {describe_track(sound)} at {begins:.3f} s "
                f"instead of {some[0]:.3f} s"
            )
        if not len(some):
            continue
        if sound.codec.startswith("pcm"):
            # A container may lay plain samples together in other packets.
            off = abs(float(got[-1] - some[-1]))
            lost = f"it ends {off:.3f} s off its time" if off > MAX_PCM_PACKET_SECONDS else ""
        else:
            n = int(np.count_nonzero(_distance_to_nearest(some, got) > MAX_DRIFT))
            lost = f"{n} of {len(some)} packets are missing" if n else ""
        if lost:
            on_warning(
                f"{film.path}: {describe_track(track.sound)} is not whole in {result.path.name}: {lost}"
            )


def _distance_to_nearest(wanted: np.ndarray, got: np.ndarray) -> np.ndarray:
    """Seconds from each wanted time to the nearest that is there; both float64 [packet], ascending."""
    ends = np.concatenate([[-np.inf], got, [np.inf]])
    after = np.searchsorted(ends, wanted)
    return np.minimum(ends[after] - wanted, wanted - ends[after - 1])


def _encoded_drift(
    result: MediaFile, sound: AudioTrack, samples: int, track: OutputAudioTrack, start: Fraction
) -> Fraction:
    """Seconds by which an encoded track's beginning is off; its length must fit.

    A lossless track must have every sample. Of others the length may differ by a packet's padding.
    A late AAC track begins with silent padding, and is judged by its end.
    """
    assert track.wave_span is not None
    wanted, rate = track.wave_span.n_samples, track.sound.rate
    exact = sound.codec.startswith("pcm")
    off = Fraction(samples, sound.rate) - Fraction(wanted, rate)
    if abs(off) > (0 if exact else Fraction(AAC_PADDING, sound.rate) + STAMP_TOLERANCE):
        raise AssertionError(
            f"{result.path.name} has {samples} samples at {sound.rate} Hz "
            f"instead of {wanted} at {rate} Hz in {describe_track(sound)}"
        )
    early = result.start + sound.start - (track.wave_span.start - start)
    return min(abs(early), abs(early + off))


def _count_samples(film: MediaFile, sound: AudioTrack) -> int:
    """Samples that a player gives of a track: what decodes, up to the length the file states."""
    count = 0
    with open_media(film.path) as container:
        stream = container.streams[sound.index]
        assert isinstance(stream, av.AudioStream)
        for frame in container.decode(stream):
            assert isinstance(frame, av.AudioFrame)
            count += frame.samples
    if sound.duration is not None:
        # Of an MP4 track; padding in front of a late one is part of the length it states.
        count = min(count, round(sound.duration * sound.rate))
    return count
