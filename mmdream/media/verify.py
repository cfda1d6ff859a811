"""Read a finished film back and compare it with its source: frame times, audio tracks, lengths, languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mmdream.media.probe import AudioTrack, MediaFile, open_media, probe
from mmdream.media.tracks import Excerpt, OutputAudioTrack, describe_track, read_packet_times, select_times

STAMP_TOLERANCE = Fraction(1, 1000)
"""Matroska's clock, and the least by which stamps of any film are told apart here."""
MAX_DRIFT = 2 * STAMP_TOLERANCE
"""Stamps of one packet may be rounded to that clock in source and result."""
AAC_PADDING = 1024
"""Samples of one AAC packet: MP4's sound may be so much longer or, where it starts late, earlier."""
MAX_PCM_PACKET_SECONDS = 0.2


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
    frame_times: Sequence[float] | np.ndarray | None,
    tracks: Sequence[OutputAudioTrack],
    *,
    start: Fraction | None = None,
    end: Fraction | None = None,
    on_warning: Callable[[str], None],
) -> Verification:
    """Read a finished film back; an `AssertionError`, an error of this program, if it is not as it should be.

    Args:
        film: the source.
        out: the finished film.
        frame_times: seconds of the result at which each frame must be shown; None: the video is the source's
            own copy and is only counted.
        tracks: the audio tracks that it must have, as `mux_video` returned them.
        start: second of the source at which the result begins; None: at its own beginning.
        end: second of the source at which it ends; None: at its own end.
        on_warning: called with one line about packets and languages that the container has lost.
    """
    result = probe(out)
    times = read_frame_times(result) if result.video is not None else np.zeros(0)
    expected = times if frame_times is None else np.sort(np.asarray(frame_times, dtype=np.float64))
    if len(expected) != len(times):
        raise AssertionError(
            f"{out.name} has {len(times)} frames instead of {len(expected)} of {film.path.name}"
        )
    drift = Fraction(float(np.abs(times - expected).max(initial=0.0)))
    if drift > STAMP_TOLERANCE:
        raise AssertionError(f"{out.name} shows a frame {float(drift) * 1000:.3f} ms off its time")
    samples, audio_drift = _verify_audio_tracks(film, result, tracks, (start, end), on_warning)
    if audio_drift > MAX_DRIFT:
        raise AssertionError(f"{out.name} has a sound {float(audio_drift) * 1000:.3f} ms off its time")
    seconds = float(result.duration or 0)
    return Verification(len(times), seconds, float(max(drift, audio_drift)) * 1000, samples)


def read_frame_times(film: MediaFile) -> np.ndarray:
    """Seconds of every frame on the film's own clock, float64 [frame], in order."""
    assert film.video is not None
    with open_media(film.path) as container:
        stream = container.streams[film.video.index]
        pts = [p.pts for p in container.demux(stream) if p.pts is not None and not p.is_discard]
    return np.sort(np.asarray(pts, dtype=np.float64)) * float(film.video.time_base)


def _verify_audio_tracks(
    film: MediaFile,
    result: MediaFile,
    tracks: Sequence[OutputAudioTrack],
    excerpt: Excerpt,
    on_warning: Callable[[str], None],
) -> tuple[int | None, Fraction]:
    """Compare number, languages, starts and lengths of the audio tracks, and of copies each packet's time.

    Returns `Verification.samples`, and the seconds by which the worst of the encoded tracks is off.
    """
    count = len(result.audio_tracks) + len(result.undecodable_audio)
    if count != len(tracks):
        raise AssertionError(f"{result.path.name} has {count} sound tracks instead of {len(tracks)}")
    decodable = {track.number: track for track in result.audio_tracks}
    pairs = [(planned, decodable[n]) for n, planned in enumerate(tracks, 1) if n in decodable]
    for number in result.undecodable_audio:
        planned = tracks[number - 1]
        if planned.wave_span is not None:
            raise AssertionError(f"{result.path.name} has nothing in its sound track {number}")
        name = describe_track(planned.source)
        on_warning(f"{film.path}: nothing of {name} can be decoded in {result.path.name}")
    for planned, track in pairs:
        if track.language != planned.source.language:
            expected, suffix = describe_track(planned.source), result.path.suffix
            if _can_store_language(suffix.lower(), planned.source.language):
                raise AssertionError(f"{result.path.name} has {describe_track(track)} instead of {expected}")
            on_warning(f"{film.path}: {suffix} cannot tell the language of {expected}")
    _compare_copied_tracks(film, result, [p for p in pairs if p[0].wave_span is None], excerpt, on_warning)
    counts: list[int] = []
    drift = Fraction(0)
    for planned, track in pairs:
        if planned.wave_span is not None:
            counts.append(_count_samples(result, track))
            drift = max(drift, _encoded_drift(result, track, counts[-1], planned, excerpt[0] or Fraction(0)))
    if not counts and result.audio_tracks:
        counts = [_count_samples(result, result.audio_tracks[0])]
    return counts[0] if counts else None, drift


