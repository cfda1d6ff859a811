"""The command that gives one thing the style of others.

Work modules are imported inside the command, so that ``--help`` never meets numpy or TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from mmdream import options, options_style
from mmdream.asked import mask_of
from mmdream.errors import UserError
from mmdream.options import DEFAULT
from mmdream.options_picture import DEFAULT_COLOR, DEFAULT_PRECISION
from mmdream.options_style import DEFAULT_STATISTIC, PANELS, USUAL, USUAL_SOUND, Beginning
from mmdream.passes import STYLE_SCHEDULE, Style, weighed
from mmdream.recipe import Recipe
from mmdream.sound.styling import Styling
from mmdream.terminal import Told, listening, show


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
    keep_rhythm: options_style.KeepRhythm = False,
) -> None:
    """Give a picture the style of paintings, or a sound the texture of other sounds.

    The result is CONTENT.styled.png unless -o names it: .png, .jpg, .webp or .tif.
    That of a sound is CONTENT.styled.wav (float): .wav, .flac, .ogg, .mp3 or .m4a.
    """
    kind = _kind(content)
    _refuse_others(context, content, kind)
    models = tuple(map(weighed, styles))
    with listening(as_json) as listener:
        if kind == "film":
            done = _styled_film(content)
        elif kind == "picture":
            from mmdream.jobs.painted import paint_picture_file

            recipe = Recipe(
                schedule=STYLE_SCHEDULE.with_settings(
                    octaves=octaves, octave_scale=octave_scale, steps=steps, strength=strength
                ),
                net=net,
                weights=weights,
                color=color.value,
                seed=seed,
                size=size,
                precision=precision.value,
            )
            weight = USUAL["content_weight"] if content_weight is None else content_weight
            wanted = Style(models, statistic.value, weight, smooth, style_scale)
            done = paint_picture_file(
                content, output, recipe, wanted, overwrite, listener,
                from_noise=beginning is Beginning.noise, mask=mask_of(mask, feather), save_steps=save_steps,
            )  # fmt: skip
        else:
            from mmdream.jobs.restyle import style_file

            styling = Styling(
                USUAL_SOUND.content_weight if content_weight is None else content_weight,
                keep_rhythm,
                USUAL_SOUND.steps if steps is None else steps,
                seed,
            )
            done = style_file(content, models, output, styling, overwrite, listener)
    show(done, as_json)


def _kind(content: Path) -> str:
    """What a file is: "picture", "sound" or "film".

    Raises:
        UserError: none of them.
    """
    from mmdream.film.source import probe
    from mmdream.picture.files import is_picture

    if is_picture(content):
        return "picture"
    return "sound" if probe(content).picture is None else "film"


def _refuse_others(context: typer.Context, content: Path, kind: str) -> None:
    """Refuse options that speak to another medium than the content's: the panel they stand in tells.

    Raises:
        UserError: one of them is given.
    """
    others = {panel for medium, panel in PANELS.items() if kind in PANELS and medium != kind}
    for option in context.command.params:
        source: Any = context.get_parameter_source(option.name or "")
        panel = getattr(option, "rich_help_panel", None)
        if source.name == "COMMANDLINE" and panel in others:
            raise UserError(
                f"{content}: is a {kind}; {max(option.opts, key=len)} speaks to {panel.lower()} alone"
            )


def _styled_film(content: Path) -> Told:
    """Films cannot be styled yet.

    Raises:
        UserError: always.
    """
    raise UserError(f"{content}: is a film; only pictures and sounds can be styled so far")
