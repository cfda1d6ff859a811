"""The vocabulary of the command line: options that every dream shares, with what they mean.

Those of pictures and films stand in options_picture.py, those of sounds in options_sound.py.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmdream.settings.files import list_presets
from mmdream.settings.recipe import Recipe

DEFAULT = Recipe()


class ObjectiveMeasure(StrEnum):
    """How far a layer is climbed."""

    energy = "energy"
    mean = "mean"
    cosine = "cosine"


DEFAULT_MEASURE = ObjectiveMeasure(DEFAULT.wishes.measure)

OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="OUT", help="Name of the result.", show_default=False)
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|random", help="Weights of the network, instead of its own.", show_default=False
    ),
]
DepthOption = Annotated[
    float | None, typer.Option(metavar="D", help="0..1: from strokes to creatures.", show_default=False)
]
LayersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        metavar="NAME[=W]",
        help="Climb this layer, not the depth's; repeat to add.",
        show_default=False,
    ),
]
ChannelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--channel", metavar="LAYER:7,12[=W]", help="Climb these channels; repeat to add.", show_default=False
    ),
]
TargetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="CLASS[=W]",
        help="Dream this class; a negative weight: away from it.",
        show_default=False,
    ),
]
ObjectiveOption = Annotated[
    ObjectiveMeasure, typer.Option("--objective", help="How layers and channels are climbed.")
]
StrengthOption = Annotated[
    float | None,
    typer.Option(metavar="S", help="0 is the source, 1 the dream, more is more.", show_default=False),
]
OctavesOption = Annotated[
    int | None, typer.Option(metavar="N", help="Sizes of motifs, from coarse to fine.", show_default=False)
]
OctaveScaleOption = Annotated[
    float | None, typer.Option(metavar="R", help="Ratio of one octave to the next.", show_default=False)
]
StepsOption = Annotated[
    int | None, typer.Option(metavar="N", help="Ascent steps at each octave.", show_default=False)
]
ScheduleOption = Annotated[
    Path | None,
    typer.Option(
        "--schedule", metavar="FILE.toml", help="Settings that change over time.", show_default=False
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help=f"A ready look and sound: {', '.join(list_presets())}.", show_default=False
    ),
]
SeedOption = Annotated[int, typer.Option(metavar="N", help="Another number, another dream.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace an existing result.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the report as one JSON object and nothing else.")
]