def _can_store_language(suffix: str, language: str | None) -> bool:
    """Whether a container has room for a language: MP4 for three letters, QuickTime for few of those."""
    if suffix == ".mov":
        return language is None
    return suffix != ".mp4" or language is None or re.fullmatch("[a-z]{3}", language) is not None


def _compare_copied_tracks(
    film: MediaFile,
    result: MediaFile,
    pairs: Sequence[tuple[OutputAudioTrack, AudioTrack]],
    excerpt: Excerpt,
    on_warning: Callable[[str], None],
) -> None:
    source_times = read_packet_times(film.path, [planned.source.index for planned, _ in pairs])
    result_times = read_packet_times(result.path, [track.index for _, track in pairs])
    for planned, track in pairs:
        times, copied = source_times[planned.source.index], result_times[track.index]
        # What lies within a tick of the excerpt's border may be in it or not.
        least = select_times(film, times, *excerpt, margin=-float(STAMP_TOLERANCE))
        most = select_times(film, times, *excerpt, margin=float(STAMP_TOLERANCE))
        if not len(least):
            continue
        start = float(copied[0]) if len(copied) else np.inf
        if not most[0] - MAX_DRIFT <= start <= least[0] + MAX_DRIFT:
            raise AssertionError(
                f"{result.path.name} begins {describe_track(track)} at {start:.3f} s "
                f"instead of {least[0]:.3f} s"
            )
        if track.codec.startswith("pcm"):
            # A container may group plain samples into other packets.
            off = abs(float(copied[-1] - least[-1]))
            loss = f"it ends {off:.3f} s off its time" if off > MAX_PCM_PACKET_SECONDS else ""
        else:
            n_missing = int(np.count_nonzero(_distance_to_nearest(least, copied) > MAX_DRIFT))
            loss = f"{n_missing} of {len(least)} packets are missing" if n_missing else ""
        if loss:
            name = describe_track(planned.source)
            on_warning(f"{film.path}: {name} is not whole in {result.path.name}: {loss}")


def _distance_to_nearest(expected: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Seconds from each expected time to the nearest that is there; both float64 [packet], ascending."""
    bounds = np.concatenate([[-np.inf], times, [np.inf]])
    after = np.searchsorted(bounds, expected)
    return np.minimum(bounds[after] - expected, expected - bounds[after - 1])


def _encoded_drift(
    result: MediaFile, track: AudioTrack, samples: int, planned: OutputAudioTrack, start: Fraction
) -> Fraction:
    """Seconds by which an encoded track's beginning is off; its length must fit.

    A lossless track must have every sample, others may differ by a packet's padding. A late AAC track begins
    with silent padding, and is judged by its end.
    """
    assert planned.wave_span is not None
    expected, rate = planned.wave_span.n_samples, planned.source.rate
    surplus = Fraction(samples, track.rate) - Fraction(expected, rate)
    is_lossless = track.codec.startswith("pcm")
    if abs(surplus) > (0 if is_lossless else Fraction(AAC_PADDING, track.rate) + STAMP_TOLERANCE):
        raise AssertionError(
            f"{result.path.name} has {samples} samples at {track.rate} Hz "
            f"instead of {expected} at {rate} Hz in {describe_track(track)}"
        )
    offset = result.start + track.start - (planned.wave_span.start - start)
    return min(abs(offset), abs(offset + surplus))


def _count_samples(film: MediaFile, track: AudioTrack) -> int:
    """Samples that a player gives of a track: what decodes, up to the length the file states."""
    count = 0
    with open_media(film.path) as container:
        for frame in container.decode(container.streams[track.index]):
            assert isinstance(frame, av.AudioFrame)
            count += frame.samples
    if track.duration is not None:
        # Of an MP4 track; padding in front of a late one is part of the length it states.
        count = min(count, round(track.duration * track.rate))
    return count
