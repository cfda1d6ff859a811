"""The vocabulary of the command line: each option once, with what it means; commands share them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmdream.drive import FACTORS, PICTURE, SOUND
from mmdream.recipe import Recipe
from mmdream.schedule import presets

DEFAULT = Recipe()


class Precision(StrEnum):
    """Number formats of the picture network."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


class Color(StrEnum):
    """What the dream may do to the picture's colours."""

    full = "full"
    source = "source"


class Measure(StrEnum):
    """How far a layer is climbed."""

    energy = "energy"
    mean = "mean"
    cosine = "cosine"


class Optimizer(StrEnum):
    """How a step goes uphill."""

    normalized = "normalized"
    adam = "adam"


class Stereo(StrEnum):
    """Who dreams."""

    linked = "linked"
    wide = "wide"


class Phase(StrEnum):
    """Which phase a sound's dream has."""

    source = "source"
    griffin_lim = "griffin-lim"


class Beginning(StrEnum):
    """What is dreamed on in place of a picture."""

    noise = "noise"


MADE_SECONDS = 10.0
"""Of a sound that is dreamed in place of a recording."""
DEFAULT_OPTIMIZER = Optimizer(DEFAULT.manner.optimizer)
DEFAULT_MEASURE = Measure(DEFAULT.wishes.measure)
DEFAULT_PRECISION = Precision(DEFAULT.precision)
DEFAULT_COLOR = Color(DEFAULT.color)
DEFAULT_STEREO = Stereo(DEFAULT.sound_manner.stereo)
DEFAULT_PHASE = Phase(DEFAULT.sound_manner.phase)

Input = Annotated[Path, typer.Argument(metavar="IN", help="The file to dream.", show_default=False)]
PictureInput = Annotated[
    Path | None, typer.Argument(metavar="[IN]", help="The picture to dream.", show_default=False)
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="OUT", help="Name of the result.", show_default=False)
]
Net = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE.keras", help="Picture network, listed by `mmdream nets`, or one of your own."
    ),
]
SoundNet = Annotated[str, typer.Option(metavar="NAME|FILE.keras", help="Sound network.")]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|random", help="Weights of the network, instead of its own.", show_default=False
    ),
]
SoundWeights = Annotated[
    str | None,
    typer.Option(metavar="FILE|random", help="Weights of the sound network.", show_default=False),
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
SoundLayers = Annotated[
    list[str] | None,
    typer.Option(
        "--sound-layer",
        metavar="NAME[=W]",
        help="Climb this layer of the sound network; repeat to add.",
        show_default=False,
    ),
]
SoundChannels = Annotated[
    list[str] | None,
    typer.Option(
        "--sound-channel", metavar="LAYER:7,12[=W]", help="Climb these channels of it.", show_default=False
    ),
]
SoundTargets = Annotated[
    list[str] | None,
    typer.Option(
        "--sound-target",
        metavar="CLASS[=W]",
        help="Dream this class into the sound (default: every --target that it knows).",
        show_default=False,
    ),
]
Guide = Annotated[
    Path | None,
    typer.Option(metavar="PICTURE", help="Dream towards what is seen in a picture.", show_default=False),
]
SoundGuides = Annotated[
    Path | None,
    typer.Option(
        "--sound-guide", metavar="SOUND", help="Dream towards what is heard in a sound.", show_default=False
    ),
]
HeardGuide = Annotated[
    Path | None,
    typer.Option(
        "--guide", metavar="SOUND", help="Dream towards what is heard in a sound.", show_default=False
    ),
]
SoundObjective = Annotated[
    Measure,
    typer.Option("--sound-objective", help="How layers and channels of the sound network are climbed."),
]
Invent = Annotated[
    float,
    typer.Option(
        metavar="A", help="0..1: new noise and pulses, shaped by the dream, where a gain has nothing to lift."
    ),
]
HeardInvent = Annotated[
    float | None,
    typer.Option(
        "--invent",
        metavar="A",
        help="0..1: new noise and pulses, shaped by the dream, where a gain has nothing to lift.",
        show_default="0; 1 from silence",
    ),
]
Stereos = Annotated[
    Stereo, typer.Option("--stereo", help="One gain for all channels, or each channel dreams for itself.")
]
Phases = Annotated[
    Phase,
    typer.Option("--phase", help="Keep the phase of the source, or fit it to the dream by Griffin-Lim."),
]
Motif = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME", help="Dream these; `mmdream nets NAME` lists them.", show_default=False
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
Drives = Annotated[
    list[str] | None,
    typer.Option(
        "--drive",
        metavar="SETTING=FEATURE[:LO-HI]",
        help=f"Let {', '.join(FACTORS).replace('_', '-')} or motif follow the sound's {', '.join(SOUND)} "
        f"or the picture's {', '.join(PICTURE)}, times LO to HI; repeat to add.",
        show_default=False,
    ),
]
SoundDrives = Annotated[
    list[str] | None,
    typer.Option(
        "--drive-sound",
        metavar="SETTING=FEATURE[:LO-HI]",
        help="The same for the sound's dream alone; --drive is then the picture's.",
        show_default=False,
    ),
]
OwnDrives = Annotated[
    list[str] | None,
    typer.Option(
        "--drive",
        metavar="SETTING=FEATURE[:LO-HI]",
        help=f"Let {', '.join(FACTORS).replace('_', '-')} follow the sound's {', '.join(SOUND)}, times LO to "
        "HI; repeat to add.",
        show_default=False,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"A ready look and sound: {', '.join(presets())}.", show_default=False),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="PICTURE",
        help="Draw source, dream and what changed between them into this file.",
        show_default=False,
    ),
]
PlotSteps = Annotated[
    bool, typer.Option("--plot-steps", help="Draw how the dream grows, a picture a step, in OUT.steps.")
]
EachChannel = Annotated[
    str | None,
    typer.Option(
        "--each-channel",
        metavar="LAYER[:0-15]",
        help="Write a dream for each channel of a layer, and an index picture.",
        show_default=False,
    ),
]
Play = Annotated[bool, typer.Option("--play", help="Play the result when it is done.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Another number, another dream.")]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="WxH|480p",
        help="Working resolution of the dream; the result keeps the source's size.",
        show_default=False,
    ),
]
Precise = Annotated[Precision, typer.Option("--precision", help="Number format of the picture network.")]
Optimizers = Annotated[
    Optimizer, typer.Option("--optimizer", help="Steps along the gradient, or along Adam's mean of it.")
]
Wander = Annotated[
    float,
    typer.Option(metavar="W", help="0..1: turn and scale at random between steps; rounder, calmer motifs."),
]
Flatten = Annotated[
    float, typer.Option(metavar="F", help="0..1: hold total variation down; less fine detail.")
]
Beginnings = Annotated[
    Beginning | None,
    typer.Option("--from", help="Dream on noise instead of a picture, with --size.", show_default=False),
]
SoundInput = Annotated[
    Path | None, typer.Argument(metavar="[IN]", help="The sound to dream.", show_default=False)
]
SoundBeginnings = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="KIND",
        help="Dream on noise, silence, sine:HZ or sweep:HZ-HZ instead of a recording.",
        show_default=False,
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(metavar="S", help="Length of what --from makes.", show_default=f"{MADE_SECONDS:g}"),
]
PictureOuroboros = Annotated[
    float | None,
    typer.Option(
        "--ouroboros",
        metavar="SECONDS",
        help="Make a film so long, each frame the dream of the one before, moved; of --size, or as IN.",
        show_default=False,
    ),
]
Zoom = Annotated[
    float | None,
    typer.Option(
        metavar="Z", help="Ouroboros: times so large each second, about the middle.", show_default="1"
    ),
]
Rotate = Annotated[
    float | None,
    typer.Option(metavar="DEG", help="Ouroboros: degrees against the clock a second.", show_default="0"),
]
Shift = Annotated[
    str | None,
    typer.Option(metavar="X,Y", help="Ouroboros: pixels to the right and down a second.", show_default="0,0"),
]
Fps = Annotated[
    float | None,
    typer.Option("--fps", metavar="F", help="Ouroboros: frames a second.", show_default="25"),
]
WithSound = Annotated[
    bool, typer.Option("--with-sound", help="Ouroboros: dream a sound again and again beside the picture.")
]
AlongSound = Annotated[
    Path | None,
    typer.Option("--sound", metavar="FILE", help="What that sound begins with.", show_default="noise"),
]
SoundOuroboros = Annotated[
    int | None,
    typer.Option(
        "--ouroboros",
        metavar="N",
        help="Dream N clips, each of the one before, crossfaded over 1 s (or a quarter of a clip); each also "
        "alone, OUT.01.wav ... With --layer iterate clip k climbs the k-th layer from the deep end.",
        show_default=False,
    ),
]
Transforms = Annotated[
    str | None,
    typer.Option(
        "--transform",
        metavar="HOW",
        help="Between clips: stretch=0.95 (of the length, same pitch), shift=HZ, pitch=SEMITONES or none.",
        show_default="none",
    ),
]
Guard = Annotated[
    bool,
    typer.Option(
        " /--no-guard",
        help="Let clips collapse into one tone or a screech; else an equaliser holds their spectrum.",
    ),
]
SaveSteps = Annotated[
    bool, typer.Option("--save-steps", help="Keep the picture after each step, in OUT.steps.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing result.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object and nothing else.")]
