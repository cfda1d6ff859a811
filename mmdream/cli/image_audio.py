"""The commands that dream one picture, and one sound.

Work modules are imported inside the commands, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mmdream.cli.options import Given, OutputOptions, ScheduleOptions, build_recipe, pick, takes
from mmdream.cli.terminal import play_sound, print_report, report_to_terminal
from mmdream.core.errors import UserError
from mmdream.settings.definition import (
    DREAM,
    ENDLESS,
    RESULT,
    SOURCE,
    Option,
    checked,
    options,
    setting,
)  # fmt: skip
from mmdream.settings.passes import Mask
from mmdream.settings.recipe import Recipe, Selection
from mmdream.settings.schedule import AUDIO_FEATURES, DEFAULT_FACTORS
from mmdream.settings.targets import Targets

if TYPE_CHECKING:
    from mmdream.audio.synthesis import SignalSpec
    from mmdream.render.feedback_audio import FeedbackSettings
    from mmdream.render.zoom_video import ZoomAudio, ZoomSettings

TEST_SIGNAL_SECONDS = 10.0
"""Of a sound that is dreamed in place of a recording."""
TRANSFORM = "Between clips: stretch=0.95 (of the length, same pitch), shift=HZ, pitch=SEMITONES or none."


@checked
@dataclass(frozen=True, slots=True)
class ImageOptions:
    """What `image` makes besides one dream of a picture."""

    start: Literal["noise"] | None = setting(
        None, "Dream on noise instead of a picture, with --size.", SOURCE, "noise", name="from"
    )
    save_steps: bool = setting(False, "Keep the picture after each step, in OUT.steps.", RESULT)
    ouroboros: float | None = setting(
        None,
        "Make a film so long, each frame the dream of the one before, moved; of --size, or as IN.",
        ENDLESS,
        "SECONDS",
        unit="s",
    )
    zoom: float | None = setting(
        None, "Times so large each second, about the middle.", ENDLESS, "Z", default_text="1"
    )
    rotate: float | None = setting(
        None, "Degrees against the clock a second.", ENDLESS, "DEG", default_text="0"
    )
    shift: str | None = setting(
        None, "Pixels to the right and down a second.", ENDLESS, "X,Y", default_text="0,0"
    )
    fps: float | None = setting(None, "Frames a second.", ENDLESS, "F", default_text="25")
    with_sound: bool = setting(False, "Dream a sound again and again beside the picture.", ENDLESS)
    sound: Path | None = setting(None, "What that sound begins with.", ENDLESS, "FILE", default_text="noise")
    transform: str | None = setting(None, TRANSFORM, ENDLESS, "HOW", default_text="none")


@takes(
    pick(options(ScheduleOptions), "preset schedule"),
    options(Recipe, frozenset({"image"})),
    options(Mask),
    options(ImageOptions),
    options(OutputOptions),
)
def image(
    given: Given,
    source: Annotated[
        Path | None, typer.Argument(metavar="[IN]", help="The picture to dream.", show_default=False)
    ] = None,
) -> None:
    """Dream a picture, or with --from noise a new one.

    The result is IN.dream.png unless -o names it: .png, .jpg, .webp or .tif.
    With --ouroboros it is a film, IN.dream.mp4 unless -o names it: .mp4, .mov, .webm, or .mkv (lossless).
    """
    from mmdream.render.image import render_image_file

    result, how = given.settings(OutputOptions()), given.settings(ImageOptions())
    if (source is None) == (how.start is None):
        raise UserError("give a picture to dream on, or --from noise")
    zoom, audio = _build_zoom(how)
    if zoom is not None and how.save_steps:
        raise UserError("--save-steps shows how one picture is dreamed; leave it out with --ouroboros")
    if zoom is not None and "mask" in given:
        raise UserError("--mask lies on one picture, and --ouroboros moves it; leave one of them out")
    recipe = build_recipe(given, "image", natural=source is None)
    if zoom is not None and recipe.passes:
        raise UserError("passes lie on one picture, and --ouroboros moves it; leave one of them out")
    with report_to_terminal(result.json) as listener:
        ending = "png" if zoom is None else "mp4"
        out = result.output or (Path(f"noise.dream.{ending}") if source is None else None)
        if zoom is None:
            report = render_image_file(source, out, recipe, result.overwrite, listener, how.save_steps)
        else:
            from mmdream.render.zoom_video import render_zoom_video

            if audio is not None:
                from mmdream.cli.options import build_sound_targets

                targets = build_sound_targets(Targets(), recipe.wishes.terms, recipe.sound_net)
                recipe = replace(recipe, sound_wishes=targets)
            report = render_zoom_video(source, out, recipe, zoom, result.overwrite, listener, audio)
    print_report(report, result.json)


@checked
@dataclass(frozen=True, slots=True)
class AudioCommandOptions:
    """What `audio` dreams on, and makes besides one dream of it."""

    start: str | None = setting(
        None,
        "Dream on noise, silence, sine:HZ or sweep:HZ-HZ instead of a recording.",
        SOURCE,
        "KIND",
        name="from",
    )
    seconds: float | None = setting(
        None, "Length of what --from makes.", SOURCE, "S", unit="s", default_text=f"{TEST_SIGNAL_SECONDS:g}"
    )
    ouroboros: int | None = setting(
        None,
        "Dream N clips, each of the one before, crossfaded over 1 s (or a quarter of a clip); each also "
        "alone, OUT.01.wav ... With --layer iterate clip k climbs the k-th layer from the deep end.",
        ENDLESS,
        "N",
    )
    transform: str | None = setting(None, TRANSFORM, ENDLESS, "HOW", default_text="none")
    no_guard: bool = setting(
        False,
        "Let clips collapse into one tone or a screech; else an equaliser holds their spectrum.",
        ENDLESS,
    )
    plot: Path | None = setting(
        None, "Draw source, dream and what changed between them into this file.", RESULT, "PICTURE"
    )
    plot_steps: bool = setting(False, "Draw how the dream grows, a picture a step, in OUT.steps.", RESULT)
    each_channel: str | None = setting(
        None, "Write a dream for each channel of a layer, and an index picture.", RESULT, "LAYER[:0-15]"
    )
    play: bool = setting(False, "Play the result when it is done.", RESULT)


def _own_name(option: Option) -> Option:
    """An option of a film's sound as the command that dreams nothing else calls it."""
    about, name = option.setting, option.name.removeprefix("sound-").removesuffix("-sound")
    if name == "invent":
        about = replace(about, default_text="0; 1 from silence")
    if name == "drive":
        settings, features = ", ".join(DEFAULT_FACTORS).replace("_", "-"), ", ".join(AUDIO_FEATURES)
        follow = f"Let {settings} follow the sound's {features}, times LO to HI; repeat to add."
        about = replace(about, help=follow, group=DREAM)
    return replace(option, name=name, setting=about)


