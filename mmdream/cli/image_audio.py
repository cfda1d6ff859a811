"""The commands that dream one picture, and one sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from mmdream.cli.options import (
    Given,
    OutputOptions,
    ScheduleOptions,
    argument,
    build_recipe,
    build_sound_targets,
    for_added_sound,
    pick,
    takes,
)
from mmdream.cli.terminal import play_sound, report_to_terminal, run_and_print
from mmdream.core.errors import UserError
from mmdream.settings.definition import (
    CLIMB,
    DREAM,
    ENDLESS,
    RESULT,
    SOURCE,
    Option,
    checked,
    options,
    setting,
)
from mmdream.settings.ouroboros import ClipSettings, ZoomSettings
from mmdream.settings.passes import Mask
from mmdream.settings.recipe import STEMS_HELP, Recipe, Selection
from mmdream.settings.schedule import AUDIO_FEATURES, DEFAULT_FACTORS
from mmdream.settings.targets import Targets

if TYPE_CHECKING:
    from mmdream.render.generated.sound import SoundStart


@checked
@dataclass(frozen=True, slots=True)
class ImageOptions:
    """What `image` dreams on, and makes besides."""

    start: str | None = setting(
        None,
        "Dream on noise, or on what a generator makes of --target, in place of a picture; with --size.",
        SOURCE,
        "noise|generator:NAME",
        name="from",
    )
    canvas: Literal["pixels", "latent"] = setting(
        "pixels",
        "latent: climb what is dreamed, a class, a motif or a guide, through the generator of --from first.",
        CLIMB,
    )
    count: int = setting(
        1, "Pictures of a generator, numbered OUT-1, OUT-2 and so on.", RESULT, "N", 1, 10_000
    )
    save_steps: bool = setting(False, "Keep the picture after each step, in OUT.steps.", RESULT)


@takes(
    pick(options(ScheduleOptions), "preset schedule"),
    options(Recipe, frozenset({"image"})),
    options(Mask),
    options(ImageOptions),
    options(ZoomSettings, frozenset({"image"})),
    options(OutputOptions),
)
def image(
    given: Given, source: Annotated[Path | None, argument("[IN]", "The picture to dream.")] = None
) -> None:
    """Dream a picture, or with --from a new one, out of noise or of what a generator makes.

    The result is IN.dream.png unless -o names it: .png, .jpg, .webp or .tif.
    With --ouroboros it is a film, IN.dream.mp4 unless -o names it: .mp4, .mov, .webm, or .mkv (lossless).
    """
    from mmdream.render.image import render_image_file, render_image_series
    from mmdream.render.start import GeneratedPicture, parse_start

    result, how = given.settings(OutputOptions()), given.settings(ImageOptions())
    if (source is None) == (how.start is None):
        raise UserError("give a picture to dream on, or --from noise or generator:NAME")
    is_film = _is_endless(given)
    for name in ("sound", "transform"):
        if name in given and "with-sound" not in given:
            raise UserError(f"--{name} goes with --with-sound")
    if is_film and how.save_steps:
        raise UserError("--save-steps shows how one picture is dreamed; leave it out with --ouroboros")
    if is_film and "mask" in given:
        raise UserError("--mask lies on one picture, and --ouroboros moves it; leave one of them out")
    zoom = given.settings(ZoomSettings(1.0))
    recipe = build_recipe(given, "image", natural=how.start == "noise")
    if is_film and recipe.passes:
        raise UserError("passes lie on one picture, and --ouroboros moves it; leave one of them out")
    climbed = how.canvas == "latent"
    start = source if how.start is None else parse_start(how.start, recipe.wishes.terms, climbed)
    if climbed and not isinstance(start, GeneratedPicture):
        raise UserError("--canvas latent climbs through a generator; give --from generator:NAME with it")
    name = start.name if isinstance(start, GeneratedPicture) else "noise"
    out = result.output or (Path(f"{name}.dream.{'mp4' if is_film else 'png'}") if source is None else None)
    if "count" in given and (is_film or not isinstance(start, GeneratedPicture)):
        raise UserError("--count goes with --from generator:NAME, and without --ouroboros")
    if how.count > 1:
        assert isinstance(start, GeneratedPicture)
        assert out is not None
        run_and_print(
            result.json,
            lambda listener: render_image_series(
                start, how.count, out, recipe, result.overwrite, listener, how.save_steps
            ),
        )
        return
    if not is_film:
        run_and_print(
            result.json,
            lambda listener: render_image_file(
                start, out, recipe, result.overwrite, listener, how.save_steps
            ),
        )
        return
    from mmdream.render.zoom_video import render_zoom_video

    if zoom.with_sound:
        targets = build_sound_targets(Targets(), recipe.wishes.terms, recipe.sound_net)
        recipe = replace(recipe, sound_wishes=targets)
    if zoom.sounds_of_picture:
        recipe = for_added_sound(recipe, given)
    run_and_print(result.json, partial(render_zoom_video, start, out, recipe, zoom, result.overwrite))


@checked
@dataclass(frozen=True, slots=True)
class AudioCommandOptions:
    """What `audio` dreams on, and makes besides one dream of it."""

    start: str | None = setting(
        None,
        "Dream on noise, silence, sine:HZ, sweep:HZ-HZ, or what generator:NAME makes of --target.",
        SOURCE,
        "KIND",
        name="from",
    )
    seconds: float = setting(10.0, "Length of what --from makes.", SOURCE, "S", unit="s")
    plot: Path | None = setting(
        None, "Draw source, dream and what changed between them into this file.", RESULT, "PICTURE"
    )
    plot_steps: bool = setting(False, "Draw how the dream grows, a picture a step, in OUT.steps.", RESULT)
    each_channel: str | None = setting(
        None, "Write a dream for each channel of a layer, and an index picture.", RESULT, "LAYER[:0-15]"
    )
    stems: bool = setting(False, STEMS_HELP, RESULT)
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
    pick(options(AudioCommandOptions), "from seconds"),
    options(ClipSettings),
    pick(options(AudioCommandOptions), "plot plot-steps each-channel stems play"),
    options(OutputOptions),
)
def audio(
    given: Given, source: Annotated[Path | None, argument("[IN]", "The sound to dream.")] = None
) -> None:
    """Dream a sound: an audio file, the sound of a film, or with --from one that is made.

    The result is IN.dream.wav (float) unless -o names it: .wav, .flac, .ogg, .mp3 or .m4a.
    """
    result, how = given.settings(OutputOptions()), given.settings(AudioCommandOptions())
    track, out, overwrite = given.values.get("sound-track"), result.output, result.overwrite
    clips = _build_clips(given)
    recipe = build_recipe(given, "audio")
    start, is_silence = _find_start(source, how, given, recipe)
    if is_silence and "invent" not in given:
        recipe = replace(recipe, sound_manner=replace(recipe.sound_manner, invent=1.0))
    if is_silence and recipe.sound_manner.invent == 0:
        raise UserError("--from silence with --invent 0 is silence; leave --invent out, or give it up to 1")
    if (channels := how.each_channel) is not None:
        from mmdream.views.gallery import render_each_channel

        alone = [
            "layer",
            "channel",
            "target",
            "guide",
            "drive",
            "ouroboros",
            "plot",
            "plot-steps",
            "stems",
            "play",
        ]
        if any(name in given for name in alone):
            names = ", ".join(f"--{name}" for name in alone[:-1])
            raise UserError(
                f"--each-channel climbs one channel after the other and draws them all; leave out {names} "
                f"and --{alone[-1]}"
            )
        run_and_print(
            result.json,
            lambda listener: render_each_channel(start, out, recipe, channels, overwrite, listener, track),
        )
        return
    if clips is None:
        from mmdream.render.audio import render_audio_file
        from mmdream.views.figures import AudioFigures

        drawn = how.plot is not None or how.plot_steps
        figures = AudioFigures(how.plot, how.plot_steps, overwrite) if drawn else None
        report = run_and_print(
            result.json,
            lambda listener: render_audio_file(
                start, out, recipe, overwrite, listener, figures, track, how.stems
            ),
        )
    else:
        from mmdream.render.feedback_audio import render_feedback_audio

        report = run_and_print(
            result.json,
            lambda listener: render_feedback_audio(start, out, recipe, clips, overwrite, listener, track),
        )
    if how.play and report.output is not None:
        with report_to_terminal(result.json) as listener:
            play_sound(Path(report.output), listener)


def _find_start(
    source: Path | None, how: AudioCommandOptions, given: Given, recipe: Recipe
) -> tuple[SoundStart, bool]:
    """What a sound is dreamed on, and whether that is silence."""
    from mmdream.render.generated.sound import parse_sound_start

    if source is not None and how.start is None:
        if "seconds" in given:
            raise UserError("--seconds is the length of what --from makes; a recording keeps its own")
        return source, False
    if source is not None or how.start is None:
        raise UserError(
            "give a sound to dream on, or --from noise, silence, sine:440, sweep:100-8000 or generator:NAME"
        )
    signal = parse_sound_start(how.start, recipe.sound_wishes.terms, how.seconds)
    if "sound-track" in given:
        raise UserError("--sound-track chooses among the sound tracks of a file; drop it or --from")
    return signal, signal.kind == "silence"


def _build_clips(given: Given) -> ClipSettings | None:
    """How a sound is to be dreamed again; None: it is not. Takes "iterate" out of the layers given."""
    layers = given.values.get("layer", [])
    iterate = "iterate" in layers
    if not _is_endless(given):
        if iterate:
            raise UserError("--layer iterate goes with --ouroboros, which dreams again and again")
        return None
    if "plot" in given or "plot-steps" in given:
        raise UserError("--plot and --plot-steps draw one dream; leave them out with --ouroboros")
    if "stems" in given:
        raise UserError("--stems keeps the parts of one dream; leave it out with --ouroboros")
    if "drive" in given:
        raise UserError("--drive follows one sound, and each clip is another; leave it out with --ouroboros")
    given.values["layer"] = [layer for layer in layers if layer != "iterate"]
    return given.settings(ClipSettings(1, iterate=iterate))


def _is_endless(given: Given) -> bool:
    """Whether something is dreamed again and again; refuses what makes sense only then."""
    for option in given.options:
        if option.setting.group == ENDLESS and option.name in given and "ouroboros" not in given:
            raise UserError(f"--{option.name} goes with --ouroboros, which dreams again and again")
    return "ouroboros" in given
