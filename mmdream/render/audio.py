"""One sound dreamed: an audio file, a generated signal, or the sound track of a film."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import soundfile

from mmdream.analysis import modulate
from mmdream.analysis.features import STEP_SECONDS, measure_video_features
from mmdream.analysis.shots import Scan
from mmdream.audio.bed import PictureMotion, make_bed
from mmdream.audio.chunks import NO_HOOKS, AudioDreamSettings, ChunkContext, ChunkStore, DreamHooks
from mmdream.audio.loudness import meter_loudness
from mmdream.audio.source import FileSource
from mmdream.audio.synthesis import SIGNAL_LUFS
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.media.audio_files import DecodedSpan, WaveWriter, extract_audio
from mmdream.media.formats import AUDIO_SUFFIXES, check_audio_format, encode_audio
from mmdream.media.probe import AudioTrack, MediaFile, probe
from mmdream.media.tracks import Excerpt, find_sound_track
from mmdream.networks.network import Network
from mmdream.networks.registry import load_card
from mmdream.render.atoms import check_grain_set, load_atoms
from mmdream.render.generated.sound import (
    GeneratedSound,
    SoundStart,
    drop_unheard_targets,
    make_samples,
)
from mmdream.render.models import load_audio_network, load_guide_sound
from mmdream.render.stems import StemWriter, check_stems_folder, publish_stems, write_grain_table
from mmdream.settings.recipe import AudioOptions, Recipe
from mmdream.settings.report import GrainEvent, Report
from mmdream.settings.schedule import Schedule

if TYPE_CHECKING:
    from mmdream.audio.dream import AudioDreamReport

FORMATS_WITH_LENGTH = {"flac", "mp3", "mov,mp4,m4a,3gp,3g2,mj2"}
"""Containers whose headers tell how long the whole is."""
TRUNCATED_SECONDS = 0.5
"""Seconds missing from which on a file is called cut off: MP3's padding alone is under a tenth."""


@dataclass(frozen=True, slots=True)
class InputTrack:
    """A sound track to work on."""

    film: MediaFile
    track: AudioTrack
    span: Excerpt = (None, None)
    name: Path = Path()
    """What the file is called, for messages and the names of results."""
    loudness: float | None = None
    """LUFS of what is made of it; None: the source's."""


class AudioObserver(Protocol):
    """What looks on while a sound file is dreamed, and writes what it saw."""

    def begin(self, out: Path, schedule: Schedule, rate: int) -> DreamHooks:
        """Check, before the work, that it can write beside the dream `out`; returns what it listens by."""

    def finish(
        self,
        name: str,
        layout: str,
        schedule: Schedule,
        start: float,
        work: Path,
        grains: Sequence[GrainEvent],
    ) -> None:
        """Write what it saw of the source `name`, which begins at second `start`, and of its grains.

        The folder `work` holds ``source.wav`` and ``sound.wav``, of at least one sample.
        """


def render_audio_file(
    source: SoundStart,
    output: Path | None,
    recipe: Recipe,
    overwrite: bool,
    sink: EventSink,
    observer: AudioObserver | None = None,
    sound_track: int | str | None = None,
    stems: bool = False,
) -> Report:
    """Dream a file with sound, or one that is made, into an audio file.

    The result is `output`, or lies beside the source (for a signal in the current folder), named after it.
    `sound_track` is a number, from 1, or a language; None: the first. The observer draws the dream. With
    `stems` its parts are kept beside it, see `mmdream.render.stems`. No sound or no such track, or a path
    that cannot be written, is a `UserError`.
    """
    began = time.perf_counter()
    if isinstance(source, GeneratedSound):
        recipe = drop_unheard_targets(recipe, sink)
    with open_audio_source(source, recipe.seed, sound_track) as audio:
        track = audio.track
        out = check_output_file(audio.name, output, ".dream.wav", AUDIO_SUFFIXES, overwrite)
        check_audio_format(out, track)
        parts = check_stems_folder(out, overwrite) if stems else None
        modulate.check_drives(audio.film, recipe)
        modulated = modulate.modulate_schedules(audio.film, recipe, None, lambda: False, track)
        given, recipe = recipe, modulate.with_modulated_schedule(recipe, modulated.audio)
        hooks = NO_HOOKS if observer is None else observer.begin(out, recipe.schedule, track.rate)
        check_grain_set(recipe)
        network = load_audio_network(recipe, sink)
        for line in modulated.descriptions:
            sink.say(line)
        with output_workspace(out, overwrite) as work:
            kept = None if parts is None else work / parts.name
            span, dreamed = render_audio_track(audio, network, recipe, sink, work, hooks, stems=kept)
            seconds = span.n_samples / track.rate
            _warn_if_truncated(audio, seconds, sink)
            encode_audio(work / "sound.wav", work / out.name, dreamed.credits)
            if observer is not None and not span.n_samples:
                sink.warn(f"{audio.name}: has no samples, so there is nothing to draw")
            elif observer is not None:
                about = audio.name.name, track.layout, recipe.schedule, float(span.start), work
                observer.finish(*about, dreamed.grains)
            if kept is not None and parts is not None:
                publish_stems(kept, parts)
    report = dreamed.extend_report(Report(seconds=seconds, wall_seconds=time.perf_counter() - began))
    return modulated.extend_report(report.with_output(out), given)


