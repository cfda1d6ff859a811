"""The command line: options in, one report or one error line out.

Work modules are imported inside the commands, so that ``--help`` never meets numpy or TensorFlow. Only this
file turns an error into an exit status.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mmdream import __version__
from mmdream.cli import data, networks, options, options_picture, options_sound, style, train, video
from mmdream.cli.build import (
    build_ascent_options,
    build_drives,
    build_feedback,
    build_mask,
    build_passes,
    build_schedule,
    build_sound_targets,
    build_targets,
    build_zoom,
)
from mmdream.cli.options import DEFAULT, DEFAULT_MEASURE
from mmdream.cli.options_picture import DEFAULT_COLOR, DEFAULT_OPTIMIZER, DEFAULT_PRECISION
from mmdream.cli.options_sound import DEFAULT_PHASE, DEFAULT_STEREO
from mmdream.cli.terminal import print_report, report_to_terminal
from mmdream.core.errors import UserError, to_one_line
from mmdream.settings.recipe import AudioOptions, Recipe
from mmdream.settings.targets import Targets

# typer carries its own copy of click; its public BadParameter leads to the base of all usage errors.
UsageError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

app = typer.Typer(
    name="mmdream",
    help="Turn films, pictures and sounds into dreams.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _print_version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"mmdream {__version__}")
        raise typer.Exit


app.command()(video.video)
app.command()(video.resume)
app.command()(video.jobs)
app.command()(networks.classify)
app.command()(style.style)
app.add_typer(data.app, name="data")
app.add_typer(train.app, name="train")


@app.command()
def image(
    source: options_picture.ImageArgument = None,
    output: options.OutputOption = None,
    net: options_picture.ImageNetOption = DEFAULT.net,
    weights: options.WeightsOption = None,
    depth: options.DepthOption = None,
    layer: options.LayersOption = None,
    channel: options.ChannelsOption = None,
    target: options.TargetsOption = None,
    motif: options_picture.MotifOption = None,
    guide: options_picture.ImageGuideOption = None,
    objective: options.ObjectiveOption = DEFAULT_MEASURE,
    strength: options.StrengthOption = None,
    octaves: options.OctavesOption = None,
    octave_scale: options.OctaveScaleOption = None,
    steps: options.StepsOption = None,
    schedule: options.ScheduleOption = None,
    preset: options.PresetOption = None,
    color: options_picture.ColorOption = DEFAULT_COLOR,
    optimizer: options_picture.OptimizerOption = DEFAULT_OPTIMIZER,
    wander: options_picture.WanderOption = DEFAULT.manner.wander,
    flatten: options_picture.FlattenOption = DEFAULT.manner.flatten,
    beginning: options_picture.ImageStartOption = None,
    mask: options_picture.MaskOption = None,
    feather: options_picture.FeatherOption = None,
    save_steps: options_picture.SaveStepsOption = False,
    ouroboros: options_picture.FilmSecondsOption = None,
    zoom: options_picture.ZoomOption = None,
    rotate: options_picture.RotateOption = None,
    shift: options_picture.ShiftOption = None,
    fps: options_picture.FpsOption = None,
    with_sound: options_picture.WithSoundOption = False,
    sound: options_picture.StartSoundOption = None,
    transform: options_sound.TransformOption = None,
    seed: options.SeedOption = DEFAULT.seed,
    size: options_picture.SizeOption = None,
    precision: options_picture.PrecisionOption = DEFAULT_PRECISION,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Dream a picture, or with --from noise a new one.

    The result is IN.dream.png unless -o names it: .png, .jpg, .webp or .tif.
    With --ouroboros it is a film, IN.dream.mp4 unless -o names it: .mp4, .mov, .webm, or .mkv (lossless).
    """
    from mmdream.render.image import render_image_file

    if (source is None) == (beginning is None):
        raise UserError("give a picture to dream on, or --from noise")
    moving = {"zoom": zoom, "rotate": rotate, "shift": shift}
    voyage, heard = build_zoom(ouroboros, moving, fps, with_sound, sound, transform)
    if voyage is not None and save_steps:
        raise UserError("--save-steps shows how one picture is dreamed; leave it out with --ouroboros")
    where = build_mask(mask, feather)
    if voyage is not None and where is not None:
        raise UserError("--mask lies on one picture, and --ouroboros moves it; leave one of them out")
    wanted = build_targets(layer, channel, target, guide, objective)
    passes = build_passes(None, None, schedule, where)
    if voyage is not None and passes:
        raise UserError("passes lie on one picture, and --ouroboros moves it; leave one of them out")
    recipe = Recipe(
        schedule=build_schedule(preset, schedule, octaves, octave_scale, steps, depth, strength, motif),
        wishes=wanted,
        passes=passes,
        sound_wishes=Targets()
        if heard is None
        else build_sound_targets(Targets(), wanted.terms, DEFAULT.sound_net),
        net=net,
        weights=weights,
        manner=build_ascent_options(optimizer, wander, flatten, natural=source is None),
        color=color.value,
        seed=seed,
        size=size,
        precision=precision.value,
    )
    with report_to_terminal(as_json) as listener:
        ending = "png" if voyage is None else "mp4"
        out = output if source is not None else output or Path(f"noise.dream.{ending}")
        if voyage is None:
            report = render_image_file(source, out, recipe, overwrite, listener, save_steps)
        else:
            from mmdream.render.zoom_video import render_zoom_video

            report = render_zoom_video(source, out, recipe, voyage, overwrite, listener, heard)
    print_report(report, as_json)


