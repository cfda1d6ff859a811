"""The command that gives one thing the style of others.

Work modules are imported inside the command, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from mmdream import options, options_style
from mmdream.asked import mask_of
from mmdream.errors import UserError
from mmdream.options import DEFAULT
from mmdream.options_picture import DEFAULT_COLOR, DEFAULT_PRECISION
from mmdream.options_style import DEFAULT_STATISTIC, PANELS, USUAL, USUAL_SOUND, Beginning
from mmdream.passes import STYLE_SCHEDULE, Pass, Style, weighed
from mmdream.recipe import Recipe
from mmdream.schedule import Schedule
from mmdream.sound.styling import Styling
from mmdream.terminal import Told, listening, resumable, show


def style(
    context: typer.Context,
    content: options_style.Content,
    styles: options_style.Styles,
    output: options.Output = None,
    content_weight: options_style.ContentWeight = None,
    steps: options_style.Steps = None,
    seed: options_style.Seed = DEFAULT.seed,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    net: options_style.Net = DEFAULT.net,
    weights: options_style.Weights = None,
    statistic: options_style.Statistics = DEFAULT_STATISTIC,
    style_scale: options_style.StyleScale = USUAL["scale"],
    smooth: options_style.Smooth = USUAL["smooth"],
    octaves: options_style.Octaves = None,
    octave_scale: options_style.OctaveScale = None,
    strength: options_style.Strength = None,
    color: options_style.Colors = DEFAULT_COLOR,
    beginning: options_style.Beginnings = Beginning.content,
    mask: options_style.MaskFile = None,
    feather: options_style.Feather = None,
    size: options_style.Size = None,
    precision: options_style.Precise = DEFAULT_PRECISION,
    save_steps: options_style.SaveSteps = False,
    start: options_style.Start = None,
    end: options_style.End = None,
    sound_style: options_style.SoundStyle = None,
    keep_rhythm: options_style.KeepRhythm = False,
) -> None:
    """Give a picture or a film the style of paintings, or a sound the texture of other sounds.

    The result is CONTENT.styled.png unless -o names it: .png, .jpg, .webp or .tif.
    That of a film is CONTENT.styled.mp4: .mp4, .mov, .webm or .mkv (lossless); its sound is kept.
    That of a sound is CONTENT.styled.wav (float): .wav, .flac, .ogg, .mp3 or .m4a.
    """
    kind = _kind(content)
    _refuse_others(context, content, kind)
    models = tuple(map(weighed, styles))
    if kind == "sound":
        from mmdream.jobs.restyle import style_audio_file

        styling = Styling(
            USUAL_SOUND.content_weight if content_weight is None else content_weight,
            keep_rhythm,
            USUAL_SOUND.steps if steps is None else steps,
            seed,
        )
        with listening(as_json) as listener:
            done: Told = style_audio_file(content, models, output, styling, overwrite, listener)
        return show(done, as_json)
    weight = USUAL["content_weight"] if content_weight is None else content_weight
    wanted = Style(models, statistic.value, weight, smooth, style_scale)
    given = {"octaves": octaves, "octave_scale": octave_scale, "steps": steps, "strength": strength}
    schedule, where = STYLE_SCHEDULE.with_settings(**given), mask_of(mask, feather)
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
        from mmdream.jobs.painted import style_image_file

        with listening(as_json) as listener:
            done = style_image_file(
                content, output, recipe, wanted, overwrite, listener,
                from_noise=beginning is Beginning.noise, mask=where, save_steps=save_steps,
            )  # fmt: skip
        return show(done, as_json)
    from mmdream import dream_video

    own = tuple((name, schedule.curve(name)) for name, value in given.items() if value is not None)
    recipe = replace(recipe, schedule=Schedule(), passes=(Pass(wanted, own, mask=where),))
    with resumable(), listening(as_json) as listener:
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
    return show(done, as_json)


def _kind(content: Path) -> str:
    """What a file is: "picture", "sound" or "film".

    Raises:
        UserError: none of them.
    """
    from mmdream.film.source import probe
    from mmdream.picture.files import is_image

    if is_image(content):
        return "picture"
    return "sound" if probe(content).video is None else "film"


def _refuse_others(context: typer.Context, content: Path, kind: str) -> None:
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
