"""The engine for Python programs: arrays in and out for picture and sound, paths and a report for films."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file
from mmdream.core.processors import count_threads, limit_threads
from mmdream.settings.added_sound import with_added_sound
from mmdream.settings.definition import field_types
from mmdream.settings.execution import HERE, Execution
from mmdream.settings.recipe import ExtraOutputs, Recipe, Selection
from mmdream.settings.report import Report
from mmdream.settings.walk import WalkSettings

if TYPE_CHECKING:
    from mmdream.jobs.spec import Job
    from mmdream.media.probe import MediaFile
    from mmdream.planning.estimate import Estimate


class SelectionOptions(TypedDict, total=False):
    """Fields of `Selection`."""

    start: float | Fraction | None
    end: float | Fraction | None
    keep_picture: bool
    keep_sound: bool
    add_sound: bool
    strict: bool
    sound_track: int | str | None


class ExtraOutputOptions(TypedDict, total=False):
    """Fields of `ExtraOutputs`."""

    preview: str | os.PathLike[str] | None
    sheet: str | os.PathLike[str] | None
    plot: str | os.PathLike[str] | None
    compare: bool
    record: bool
    stems: bool


class VideoOptions(SelectionOptions, ExtraOutputOptions, total=False):
    """Fields of `Selection` and `ExtraOutputs`."""

    sound_style: str | os.PathLike[str] | None


def dream_video(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    recipe: Recipe | None = None,
    *,
    overwrite: bool = False,
    job_dir: str | os.PathLike[str] | None = None,
    execution: Execution = HERE,
    listener: EventSink | None = None,
    **options: Unpack[VideoOptions],
) -> Report:
    """Turn a film into a dream film.

    Finished parts are kept until the film is whole and verified: the same call goes on after a crash. A
    program that asks for ``workers`` keeps its work under ``if __name__ == "__main__":``, as with
    `multiprocessing`, for they import it.

    Args:
        source: any film that FFmpeg reads.
        output: .mp4, .mov, .webm or .mkv (lossless); None: the source's name with ``.dream.mp4``.
        recipe: how to dream; None: the defaults, with ``add_sound`` those of `with_added_sound`.
        overwrite: replace an existing result, and a half done one with other settings.
        job_dir: the job's folder; None: ``.OUTPUT.mmdream`` beside the output.
        execution: threads of a task, processes or machines that share the work; else this process.
        listener: told about plan, warnings and progress.
        options: of the source ``start``, ``end`` (seconds), ``keep_picture``, ``keep_sound`` (undreamed),
            ``add_sound`` (for a silent film, out of its picture), ``strict`` (stop at a broken frame),
            ``sound_track`` (to dream; number, from 1, or language) and ``sound_style`` (a sound whose texture
            the film's is given, not a dream). Beside the result: ``preview`` (file of the newest frame),
            ``sheet`` (of twelve moments, source above dream), ``plot`` (figure of its sound, and of what is
            heard, seen and sounds over time), ``compare`` (film of source and dream), ``record`` (settings,
            events and figures as JSON), ``stems`` (the parts of the sound's dream as wave files in
            ``OUT.stems``).

    Returns:
        What was done, with the name of the result.

    Raises:
        UserError: one line that says what is wrong with the input, the settings or the output.
        KeyboardInterrupt: Ctrl-C, within about a second; another thread may hold the job for a last step.
    """
    from mmdream.cluster.execute import choose_execution, workers_of
    from mmdream.jobs import runner

    listener, place = listener or EventSink(), None if job_dir is None else Path(job_dir)
    limit_threads(execution.threads)
    film, out, job = _describe_job(source, output, recipe, overwrite, place, dict(options), listener)
    chosen = choose_execution(execution, film, job, listener)
    workers = workers_of(chosen.execution)
    return runner.start_job(film, chosen.job, out, place, listener, chosen.execution, workers, chosen.scanned)


def walk_video(
    song: str | os.PathLike[str],
    walk: WalkSettings,
    output: str | os.PathLike[str] | None = None,
    recipe: Recipe | None = None,
    *,
    overwrite: bool = False,
    job_dir: str | os.PathLike[str] | None = None,
    execution: Execution = HERE,
    listener: EventSink | None = None,
    **outputs: Unpack[ExtraOutputOptions],
) -> Report:
    """Walk through a generator's pictures to a song, and dream the film of it.

    The film of the walk itself lies beside the result, named after it with ``.walk.mov``: the same call goes
    on after a crash, and `dream_video` dreams it in other ways.

    Args:
        song: any file with a sound; its first track is walked to.
        walk: which generator, and how.
        output: as of `dream_video`; None: the song's name with ``.walk.mp4``.
        recipe: how to dream; its seed is the walk's too, its size the working resolution.
        overwrite: as of `dream_video`.
        job_dir: as of `dream_video`.
        execution: as of `dream_video`.
        listener: told about plan, warnings and progress.
        outputs: what is made besides, as of `dream_video`.

    Returns:
        What was done, with the name of the result.

    Raises:
        UserError: one line that says what is wrong with the song, the generator, the settings or the output.
        KeyboardInterrupt: Ctrl-C, as for `dream_video`.
    """
    from mmdream.jobs.outputs import is_delivered
    from mmdream.jobs.store import is_job_folder, job_folder
    from mmdream.media.formats import VIDEO_SUFFIXES
    from mmdream.render.generated.walk_film import WALK_ENDING, describe_walk, write_walk_film

    path, recipe = Path(song), replace(recipe or Recipe(), loop=walk.loop)
    out = path.with_name(f"{path.stem}.walk.mp4") if output is None else Path(output)
    folder = job_folder(out) if job_dir is None and out.name else Path(job_dir or "")
    check_output_file(path, out, "", VIDEO_SUFFIXES, overwrite or is_delivered(out, folder))
    described, listener = describe_walk(path, walk, recipe.seed), listener or EventSink()
    film = out.with_name(f"{out.stem.removesuffix('.walk')}{WALK_ENDING}")
    made = write_walk_film(described, film, overwrite, listener)
    try:
        return dream_video(
            film, out, recipe, overwrite=overwrite, job_dir=job_dir, execution=execution, listener=listener,
            keep_sound=not walk.dream_sound, **outputs,
        )  # fmt: skip
    except UserError:
        if made and not is_job_folder(folder):
            film.unlink()  # Nothing was begun with it.
        raise


def plan_video(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    recipe: Recipe | None = None,
    *,
    overwrite: bool = False,
    execution: Execution = HERE,
    listener: EventSink | None = None,
    **options: Unpack[SelectionOptions],
) -> Estimate:
    """What `dream_video` would take, time, memory and disk, from a trial of its first frames."""
    if execution.cluster is not None:
        raise UserError("--dry-run cannot try the workers of a cluster; drop --cluster, or try --workers N")
    limit_threads(execution.threads)
    listener = listener or EventSink()
    film, out, job = _describe_job(source, output, recipe, overwrite, None, dict(options), listener)
    # Imported when all that can be checked is checked: this brings TensorFlow in.
    from mmdream.planning.estimate import estimate_run

    if execution.workers is None or job.order.keep_picture:
        return estimate_run(film, job, out, listener)
    from mmdream.cluster.execute import estimate_workers

    shared, scan, scan_seconds = estimate_workers(execution, film, job, listener)
    return replace(estimate_run(film, job, out, listener, scan, scan_seconds), shared=shared)


def _describe_job(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None,
    recipe: Recipe | None,
    overwrite: bool,
    job_dir: Path | None,
    options: dict[str, Any],
    listener: EventSink,
) -> tuple[MediaFile, Path, Job]:
    """The film, the result's name, and the job that makes one of the other."""
    from mmdream.analysis.modulate import check_drives
    from mmdream.jobs.outputs import is_delivered
    from mmdream.jobs.spec import describe_job
    from mmdream.jobs.store import job_folder
    from mmdream.media.formats import VIDEO_SUFFIXES
    from mmdream.media.probe import probe
    from mmdream.media.tracks import find_sound_track, resolve_tracks
    from mmdream.prompts.resolve import resolve_prompts

    path = Path(source)
    beside = {name: options.pop(name) for name in field_types(ExtraOutputs) if name in options}
    extras, selection = ExtraOutputs(**beside), Selection(**options)
    film = probe(path)
    if selection.sound_track is not None or (film.audio_tracks and not selection.keep_sound):
        # By its number: the same track is the same job, however it was asked for.
        selection = replace(selection, sound_track=find_sound_track(film, selection.sound_track).number)
    out = path.with_name(f"{path.stem}.dream.mp4") if output is None else Path(output)
    # A film that has its name already may still lack what is made besides.
    folder = job_folder(out) if job_dir is None and out.name else job_dir
    replaced = overwrite or (folder is not None and is_delivered(out, folder))
    check_output_file(path, out, "", VIDEO_SUFFIXES, replaced)
    _, track = resolve_tracks(film, selection)
    if extras.stems and (track is None or selection.sound_style is not None):
        raise UserError("--stems keeps the parts of a dreamed sound, and here none is dreamed; drop it")
    dreams_picture = film.video is not None and not selection.keep_picture
    recipe = recipe or (with_added_sound() if selection.add_sound else Recipe())
    recipe = resolve_prompts(recipe, listener.say, dreams_picture, track is not None)
    check_drives(film, recipe, selection)
    for pass_ in recipe.passes if not selection.keep_picture else ():
        from mmdream.render.image import check_pass

        check_pass(film, pass_)
    return film, out, describe_job(path, out, selection, recipe, track is not None, overwrite, extras)


def resume_video(
    job: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    output: str | os.PathLike[str] | None = None,
    execution: Execution = HERE,
    listener: EventSink | None = None,
) -> Report:
    """Go on with a film that `dream_video` did not finish, to the same frames and samples.

    Args:
        job: the job's folder, or the name of the result where the folder lies beside it.
        overwrite: replace what has the result's name by now.
        output: another name for the result, of the same suffix; None: the job's.
        execution: who works; without ``threads`` a task takes as many as the job began with. With
            ``anyway`` another machine, precision, library or number of threads may make the rest differ.
        listener: told about plan, warnings and progress.

    Raises:
        UserError: no such job, a source or weights that have changed, another machine, a name that is taken.
        KeyboardInterrupt: Ctrl-C, as for `dream_video`.
    """
    from mmdream.cluster.execute import choose_workers_again, workers_of
    from mmdream.jobs import runner

    other = None if output is None else Path(output)
    begun_with = None if execution.anyway else runner.find_threads(Path(job))
    limit_threads(execution.threads or begun_with)
    execution = choose_workers_again(execution, count_threads())
    workers = workers_of(execution)
    return runner.resume_job(Path(job), listener or EventSink(), overwrite, other, execution, workers)


def dream_image(
    picture: np.ndarray, recipe: Recipe | None = None, *, listener: EventSink | None = None
) -> np.ndarray:
    """Dream a picture, at second 0 of the recipe's schedule.

    Args:
        picture: [H, W, 3], RGB; uint8, or float in 0..1; `UserError` for others.
        recipe: how to dream; None: the defaults.
        listener: told about progress.

    Returns:
        The dream, of the shape and dtype of `picture`.
    """
    from mmdream.prompts.resolve import resolve_prompts
    from mmdream.render.image import render_image

    if picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape) < 1:
        raise UserError(f"a picture has the shape (height, width, 3); this one has {picture.shape}")
    whole = picture.dtype == np.uint8
    rgb = picture.astype(np.float32) / 255 if whole else picture.astype(np.float32)
    if not (np.isfinite(rgb).all() and rgb.min() >= 0 and rgb.max() <= 1):
        raise UserError("a picture is uint8 or holds floats between 0 and 1")
    listener = listener or EventSink()
    recipe = resolve_prompts(recipe or Recipe(), listener.say, sound=False)
    dream, _ = render_image(rgb, recipe, listener)
    return np.rint(dream * 255).astype(np.uint8) if whole else dream.astype(picture.dtype)