@app.command()
def audio(
    source: options_sound.AudioArgument = None,
    output: options.OutputOption = None,
    net: options_sound.NetForAudioOption = DEFAULT.sound_net,
    weights: options.WeightsOption = None,
    depth: options.DepthOption = None,
    layer: options.LayersOption = None,
    channel: options.ChannelsOption = None,
    target: options.TargetsOption = None,
    guide: options_sound.GuideForAudioOption = None,
    objective: options.ObjectiveOption = DEFAULT_MEASURE,
    strength: options.StrengthOption = None,
    octaves: options.OctavesOption = None,
    octave_scale: options.OctaveScaleOption = None,
    steps: options.StepsOption = None,
    schedule: options.ScheduleOption = None,
    drive: options_sound.DriveForAudioOption = None,
    preset: options.PresetOption = None,
    invent: options_sound.InventForAudioOption = None,
    stereo: options_sound.StereoOption = DEFAULT_STEREO,
    phase: options_sound.PhaseOption = DEFAULT_PHASE,
    beginning: options_sound.AudioStartOption = None,
    seconds: options_sound.SecondsOption = None,
    ouroboros: options_sound.ClipsOption = None,
    transform: options_sound.TransformOption = None,
    guard: options_sound.GuardOption = True,
    plot: options_sound.PlotOption = None,
    sound_track: options_sound.SoundTrackOption = None,
    plot_steps: options_sound.PlotStepsOption = False,
    each_channel: options_sound.EachChannelOption = None,
    play: options_sound.PlayOption = False,
    seed: options.SeedOption = DEFAULT.seed,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Dream a sound: an audio file, the sound of a film, or with --from one that is made.

    The result is IN.dream.wav (float) unless -o names it: .wav, .flac, .ogg, .mp3 or .m4a.
    """
    from mmdream.audio.synthesis import SignalSpec
    from mmdream.audio.synthesis import parse_signal as made
    from mmdream.render.audio import render_audio_file

    if source is not None and beginning is None:
        if seconds is not None:
            raise UserError("--seconds is the length of what --from makes; a recording keeps its own")
        start: Path | SignalSpec = source
    elif source is None and beginning is not None:
        start = made(beginning, options_sound.TEST_SIGNAL_SECONDS if seconds is None else seconds)
    else:
        raise UserError("give a sound to dream on, or --from noise, silence, sine:440 or sweep:100-8000")
    if source is None and sound_track is not None:
        raise UserError("--sound-track chooses among the sound tracks of a file; drop it or --from")
    silent = isinstance(start, SignalSpec) and start.kind == "silence"
    if silent and invent == 0:
        raise UserError("--from silence with --invent 0 is silence; leave --invent out, or give it up to 1")
    amplitude = (1.0 if silent else DEFAULT.sound_manner.invent) if invent is None else invent
    turns, layer = build_feedback(ouroboros, transform, guard, layer, plot_steps or plot is not None, drive)
    recipe = Recipe(
        schedule=build_schedule(preset, schedule, octaves, octave_scale, steps, depth, strength),
        sound_drives=build_drives(drive),
        sound_net=net,
        sound_weights=weights,
        sound_wishes=build_sound_targets(
            build_targets(layer, channel, target, guide, objective), (), net, preset
        ),
        sound_manner=AudioOptions(amplitude, stereo.value, phase.value),
        seed=seed,
    )
    if each_channel is not None:
        from mmdream.views.channels import render_each_channel

        if layer or channel or target or guide or drive or turns or plot or plot_steps or play:
            raise UserError(
                "--each-channel climbs one channel after the other and draws them all; leave out --layer, "
                "--channel, --target, --guide, --drive, --ouroboros, --plot, --plot-steps and --play"
            )
        with report_to_terminal(as_json) as listener:
            every = render_each_channel(start, output, recipe, each_channel, overwrite, listener, sound_track)
        print_report(every, as_json)
        return
    with report_to_terminal(as_json) as listener:
        if turns is None:
            from mmdream.views.audio_figures import AudioFigures

            figures = AudioFigures(plot, plot_steps, overwrite) if plot or plot_steps else None
            report = render_audio_file(start, output, recipe, overwrite, listener, figures, sound_track)
        else:
            from mmdream.render.feedback_audio import render_feedback_audio

            report = render_feedback_audio(start, output, recipe, turns, overwrite, listener, sound_track)
    print_report(report, as_json)
    if play and report.output is not None:
        from mmdream.cli.terminal import play_sound as played

        with report_to_terminal(as_json) as listener:
            played(Path(report.output), listener)


@app.command()
def sample(
    output: Annotated[Path, typer.Argument(metavar="OUT.mp4", help="Where to write it.", show_default=False)],
    overwrite: options.OverwriteOption = False,
) -> None:
    """Make a short film to try things on: a moving camera over two photographs, and music."""
    from mmdream.core.files import check_output_file, output_workspace
    from mmdream.sample.film import make_sample

    path = check_output_file(None, output, ".mp4", (".mp4",), overwrite)
    with output_workspace(path, overwrite) as work:
        make_sample(work / path.name)
    typer.echo(f"{path}")


app.command()(networks.nets)


def main() -> None:
    """Run a command and exit: 0 done, 2 the user's to put right, 130 interrupted, 1 a bug."""
    # A polite kill cleans up like Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = app(standalone_mode=False, prog_name="mmdream")
    except UserError as error:
        status = _print_error(str(error))
    except UsageError as error:
        status = _print_error(str(error.format_message()))
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except MemoryError as error:
        status = _print_error(f"takes more memory than there is ({error}); take something smaller")
    sys.exit(status if isinstance(status, int) else 0)


def _print_error(message: str) -> int:
    """One line on stderr, whatever the message holds."""
    typer.echo(f"mmdream: error: {to_one_line(' '.join(message.split()))}", err=True)
    return 2
