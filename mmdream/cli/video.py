"""The commands about films: dream one, go on with one, list those that are not finished.

Work modules are imported inside the commands, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mmdream.cli import options, options_picture, options_sound
from mmdream.cli.build import (
    build_ascent_options,
    build_drives,
    build_mask,
    build_passes,
    build_schedule,
    build_sound_targets,
    build_targets,
)
from mmdream.cli.options import DEFAULT, DEFAULT_MEASURE
from mmdream.cli.options_picture import DEFAULT_COLOR, DEFAULT_OPTIMIZER, DEFAULT_PRECISION
from mmdream.cli.options_sound import DEFAULT_PHASE, DEFAULT_STEREO
from mmdream.cli.terminal import exit_when_stopped, print_report, report_to_terminal
from mmdream.settings.recipe import AudioOptions, Recipe


def video(
    source: options_picture.FilmArgument,
    output: options.OutputOption = None,
    net: options_picture.ImageNetOption = DEFAULT.net,
    sound_net: options_sound.AudioNetOption = DEFAULT.sound_net,
    weights: options.WeightsOption = None,
    sound_weights: options_sound.AudioWeightsOption = None,
    depth: options.DepthOption = None,
    layer: options.LayersOption = None,
    channel: options.ChannelsOption = None,
    target: options.TargetsOption = None,
    motif: options_picture.MotifOption = None,
    guide: options_picture.ImageGuideOption = None,
    objective: options.ObjectiveOption = DEFAULT_MEASURE,
    sound_layer: options_sound.AudioLayersOption = None,
    sound_channel: options_sound.AudioChannelsOption = None,
    sound_target: options_sound.AudioTargetsOption = None,
    sound_guide: options_sound.AudioGuideOption = None,
    sound_objective: options_sound.AudioObjectiveOption = DEFAULT_MEASURE,
    invent: options_sound.InventOption = DEFAULT.sound_manner.invent,
    stereo: options_sound.StereoOption = DEFAULT_STEREO,
    phase: options_sound.PhaseOption = DEFAULT_PHASE,
    strength: options.StrengthOption = None,
    octaves: options.OctavesOption = None,
    octave_scale: options.OctaveScaleOption = None,
    steps: options.StepsOption = None,
    coherence: options_picture.CoherenceOption = DEFAULT.coherence,
    breathe: options_picture.BreatheOption = DEFAULT.breathe,
    bidirectional: options_picture.BidirectionalOption = DEFAULT.bidirectional,
    color: options_picture.ColorOption = DEFAULT_COLOR,
    optimizer: options_picture.OptimizerOption = DEFAULT_OPTIMIZER,
    wander: options_picture.WanderOption = DEFAULT.manner.wander,
    flatten: options_picture.FlattenOption = DEFAULT.manner.flatten,
    schedule: options.ScheduleOption = None,
    strokes: options_picture.PassesOption = None,
    style: options_picture.PaintingsOption = None,
    mask: options_picture.MaskOption = None,
    feather: options_picture.FeatherOption = None,
    drive: options_picture.DrivesOption = None,
    drive_sound: options_sound.AudioDrivesOption = None,
    preset: options.PresetOption = None,
    seed: options.SeedOption = DEFAULT.seed,
    size: options_picture.SizeOption = None,
    start: options_picture.StartOption = None,
    end: options_picture.EndOption = None,
    precision: options_picture.PrecisionOption = DEFAULT_PRECISION,
    keep_picture: options_picture.KeepPictureOption = False,
    keep_sound: options_picture.KeepSoundOption = False,
    sound_track: options_sound.SoundTrackOption = None,
    strict: options_picture.StrictOption = False,
    preview: options_picture.PreviewOption = None,
    sheet: options_picture.SheetOption = None,
    compare: options_picture.CompareOption = False,
    dry_run: options_picture.DryRunOption = False,
    overwrite: options.OverwriteOption = False,
    job_dir: options_picture.JobDirOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Turn a film into a dream film, picture and sound.

    The result is IN.dream.mp4 unless -o names it: .mp4, .mov, .webm, or .mkv (lossless).
    The same command again goes on with a film that was stopped; so does `mmdream resume`.
    """
    from mmdream import dream_video, plan_video

    wanted = build_targets(layer, channel, target, guide, objective)
    heard = build_targets(sound_layer, sound_channel, sound_target, sound_guide, sound_objective)
    recipe = Recipe(
        schedule=build_schedule(preset, schedule, octaves, octave_scale, steps, depth, strength, motif),
        drives=build_drives(drive),
        sound_drives=build_drives(drive_sound),
        wishes=wanted,
        sound_wishes=build_sound_targets(heard, wanted.terms, sound_net, preset),
        sound_manner=AudioOptions(invent, stereo.value, phase.value),
        net=net,
        sound_net=sound_net,
        weights=weights,
        sound_weights=sound_weights,
        manner=build_ascent_options(optimizer, wander, flatten),
        passes=build_passes(strokes, style, schedule, build_mask(mask, feather)),
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
        with report_to_terminal(as_json) as listener:
            plan = plan_video(source, output, recipe, **wishes, listener=listener)
        return print_report(plan, as_json)
    with exit_when_stopped(), report_to_terminal(as_json) as listener:
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
    print_report(report, as_json)


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
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Go on with a film that was stopped, to the very frames and samples of an unbroken run."""
    from mmdream import resume_video

    with exit_when_stopped(), report_to_terminal(as_json) as listener:
        report = resume_video(job, anyway=anyway, overwrite=overwrite, output=output, listener=listener)
    print_report(report, as_json)


def jobs(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where the results lie.", show_default=False)
    ] = Path(),
) -> None:
    """List the films in a folder that are not finished."""
    import shlex
    import time

    from mmdream.jobs.store import list_jobs

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
