"""The commands about films: dream one, go on with one, list those that are not finished.

Work modules are imported inside the commands, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mmdream import options, options_picture, options_sound
from mmdream.asked import drives_of, heard_too, manner_of, mask_of, passes_of, schedule_of, wishes_of
from mmdream.options import DEFAULT, DEFAULT_MEASURE
from mmdream.options_picture import DEFAULT_COLOR, DEFAULT_OPTIMIZER, DEFAULT_PRECISION
from mmdream.options_sound import DEFAULT_PHASE, DEFAULT_STEREO
from mmdream.recipe import Recipe, SoundManner
from mmdream.terminal import listening, resumable, show


def video(
    source: options_picture.Film,
    output: options.Output = None,
    net: options_picture.Net = DEFAULT.net,
    sound_net: options_sound.Net = DEFAULT.sound_net,
    weights: options.Weights = None,
    sound_weights: options_sound.Weights = None,
    depth: options.Depth = None,
    layer: options.Layers = None,
    channel: options.Channels = None,
    target: options.Targets = None,
    motif: options_picture.Motif = None,
    guide: options_picture.Guide = None,
    objective: options.Objective = DEFAULT_MEASURE,
    sound_layer: options_sound.Layers = None,
    sound_channel: options_sound.Channels = None,
    sound_target: options_sound.Targets = None,
    sound_guide: options_sound.Guide = None,
    sound_objective: options_sound.Objective = DEFAULT_MEASURE,
    invent: options_sound.Invent = DEFAULT.sound_manner.invent,
    stereo: options_sound.Stereos = DEFAULT_STEREO,
    phase: options_sound.Phases = DEFAULT_PHASE,
    strength: options.Strength = None,
    octaves: options.Octaves = None,
    octave_scale: options.OctaveScale = None,
    steps: options.Steps = None,
    coherence: options_picture.Coherence = DEFAULT.coherence,
    breathe: options_picture.Breathe = DEFAULT.breathe,
    bidirectional: options_picture.Bidirectional = DEFAULT.bidirectional,
    color: options_picture.Colors = DEFAULT_COLOR,
    optimizer: options_picture.Optimizers = DEFAULT_OPTIMIZER,
    wander: options_picture.Wander = DEFAULT.manner.wander,
    flatten: options_picture.Flatten = DEFAULT.manner.flatten,
    schedule: options.ScheduleFile = None,
    strokes: options_picture.Passes = None,
    style: options_picture.Styles = None,
    mask: options_picture.Masks = None,
    feather: options_picture.Feather = None,
    drive: options_picture.Drives = None,
    drive_sound: options_sound.Drives = None,
    preset: options.Preset = None,
    seed: options.Seed = DEFAULT.seed,
    size: options_picture.Size = None,
    start: options_picture.Start = None,
    end: options_picture.End = None,
    precision: options_picture.Precise = DEFAULT_PRECISION,
    keep_picture: options_picture.KeepPicture = False,
    keep_sound: options_picture.KeepSound = False,
    sound_track: options_sound.Track = None,
    strict: options_picture.Strict = False,
    preview: options_picture.Preview = None,
    sheet: options_picture.Sheet = None,
    compare: options_picture.Compare = False,
    dry_run: options_picture.DryRun = False,
    overwrite: options.Overwrite = False,
    job_dir: options_picture.JobDir = None,
    as_json: options.Json = False,
) -> None:
    """Turn a film into a dream film, picture and sound.

    The result is IN.dream.mp4 unless -o names it: .mp4, .mov, .webm, or .mkv (lossless).
    The same command again goes on with a film that was stopped; so does `mmdream resume`.
    """
    from mmdream import dream_video, plan_video

    wanted = wishes_of(layer, channel, target, guide, objective)
    heard = wishes_of(sound_layer, sound_channel, sound_target, sound_guide, sound_objective)
    recipe = Recipe(
        schedule=schedule_of(preset, schedule, octaves, octave_scale, steps, depth, strength, motif),
        drives=drives_of(drive),
        sound_drives=drives_of(drive_sound),
        wishes=wanted,
        sound_wishes=heard_too(heard, wanted.terms, sound_net, preset),
        sound_manner=SoundManner(invent, stereo.value, phase.value),
        net=net,
        sound_net=sound_net,
        weights=weights,
        sound_weights=sound_weights,
        manner=manner_of(optimizer, wander, flatten),
        passes=passes_of(strokes, style, schedule, mask_of(mask, feather)),
        coherence=coherence,
        breathe=breathe,
        bidirectional=bidirectional,
        color=color.value,
        seed=seed,
        size=size,
        precision=precision.value,
    )
    wishes: Any = {
        "start": start,
        "end": end,
        "keep_picture": keep_picture,
        "keep_sound": keep_sound,
        "sound_track": sound_track,
        "strict": strict,
        "overwrite": overwrite,
    }
    if dry_run:
        with listening(as_json) as listener:
            plan = plan_video(source, output, recipe, **wishes, listener=listener)
        return show(plan, as_json)
    with resumable(), listening(as_json) as listener:
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
    show(report, as_json)


def resume(
    job: Annotated[
        Path,
        typer.Argument(metavar="JOB", help="The result's name, or the job's folder.", show_default=False),
    ],
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="On another machine too: the rest then differs in its last bits."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Another name for the result.", show_default=False),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Go on with a film that was stopped, to the very frames and samples of an unbroken run."""
    from mmdream import resume_video

    with resumable(), listening(as_json) as listener:
        report = resume_video(job, anyway=anyway, overwrite=overwrite, output=output, listener=listener)
    show(report, as_json)


def jobs(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where the results lie.", show_default=False)
    ] = Path(),
) -> None:
    """List the films in a folder that are not finished."""
    import shlex
    import time

    from mmdream.jobs.listing import list_jobs

    for job in list_jobs(folder):
        share = "" if job.percent is None else f"{job.percent} %, {job.frames} of {job.total} frames, "
        touched = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.touched))
        typer.echo(f"{job.name}  {job.state}, {share}last touched {touched}")
        if job.state == "stopped":
            typer.echo(f"  mmdream resume {shlex.quote(str(job.name))}")
        elif job.state == "broken":
            typer.echo(
                f"  {job.folder} cannot go on; delete it, or begin anew: mmdream video ... --overwrite"
            )
