"""One sound dreamed: an audio file, or the sound track of a film."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from safetensors.numpy import load_file, save

from mmdream.analysis import modulate
from mmdream.audio.chunks import Chunk, ChunkStore
from mmdream.audio.source import FileSource
from mmdream.audio.synthesis import SIGNAL_LUFS, SIGNAL_RATE, SignalSpec, generate_signal
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.core.report import Report
from mmdream.jobs.journal import Journal
from mmdream.jobs.store import sound_chunk_file
from mmdream.media import formats
from mmdream.media.audio_files import DecodedSpan, WaveWriter, extract_audio
from mmdream.media.probe import AudioTrack, MediaFile, probe
from mmdream.networks.card import load_card
from mmdream.networks.network import Network
from mmdream.render.models import load_audio_network, load_guide_sound
from mmdream.settings.recipe import AudioOptions, Recipe, find_sound_track
from mmdream.views.audio_figures import plan_audio_figures

if TYPE_CHECKING:
    from mmdream.audio.dream import AudioDreamReport

FORMATS_WITH_LENGTH = {"flac", "mp3", "mov,mp4,m4a,3gp,3g2,mj2"}
"""Forms whose headers tell how long the whole is."""
TRUNCATED_SECONDS = 0.5
"""Seconds missing from which on a file is called cut off: MP3's padding alone is under a tenth."""


def render_audio_track(
    film: MediaFile,
    sound: AudioTrack,
    span: tuple[Fraction | None, Fraction | None],
    network: Network,
    recipe: Recipe,
    listener: EventSink,
    work: Path,
    should_stop: Callable[[], bool],
    store: ChunkStore | None = None,
    loudness: float | None = None,
    on_gain: Callable[[np.ndarray], None] | None = None,
    on_canvas: Callable[[Chunk, int, int, np.ndarray], None] | None = None,
) -> tuple[DecodedSpan, AudioDreamReport]:
    """Dream one sound track into ``work/sound.wav``, float32 at its own rate.

    Args:
        film: its file.
        sound: the track.
        span: start and end in seconds of the source; None: its own.
        network: a sound network.
        recipe: how to dream.
        listener: told about progress, in seconds.
        work: where the decoded sound, ``source.wav``, goes too.
        should_stop: asked now and then; True ends the dream.
        store: where finished chunks outlive the run.
        loudness: LUFS, see `dream_sound`.
        on_gain: takes the log gain, see `dream_sound`.
        on_canvas: takes the chunks as they climb, see `dream_sound`.

    Returns:
        Where the sound starts and how long it is, and what was done to it.
    """
    # After all that can be checked: this brings TensorFlow in.
    from mmdream.audio.dream import dream_source

    manner = _resolve_options(recipe, loudness is not None, listener)
    _announce_octaves(recipe, listener)
    laid = extract_audio(film, sound, work / "source.wav", *span)
    seconds = laid.n_samples / sound.rate
    with (
        soundfile.SoundFile(work / "source.wav") as file,
        WaveWriter(work / "sound.wav", sound.rate, sound.channels, sound.layout) as writer,
    ):
        report = dream_source(
            FileSource(file, sound.layout),
            writer.write,
            network,
            recipe.schedule,
            recipe.seed,
            start_seconds=laid.start,
            folder=work,
            store=store,
            progress=lambda share: listener.progress("sound", share * seconds, seconds),
            is_stopped=should_stop,
            wishes=recipe.sound_wishes,
            guide=load_guide_sound(recipe),
            options=manner,
            loudness=loudness,
            on_gain=on_gain,
            on_step=on_canvas,
        )
    return laid, report


@dataclass(frozen=True)
class JournalChunkStore:
    """Finished chunks of a sound, kept in a job's journal."""

    journal: Journal

    def load(self, number: int) -> dict[str, np.ndarray] | None:
        """A chunk's arrays; None: it is not done yet."""
        done = self.journal.done("sound").get(number)
        return None if done is None else load_file(self.journal.folder / done.file)

    def save(self, number: int, arrays: dict[str, np.ndarray]) -> None:
        """Keep a chunk's arrays."""
        with self.journal.entry("sound", number, sound_chunk_file(number)) as draft:
            draft.path.write_bytes(
                save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
            )
            draft.count = 1


