"""The options of style, with what they mean.

Each stands in the panel of the medium that it speaks to; those of the common panel speak to all.
"""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mmdream.options_picture import DEFAULT_FEATHER, Color, Precision
from mmdream.passes import STYLE_SCHEDULE, Style
from mmdream.sound.styling import Styling

SEEN, PICTURES, FILMS, SOUNDS = "Pictures and films", "Pictures", "Films", "Sounds"
PANELS = {SEEN: ("picture", "film"), PICTURES: ("picture",), FILMS: ("film",), SOUNDS: ("sound",)}
"""Headings of the options that do not speak to every kind of content, and whom they speak to."""

USUAL: dict[str, Any] = {field.name: field.default for field in fields(Style)}
"""Settings of a style."""
USUAL_SOUND = Styling()


class Statistic(StrEnum):
    """What textures are compared by."""

    wasserstein = "wasserstein"
    gram = "gram"


class Beginning(StrEnum):
    """What is painted on."""

    content = "content"
    noise = "noise"


DEFAULT_STATISTIC = Statistic(USUAL["statistic"])


def _usual(setting: str) -> float:
    """A setting of style's own schedule, as the help shows it."""
    return STYLE_SCHEDULE.curve(setting).keys[0][1]


def _either(picture: float, sound: float) -> str:
    """A default that depends on the medium."""
    return f"{picture:g}" if picture == sound else f"{picture:g}; sounds {sound:g}"


Content = Annotated[
    Path, typer.Argument(metavar="CONTENT", help="The picture, film or sound to style.", show_default=False)
]
Styles = Annotated[
    list[str],
    typer.Option(
        "--style",
        metavar="FILE[=W]",
        help="A painting, or for a sound a sound, whose texture it is to have; repeat to blend.",
        show_default=False,
    ),
]
ContentWeight = Annotated[
    float | None,
    typer.Option(
        metavar="W",
        help="0: the style alone; more keeps more; of a sound 30 the pitch too.",
        show_default=_either(USUAL["content_weight"], USUAL_SOUND.content_weight),
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Steps towards the style; of a picture at each octave.",
        show_default=_either(_usual("steps"), USUAL_SOUND.steps),
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Another number, another result.")]

Net = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE.keras",
        help="Network that compares textures, listed by `mmdream nets`, or one of your own.",
        rich_help_panel=SEEN,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|random",
        help="Weights of the network, instead of its own.",
        show_default=False,
        rich_help_panel=SEEN,
    ),
]
Statistics = Annotated[
    Statistic,
    typer.Option(
        "--statistic",
        help="Compare textures as normal distributions, or as Gram matrices.",
        rich_help_panel=SEEN,
    ),
]
StyleScale = Annotated[
    float,
    typer.Option(
        metavar="R",
        help="Size of the strokes; 1: as if the painting were as large as the picture.",
        rich_help_panel=SEEN,
    ),
]
Smooth = Annotated[
    float,
    typer.Option(
        metavar="W", help="Weight of total variation; more: less fine detail.", rich_help_panel=SEEN
    ),
]
Octaves = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Sizes that it is painted at, from small to large.",
        show_default=f"{_usual('octaves'):g}",
        rich_help_panel=SEEN,
    ),
]
OctaveScale = Annotated[
    float | None,
    typer.Option(
        metavar="R",
        help="Ratio of one octave to the next.",
        show_default=f"{_usual('octave_scale'):g}",
        rich_help_panel=SEEN,
    ),
]
Strength = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="0 is the source, 1 the painting, more is more.",
        show_default=f"{_usual('strength'):g}",
        rich_help_panel=SEEN,
    ),
]
Colors = Annotated[
    Color,
    typer.Option(
        "--color", help="Take the style's colours too, or keep those of the source.", rich_help_panel=SEEN
    ),
]
Beginnings = Annotated[
    Beginning,
    typer.Option("--from", help="Begin with the content, or with soft noise.", rich_help_panel=PICTURES),
]
MaskFile = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="PICTURE|FILM",
        help="Paint where it is white; of CONTENT's aspect. Of a film a picture takes the first frame.",
        show_default=False,
        rich_help_panel=SEEN,
    ),
]
Feather = Annotated[
    float | None,
    typer.Option(
        metavar="PX",
        help="Fade the mask's edges over so many pixels of a picture of 360 lines.",
        show_default=f"{DEFAULT_FEATHER:g}",
        rich_help_panel=SEEN,
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="WxH|480p",
        help="Working resolution; the result keeps the source's size.",
        show_default=False,
        rich_help_panel=SEEN,
    ),
]
Precise = Annotated[
    Precision,
    typer.Option("--precision", help="Number format of the network.", rich_help_panel=SEEN),
]
SaveSteps = Annotated[
    bool,
    typer.Option(
        "--save-steps", help="Keep the picture after each step, in OUT.steps.", rich_help_panel=PICTURES
    ),
]
Start = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        help="Begin at this second of the source.",
        show_default=False,
        rich_help_panel=FILMS,
    ),
]
End = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        help="End before this second of the source.",
        show_default=False,
        rich_help_panel=FILMS,
    ),
]
SoundStyle = Annotated[
    Path | None,
    typer.Option(
        "--sound-style",
        metavar="FILE",
        help="A sound whose texture the film's sound is to have.",
        show_default=False,
        rich_help_panel=FILMS,
    ),
]
KeepRhythm = Annotated[
    bool,
    typer.Option(
        "--keep-rhythm",
        help="Keep onsets, pauses and loudness of the content.",
        rich_help_panel=SOUNDS,
    ),
]
