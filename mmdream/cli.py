"""The command line: options in, one report or one error line out.

Work modules are imported inside the commands, so that ``--help`` never meets numpy or TensorFlow. Only this
file prints results, and only this file turns an error into an exit status.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmdream import __version__, options
from mmdream.bars import listening
from mmdream.errors import Stopped, UserError
from mmdream.options import DEFAULT, DEFAULT_PRECISION
from mmdream.recipe import Recipe

if TYPE_CHECKING:
    from mmdream.jobs.dry import Plan
    from mmdream.report import Report
    from mmdream.schedule import Schedule

# typer carries its own copy of click; its public BadParameter leads to the base of all usage errors.
UsageErrors: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

app = typer.Typer(
    name="mmdream",
    help="Turn films, pictures and sounds into dreams.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"mmdream {__version__}")
        raise typer.Exit


@app.command()
def video(
    source: options.Input,
    output: options.Output = None,
    net: options.Net = DEFAULT.net,
    sound_net: options.SoundNet = DEFAULT.sound_net,
    weights: options.Weights = None,
    sound_weights: options.SoundWeights = None,
    depth: options.Depth = None,
    strength: options.Strength = None,
    octaves: options.Octaves = None,
    octave_scale: options.OctaveScale = None,
    steps: options.Steps = None,
    coherence: options.Coherence = DEFAULT.coherence,
    schedule: options.ScheduleFile = None,
    preset: options.Preset = None,
    seed: options.Seed = DEFAULT.seed,
    size: options.Size = None,
    start: options.Start = None,
    end: options.End = None,
    precision: options.Precise = DEFAULT_PRECISION,
    keep_picture: options.KeepPicture = False,
    keep_sound: options.KeepSound = False,
    strict: options.Strict = False,
    preview: options.Preview = None,
    sheet: options.Sheet = None,
    compare: options.Compare = False,
    dry_run: options.DryRun = False,
    overwrite: options.Overwrite = False,
    job_dir: options.JobDir = None,
    as_json: options.Json = False,
) -> None:
    """Turn a film into a dream film, picture and sound.

    The result is IN.dream.mp4 unless -o names it: .mp4, .mov, .webm, or .mkv (lossless).
    The same command again goes on with a film that was stopped; so does `mmdream resume`.
    """
    from mmdream import dream_video, plan_video

    recipe = Recipe(
        schedule=_schedule(preset, schedule, octaves, octave_scale, steps, depth, strength),
        net=net,
        sound_net=sound_net,
        weights=weights,
        sound_weights=sound_weights,
        coherence=coherence,
        seed=seed,
        size=size,
        precision=precision.value,
    )
    wishes: Any = {
        "start": start,
        "end": end,
        "keep_picture": keep_picture,
        "keep_sound": keep_sound,
        "strict": strict,
        "overwrite": overwrite,
    }
    if dry_run:
        with listening(as_json) as listener:
            plan = plan_video(source, output, recipe, **wishes, listener=listener)
        return _show(plan, as_json)
    with _resumable(), listening(as_json) as listener:
        report = dream_video(
            source,
            output,
            recipe,
            **wishes,
            preview=preview,
            sheet=sheet,
            compare=compare,
            job_dir=job_dir,
            listener=listener,
        )
    _show(report, as_json)


@app.command()
def resume(
    job: Annotated[
        Path,
        typer.Argument(metavar="JOB", help="The result's name, or the job's folder.", show_default=False),
    ],
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="On another machine too: the rest then differs in its last bits."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Go on with a film that was stopped, to the very frames and samples of an unbroken run."""
    from mmdream import resume_video

    with _resumable(), listening(as_json) as listener:
        report = resume_video(job, anyway=anyway, listener=listener)
    _show(report, as_json)


@app.command()
def jobs(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where the results lie.", show_default=False)
    ] = Path(),
) -> None:
    """List the films in a folder that are not finished."""
    import shlex
    import time

    from mmdream.jobs.listing import listed

    for job in listed(folder):
        share = "" if job.percent is None else f"{job.percent} %, {job.frames} of {job.total} frames, "
        touched = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.touched))
        typer.echo(f"{job.name}  {job.state}, {share}last touched {touched}")
        if job.state == "stopped":
            typer.echo(f"  mmdream resume {shlex.quote(str(job.name))}")
        elif job.state == "broken":
            typer.echo(f"  {job.folder} cannot go on; delete it, or begin anew with --overwrite")