@contextmanager
def open_audio_source(
    source: SoundStart, seed: int, sound_track: int | str | None = None
) -> Iterator[InputTrack]:
    """A track of a file, or of a sound that is made as a file like any other; `UserError`: there is none."""
    if isinstance(source, Path):
        film = probe(source)
        yield InputTrack(film, find_sound_track(film, sound_track), name=source)
        return
    with tempfile.TemporaryDirectory(prefix="mmdream") as folder:
        path, (rate, blocks) = Path(folder) / f"{source.kind}.wav", make_samples(source, seed)
        with WaveWriter(path, rate, 1) as writer:
            for samples in blocks:
                writer.write(samples)
        film = probe(path)
        yield InputTrack(
            film, find_sound_track(film, sound_track), (None, None), Path(path.name), SIGNAL_LUFS
        )


def make_added_sound(
    film: MediaFile, track: AudioTrack, scan: Scan, span: Excerpt, seed: int, path: Path
) -> InputTrack:
    """Write what a silent film's sound is dreamed from into a wave file, as long as its picture."""
    picture = measure_picture_motion(scan, film.start)
    times = np.asarray(scan.pts, np.float64) * float(scan.time_base) - float(film.start)
    last = float(np.median(np.diff(times))) if len(times) > 1 else 1 / 25
    length = round((float(times[-1]) + last) * track.rate)
    with WaveWriter(path, track.rate, track.channels, track.layout) as writer:
        for samples in make_bed(picture, length, track.rate, seed):
            writer.write(samples)
    made = probe(path)
    return InputTrack(made, made.audio_tracks[0], span, film.path, SIGNAL_LUFS)


def measure_picture_motion(scan: Scan, film_start: Fraction) -> PictureMotion:
    """What a scanned film's picture does over time; `film_start` is the time stamp, s, of its second 0."""
    first, features = measure_video_features(scan, film_start, ("motion", "brightness"))
    seconds = first + STEP_SECONDS * (np.arange(len(features["motion"])) + 0.5)
    times = np.asarray(scan.pts, np.float64) * float(scan.time_base) - float(film_start)
    warmth = np.array(scan.warmth)
    return PictureMotion(
        seconds,
        features["motion"],
        features["brightness"],
        times[[shot.first for shot in scan.shots[1:]]],
        np.array([warmth[shot.first : shot.stop].mean() for shot in scan.shots]),
    )


def render_audio_track(
    audio: InputTrack,
    network: Network,
    recipe: Recipe,
    sink: EventSink,
    work: Path,
    hooks: DreamHooks = NO_HOOKS,
    store: ChunkStore | None = None,
    stems: Path | None = None,
) -> tuple[DecodedSpan, AudioDreamReport]:
    """Dream one sound track into ``work/sound.wav``, float32 at its own rate, from ``work/source.wav``.

    Progress is told to the sink in seconds; finished chunks outlive the run in `store`; the parts
    of the dream are kept in a new folder `stems`, if any. Returns where the
    sound starts and how long it is, and the figures of its dream.
    """
    # After all that can be checked: this brings TensorFlow in.
    from mmdream.audio.dream import dream_source

    track, settings = audio.track, load_dream_settings(recipe, network, sink, audio.loudness)
    _announce_octaves(recipe, sink)
    span = extract_audio(audio.film, track, work / "source.wav", *audio.span)
    seconds = span.n_samples / track.rate
    hooks = replace(hooks, progress=lambda share: sink.progress("sound", share * seconds, seconds))
    with (
        soundfile.SoundFile(work / "source.wav") as file,
        WaveWriter(work / "sound.wav", track.rate, track.channels, track.layout) as writer,
        nullcontext() if stems is None else StemWriter(stems, track) as on_stem,
    ):
        report = dream_source(
            FileSource(file, track.layout),
            writer.write,
            network,
            settings,
            start_seconds=span.start,
            folder=work,
            store=store,
            hooks=replace(hooks, on_stem=on_stem),
        )
    if stems is not None:
        write_grain_table(stems, report.grains)
    return span, report


