"""A sound dreamed again and again: its clips as one file and each alone, or as long as a film."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.mastering import PEAK_CEILING, TruePeakMeter, limit_peaks
from mmdream.audio.source import (
    BLOCK_SAMPLES,
    ArraySource,
    CrossfadedSource,
    FileSource,
    crossfaded_length,
    read_blocks,
    read_padded,
)
from mmdream.audio.synthesis import SignalSpec
from mmdream.audio.tonal_guard import TonalBalance, guard_balance, measure_balance
from mmdream.audio.transform import Transform
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace, publish_file
from mmdream.core.report import Report
from mmdream.media import formats
from mmdream.media.audio_files import WaveWriter, extract_audio
from mmdream.media.probe import probe
from mmdream.networks.network import Network
from mmdream.render.audio import AudioInput, open_audio_source, render_audio_track
from mmdream.render.models import load_audio_network
from mmdream.settings.recipe import Recipe
from mmdream.settings.targets import Term

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
    with open_audio_source(source, recipe.seed, sound_track) as audio:
        film, track, name = audio.film, audio.track, audio.name
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
            clips = list(
                dream_clips(wave, network, recipe, settings, listener, work, lambda: False, audio.loudness)
            )
            joined = _join_clips(clips, wave, work / "joined.wav", track.layout, None)
            for clip, part in zip(clips, parts, strict=True):
                formats.encode_audio(clip.file, work / part.name)
            formats.encode_audio(joined.file, work / out.name)
            for part in parts:
                publish_file(work / part.name, part, overwrite)
    seconds = joined.report.n_samples / joined.report.rate
    return joined.report.extend_report(
        Report(seconds=seconds, wall_seconds=time.perf_counter() - began)
    ).with_output(out)


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
    with open_audio_source(beginning if source is None else source, recipe.seed) as audio:
        film, track, name, wave = audio.film, audio.track, audio.name, work / "first.wav"
        laid = extract_audio(film, track, wave)
        count = _count_clips(str(name), laid.n_samples, track.rate, settings.transform.length_factor, seconds)
        settings = replace(settings, count=count)
        check_clip_lengths(str(name), laid.n_samples, track.channels, track.rate, settings)
        clips = list(
            dream_clips(wave, network, recipe, settings, listener, work, should_stop, audio.loudness)
        )
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
        with WaveWriter(path, sound.rate, sound.channels, layout) as writer:
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


MAX_CLIPS = 100
MAX_CLIP_VALUES = 600 * 48_000 * 2
"""Samples of all channels of a clip, ten minutes in stereo: a clip is held in memory."""
BED_SHARE = 0.1
"""Share of the source, taken through the same transforms, that the guard lays under each clip before it is
dreamed: a gain lifts nothing out of silence, and dreams of dreams of noise leave silence between their
figures, which then stand still."""
MIN_CLIP_SECONDS = 0.1
"""Seconds of the shortest clip."""


@dataclass(frozen=True, slots=True)
class FeedbackSettings:
    """How a sound is dreamed again; checked where it is made.

    Raises:
        UserError: too few clips, or too many.
    """

    count: int
    """Of clips."""
    transform: Transform = field(default_factory=Transform)
    """What a clip goes through before the next one is dreamed of it."""
    iterate: bool = False
    """Whether clip k climbs the k-th rung of the ladder, counted from its deep end, and round again."""
    guard: bool = True
    """Whether clips are held back from collapsing into one tone or a screech, and from falling silent."""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_CLIPS:
            raise UserError(f"--ouroboros is {self.count}; choose between 1 and {MAX_CLIPS} clips")


@dataclass(frozen=True)
class FeedbackClip:
    """One finished clip."""

    file: Path
    """float32 wave."""
    report: AudioDreamReport
    """Of its dream, before the guard."""
    balance: TonalBalance
    drawn: float
    """How far the guard has drawn it towards the first one, 0..1."""


def dream_clips(
    source: Path,
    network: Network,
    recipe: Recipe,
    settings: FeedbackSettings,
    listener: EventSink,
    work: Path,
    should_stop: Callable[[], bool],
    loudness: float | None = None,
) -> Iterator[FeedbackClip]:
    """Dream a sound again and again.

    Args:
        source: a wave file.
        network: a sound network.
        recipe: how to dream; clip 1 takes its seed, each later one the next number.
        settings: what comes between, and how many.
        listener: told about progress, in seconds, and of each clip.
        work: a folder; every clip stays there.
        should_stop: asked now and then; True ends the dream.
        loudness: LUFS of every clip; None: the source's, and no moment much louder than before.

    Yields:
        The clips in order.

    Raises:
        UserError: the clips are too long or too short.
    """
    samples, rate = _read_wave(source)
    layout = probe(source).audio_tracks[0].layout
    seconds = [samples.shape[1] / rate * settings.transform.length_factor**k for k in range(settings.count)]
    heard, top = _measure_levels(samples, rate, layout)
    wanted, ceiling = heard.loudness() if loudness is None else loudness, max(PEAK_CEILING, top)
    # The source and clip 1, taken through every transform that the clips go through.
    bed = like = samples
    for number in range(settings.count):
        path = source
        if number:
            path = work / "turned.wav"
            samples = settings.transform(samples, rate)
            if settings.guard:
                bed, like = settings.transform(bed, rate), settings.transform(like, rate)
                samples = samples + np.float32(BED_SHARE) * bed
            _write_wave(path, _match_loudness(samples, rate, layout, wanted, ceiling), rate, layout)
        done = sum(seconds[:number])
        # What is said of the first clip's settings holds for all.
        say = EventSink().say if number else listener.say
        dreaming = listener.redirect(say=say, progress=_offset_progress(listener, done, sum(seconds)))
        film = probe(path)
        audio = AudioInput(film, film.audio_tracks[0], loudness=loudness)
        own = _clip_recipe(recipe, settings, network, number)
        _, report = render_audio_track(audio, network, own, dreaming, work, should_stop)
        samples, _ = _read_wave(work / "sound.wav")
        like = samples if not number else like
        drawn = 0.0
        if settings.guard:
            samples, drawn = guard_balance(samples, rate, measure_balance(like, rate))
            samples = _match_loudness(samples, rate, layout, wanted, ceiling) if drawn else samples
        now = measure_balance(samples, rate)
        listener.say(_format_clip(number, settings.count, now, drawn))
        file = work / f"clip{number + 1}.wav"
        _write_wave(file, samples, rate, layout)
        yield FeedbackClip(file, report, now, drawn)


def check_clip_lengths(
    name: str, n_samples: int, channels: int, rate: int, settings: FeedbackSettings
) -> None:
    """Refuse clips that would not fit in memory, or would be nothing.

    Args:
        name: of the source, for the messages.
        n_samples: of the source.
        channels: likewise.
        rate: samples a second.
        settings: what comes between the clips, and how many.

    Raises:
        UserError: they are too long or too short.
    """
    most = settings.transform.length_factor ** (settings.count - 1)
    longest, shortest = n_samples * max(most, 1.0), n_samples * min(most, 1.0)
    if longest * channels > MAX_CLIP_VALUES:
        raise UserError(
            f"{name}: its longest clip would last {_format_minutes(longest / rate)}; a clip is held in "
            f"memory, at most {_format_minutes(MAX_CLIP_VALUES / channels / rate)} of {channels} channels "
            f"at {rate} Hz: give a part"
        )
    if shortest < MIN_CLIP_SECONDS * rate:
        raise UserError(
            f"{name}: its shortest clip would last {shortest / rate:.3f} s; "
            f"{MIN_CLIP_SECONDS:g} s is the least"
        )


def _clip_recipe(recipe: Recipe, turns: FeedbackSettings, network: Network, number: int) -> Recipe:
    """The recipe of one clip."""
    recipe = replace(recipe, seed=recipe.seed + number)
    if not turns.iterate:
        return recipe
    rungs = network.card.rungs[::-1]
    own = recipe.sound_wishes
    rung = Term("layer", rungs[number % len(rungs)].layer)
    return replace(recipe, sound_wishes=replace(own, terms=(*own.terms, rung)))


def _match_loudness(
    samples: np.ndarray, rate: int, layout: str, loudness: float, ceiling: float
) -> np.ndarray:
    """A clip at a loudness, its peaks held under a ceiling; silence stays as it is."""
    found = _measure_levels(samples, rate, layout)[0].loudness()
    if not (math.isfinite(found) and math.isfinite(loudness)):
        return samples
    source = ArraySource(samples * np.float32(10 ** ((loudness - found) / 20)), rate)
    out = np.empty_like(samples)
    for start in range(0, samples.shape[1], BLOCK_SAMPLES):
        stop = min(start + BLOCK_SAMPLES, samples.shape[1])
        out[:, start:stop] = limit_peaks(
            lambda low, high: read_padded(source, low, high), start, stop, rate, ceiling
        )
    return out


def _measure_levels(samples: np.ndarray, rate: int, layout: str) -> tuple[LoudnessMeter, float]:
    """A meter that has heard a clip, and the clip's true peak."""
    meter, top = LoudnessMeter(rate, len(samples), layout), TruePeakMeter(len(samples))
    for block in read_blocks(ArraySource(samples, rate)):
        meter.feed(block)
        top.feed(block)
    return meter, top.peak


def _read_wave(path: Path) -> tuple[np.ndarray, int]:
    """A wave file, float32 [channel, sample], and its rate."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T), rate


def _write_wave(path: Path, samples: np.ndarray, rate: int, layout: str) -> None:
    with WaveWriter(path, rate, len(samples), layout) as writer:
        for start in range(0, samples.shape[1], BLOCK_SAMPLES):
            writer.write(samples[:, start : start + BLOCK_SAMPLES])


def _offset_progress(listener: EventSink, before: float, whole: float) -> Callable[[str, float, float], None]:
    """Progress of a clip as that of all."""
    return lambda medium, done, _total: listener.progress(medium, before + done, whole)


def _format_clip(number: int, count: int, now: TonalBalance, drawn: float) -> str:
    guarded = f"; guarded, drawn {drawn:.0%} of the way back" if drawn else ""
    return (
        f"clip {number + 1} of {count}: {now.strongest:.0%} in the third-octave at "
        f"{now.strongest_hz:.0f} Hz, {now.high:.1%} above 4 kHz{guarded}"
    )


def _format_minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