def dream_audio(
    sound: np.ndarray, rate: int, recipe: Recipe | None = None, *, listener: EventSink | None = None
) -> np.ndarray:
    """Dream a sound.

    Args:
        sound: float [sample] or [channel, sample], -1..1; `UserError` for others.
        rate: samples a second, 1000..768000.
        recipe: how to dream; None: the defaults.
        listener: told about progress.

    Returns:
        The dream, float32, the shape of `sound`.
    """
    if sound.ndim not in (1, 2) or not np.issubdtype(sound.dtype, np.floating) or not sound.size:
        raise UserError("a sound is a float array [sample] or [channel, sample], at least one sample long")
    if not 1000 <= rate <= 768_000:
        raise UserError(f"rate is {rate}; choose samples a second between 1000 and 768000")
    # Imported when all that can be checked is checked: this brings TensorFlow in.
    from mmdream.analysis.modulate import modulate_audio_recipe
    from mmdream.audio.chunks import AudioDreamSettings, DreamHooks
    from mmdream.audio.dream import dream_source
    from mmdream.audio.source import ArraySource
    from mmdream.prompts.resolve import resolve_prompts
    from mmdream.render.atoms import load_atoms
    from mmdream.render.models import load_audio_network, load_guide_sound

    listener = listener or EventSink()
    source = ArraySource(np.atleast_2d(sound).astype(np.float32), rate)
    recipe = resolve_prompts(recipe or Recipe(), listener.say, picture=False)
    recipe = modulate_audio_recipe(source, recipe)
    seconds = source.n_samples / rate
    blocks: list[np.ndarray] = []
    network = load_audio_network(recipe, listener)
    dream_source(
        source,
        blocks.append,
        network,
        AudioDreamSettings.from_recipe(
            recipe, load_guide_sound(recipe), load_atoms(recipe, network, listener)
        ),
        hooks=DreamHooks(progress=lambda share: listener.progress("sound", share * seconds, seconds)),
    )
    return np.concatenate(blocks, axis=1).reshape(sound.shape)