def _resolve_options(recipe: Recipe, made: bool, listener: EventSink) -> AudioOptions:
    """How a sound is dreamed: classes that stand still would fill a recording's pauses, if invented."""
    wanted, about = recipe.sound_manner, load_card(recipe.sound_net, "sound")
    targets = [term.name for term in recipe.sound_wishes.terms if term.kind == "target" and term.weight > 0]
    standing = [name for name in targets if about.classes[about.class_index(name)] not in about.events]
    if made or not wanted.invent or not about.events or not targets or len(standing) < len(targets):
        return wanted
    listener.say(f"{', '.join(standing)} would fill every pause: --invent is left out")
    return replace(wanted, invent=0.0)


def _announce_octaves(recipe: Recipe, listener: EventSink) -> None:
    """Tell where fewer octaves fit than are asked for."""
    from mmdream.audio.chunk_ascent import count_octaves

    asked = {recipe.schedule.at(when) for when, _ in recipe.schedule.curve("octaves").keys}
    most = max(asked, key=lambda moment: moment.octaves)
    if (fit := count_octaves(most.octaves, most.octave_scale)) < most.octaves:
        listener.say(f"sound: {fit} of {most.octaves} octaves fit, a coarser one would only move the volume")


def render_audio_file(
    source: Path | SignalSpec,
    output: Path | None,
    recipe: Recipe,
    overwrite: bool,
    listener: EventSink,
    plot: Path | None = None,
    plot_steps: bool = False,
    sound_track: int | str | None = None,
) -> Report:
    """Dream an audio file, or a sound track of a film, into an audio file.

    Args:
        source: the file, or what is made in its place.
        output: the result; None: beside the source, or in the current folder, named after it.
        recipe: how to dream.
        overwrite: whether existing files may be replaced.
        listener: told about progress.
        plot: a picture of the dream beside its source; None: none.
        plot_steps: draw the dream after every few steps too, in a folder named as the result and ``.steps``.
        sound_track: number, from 1, or language of the track; None: the first.

    Raises:
        UserError: no sound in it, no such track, or the result, or the picture, cannot go where it should.
    """
    began = time.perf_counter()
    with open_audio_source(source, recipe.seed) as (film, name):
        track = find_sound_track(film, sound_track)
        out = check_output_file(name, output, ".dream.wav", formats.AUDIO_SUFFIXES, overwrite)
        formats.check_audio_format(out, track)
        modulate.check_drives(film, recipe)
        over_time = modulate.modulate_schedules(film, recipe, None, lambda: False, track)
        asked, recipe = recipe, modulate.with_modulated_schedule(recipe, over_time.sound)
        drawings = plan_audio_figures(out, plot, plot_steps, recipe.schedule, track.rate, overwrite)
        network = load_audio_network(recipe, listener)
        for line in over_time.told:
            listener.say(line)
        with output_workspace(out, overwrite) as work:
            laid, done = render_audio_track(
                film, track, (None, None), network, recipe, listener, work, lambda: False,
                loudness=SIGNAL_LUFS if isinstance(source, SignalSpec) else None,
                on_gain=None if drawings.plot is None else drawings.gains.feed,
                on_canvas=None if drawings.evolution is None else drawings.evolution.feed,
            )  # fmt: skip
            seconds = laid.n_samples / track.rate
            _warn_if_truncated(film, name, seconds, listener)
            formats.encode_audio(work / "sound.wav", work / out.name)
            if drawings and not laid.n_samples:
                listener.warn(f"{name}: has no samples, so there is nothing to draw")
            elif drawings:
                drawings.draw(name.name, track.layout, recipe.schedule, float(laid.start), work)
    report = done.extend_report(Report(seconds=seconds, wall_seconds=time.perf_counter() - began))
    return over_time.extend_report(report.named(out), asked)


def _warn_if_truncated(film: MediaFile, name: Path, seconds: float, listener: EventSink) -> None:
    """Say so where a sound file ends before its header tells; other forms do not tell."""
    told = float(film.duration or 0)
    if (
        film.video is None
        and film.container_format in FORMATS_WITH_LENGTH
        and told > seconds + TRUNCATED_SECONDS
    ):
        listener.warn(f"{name}: seems to be cut off; {seconds:.1f} of {told:.1f} s are there")


@contextmanager
def open_audio_source(source: Path | SignalSpec, seed: int) -> Iterator[tuple[MediaFile, Path]]:
    """A file, or what is made in its place as a file like any other; and what it is called."""
    if isinstance(source, SignalSpec):
        with tempfile.TemporaryDirectory(prefix="mmdream") as folder:
            path = Path(folder) / f"{source.kind}.wav"
            with WaveWriter(path, SIGNAL_RATE, 1) as writer:
                for samples in generate_signal(source, seed):
                    writer.write(samples)
            yield probe(path), Path(path.name)
        return
    yield probe(source), source