def dream_sound_around(
    film: MediaFile,
    choice: int | str | None,
    span: tuple[Fraction, Fraction],
    recipe: Recipe,
    work: Path,
    is_stopped: Callable[[], bool],
) -> DecodedSpan:
    """Some seconds of a film's sound track dreamed: ``source.wav`` and ``sound.wav`` in the folder `work`.

    Drives are followed already. `Interrupted` is raised when `is_stopped` says so; `UserError`: no such
    track.
    """
    audio = InputTrack(film, find_sound_track(film, choice), span)
    network = load_audio_network(recipe, EventSink())
    made, _ = render_audio_track(
        audio, network, recipe, EventSink(), work, DreamHooks(should_stop=is_stopped)
    )
    return made


@contextmanager
def open_context(
    audio: InputTrack, network: Network, recipe: Recipe, folder: Path, hooks: DreamHooks
) -> Iterator[ChunkContext]:
    """What the chunks of a track's dream share; its samples lie in ``source.wav`` in the folder meanwhile."""
    settings = load_dream_settings(recipe, network, EventSink(), audio.loudness)
    span = extract_audio(audio.film, audio.track, folder / "source.wav", *audio.span)
    with soundfile.SoundFile(folder / "source.wav") as file:
        source = FileSource(file, audio.track.layout)
        yield ChunkContext(source, network, meter_loudness(source), settings, span.start, hooks)


def load_dream_settings(
    recipe: Recipe, network: Network, sink: EventSink, loudness: float | None = None
) -> AudioDreamSettings:
    """What a recipe says of a sound's dream, with its guide and its grains; of a generated one its LUFS."""
    options = _resolve_options(recipe, loudness is not None, sink)
    recipe = replace(recipe, sound_manner=options)
    guide, atoms = load_guide_sound(recipe), load_atoms(recipe, network, sink)
    return AudioDreamSettings.from_recipe(recipe, guide, atoms, loudness)


def _resolve_options(recipe: Recipe, generated: bool, sink: EventSink) -> AudioOptions:
    """The recipe's options: steady classes would fill a recording's pauses, so they invent nothing there."""
    options, card = recipe.sound_manner, load_card(recipe.sound_net, "sound")
    targets = [term.name for term in recipe.sound_wishes.terms if term.kind == "target" and term.weight > 0]
    steady = [name for name in targets if card.classes[card.class_index(name)] not in card.events]
    if generated or not options.invent or not card.events or not targets or len(steady) < len(targets):
        return options
    sink.say(f"{', '.join(steady)} would fill every pause: --invent is left out")
    return replace(options, invent=0.0)


def _announce_octaves(recipe: Recipe, sink: EventSink) -> None:
    """Say where fewer octaves fit than the schedule has."""
    from mmdream.audio.chunk_dream import count_octaves

    keyed = {recipe.schedule.at(when) for when, _ in recipe.schedule.curve("octaves").keys}
    most = max(keyed, key=lambda settings: settings.octaves)
    if (fit := count_octaves(most.octaves, most.octave_scale)) < most.octaves:
        sink.say(f"sound: {fit} of {most.octaves} octaves fit, a coarser one would only move the volume")


def _warn_if_truncated(audio: InputTrack, seconds: float, sink: EventSink) -> None:
    """Say so where a sound file ends before its header tells."""
    film, expected = audio.film, float(audio.film.duration or 0)
    tells_length = film.video is None and film.container_format in FORMATS_WITH_LENGTH
    if tells_length and expected > seconds + TRUNCATED_SECONDS:
        sink.warn(f"{audio.name}: seems to be cut off; {seconds:.1f} of {expected:.1f} s are there")
