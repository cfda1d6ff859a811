"""The sound tracks of a finished film held against the source's.

Their number, languages, starts and lengths, and of copied ones each packet's time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import numpy as np

from mmdream.film.opened import opened
from mmdream.film.source import Film, Sound
from mmdream.film.tracks import SoundTrack, named, packet_times, within

PADDING = 1024
"""Samples of one AAC packet: MP4's sound may be so much longer or, where it starts late,
earlier."""
TICK = Fraction(1, 1000)
"""Matroska's clock, and the least by which stamps of any film are held apart here."""
LONGEST = 0.2
"""Seconds of plain samples that a packet may hold."""
APART = 2 * TICK
"""Stamps of one packet may be rounded to that clock in source and result."""


def check_sounds(
    film: Film,
    result: Film,
    tracks: Sequence[SoundTrack],
    span: tuple[Fraction | None, Fraction | None],
    on_warning: Callable[[str], None],
) -> tuple[int | None, Fraction]:
    """Compare the sound tracks of a result with what they should be.

    Args:
        film: the source.
        result: the finished film.
        tracks: what it must have, in order.
        span: start and end of the excerpt, seconds since `Film.start`; None: the film's own.
        on_warning: told in one line of packets and languages that were lost.

    Returns:
        Samples of the first track that was encoded, or else of the first, at its own rate; and the seconds
        by which the worst of those that were encoded is off.

    Raises:
        AssertionError: they are not. That is an error of this program.
    """
    count = len(result.sounds) + len(result.mute)
    if count != len(tracks):
        raise AssertionError(f"{result.path.name} has {count} sound tracks instead of {len(tracks)}")
    heard = {sound.number: sound for sound in result.sounds}
    pairs = [(track, heard[number]) for number, track in enumerate(tracks, 1) if number in heard]
    for number in result.mute:
        if tracks[number - 1].laid is not None:
            raise AssertionError(f"{result.path.name} has nothing in its sound track {number}")
        lost = named(tracks[number - 1].sound)
        on_warning(f"{film.path}: nothing of {lost} can be decoded in {result.path.name}")
    for track, sound in pairs:
        _compare_languages(film, result, track.sound, sound, on_warning)
    _compare_copies(film, result, [pair for pair in pairs if pair[0].laid is None], span, on_warning)
    samples, drift = None, Fraction(0)
    for track, sound in pairs:
        if track.laid is not None:
            counted = _samples(result, sound)
            samples = counted if samples is None else samples
            drift = max(drift, _drift(result, sound, counted, track, span[0] or Fraction(0)))
    if samples is None and result.sounds:
        samples = _samples(result, result.sounds[0])
    return samples, drift


def _compare_languages(
    film: Film, result: Film, wanted: Sound, sound: Sound, on_warning: Callable[[str], None]
) -> None:
    if sound.language == wanted.language:
        return
    if _tells(result.path.suffix.lower(), wanted.language):
        raise AssertionError(f"{result.path.name} has {named(sound)} instead of {named(wanted)}")
    on_warning(f"{film.path}: {result.path.suffix} cannot tell the language of {named(wanted)}")


def _tells(suffix: str, language: str | None) -> bool:
    """Whether a container can tell a language: MP4 has room for three letters, QuickTime for few of those."""
    if suffix == ".mov":
        return language is None
    return suffix != ".mp4" or language is None or re.fullmatch("[a-z]{3}", language) is not None


def _compare_copies(
    film: Film,
    result: Film,
    pairs: Sequence[tuple[SoundTrack, Sound]],
    span: tuple[Fraction | None, Fraction | None],
    on_warning: Callable[[str], None],
) -> None:
    before = packet_times(film.path, [track.sound.index for track, _ in pairs])
    after = packet_times(result.path, [sound.index for _, sound in pairs])
    for track, sound in pairs:
        times, got = before[track.sound.index], after[sound.index]
        # What lies within a tick of the excerpt's border may be in it or not.
        some = within(film, times, *span, margin=-float(TICK))
        most = within(film, times, *span, margin=float(TICK))
        begins = float(got[0]) if len(got) else np.inf
        if len(some) and not most[0] - APART <= begins <= some[0] + APART:
            raise AssertionError(
                f"{result.path.name} begins {named(sound)} at {begins:.3f} s instead of {some[0]:.3f} s"
            )
        if not len(some):
            continue
        if sound.codec.startswith("pcm"):
            # A container may lay plain samples together in other packets.
            off = abs(float(got[-1] - some[-1]))
            lost = f"it ends {off:.3f} s off its time" if off > LONGEST else ""
        else:
            n = int(np.count_nonzero(_apart(some, got) > APART))
            lost = f"{n} of {len(some)} packets are missing" if n else ""
        if lost:
            on_warning(f"{film.path}: {named(track.sound)} is not whole in {result.path.name}: {lost}")


def _apart(wanted: np.ndarray, got: np.ndarray) -> np.ndarray:
    """Seconds from each wanted time to the nearest that is there; both float64 [packet], ascending."""
    ends = np.concatenate([[-np.inf], got, [np.inf]])
    after = np.searchsorted(ends, wanted)
    return np.minimum(ends[after] - wanted, wanted - ends[after - 1])


def _drift(result: Film, sound: Sound, samples: int, track: SoundTrack, start: Fraction) -> Fraction:
    """Seconds by which an encoded track's beginning is off; its length must fit.

    A lossless track must have every sample. Of others the length may differ by a packet's padding.
    A late AAC track begins with silent padding, and is judged by its end.
    """
    assert track.laid is not None
    wanted, rate = track.laid.n_samples, track.sound.rate
    exact = sound.codec.startswith("pcm")
    off = Fraction(samples, sound.rate) - Fraction(wanted, rate)
    if abs(off) > (0 if exact else Fraction(PADDING, sound.rate) + TICK):
        raise AssertionError(
            f"{result.path.name} has {samples} samples at {sound.rate} Hz "
            f"instead of {wanted} at {rate} Hz in {named(sound)}"
        )
    early = result.start + sound.start - (track.laid.start - start)
    return min(abs(early), abs(early + off))


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