@takes(
    pick(options(ScheduleOptions), "preset schedule"),
    map(_own_name, options(Recipe, frozenset({"audio"}))),
    pick(options(Selection), "sound-track"),
    options(AudioCommandOptions),
    options(OutputOptions),
)
def audio(
    given: Given,
    source: Annotated[
        Path | None, typer.Argument(metavar="[IN]", help="The sound to dream.", show_default=False)
    ] = None,
) -> None:
    """Dream a sound: an audio file, the sound of a film, or with --from one that is made.

    The result is IN.dream.wav (float) unless -o names it: .wav, .flac, .ogg, .mp3 or .m4a.
    """
    result, how = given.settings(OutputOptions()), given.settings(AudioCommandOptions())
    track = given.values.get("sound-track")
    start, is_silence = _find_start(source, how, track)
    feedback = _build_feedback(how, given)
    recipe = build_recipe(given, "audio")
    if is_silence and "invent" not in given:
        recipe = replace(recipe, sound_manner=replace(recipe.sound_manner, invent=1.0))
    if is_silence and recipe.sound_manner.invent == 0:
        raise UserError("--from silence with --invent 0 is silence; leave --invent out, or give it up to 1")
    if how.each_channel is not None:
        from mmdream.views.gallery import render_each_channel

        alone = ["layer", "channel", "target", "guide", "drive", "ouroboros", "plot", "plot-steps", "play"]
        if any(name in given for name in alone):
            raise UserError(
                "--each-channel climbs one channel after the other and draws them all; leave out --layer, "
                "--channel, --target, --guide, --drive, --ouroboros, --plot, --plot-steps and --play"
            )
        with report_to_terminal(result.json) as listener:
            every = render_each_channel(
                start, result.output, recipe, how.each_channel, result.overwrite, listener, track
            )
        return print_report(every, result.json)
    with report_to_terminal(result.json) as listener:
        if feedback is None:
            from mmdream.render.audio import render_audio_file
            from mmdream.views.figures import AudioFigures

            drawn = how.plot is not None or how.plot_steps
            figures = AudioFigures(how.plot, how.plot_steps, result.overwrite) if drawn else None
            report = render_audio_file(
                start, result.output, recipe, result.overwrite, listener, figures, track
            )
        else:
            from mmdream.render.feedback_audio import render_feedback_audio

            report = render_feedback_audio(
                start, result.output, recipe, feedback, result.overwrite, listener, track
            )
    print_report(report, result.json)
    if how.play and report.output is not None:
        with report_to_terminal(result.json) as listener:
            play_sound(Path(report.output), listener)


