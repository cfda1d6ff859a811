"""A sound dreamed again and again: its clips as one file and each alone, or as long as a film."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.mastering import PEAK_CEILING, TruePeakMeter, limit_peaks
from mmdream.audio.source import (
    BLOCK_SAMPLES,
    CrossfadedSource,
    FileSource,
    crossfaded_length,
    read_blocks,
    read_padded,
)
from mmdream.audio.synthesis import SIGNAL_LUFS, SignalSpec
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace, publish_file
from mmdream.core.report import Report
from mmdream.jobs.clips import MAX_CLIPS, FeedbackClip, FeedbackSettings, check_clip_lengths, dream_clips
from mmdream.jobs.loaded import load_audio_network
from mmdream.jobs.sound import open_audio_source
from mmdream.media import formats
from mmdream.media.audio_files import create_wave, extract_audio
from mmdream.networks.network import Network
from mmdream.settings.recipe import Recipe, find_sound_track

if TYPE_CHECKING:
    from mmdream.audio.dream import AudioDreamReport

NOISE_CLIP_COUNT = 10
"""Clips that a film's sound is made of where it begins with noise,"""
MIN_NOISE_CLIP_SECONDS = 2.0
"""seconds of the shortest of them."""
FINAL_FADE_SECONDS = 0.5
"""Seconds in which a sound that is cut where its film ends fades out."""


@dataclass(frozen=True)
class JoinedClips:
    """Clips in one file."""

    file: Path
    """float32 wave."""
    report: AudioDreamReport
    """Of the whole; what was gained, and how strongly, are means of the clips'."""


def render_feedback_audio(
    source: Path | SignalSpec,
    output: Path | None,
    recipe: Recipe,
    settings: FeedbackSettings,
    overwrite: bool,
    listener: EventSink,
    sound_track: str | None = None,
) -> Report:
    """Dream a sound again and again into one file, and into one for each clip.

    Args:
        source: the file, or what is made in its place.
        output: the result; None: beside the source, or in the current folder, named after it. Clip 1 of
            ``rain.wav`` becomes ``rain.01.wav``.
        recipe: how to dream.
        settings: what comes between the clips, and how many.
        overwrite: whether existing files may be replaced.
        listener: told about progress, in seconds, and of each clip.
        sound_track: number, from 1, or language of the track; None: the first.

    Raises:
        UserError: no sound in it, no such track, clips too long or too short, or a result that cannot go
            where it should.
    """
    began = time.perf_counter()
    with open_audio_source(source, recipe.seed) as (film, name):
        track = find_sound_track(film, sound_track)
        out = check_output_file(name, output, ".dream.wav", formats.AUDIO_SUFFIXES, overwrite)
        formats.check_audio_format(out, track)
        parts = clip_paths(out, settings.count)
        for part in parts:
            check_output_file(name, part, "", formats.AUDIO_SUFFIXES, overwrite)
        network = load_audio_network(recipe, listener)
        with output_workspace(out, overwrite) as work:
            wave = work / "first.wav"
            laid = extract_audio(film, track, wave)
            check_clip_lengths(str(name), laid.n_samples, track.channels, track.rate, settings)
            level = SIGNAL_LUFS if isinstance(source, SignalSpec) else None
            clips = list(dream_clips(wave, network, recipe, settings, listener, work, lambda: False, level))
            joined = _join_clips(clips, wave, work / "joined.wav", track.layout, None)
            for clip, part in zip(clips, parts, strict=True):
                formats.encode_audio(clip.file, work / part.name)
            formats.encode_audio(joined.file, work / out.name)
            for part in parts:
                publish_file(work / part.name, part, overwrite)
    seconds = joined.report.n_samples / joined.report.rate
    return joined.report.extend_report(
        Report(seconds=seconds, wall_seconds=time.perf_counter() - began)
    ).named(out)


def clip_paths(out: Path, count: int) -> list[Path]:
    """Where the clips of a result go: beside it, numbered from 01."""
    digits = max(2, len(str(count)))
    return [out.with_name(f"{out.stem}.{number:0{digits}}{out.suffix}") for number in range(1, count + 1)]


