"""The commands about films: dream one, go on with one, list those that are not finished.

Work modules are imported inside the commands, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mmdream import options
from mmdream.asked import drives_of, heard_too, manner_of, schedule_of, wishes_of
from mmdream.options import (
    DEFAULT,
    DEFAULT_COLOR,
    DEFAULT_MEASURE,
    DEFAULT_OPTIMIZER,
    DEFAULT_PHASE,
    DEFAULT_PRECISION,
    DEFAULT_STEREO,
)
from mmdream.recipe import Recipe, SoundManner
from mmdream.terminal import listening, resumable, show


def video(
    source: options.Input,
    output: options.Output = None,
    net: options.Net = DEFAULT.net,
    sound_net: options.SoundNet = DEFAULT.sound_net,
    weights: options.Weights = None,
    sound_weights: options.SoundWeights = None,
    depth: options.Depth = None,
    layer: options.Layers = None,
    channel: options.Channels = None,
    target: options.Targets = None,
    motif: options.Motif = None,
    guide: options.Guide = None,
    objective: options.Objective = DEFAULT_MEASURE,
    sound_layer: options.SoundLayers = None,
    sound_channel: options.SoundChannels = None,
    sound_target: options.SoundTargets = None,
    sound_guide: options.SoundGuides = None,
    sound_objective: options.SoundObjective = DEFAULT_MEASURE,
    invent: options.Invent = DEFAULT.sound_manner.invent,
    stereo: options.Stereos = DEFAULT_STEREO,
    phase: options.Phases = DEFAULT_PHASE,
    strength: options.Strength = None,
    octaves: options.Octaves = None,
    octave_scale: options.OctaveScale = None,
    steps: options.Steps = None,
    coherence: options.Coherence = DEFAULT.coherence,
    breathe: options.Breathe = DEFAULT.breathe,
    bidirectional: options.Bidirectional = DEFAULT.bidirectional,
    color: options.Colors = DEFAULT_COLOR,
    optimizer: options.Optimizers = DEFAULT_OPTIMIZER,
    wander: options.Wander = DEFAULT.manner.wander,
    flatten: options.Flatten = DEFAULT.manner.flatten,
    schedule: options.ScheduleFile = None,
    drive: options.Drives = None,
    drive_sound: options.SoundDrives = None,
    preset: options.Preset = None,
    seed: options.Seed = DEFAULT.seed,
    size: options.Size = None,
    start: options.Start = None,
    end: options.End = None,
    precision: options.Precise = DEFAULT_PRECISION,
    keep_picture: options.KeepPicture = False,
    keep_sound: options.KeepSound = False,
    sound_track: options.SoundTrack = None,
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
    as_json: options.Json = False,
) -> None:
    """Go on with a film that was stopped, to the very frames and samples of an unbroken run."""
    from mmdream import resume_video

    with resumable(), listening(as_json) as listener:
        report = resume_video(job, anyway=anyway, listener=listener)
    show(report, as_json)


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
