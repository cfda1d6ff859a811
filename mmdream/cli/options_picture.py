"""The options of pictures and films, with what they mean."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmdream.cli.options import DEFAULT
from mmdream.settings.modulation import AUDIO_FEATURES, DEFAULT_FACTORS, IMAGE_FEATURES
from mmdream.settings.passes import Mask


class Precision(StrEnum):
    """Number formats of the picture network."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


class Color(StrEnum):
    """What the dream may do to the picture's colours."""

    full = "full"
    source = "source"


class Optimizer(StrEnum):
    """How a step goes uphill."""

    normalized = "normalized"
    adam = "adam"


class ImageStart(StrEnum):
    """What is dreamed on in place of a picture."""

    noise = "noise"


DEFAULT_OPTIMIZER = Optimizer(DEFAULT.manner.optimizer)
DEFAULT_PRECISION = Precision(DEFAULT.precision)
DEFAULT_FEATHER = Mask(Path()).feather
DEFAULT_COLOR = Color(DEFAULT.color)

ImageArgument = Annotated[
    Path | None, typer.Argument(metavar="[IN]", help="The picture to dream.", show_default=False)
]
FilmArgument = Annotated[Path, typer.Argument(metavar="IN", help="The file to dream.", show_default=False)]
ImageNetOption = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE.keras", help="Picture network, listed by `mmdream nets`, or one of your own."
    ),
]
ImageGuideOption = Annotated[
    Path | None,
    typer.Option(metavar="PICTURE", help="Dream towards what is seen in a picture.", show_default=False),
]
MotifOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME", help="Dream these; `mmdream nets NAME` lists them.", show_default=False
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="WxH|480p",
        help="Working resolution of the dream; the result keeps the source's size.",
        show_default=False,
    ),
]
PrecisionOption = Annotated[
    Precision, typer.Option("--precision", help="Number format of the picture network.")
]
ColorOption = Annotated[
    Color, typer.Option("--color", help="Dream in colour, or keep the colours of the source.")
]
OptimizerOption = Annotated[
    Optimizer, typer.Option("--optimizer", help="Steps along the gradient, or along Adam's mean of it.")
]
WanderOption = Annotated[
    float,
    typer.Option(metavar="W", help="0..1: turn and scale at random between steps; rounder, calmer motifs."),
]
FlattenOption = Annotated[
    float, typer.Option(metavar="F", help="0..1: hold total variation down; less fine detail.")
]
ImageStartOption = Annotated[
    ImageStart | None,
    typer.Option("--from", help="Dream on noise instead of a picture, with --size.", show_default=False),
]
SaveStepsOption = Annotated[
    bool, typer.Option("--save-steps", help="Keep the picture after each step, in OUT.steps.")
]
MaskOption = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="PICTURE|FILM",
        help="Dream where it is white; of IN's aspect. Of a film a picture takes the first frame.",
        show_default=False,
    ),
]
FeatherOption = Annotated[
    float | None,
    typer.Option(
        metavar="PX",
        help="Fade the mask's edges over so many pixels of a picture of 360 lines.",
        show_default=f"{DEFAULT_FEATHER:g}",
    ),
]
FilmSecondsOption = Annotated[
    float | None,
    typer.Option(
        "--ouroboros",
        metavar="SECONDS",
        help="Make a film so long, each frame the dream of the one before, moved; of --size, or as IN.",
        show_default=False,
    ),
]
ZoomOption = Annotated[
    float | None,
    typer.Option(
        metavar="Z", help="Ouroboros: times so large each second, about the middle.", show_default="1"
    ),
]
RotateOption = Annotated[
    float | None,
    typer.Option(metavar="DEG", help="Ouroboros: degrees against the clock a second.", show_default="0"),
]
ShiftOption = Annotated[
    str | None,
    typer.Option(metavar="X,Y", help="Ouroboros: pixels to the right and down a second.", show_default="0,0"),
]
FpsOption = Annotated[
    float | None,
    typer.Option("--fps", metavar="F", help="Ouroboros: frames a second.", show_default="25"),
]
WithSoundOption = Annotated[
    bool, typer.Option("--with-sound", help="Ouroboros: dream a sound again and again beside the picture.")
]
StartSoundOption = Annotated[
    Path | None,
    typer.Option("--sound", metavar="FILE", help="What that sound begins with.", show_default="noise"),
]
PassesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pass",
        metavar="PASS",
        help="dream:SETTING=VALUE,... or style=PICTURE:SETTING=VALUE,...; repeat, in order. Settings: those "
        "of the schedule, from=3s, to=8s, fade=1s, mask=FILE, net; of a style content-weight, style-scale.",
        show_default=False,
    ),
]
PaintingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--style",
        metavar="PICTURE[=W]",
        help="Dream, and then paint in the style of this picture; repeat to blend.",
        show_default=False,
    ),
]
DrivesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--drive",
        metavar="SETTING=FEATURE[:LO-HI]",
        help=f"Let {', '.join(DEFAULT_FACTORS).replace('_', '-')} or motif follow the sound's {', '.join(AUDIO_FEATURES)} "
        f"or the picture's {', '.join(IMAGE_FEATURES)}, times LO to HI; repeat to add.",
        show_default=False,
    ),
]
CoherenceOption = Annotated[
    float,
    typer.Option(
        metavar="K", help="Share of the dream that moves on with the film; 0: every frame for itself."
    ),
]
BreatheOption = Annotated[
    float, typer.Option(metavar="B", help="0..1: how much the dream may evolve where the film stands still.")
]
BidirectionalOption = Annotated[
    bool,
    typer.Option(
        "--bidirectional", help="Dream each shot's first frames backwards too: nothing grows in at a cut."
    ),
]
StartOption = Annotated[
    float | None,
    typer.Option(metavar="T", help="Begin at this second of the source.", show_default=False),
]
EndOption = Annotated[
    float | None,
    typer.Option(metavar="T", help="End before this second of the source.", show_default=False),
]
KeepPictureOption = Annotated[bool, typer.Option("--keep-picture", help="Dream the sound only.")]
KeepSoundOption = Annotated[bool, typer.Option("--keep-sound", help="Dream the picture only.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Stop at a broken frame instead of going on.")]
PreviewOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PICTURE", help="A file that shows the newest frame while it dreams.", show_default=False
    ),
]
SheetOption = Annotated[
    Path | None,
    typer.Option(metavar="PICTURE", help="Twelve moments, source above dream.", show_default=False),
]
CompareOption = Annotated[
    bool, typer.Option("--compare", help="Also make a film of source and dream side by side.")
]
JobDirOption = Annotated[
    Path | None,
    typer.Option(
        "--job-dir",
        metavar="FOLDER",
        help="Where finished parts are kept until the film is whole; else beside the result.",
        show_default=False,
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Tell what it would take, time, memory and disk, and stop.")
]
