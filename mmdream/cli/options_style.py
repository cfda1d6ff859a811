"""The options of style, with what they mean.

Each stands in the panel of the medium that it speaks to; those of the common panel speak to all.
"""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mmdream.cli.options_picture import DEFAULT_FEATHER, Color, Precision
from mmdream.settings.passes import STYLE_SCHEDULE, AudioStyleSettings, Style

PICTURES_AND_FILMS, PICTURES, FILMS, SOUNDS = "Pictures and films", "Pictures", "Films", "Sounds"
PANELS = {
    PICTURES_AND_FILMS: ("picture", "film"),
    PICTURES: ("picture",),
    FILMS: ("film",),
    SOUNDS: ("sound",),
}
"""Headings of the options that do not speak to every kind of content, and whom they speak to."""

STYLE_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Style)}
"""Settings of a style."""
AUDIO_STYLE_DEFAULTS = AudioStyleSettings()


class Statistic(StrEnum):
    """What textures are compared by."""

    wasserstein = "wasserstein"
    gram = "gram"


class StyleStart(StrEnum):
    """What is painted on."""

    content = "content"
    noise = "noise"


DEFAULT_STATISTIC = Statistic(STYLE_DEFAULTS["statistic"])


def _style_schedule_default(setting: str) -> float:
    """A setting of style's own schedule, as the help shows it."""
    return STYLE_SCHEDULE.curve(setting).keys[0][1]


def _default_by_medium(picture: float, sound: float) -> str:
    """A default that depends on the medium."""
    return f"{picture:g}" if picture == sound else f"{picture:g}; sounds {sound:g}"


ContentArgument = Annotated[
    Path, typer.Argument(metavar="CONTENT", help="The picture, film or sound to style.", show_default=False)
]
StyleModelsOption = Annotated[
    list[str],
    typer.Option(
        "--style",
        metavar="FILE[=W]",
        help="A painting, or for a sound a sound, whose texture it is to have; repeat to blend.",
        show_default=False,
    ),
]
ContentWeightOption = Annotated[
    float | None,
    typer.Option(
        metavar="W",
        help="0: the style alone; more keeps more; of a sound 30 the pitch too.",
        show_default=_default_by_medium(
            STYLE_DEFAULTS["content_weight"], AUDIO_STYLE_DEFAULTS.content_weight
        ),
    ),
]
StyleStepsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Steps towards the style; of a picture at each octave.",
        show_default=_default_by_medium(_style_schedule_default("steps"), AUDIO_STYLE_DEFAULTS.steps),
    ),
]
StyleSeedOption = Annotated[int, typer.Option(metavar="N", help="Another number, another result.")]

StyleNetOption = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE.keras",
        help="Network that compares textures, listed by `mmdream nets`, or one of your own.",
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
StyleWeightsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|random",
        help="Weights of the network, instead of its own.",
        show_default=False,
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
StatisticOption = Annotated[
    Statistic,
    typer.Option(
        "--statistic",
        help="Compare textures as normal distributions, or as Gram matrices.",
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
StyleScaleOption = Annotated[
    float,
    typer.Option(
        metavar="R",
        help="Size of the strokes; 1: as if the painting were as large as the picture.",
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
SmoothOption = Annotated[
    float,
    typer.Option(
        metavar="W",
        help="Weight of total variation; more: less fine detail.",
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
StyleOctavesOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Sizes that it is painted at, from small to large.",
        show_default=f"{_style_schedule_default('octaves'):g}",
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
StyleOctaveScaleOption = Annotated[
    float | None,
    typer.Option(
        metavar="R",
        help="Ratio of one octave to the next.",
        show_default=f"{_style_schedule_default('octave_scale'):g}",
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
StyleStrengthOption = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="0 is the source, 1 the painting, more is more.",
        show_default=f"{_style_schedule_default('strength'):g}",
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
StyleColorOption = Annotated[
    Color,
    typer.Option(
        "--color",
        help="Take the style's colours too, or keep those of the source.",
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
StyleStartOption = Annotated[
    StyleStart,
    typer.Option("--from", help="Begin with the content, or with soft noise.", rich_help_panel=PICTURES),
]
StyleMaskOption = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="PICTURE|FILM",
        help="Paint where it is white; of CONTENT's aspect. Of a film a picture takes the first frame.",
        show_default=False,
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
StyleFeatherOption = Annotated[
    float | None,
    typer.Option(
        metavar="PX",
        help="Fade the mask's edges over so many pixels of a picture of 360 lines.",
        show_default=f"{DEFAULT_FEATHER:g}",
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
StyleSizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="WxH|480p",
        help="Working resolution; the result keeps the source's size.",
        show_default=False,
        rich_help_panel=PICTURES_AND_FILMS,
    ),
]
StylePrecisionOption = Annotated[
    Precision,
    typer.Option("--precision", help="Number format of the network.", rich_help_panel=PICTURES_AND_FILMS),
]
StyleSaveStepsOption = Annotated[
    bool,
    typer.Option(
        "--save-steps", help="Keep the picture after each step, in OUT.steps.", rich_help_panel=PICTURES
    ),
]
StyleStartTimeOption = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        help="Begin at this second of the source.",
        show_default=False,
        rich_help_panel=FILMS,
    ),
]
StyleEndTimeOption = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        help="End before this second of the source.",
        show_default=False,
        rich_help_panel=FILMS,
    ),
]
SoundStyleOption = Annotated[
    Path | None,
    typer.Option(
        "--sound-style",
        metavar="FILE",
        help="A sound whose texture the film's sound is to have.",
        show_default=False,
        rich_help_panel=FILMS,
    ),
]
KeepRhythmOption = Annotated[
    bool,
    typer.Option(
        "--keep-rhythm",
        help="Keep onsets, pauses and loudness of the content.",
        rich_help_panel=SOUNDS,
    ),
]