Coherence = Annotated[
    float,
    typer.Option(
        metavar="K", help="Share of the dream that moves on with the film; 0: every frame for itself."
    ),
]
Breathe = Annotated[
    float, typer.Option(metavar="B", help="0..1: how much the dream may evolve where the film stands still.")
]
Bidirectional = Annotated[
    bool,
    typer.Option(
        "--bidirectional", help="Dream each shot's first frames backwards too: nothing grows in at a cut."
    ),
]
Colors = Annotated[Color, typer.Option("--color", help="Dream in colour, or keep the colours of the source.")]
Start = Annotated[
    float | None,
    typer.Option(metavar="T", help="Begin at this second of the source.", show_default=False),
]
End = Annotated[
    float | None,
    typer.Option(metavar="T", help="End before this second of the source.", show_default=False),
]
KeepPicture = Annotated[bool, typer.Option("--keep-picture", help="Dream the sound only.")]
SoundTrack = Annotated[
    str | None,
    typer.Option(
        "--sound-track",
        metavar="N|LANGUAGE",
        help="Dream this sound track, counted from 1 as players do; a film keeps the others.",
        show_default="1",
    ),
]
KeepSound = Annotated[bool, typer.Option("--keep-sound", help="Dream the picture only.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at a broken frame instead of going on.")]
Preview = Annotated[
    Path | None,
    typer.Option(
        metavar="PICTURE", help="A file that shows the newest frame while it dreams.", show_default=False
    ),
]
Sheet = Annotated[
    Path | None,
    typer.Option(metavar="PICTURE", help="Twelve moments, source above dream.", show_default=False),
]
Compare = Annotated[
    bool, typer.Option("--compare", help="Also make a film of source and dream side by side.")
]
JobDir = Annotated[
    Path | None,
    typer.Option(
        "--job-dir",
        metavar="FOLDER",
        help="Where finished parts are kept until the film is whole; else beside the result.",
        show_default=False,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Tell what it would take, time, memory and disk, and stop.")
]