def render_feedback_track(
    source: Path | None,
    settings: FeedbackSettings,
    seconds: Fraction,
    network: Network,
    recipe: Recipe,
    listener: EventSink,
    work: Path,
    should_stop: Callable[[], bool],
) -> JoinedClips:
    """Dream a sound again and again, as long as a film.

    Args:
        source: a file with sound; None: noise, of a tenth of the film.
        settings: what comes between the clips; there are as many as it takes.
        seconds: of the film.
        network: a sound network.
        recipe: how to dream.
        listener: told about progress, in seconds, and of each clip.
        work: a folder for files on the way.
        should_stop: asked now and then; True ends the dream.

    Raises:
        UserError: no sound in it, or clips too long or too short.
    """
    beginning = SignalSpec(
        "noise", min(max(MIN_NOISE_CLIP_SECONDS, float(seconds) / NOISE_CLIP_COUNT + 1), 600.0)
    )
    with open_audio_source(beginning if source is None else source, recipe.seed) as (film, name):
        track, wave = find_sound_track(film, None), work / "first.wav"
        laid = extract_audio(film, track, wave)
        count = _count_clips(str(name), laid.n_samples, track.rate, settings.transform.length_factor, seconds)
        settings = replace(settings, count=count)
        check_clip_lengths(str(name), laid.n_samples, track.channels, track.rate, settings)
        level = SIGNAL_LUFS if source is None else None
        clips = list(dream_clips(wave, network, recipe, settings, listener, work, should_stop, level))
        return _join_clips(clips, wave, work / "joined.wav", track.layout, round(seconds * track.rate))


def _count_clips(name: str, n_samples: int, rate: int, factor: float, seconds: Fraction) -> int:
    """Clips that it takes to last as long as a film.

    Raises:
        UserError: too many.
    """
    for count in range(1, MAX_CLIPS + 1):
        if crossfaded_length([round(n_samples * factor**k) for k in range(count)], rate) >= seconds * rate:
            return count
    raise UserError(
        f"{name}: {MAX_CLIPS} clips of it do not last {float(seconds):g} seconds; give a longer sound"
    )


@contextmanager
def _open_clips(clips: Sequence[FeedbackClip], layout: str) -> Iterator[CrossfadedSource]:
    """The clips' files, open."""
    with ExitStack() as stack:
        files = [stack.enter_context(soundfile.SoundFile(clip.file)) for clip in clips]
        yield CrossfadedSource(tuple(FileSource(file, layout) for file in files))


def _join_clips(
    clips: Sequence[FeedbackClip], source: Path, path: Path, layout: str, n_samples: int | None
) -> JoinedClips:
    """Crossfade clips into one wave file, its peaks held under the ceiling of their source.

    Args:
        clips: in order.
        source: the wave file that they were dreamed of.
        path: of the result.
        layout: of their channels.
        n_samples: where it is cut, fading out; None: it is as long as it is.
    """
    with soundfile.SoundFile(source) as file:
        top = TruePeakMeter(file.channels)
        for samples in read_blocks(FileSource(file)):
            top.feed(samples)
    ceiling = max(PEAK_CEILING, top.peak)
    with _open_clips(clips, layout) as sound:
        stop = sound.n_samples if n_samples is None else min(n_samples, sound.n_samples)
        meter, top = LoudnessMeter(sound.rate, sound.channels, layout), TruePeakMeter(sound.channels)
        with create_wave(path, sound.rate, sound.channels, layout) as writer:
            for low in range(0, stop, BLOCK_SAMPLES):
                high = min(low + BLOCK_SAMPLES, stop)
                samples = limit_peaks(lambda a, b: read_padded(sound, a, b), low, high, sound.rate, ceiling)
                if stop < sound.n_samples:
                    left = (stop - np.arange(low, high) - 0.5) / (FINAL_FADE_SECONDS * sound.rate)
                    samples = samples * np.sin(np.pi / 2 * np.minimum(left, 1.0)).astype(np.float32)
                meter.feed(samples)
                top.feed(samples)
                writer.write(samples)
    reports = [clip.report for clip in clips]
    whole = replace(
        reports[0],
        n_samples=stop,
        loudness_dream=meter.loudness(),
        true_peak=20 * math.log10(top.peak) if top.peak > 0 else -math.inf,
        objective_gain=float(np.mean([report.objective_gain for report in reports])),
        strength=float(np.mean([report.strength for report in reports])),
    )
    return JoinedClips(path, whole)
