"""The vocabulary of the command line: options that every dream shares, with what they mean.

Those of pictures and films stand in options_picture.py, those of sounds in options_sound.py.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmdream.recipe import Recipe
from mmdream.schedule import presets

DEFAULT = Recipe()


class Measure(StrEnum):
    """How far a layer is climbed."""

    energy = "energy"
    mean = "mean"
    cosine = "cosine"


DEFAULT_MEASURE = Measure(DEFAULT.wishes.measure)

Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="OUT", help="Name of the result.", show_default=False)
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|random", help="Weights of the network, instead of its own.", show_default=False
    ),
]
Depth = Annotated[
    float | None, typer.Option(metavar="D", help="0..1: from strokes to creatures.", show_default=False)
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        metavar="NAME[=W]",
        help="Climb this layer, not the depth's; repeat to add.",
        show_default=False,
    ),
]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        "--channel", metavar="LAYER:7,12[=W]", help="Climb these channels; repeat to add.", show_default=False
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="CLASS[=W]",
        help="Dream this class; a negative weight: away from it.",
        show_default=False,
    ),
]
Objective = Annotated[Measure, typer.Option("--objective", help="How layers and channels are climbed.")]
Strength = Annotated[
    float | None,
    typer.Option(metavar="S", help="0 is the source, 1 the dream, more is more.", show_default=False),
]
Octaves = Annotated[
    int | None, typer.Option(metavar="N", help="Sizes of motifs, from coarse to fine.", show_default=False)
]
OctaveScale = Annotated[
    float | None, typer.Option(metavar="R", help="Ratio of one octave to the next.", show_default=False)
]
Steps = Annotated[
    int | None, typer.Option(metavar="N", help="Ascent steps at each octave.", show_default=False)
]
ScheduleFile = Annotated[
    Path | None,
    typer.Option(
        "--schedule", metavar="FILE.toml", help="Settings that change over time.", show_default=False
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"A ready look and sound: {', '.join(presets())}.", show_default=False),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Another number, another dream.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing result.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object and nothing else.")]
