"""A sound dreamed again and again: each clip is the dream of the one before it, transformed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from mmdream.audio.chunks import NO_HOOKS, DreamHooks
from mmdream.audio.mastering import find_ceiling, limit_blocks, write_metered
from mmdream.audio.source import ArraySource, CrossfadedSource, FileSource, crossfaded_length, read_blocks
from mmdream.audio.synthesis import SignalSpec
from mmdream.audio.transform import guard_balance, measure_balance, transform_clip
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace, publish_file
from mmdream.media.audio_files import WaveWriter, extract_audio
from mmdream.media.formats import AUDIO_SUFFIXES, check_audio_format, encode_audio
from mmdream.media.probe import probe
from mmdream.networks.network import Network
from mmdream.render.audio import InputTrack, open_audio_source, render_audio_track
from mmdream.render.generated.sound import SoundStart
from mmdream.render.models import load_audio_network
from mmdream.settings.ouroboros import MAX_CLIPS, ClipSettings
from mmdream.settings.recipe import Recipe
from mmdream.settings.report import Report
from mmdream.settings.targets import Term

if TYPE_CHECKING:
    from mmdream.audio.dream import AudioDreamReport

MAX_CLIP_VALUES = 600 * 48_000 * 2
"""Samples of all channels of a clip, ten minutes in stereo: a clip is held in memory."""
MIN_CLIP_SECONDS = 0.1
BED_SHARE = 0.1
"""Share of the source, transformed likewise, that the guard mixes into each clip before it is dreamed: a gain
lifts nothing out of silence, and dreams of dreams of noise leave silence between their figures."""
NOISE_CLIP_COUNT = 10
"""Clips that a film's sound is made of where it begins with noise."""
NOISE_CLIP_SECONDS = 2.0, 600.0
FINAL_FADE_SECONDS = 0.5
"""Fade-out of a sound that is cut where its film ends."""


@dataclass(frozen=True)
class FeedbackClip:
    """A finished clip, or all of them joined."""

    path: Path
    """A float32 wave file."""
    report: AudioDreamReport
    """Of its dream, before the guard; joined, objective gain and strength are means of the clips'."""


def render_feedback_audio(
    source: SoundStart,
    output: Path | None,
    recipe: Recipe,
    settings: ClipSettings,
    overwrite: bool,
    sink: EventSink,
    sound_track: str | None = None,
) -> Report:
    """Dream a file with sound, or a generated signal, again and again: into one file, and one for each clip.

    The result is `output`, or lies beside the source (for a signal in the current folder), named after it;
    clip 1 of ``rain.wav`` is ``rain.01.wav``. `sound_track` is a number, from 1, or a language. No sound or
    no such track, clips too long or short, or a path that cannot be written is a `UserError`.
    """
    began = time.perf_counter()
    with open_audio_source(source, recipe.seed, sound_track) as audio:
        out = check_output_file(audio.name, output, ".dream.wav", AUDIO_SUFFIXES, overwrite)
        check_audio_format(out, audio.track)
        paths = clip_paths(out, settings.count)
        for path in paths:
            check_output_file(audio.name, path, "", AUDIO_SUFFIXES, overwrite)
        network = load_audio_network(recipe, sink)
        with output_workspace(out, overwrite) as work:
            clips, joined = render_clips(audio, settings, network, recipe, sink, work)
            for clip, path in zip(clips, paths, strict=True):
                encode_audio(clip.path, work / path.name)
            encode_audio(joined.path, work / out.name)
            for path in paths:
                publish_file(work / path.name, path, overwrite)
    seconds = joined.report.n_samples / joined.report.rate
    report = Report(seconds=seconds, wall_seconds=time.perf_counter() - began)
    return joined.report.extend_report(report).with_output(out)


def clip_paths(out: Path, count: int) -> list[Path]:
    """The paths of the clips of a result: beside it, numbered from 01."""
    digits = max(2, len(str(count)))
    return [out.with_name(f"{out.stem}.{number:0{digits}}{out.suffix}") for number in range(1, count + 1)]


def make_noise_signal(seconds: Fraction) -> SignalSpec:
    """Noise to dream the sound of a film of some seconds from, about a tenth as long."""
    low, high = NOISE_CLIP_SECONDS
    return SignalSpec("noise", min(max(low, float(seconds) / NOISE_CLIP_COUNT + 1), high))


