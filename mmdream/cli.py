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

from mmdream import (
    __version__,
    cli_classify,
    cli_data,
    cli_nets,
    cli_style,
    cli_train,
    films,
    options,
    options_picture,
    options_sound,
)
from mmdream.asked import (
    drives_of,
    heard_too,
    manner_of,
    mask_of,
    passes_of,
    schedule_of,
    turns_of,
    voyage_of,
    wishes_of,
)
from mmdream.errors import UserError, to_one_line
from mmdream.options import DEFAULT, DEFAULT_MEASURE
from mmdream.options_picture import DEFAULT_COLOR, DEFAULT_OPTIMIZER, DEFAULT_PRECISION
from mmdream.options_sound import DEFAULT_PHASE, DEFAULT_STEREO
from mmdream.recipe import Recipe, SoundManner
from mmdream.terminal import listening, show
from mmdream.terms import Wishes

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


app.command()(films.video)
app.command()(films.resume)
app.command()(films.jobs)
app.command()(cli_classify.classify)
app.command()(cli_style.style)
app.add_typer(cli_data.app, name="data")
app.add_typer(cli_train.app, name="train")


@app.command()
def image(
    source: options_picture.Input = None,
    output: options.Output = None,
    net: options_picture.Net = DEFAULT.net,
    weights: options.Weights = None,
    depth: options.Depth = None,
    layer: options.Layers = None,
    channel: options.Channels = None,
    target: options.Targets = None,
    motif: options_picture.Motif = None,
    guide: options_picture.Guide = None,
    objective: options.Objective = DEFAULT_MEASURE,
    strength: options.Strength = None,
    octaves: options.Octaves = None,
    octave_scale: options.OctaveScale = None,
    steps: options.Steps = None,
    schedule: options.ScheduleFile = None,
    preset: options.Preset = None,
    color: options_picture.Colors = DEFAULT_COLOR,
    optimizer: options_picture.Optimizers = DEFAULT_OPTIMIZER,
    wander: options_picture.Wander = DEFAULT.manner.wander,
    flatten: options_picture.Flatten = DEFAULT.manner.flatten,
    beginning: options_picture.Beginnings = None,
    mask: options_picture.Masks = None,
    feather: options_picture.Feather = None,
    save_steps: options_picture.SaveSteps = False,
    ouroboros: options_picture.Ouroboros = None,
    zoom: options_picture.Zoom = None,
    rotate: options_picture.Rotate = None,
    shift: options_picture.Shift = None,
    fps: options_picture.Fps = None,
    with_sound: options_picture.WithSound = False,
    sound: options_picture.AlongSound = None,
    transform: options_sound.Transforms = None,
    seed: options.Seed = DEFAULT.seed,
    size: options_picture.Size = None,
    precision: options_picture.Precise = DEFAULT_PRECISION,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Dream a picture, or with --from noise a new one.

    The result is IN.dream.png unless -o names it: .png, .jpg, .webp or .tif.
    With --ouroboros it is a film, IN.dream.mp4 unless -o names it: .mp4, .mov, .webm, or .mkv (lossless).
    """
    from mmdream.jobs.still import render_image_file

    if (source is None) == (beginning is None):
        raise UserError("give a picture to dream on, or --from noise")
    moving = {"zoom": zoom, "rotate": rotate, "shift": shift}
    voyage, heard = voyage_of(ouroboros, moving, fps, with_sound, sound, transform)
    if voyage is not None and save_steps:
        raise UserError("--save-steps shows how one picture is dreamed; leave it out with --ouroboros")
    where = mask_of(mask, feather)
    if voyage is not None and where is not None:
        raise UserError("--mask lies on one picture, and --ouroboros moves it; leave one of them out")
    wanted = wishes_of(layer, channel, target, guide, objective)
    passes = passes_of(None, None, schedule, where)
    if voyage is not None and passes:
        raise UserError("passes lie on one picture, and --ouroboros moves it; leave one of them out")
    recipe = Recipe(
        schedule=schedule_of(preset, schedule, octaves, octave_scale, steps, depth, strength, motif),
        wishes=wanted,
        passes=passes,
        sound_wishes=Wishes() if heard is None else heard_too(Wishes(), wanted.terms, DEFAULT.sound_net),
        net=net,
        weights=weights,
        manner=manner_of(optimizer, wander, flatten, natural=source is None),
        color=color.value,
        seed=seed,
        size=size,
        precision=precision.value,
    )
    with listening(as_json) as listener:
        ending = "png" if voyage is None else "mp4"
        out = output if source is not None else output or Path(f"noise.dream.{ending}")
        if voyage is None:
            report = render_image_file(source, out, recipe, overwrite, listener, save_steps)
        else:
            from mmdream.jobs.voyage import render_zoom_video

            report = render_zoom_video(source, out, recipe, voyage, overwrite, listener, heard)
    show(report, as_json)


@app.command()
def audio(
    source: options_sound.Input = None,
    output: options.Output = None,
    net: options_sound.OwnNet = DEFAULT.sound_net,
    weights: options.Weights = None,
    depth: options.Depth = None,
    layer: options.Layers = None,
    channel: options.Channels = None,
    target: options.Targets = None,
    guide: options_sound.OwnGuide = None,
    objective: options.Objective = DEFAULT_MEASURE,
    strength: options.Strength = None,
    octaves: options.Octaves = None,
    octave_scale: options.OctaveScale = None,
    steps: options.Steps = None,
    schedule: options.ScheduleFile = None,
    drive: options_sound.OwnDrives = None,
    preset: options.Preset = None,
    invent: options_sound.OwnInvent = None,
    stereo: options_sound.Stereos = DEFAULT_STEREO,
    phase: options_sound.Phases = DEFAULT_PHASE,
    beginning: options_sound.Beginnings = None,
    seconds: options_sound.Seconds = None,
    ouroboros: options_sound.Ouroboros = None,
    transform: options_sound.Transforms = None,
    guard: options_sound.Guard = True,
    plot: options_sound.Plot = None,
    sound_track: options_sound.Track = None,
    plot_steps: options_sound.PlotSteps = False,
    each_channel: options_sound.EachChannel = None,
    play: options_sound.Play = False,
    seed: options.Seed = DEFAULT.seed,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Dream a sound: an audio file, the sound of a film, or with --from one that is made.

    The result is IN.dream.wav (float) unless -o names it: .wav, .flac, .ogg, .mp3 or .m4a.
    """
    from mmdream.jobs.sound import render_audio_file
    from mmdream.sound.made import SignalSpec
    from mmdream.sound.made import parse_signal as made

    if source is not None and beginning is None:
        if seconds is not None:
            raise UserError("--seconds is the length of what --from makes; a recording keeps its own")
        start: Path | SignalSpec = source
    elif source is None and beginning is not None:
        start = made(beginning, options_sound.MADE_SECONDS if seconds is None else seconds)
    else:
        raise UserError("give a sound to dream on, or --from noise, silence, sine:440 or sweep:100-8000")
    if source is None and sound_track is not None:
        raise UserError("--sound-track chooses among the sound tracks of a file; drop it or --from")
    silent = isinstance(start, SignalSpec) and start.kind == "silence"
    if silent and invent == 0:
        raise UserError("--from silence with --invent 0 is silence; leave --invent out, or give it up to 1")
    amplitude = (1.0 if silent else DEFAULT.sound_manner.invent) if invent is None else invent
    turns, layer = turns_of(ouroboros, transform, guard, layer, plot_steps or plot is not None, drive)
    recipe = Recipe(
        schedule=schedule_of(preset, schedule, octaves, octave_scale, steps, depth, strength),
        sound_drives=drives_of(drive),
        sound_net=net,
        sound_weights=weights,
        sound_wishes=heard_too(wishes_of(layer, channel, target, guide, objective), (), net, preset),
        sound_manner=SoundManner(amplitude, stereo.value, phase.value),
        seed=seed,
    )
    if each_channel is not None:
        from mmdream.jobs.channels import render_each_channel

        if layer or channel or target or guide or drive or turns or plot or plot_steps or play:
            raise UserError(
                "--each-channel climbs one channel after the other and draws them all; leave out --layer, "
                "--channel, --target, --guide, --drive, --ouroboros, --plot, --plot-steps and --play"
            )
        with listening(as_json) as listener:
            every = render_each_channel(start, output, recipe, each_channel, overwrite, listener, sound_track)
        show(every, as_json)
        return
    with listening(as_json) as listener:
        if turns is None:
            report = render_audio_file(
                start, output, recipe, overwrite, listener, plot, plot_steps, sound_track
            )
        else:
            from mmdream.jobs.ouroboros import render_feedback_audio

            report = render_feedback_audio(start, output, recipe, turns, overwrite, listener, sound_track)
    show(report, as_json)
    if play and report.output is not None:
        from mmdream.jobs.play import play as played

        with listening(as_json) as listener:
            played(Path(report.output), listener)


@app.command()
def sample(
    output: Annotated[Path, typer.Argument(metavar="OUT.mp4", help="Where to write it.", show_default=False)],
    overwrite: options.Overwrite = False,
) -> None:
    """Make a short film to try things on: a moving camera over two photographs, and music."""
    from mmdream.jobs.output import check_output_file, output_workspace
    from mmdream.sample import make_sample

    path = check_output_file(None, output, ".mp4", (".mp4",), overwrite)
    with output_workspace(path, overwrite) as work:
        make_sample(work / path.name)
    typer.echo(f"{path}")


app.command()(cli_nets.nets)


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
    except MemoryError as error:
        status = _fail(f"takes more memory than there is ({error}); take something smaller")
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> int:
    """One line on stderr, whatever the message holds."""
    typer.echo(f"mmdream: error: {to_one_line(' '.join(message.split()))}", err=True)
    return 2