@app.command()
def image(
    source: options.Input,
    output: options.Output = None,
    net: options.Net = DEFAULT.net,
    weights: options.Weights = None,
    depth: options.Depth = None,
    strength: options.Strength = None,
    octaves: options.Octaves = None,
    octave_scale: options.OctaveScale = None,
    steps: options.Steps = None,
    schedule: options.ScheduleFile = None,
    preset: options.Preset = None,
    seed: options.Seed = DEFAULT.seed,
    size: options.Size = None,
    precision: options.Precise = DEFAULT_PRECISION,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Dream a picture.

    The result is IN.dream.png unless -o names it: .png, .jpg, .webp or .tif.
    """
    from mmdream.jobs.still import dream_picture_file

    recipe = Recipe(
        schedule=_schedule(preset, schedule, octaves, octave_scale, steps, depth, strength),
        net=net,
        weights=weights,
        seed=seed,
        size=size,
        precision=precision.value,
    )
    with listening(as_json) as listener:
        report = dream_picture_file(source, output, recipe, overwrite, listener)
    _show(report, as_json)


@app.command()
def audio(
    source: options.Input,
    output: options.Output = None,
    net: Annotated[
        str, typer.Option(metavar="NAME", help="Sound network; `mmdream nets` lists them.")
    ] = DEFAULT.sound_net,
    weights: options.Weights = None,
    depth: options.Depth = None,
    strength: options.Strength = None,
    octaves: options.Octaves = None,
    octave_scale: options.OctaveScale = None,
    steps: options.Steps = None,
    schedule: options.ScheduleFile = None,
    preset: options.Preset = None,
    seed: options.Seed = DEFAULT.seed,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Dream a sound: an audio file, or the sound of a film.

    The result is IN.dream.wav (float) unless -o names it: .wav, .flac, .ogg, .mp3 or .m4a.
    """
    from mmdream.jobs.sound import dream_sound_file

    recipe = Recipe(
        schedule=_schedule(preset, schedule, octaves, octave_scale, steps, depth, strength),
        sound_net=net,
        sound_weights=weights,
        seed=seed,
    )
    with listening(as_json) as listener:
        report = dream_sound_file(source, output, recipe, overwrite, listener)
    _show(report, as_json)


@app.command()
def sample(
    output: Annotated[Path, typer.Argument(metavar="OUT.mp4", help="Where to write it.", show_default=False)],
    overwrite: options.Overwrite = False,
) -> None:
    """Make a short film to try things on: a moving camera over two photographs, and music."""
    from mmdream.jobs.output import destination
    from mmdream.sample import make_sample

    path = destination(None, output, ".mp4", (".mp4",), overwrite)
    make_sample(path)
    typer.echo(f"{path}")


@app.command()
def nets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One network, in detail.", show_default=False)
    ] = None,
) -> None:
    """List the networks, or tell all about one: its rungs, its weights, its licence."""
    from mmdream.networks.card import card, names

    if name is None:
        for each in names():
            about = card(each)
            typer.echo(f"{each:14} {about.medium:8} {about.about}")
            typer.echo(f"{'':23} licence: {about.licence}")
        return
    about = card(name)
    typer.echo(f"{about.name} ({about.medium}): {about.about}")
    typer.echo("depth  layer, from shallow to deep")
    for number, rung in enumerate(about.rungs):
        typer.echo(f"{number / max(1, len(about.rungs) - 1):5.2f}  {rung.layer}")
    if about.classes:
        typer.echo(f"classes: {', '.join(about.classes)}")
    typer.echo(f"weights: {about.weights.tell()}")
    typer.echo(f"licence: {about.licence}")
    typer.echo(f"source:  {about.source}")
    typer.echo(f"credits: {about.credits}")
    for fact, value in about.facts.items():
        typer.echo(f"{fact.replace('_', ' ')}: {value}")


def _schedule(
    preset: str | None,
    file: Path | None,
    octaves: int | None,
    octave_scale: float | None,
    steps: int | None,
    depth: float | None,
    strength: float | None,
) -> Schedule:
    """A flag replaces a whole curve, the file overrides the preset."""
    from mmdream import schedule

    base = schedule.preset(preset or schedule.DEFAULT_PRESET)
    if file is not None:
        base = schedule.read(file, base)
    return base.with_settings(
        octaves=octaves, octave_scale=octave_scale, steps=steps, depth=depth, strength=strength
    )


@contextmanager
def _resumable() -> Iterator[None]:
    """Tell how to go on after Ctrl-C, and leave at once."""
    try:
        yield
    except Stopped as stopped:
        typer.echo(f"mmdream: {stopped}", err=True)
        sys.stdout.flush()
        # Another thread may be in the midst of a long step, which nothing but the end of the process
        # ends; the journal makes that safe.
        os._exit(130)


def _show(report: Report | Plan, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.as_json()))
    else:
        for line in report.lines():
            typer.echo(line)


def main() -> None:
    """Run a command and exit: 0 done, 2 the user's to put right, 130 interrupted, 1 a bug."""
    # A polite kill cleans up like Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = app(standalone_mode=False, prog_name="mmdream")
    except UserError as error:
        status = _fail(str(error))
    except UsageErrors as error:
        status = _fail(str(error.format_message()))
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> int:
    """One line on stderr, whatever the message holds."""
    typer.echo(f"mmdream: error: {' '.join(message.split())}", err=True)
    return 2
