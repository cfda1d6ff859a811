"""The command that gives one thing the style of others.

Work modules are imported inside the command, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from mmdream.cli import options, options_style
from mmdream.cli.build import build_mask
from mmdream.cli.options import DEFAULT
from mmdream.cli.options_picture import DEFAULT_COLOR, DEFAULT_PRECISION
from mmdream.cli.options_style import (
    AUDIO_STYLE_DEFAULTS,
    DEFAULT_STATISTIC,
    PANELS,
    STYLE_DEFAULTS,
    StyleStart,
)
from mmdream.cli.terminal import Printable, exit_when_stopped, print_report, report_to_terminal
from mmdream.core.errors import UserError
from mmdream.settings.passes import STYLE_SCHEDULE, AudioStyleSettings, Pass, Style, parse_style
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import Schedule


def style(
    context: typer.Context,
    content: options_style.ContentArgument,
    styles: options_style.StyleModelsOption,
    output: options.OutputOption = None,
    content_weight: options_style.ContentWeightOption = None,
    steps: options_style.StyleStepsOption = None,
    seed: options_style.StyleSeedOption = DEFAULT.seed,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
    net: options_style.StyleNetOption = DEFAULT.net,
    weights: options_style.StyleWeightsOption = None,
    statistic: options_style.StatisticOption = DEFAULT_STATISTIC,
    style_scale: options_style.StyleScaleOption = STYLE_DEFAULTS["scale"],
    smooth: options_style.SmoothOption = STYLE_DEFAULTS["smooth"],
    octaves: options_style.StyleOctavesOption = None,
    octave_scale: options_style.StyleOctaveScaleOption = None,
    strength: options_style.StyleStrengthOption = None,
    color: options_style.StyleColorOption = DEFAULT_COLOR,
    beginning: options_style.StyleStartOption = StyleStart.content,
    mask: options_style.StyleMaskOption = None,
    feather: options_style.StyleFeatherOption = None,
    size: options_style.StyleSizeOption = None,
    precision: options_style.StylePrecisionOption = DEFAULT_PRECISION,
    save_steps: options_style.StyleSaveStepsOption = False,
    start: options_style.StyleStartTimeOption = None,
    end: options_style.StyleEndTimeOption = None,
    sound_style: options_style.SoundStyleOption = None,
    keep_rhythm: options_style.KeepRhythmOption = False,
) -> None:
    """Give a picture or a film the style of paintings, or a sound the texture of other sounds.

    The result is CONTENT.styled.png unless -o names it: .png, .jpg, .webp or .tif.
    That of a film is CONTENT.styled.mp4: .mp4, .mov, .webm or .mkv (lossless); its sound is kept.
    That of a sound is CONTENT.styled.wav (float): .wav, .flac, .ogg, .mp3 or .m4a.
    """
    kind = _detect_kind(content)
    _refuse_foreign_options(context, content, kind)
    models = tuple(map(parse_style, styles))
    if kind == "sound":
        from mmdream.render.audio_style import style_audio_file

        styling = AudioStyleSettings(
            AUDIO_STYLE_DEFAULTS.content_weight if content_weight is None else content_weight,
            keep_rhythm,
            AUDIO_STYLE_DEFAULTS.steps if steps is None else steps,
            seed,
        )
        with report_to_terminal(as_json) as listener:
            done: Printable = style_audio_file(content, models, output, styling, overwrite, listener)
        return print_report(done, as_json)
    weight = STYLE_DEFAULTS["content_weight"] if content_weight is None else content_weight
    wanted = Style(models, statistic.value, weight, smooth, style_scale)
    given = {"octaves": octaves, "octave_scale": octave_scale, "steps": steps, "strength": strength}
    schedule, where = STYLE_SCHEDULE.with_settings(**given), build_mask(mask, feather)
    recipe = Recipe(
        schedule=schedule,
        net=net,
        weights=weights,
        color=color.value,
        seed=seed,
        size=size,
        precision=precision.value,
    )
    if kind == "picture":
        from mmdream.render.image_style import style_image_file

        with report_to_terminal(as_json) as listener:
            done = style_image_file(
                content, output, recipe, wanted, overwrite, listener,
                from_noise=beginning is StyleStart.noise, mask=where, save_steps=save_steps,
            )  # fmt: skip
        return print_report(done, as_json)
    from mmdream import dream_video

    own = tuple((name, schedule.curve(name)) for name, value in given.items() if value is not None)
    recipe = replace(recipe, schedule=Schedule(), passes=(Pass(wanted, own, mask=where),))
    with exit_when_stopped(), report_to_terminal(as_json) as listener:
        done = dream_video(
            content,
            output or content.with_name(f"{content.stem}.styled.mp4"),
            recipe,
            start=start,
            end=end,
            keep_sound=sound_style is None,
            sound_style=sound_style,
            overwrite=overwrite,
            listener=listener,
        )
    return print_report(done, as_json)


def _detect_kind(content: Path) -> str:
    """What a file is: "picture", "sound" or "film".

    Raises:
        UserError: none of them.
    """
    from mmdream.media.image import is_image
    from mmdream.media.probe import probe

    if is_image(content):
        return "picture"
    return "sound" if probe(content).video is None else "film"


def _refuse_foreign_options(context: typer.Context, content: Path, kind: str) -> None:
    """Refuse options that speak to another medium than the content's: the panel they stand in tells.

    Raises:
        UserError: one of them is given.
    """
    others = {panel for panel, kinds in PANELS.items() if kind not in kinds}
    for option in context.command.params:
        source: Any = context.get_parameter_source(option.name or "")
        panel = getattr(option, "rich_help_panel", None)
        if source.name == "COMMANDLINE" and panel in others:
            raise UserError(
                f"{content}: is a {kind}; {max(option.opts, key=len)} speaks to {panel.lower()} alone"
            )