def render_clips(
    audio: InputTrack,
    settings: ClipSettings,
    network: Network,
    recipe: Recipe,
    sink: EventSink,
    work: Path,
    hooks: DreamHooks = NO_HOOKS,
    seconds: Fraction | None = None,
) -> tuple[list[FeedbackClip], FeedbackClip]:
    """Dream a sound again and again; files on the way, and every clip, stay in the folder `work`.

    Clip 1 takes the recipe's seed, each later one the next number. With `seconds` there are as many clips as
    it takes to last so long, and they are cut there. Returns the clips, and all of them joined; clips that
    are too long or too short are a `UserError`.
    """
    wave, rate = work / "first.wav", audio.track.rate
    transform = partial(transform_clip, rate=rate, how=settings.transform)
    n_samples = extract_audio(audio.film, audio.track, wave).n_samples
    if seconds is not None:
        settings = replace(settings, count=_count_clips(audio, n_samples, settings, seconds))
    check_clip_lengths(str(audio.name), n_samples, audio.track.channels, rate, settings)
    layout = probe(wave).audio_tracks[0].layout
    clip = first = _read_wave(wave, layout)
    clips: list[FeedbackClip] = []
    level = _measure_loudness(first) if audio.loudness is None else audio.loudness
    ceiling = find_ceiling(first)
    clip_seconds = [first.n_samples / rate * settings.length_factor**k for k in range(settings.count)]
    # The source and clip 1, taken through every transform that the clips go through.
    bed = reference = first.samples
    for number in range(settings.count):
        path = wave
        if number:
            path, samples = work / "turned.wav", transform(clip.samples)
            if not settings.no_guard:
                bed, reference = transform(bed), transform(reference)
                samples = samples + np.float32(BED_SHARE) * bed
            _write_wave(path, _match_loudness(ArraySource(samples, rate, layout), level, ceiling))
        film = probe(path)
        track = InputTrack(film, film.audio_tracks[0], loudness=audio.loudness)
        own, events = _clip_recipe(recipe, settings, network, number), _clip_sink(sink, number, clip_seconds)
        _, report = render_audio_track(track, network, own, events, work, hooks)
        clip = _read_wave(work / "sound.wav", layout)
        reference = reference if number else clip.samples
        guard_amount = 0.0
        if not settings.no_guard:
            samples, guard_amount = guard_balance(clip.samples, rate, measure_balance(reference, rate))
            clip = ArraySource(samples, rate, layout)
            clip = _match_loudness(clip, level, ceiling) if guard_amount else clip
        balance = measure_balance(clip.samples, rate)
        guarded = f"; guarded, drawn {guard_amount:.0%} of the way back" if guard_amount else ""
        sink.say(
            f"clip {number + 1} of {settings.count}: {balance.strongest:.0%} in the third-octave at "
            f"{balance.strongest_hz:.0f} Hz, {balance.high:.1%} above 4 kHz{guarded}"
        )
        _write_wave(work / f"clip{number + 1}.wav", clip)
        clips.append(FeedbackClip(work / f"clip{number + 1}.wav", report))
    stop = None if seconds is None else round(seconds * rate)
    return clips, _join_clips(clips, wave, work / "joined.wav", audio.track.layout, stop)


def _count_clips(audio: InputTrack, n_samples: int, settings: ClipSettings, seconds: Fraction) -> int:
    """Clips that it takes to last as long as a film, the first of so many samples; `UserError`: too many."""
    rate, lengths = audio.track.rate, list[int]()
    while crossfaded_length(lengths, rate) < seconds * rate:
        if len(lengths) == MAX_CLIPS:
            raise UserError(
                f"{audio.name}: {MAX_CLIPS} clips of it do not last {float(seconds):g} seconds; give a "
                "longer sound"
            )
        lengths.append(round(n_samples * settings.length_factor ** len(lengths)))
    return len(lengths)


