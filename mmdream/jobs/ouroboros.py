"""A sound that is dreamed again and again: each clip is the dream of the one before it, transformed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import ffmpeg
import numpy as np
import soundfile

from mmdream.errors import UserError
from mmdream.film.binary import run
from mmdream.film.source import probe
from mmdream.film.waves import create, extract
from mmdream.jobs.loaded import ear
from mmdream.jobs.output import destination, workshop
from mmdream.jobs.sound import ENCODERS, dream_track, opened_sound
from mmdream.listen import Listener
from mmdream.networks.network import Network
from mmdream.recipe import Recipe
from mmdream.report import Report, changes
from mmdream.sound.crossfade import Crossfaded
from mmdream.sound.guard import Balance, balance, guarded
from mmdream.sound.level import Meter
from mmdream.sound.made import Beginning
from mmdream.sound.peak import CEILING, PeakMeter, limited
from mmdream.sound.source import BLOCK, ArraySource, FileSource, Source, blocks, padded
from mmdream.sound.transform import Transform
from mmdream.terms import Term

if TYPE_CHECKING:
    from mmdream.sound.dream import SoundReport

MOST_CLIPS = 100
MOST_VALUES = 600 * 48_000 * 2
"""Samples of all channels of a clip, ten minutes in stereo: a clip is held in memory."""
SHORTEST = 0.1
"""Seconds of the shortest clip."""


@dataclass(frozen=True, slots=True)
class Turns:
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
    """Whether clips are held back from collapsing into one tone or a screech."""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_CLIPS:
            raise UserError(f"--ouroboros is {self.count}; choose between 1 and {MOST_CLIPS} clips")


@dataclass(frozen=True)
class Clip:
    """One finished clip."""

    file: Path
    """float32 wave."""
    report: SoundReport
    """Of its dream, before the guard."""
    balance: Balance
    drawn: float
    """How far the guard has drawn it towards the first one, 0..1."""


def dream_clips(
    source: Path,
    network: Network,
    recipe: Recipe,
    turns: Turns,
    listener: Listener,
    work: Path,
    stopped: Callable[[], bool],
) -> Iterator[Clip]:
    """Dream a sound again and again.

    Args:
        source: a wave file.
        network: a sound network.
        recipe: how to dream; clip 1 takes its seed, each later one the next number.
        turns: what comes between, and how many.
        listener: told about progress, in seconds, and of each clip.
        work: a folder; every clip stays there.
        stopped: asked now and then; True ends the dream.

    Yields:
        The clips in order.

    Raises:
        UserError: the clips are too long or too short.
    """
    samples, rate = _read(source)
    seconds = [samples.shape[1] / rate * turns.transform.lengthens**k for k in range(turns.count)]
    heard, top = _metered(samples, rate)
    loudness, ceiling = heard.loudness(), max(CEILING, top)
    first: Balance | None = None
    for number in range(turns.count):
        path = source
        if number:
            path = work / "turned.wav"
            turned = _levelled(turns.transform(samples, rate), rate, loudness, ceiling)
            _write(path, turned, rate)
        done = sum(seconds[:number])
        dreaming = replace(listener, progress=_shifted(listener, done, sum(seconds)))
        film = probe(path)
        _, report = dream_track(
            film, film.sounds[0], (None, None), network, _own(recipe, turns, network, number), dreaming, work,
            stopped,
        )  # fmt: skip
        samples, _ = _read(work / "sound.wav")
        drawn, now = 0.0, balance(samples, rate)
        first = now if first is None else first
        if turns.guard:
            samples, drawn = guarded(samples, rate, first)
        if drawn:
            samples = _levelled(samples, rate, loudness, ceiling)
            now = balance(samples, rate)
        listener.say(_told(number, turns.count, now, drawn))
        file = work / f"clip{number + 1}.wav"
        _write(file, samples, rate)
        yield Clip(file, report, now, drawn)


def check_lengths(name: str, n_samples: int, channels: int, rate: int, turns: Turns) -> None:
    """Refuse clips that would not fit in memory, or would be nothing.

    Args:
        name: of the source, for the messages.
        n_samples: of the source.
        channels: likewise.
        rate: samples a second.
        turns: what comes between the clips, and how many.

    Raises:
        UserError: they are too long or too short.
    """
    most = turns.transform.lengthens ** (turns.count - 1)
    longest, shortest = n_samples * max(most, 1.0), n_samples * min(most, 1.0)
    if longest * channels > MOST_VALUES:
        raise UserError(
            f"{name}: its longest clip would last {_clock(longest / rate)}; an ouroboros holds a clip in memory, "
            f"at most {_clock(MOST_VALUES / channels / rate)} of {channels} channels at {rate} Hz: cut a part out"
        )
    if shortest < SHORTEST * rate:
        raise UserError(
            f"{name}: its shortest clip would last {shortest / rate:.3f} s; a clip lasts at least {SHORTEST:g} s"
        )


def dream_ouroboros_file(
    source: Path | Beginning,
    output: Path | None,
    recipe: Recipe,
    turns: Turns,
    overwrite: bool,
    listener: Listener,
) -> Report:
    """Dream a sound again and again into one file, and into one for each clip.

    Args:
        source: the file, or what is made in its place.
        output: the result; None: beside the source, or in the current folder, named after it. Clip 1 of
            ``rain.wav`` becomes ``rain.01.wav``.
        recipe: how to dream.
        turns: what comes between the clips, and how many.
        overwrite: whether existing files may be replaced.
        listener: told about progress, in seconds, and of each clip.

    Raises:
        UserError: no sound in it, clips too long or too short, or a result that cannot go where it should.
    """
    began = time.perf_counter()
    with opened_sound(source, recipe.seed) as (film, name), ExitStack() as files:
        out = destination(name, output, ".dream.wav", tuple(ENCODERS), overwrite)
        parts = clip_names(out, turns.count)
        for part in parts:
            destination(None, part, "", tuple(ENCODERS), overwrite)
        network = ear(recipe, listener)
        with workshop(out) as work:
            wave = work / "first.wav"
            laid = extract(film, film.sounds[0], wave)
            check_lengths(str(name), laid.n_samples, film.sounds[0].channels, film.sounds[0].rate, turns)
            clips = list(dream_clips(wave, network, recipe, turns, listener, work, lambda: False))
            joined = Crossfaded(
                tuple(FileSource(files.enter_context(soundfile.SoundFile(c.file))) for c in clips)
            )
            loudness, peak = join(joined, joined.n_samples, wave, work / "joined.wav")
            for clip, part in zip(clips, parts, strict=True):
                _encode(clip.file, work / part.name)
            _encode(work / "joined.wav", work / out.name)
            for part in parts:
                os.replace(work / part.name, part)
    reports = [clip.report for clip in clips]
    return Report(
        seconds=joined.n_samples / joined.rate,
        loudness_source=reports[0].loudness_source,
        loudness_dream=loudness,
        true_peak=peak,
        objective_gain={"sound": float(np.mean([report.objective_gain for report in reports]))},
        strength={"sound": float(np.mean([report.strength for report in reports]))},
        precision={"sound": "float32"},
        wall_seconds=time.perf_counter() - began,
        schedule={"sound": changes(reports[0].schedule)},
    ).named(out)


def clip_names(out: Path, count: int) -> list[Path]:
    """Where the clips of a result go: beside it, numbered from 01."""
    digits = max(2, len(str(count)))
    return [out.with_name(f"{out.stem}.{number:0{digits}}{out.suffix}") for number in range(1, count + 1)]


def join(sound: Source, n_samples: int, source: Path, path: Path) -> tuple[float, float]:
    """Write the beginning of a sound as a wave file, its peaks held under the ceiling of its source.

    Args:
        sound: the crossfaded clips.
        n_samples: so much of it.
        source: the wave file that they were dreamed of.
        path: of the result.

    Returns:
        Integrated loudness, LUFS, and true peak, dBTP.
    """
    top = PeakMeter(sound.channels)
    with soundfile.SoundFile(source) as file:
        for samples in blocks(FileSource(file)):
            top.feed(samples)
    ceiling = max(CEILING, top.peak)
    meter, top = Meter(sound.rate, sound.channels), PeakMeter(sound.channels)
    with create(path, sound.rate, sound.channels) as writer:
        for start in range(0, n_samples, BLOCK):
            stop = min(start + BLOCK, n_samples)
            samples = limited(lambda low, high: padded(sound, low, high), start, stop, sound.rate, ceiling)
            meter.feed(samples)
            top.feed(samples)
            writer.write(samples)
    return meter.loudness(), 20 * math.log10(top.peak) if top.peak > 0 else -math.inf


def _own(recipe: Recipe, turns: Turns, network: Network, number: int) -> Recipe:
    """The recipe of one clip."""
    recipe = replace(recipe, seed=recipe.seed + number)
    if not turns.iterate:
        return recipe
    rungs = network.card.rungs[::-1]
    return replace(recipe, sound_terms=(*recipe.sound_terms, Term("layer", rungs[number % len(rungs)].layer)))


def _levelled(samples: np.ndarray, rate: int, loudness: float, ceiling: float) -> np.ndarray:
    """A clip at a loudness, its peaks held under a ceiling; silence stays as it is."""
    found = _metered(samples, rate)[0].loudness()
    if not (math.isfinite(found) and math.isfinite(loudness)):
        return samples
    source = ArraySource(samples * np.float32(10 ** ((loudness - found) / 20)), rate)
    out = np.empty_like(samples)
    for start in range(0, samples.shape[1], BLOCK):
        stop = min(start + BLOCK, samples.shape[1])
        out[:, start:stop] = limited(lambda low, high: padded(source, low, high), start, stop, rate, ceiling)
    return out


def _metered(samples: np.ndarray, rate: int) -> tuple[Meter, float]:
    """A meter that has heard a clip, and the clip's true peak."""
    meter, top = Meter(rate, len(samples)), PeakMeter(len(samples))
    for block in blocks(ArraySource(samples, rate)):
        meter.feed(block)
        top.feed(block)
    return meter, top.peak


def _read(path: Path) -> tuple[np.ndarray, int]:
    """A wave file, float32 [channel, sample], and its rate."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T), rate


def _write(path: Path, samples: np.ndarray, rate: int) -> None:
    with create(path, rate, len(samples)) as writer:
        for start in range(0, samples.shape[1], BLOCK):
            writer.write(samples[:, start : start + BLOCK])


def _encode(wave: Path, path: Path) -> None:
    run(ffmpeg.input(str(wave)).output(str(path), **ENCODERS[path.suffix.lower()]), path)


def _shifted(listener: Listener, before: float, whole: float) -> Callable[[str, float, float], None]:
    """Progress of a clip as that of all."""
    return lambda medium, done, _total: listener.progress(medium, before + done, whole)


def _told(number: int, count: int, now: Balance, drawn: float) -> str:
    guarded = f"; guarded, drawn {drawn:.0%} of the way back" if drawn else ""
    return (
        f"clip {number + 1} of {count}: {now.strongest:.0%} in the third-octave at {now.strongest_hz:.0f} Hz, "
        f"{now.high:.1%} above 4 kHz{guarded}"
    )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