def _find_start(
    source: Path | None, how: AudioCommandOptions, track: str | None
) -> tuple[Path | SignalSpec, bool]:
    """What a sound is dreamed on, and whether that is silence.

    Raises:
        UserError: it is given twice, or not at all; what belongs to the other way of giving it.
    """
    from mmdream.audio.synthesis import parse_signal

    if source is not None and how.start is None:
        if how.seconds is not None:
            raise UserError("--seconds is the length of what --from makes; a recording keeps its own")
        return source, False
    if source is not None or how.start is None:
        raise UserError("give a sound to dream on, or --from noise, silence, sine:440 or sweep:100-8000")
    signal = parse_signal(how.start, TEST_SIGNAL_SECONDS if how.seconds is None else how.seconds)
    if track is not None:
        raise UserError("--sound-track chooses among the sound tracks of a file; drop it or --from")
    return signal, signal.kind == "silence"


def _build_feedback(how: AudioCommandOptions, given: Given) -> FeedbackSettings | None:
    """How a sound is to be dreamed again; None: it is not. Takes the layer "iterate" out of what was given.

    Raises:
        UserError: what makes sense only with --ouroboros stands without it, or the other way round.
    """
    layers = given.values.get("layer", [])
    iterate = "iterate" in layers
    if how.ouroboros is None:
        _refuse_without_ouroboros(
            {"--transform": how.transform, "--no-guard": how.no_guard, "--layer iterate": iterate}
        )
        return None
    if how.plot is not None or how.plot_steps:
        raise UserError("--plot and --plot-steps draw one dream; leave them out with --ouroboros")
    if "drive" in given:
        raise UserError("--drive follows one sound, and each clip is another; leave it out with --ouroboros")
    from mmdream.audio.transform import parse_transform
    from mmdream.render.feedback_audio import FeedbackSettings

    given.values["layer"] = [layer for layer in layers if layer != "iterate"]
    return FeedbackSettings(
        how.ouroboros, parse_transform(how.transform or "none"), iterate, not how.no_guard
    )


def _build_zoom(how: ImageOptions) -> tuple[ZoomSettings | None, ZoomAudio | None]:
    """The film that a picture is to become, and the sound beside it; None: none.

    Raises:
        UserError: what makes sense only with --ouroboros stands without it; values out of range.
    """
    motion = {name: getattr(how, name) for name in ("zoom", "rotate", "shift")}
    if how.ouroboros is None:
        moved = {f"--{name}": value is not None for name, value in motion.items()}
        _refuse_without_ouroboros({**moved, "--fps": how.fps is not None, "--with-sound": how.with_sound})
    if not how.with_sound:
        for option, value in {"--sound": how.sound, "--transform": how.transform}.items():
            if value:
                raise UserError(f"{option} goes with --with-sound")
    if how.ouroboros is None:
        return None, None
    from mmdream.audio.transform import parse_transform
    from mmdream.image.motion import CameraMotion, parse_shift
    from mmdream.render.feedback_audio import FeedbackSettings
    from mmdream.render.zoom_video import DEFAULT_FRAME_RATE, ZoomAudio, ZoomSettings

    values: dict[str, Any] = {name: value for name, value in motion.items() if value is not None}
    if "shift" in values:
        values["shift"] = parse_shift(values["shift"])
    rate = Fraction(DEFAULT_FRAME_RATE) if how.fps is None else parse_frame_rate(how.fps)
    turns = FeedbackSettings(1, parse_transform(how.transform or "none"))
    audio = ZoomAudio(how.sound, turns) if how.with_sound else None
    return ZoomSettings(how.ouroboros, CameraMotion(**values), rate), audio


def parse_frame_rate(fps: float) -> Fraction:
    """A rate as a short fraction; 23.976, 29.97 and 59.94 are NTSC's.

    Raises:
        UserError: not a number.
    """
    if not math.isfinite(fps):
        raise UserError(f"--fps is {fps}; give a number, for example 25")
    ntsc = Fraction(round(fps) * 1000, 1001)
    return ntsc if abs(float(ntsc) - fps) < 0.002 else Fraction(fps).limit_denominator(1000)


def _refuse_without_ouroboros(options: dict[str, Any]) -> None:
    for option, value in options.items():
        if value:
            raise UserError(f"{option} goes with --ouroboros, which dreams again and again")