def check_clip_lengths(name: str, n_samples: int, channels: int, rate: int, settings: ClipSettings) -> None:
    """Refuse clips of a sound of a name and size that would not fit in memory, or would be nothing."""

    def minutes(samples: float) -> str:
        return "{}:{:02d}".format(*divmod(int(samples / rate), 60))

    last = n_samples * settings.length_factor ** (settings.count - 1)
    longest, shortest = max(n_samples, last), min(n_samples, last)
    if longest * channels > MAX_CLIP_VALUES:
        raise UserError(
            f"{name}: its longest clip would last {minutes(longest)}; a clip is held in memory, at most "
            f"{minutes(MAX_CLIP_VALUES / channels)} of {channels} channels at {rate} Hz: give a part"
        )
    if shortest < MIN_CLIP_SECONDS * rate:
        lasts = f"its shortest clip would last {shortest / rate:.3f} s"
        raise UserError(f"{name}: {lasts}; {MIN_CLIP_SECONDS:g} s is the least")


def _clip_recipe(recipe: Recipe, settings: ClipSettings, network: Network, number: int) -> Recipe:
    recipe = replace(recipe, seed=recipe.seed + number)
    if not settings.iterate:
        return recipe
    rungs, targets = network.card.rungs[::-1], recipe.sound_wishes
    rung = Term("layer", rungs[number % len(rungs)].layer)
    return replace(recipe, sound_wishes=replace(targets, terms=(*targets.terms, rung)))


def _clip_sink(sink: EventSink, number: int, seconds: Sequence[float]) -> EventSink:
    """A sink of clip `number`; what is said of the first clip's settings holds for all."""

    def progress(medium: str, done: float, _total: float) -> None:
        sink.progress(medium, sum(seconds[:number]) + done, sum(seconds))

    return sink.redirect(say=EventSink().say if number else sink.say, progress=progress)


def _join_clips(
    clips: Sequence[FeedbackClip], source: Path, path: Path, layout: str, n_samples: int | None
) -> FeedbackClip:
    """Crossfade clips into a wave file under their source's ceiling, cut and faded out at `n_samples`."""
    with ExitStack() as stack:
        ceiling = find_ceiling(FileSource(stack.enter_context(soundfile.SoundFile(source))))
        files = [stack.enter_context(soundfile.SoundFile(clip.path)) for clip in clips]
        sound = CrossfadedSource(tuple(FileSource(file, layout) for file in files))
        stop = sound.n_samples if n_samples is None else min(n_samples, sound.n_samples)
        blocks: Iterable[np.ndarray] = limit_blocks(sound, ceiling, n_samples=stop)
        if stop < sound.n_samples:
            blocks = _fade_out(blocks, stop, sound.rate)
        writer = stack.enter_context(WaveWriter(path, sound.rate, sound.channels, layout))
        loudness, true_peak = write_metered(blocks, sound, writer.write)
    gain = float(np.mean([clip.report.objective_gain for clip in clips]))
    strength = float(np.mean([clip.report.strength for clip in clips]))
    whole = replace(clips[0].report, n_samples=stop, loudness_dream=loudness, true_peak=true_peak)
    return FeedbackClip(path, replace(whole, objective_gain=gain, strength=strength))


def _fade_out(blocks: Iterable[np.ndarray], stop: int, rate: int) -> Iterator[np.ndarray]:
    """Blocks of a sound of `stop` samples, its end faded out."""
    first = 0
    for samples in blocks:
        left = (stop - np.arange(first, first + samples.shape[1]) - 0.5) / (FINAL_FADE_SECONDS * rate)
        yield samples * np.sin(np.pi / 2 * np.minimum(left, 1.0)).astype(np.float32)
        first += samples.shape[1]


def _match_loudness(source: ArraySource, loudness: float, ceiling: float) -> ArraySource:
    """A sound at a loudness, LUFS, its peaks held under a ceiling; silence stays as it is."""
    measured = _measure_loudness(source)
    if not (math.isfinite(measured) and math.isfinite(loudness)):
        return source
    samples = source.samples * np.float32(10 ** ((loudness - measured) / 20))
    limited = limit_blocks(ArraySource(samples, source.rate, source.layout), ceiling)
    return ArraySource(np.concatenate(list(limited), axis=1), source.rate, source.layout)


def _measure_loudness(source: ArraySource) -> float:
    return write_metered(read_blocks(source), source, lambda samples: None)[0]


def _read_wave(path: Path, layout: str | None) -> ArraySource:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return ArraySource(np.ascontiguousarray(samples.T), rate, layout)


def _write_wave(path: Path, source: ArraySource) -> None:
    with WaveWriter(path, source.rate, source.channels, source.layout) as writer:
        writer.write(source.samples)
