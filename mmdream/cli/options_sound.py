"""The options of sounds, with what they mean.

A film's command asks for its sound beside its picture: --sound-guide, --drive-sound. The command that dreams
nothing else says the same more shortly, --guide and --drive: those types are called Own.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmdream.cli.options import DEFAULT, ObjectiveMeasure
from mmdream.settings.modulation import AUDIO_FEATURES, DEFAULT_FACTORS


class Stereo(StrEnum):
    """Who dreams."""

    linked = "linked"
    wide = "wide"


class Phase(StrEnum):
    """Which phase a sound's dream has."""

    source = "source"
    griffin_lim = "griffin-lim"


TEST_SIGNAL_SECONDS = 10.0
"""Of a sound that is dreamed in place of a recording."""
DEFAULT_STEREO = Stereo(DEFAULT.sound_manner.stereo)
DEFAULT_PHASE = Phase(DEFAULT.sound_manner.phase)

AudioArgument = Annotated[
    Path | None, typer.Argument(metavar="[IN]", help="The sound to dream.", show_default=False)
]
AudioNetOption = Annotated[str, typer.Option(metavar="NAME|FILE.keras", help="Sound network.")]
NetForAudioOption = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE.keras", help="Sound network, listed by `mmdream nets`, or one of your own."
    ),
]
AudioWeightsOption = Annotated[
    str | None,
    typer.Option(metavar="FILE|random", help="Weights of the sound network.", show_default=False),
]
AudioLayersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sound-layer",
        metavar="NAME[=W]",
        help="Climb this layer of the sound network; repeat to add.",
        show_default=False,
    ),
]
AudioChannelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sound-channel", metavar="LAYER:7,12[=W]", help="Climb these channels of it.", show_default=False
    ),
]
AudioTargetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sound-target",
        metavar="CLASS[=W]",
        help="Dream this class into the sound (default: every --target that it knows).",
        show_default=False,
    ),
]
AudioGuideOption = Annotated[
    Path | None,
    typer.Option(
        "--sound-guide", metavar="SOUND", help="Dream towards what is heard in a sound.", show_default=False
    ),
]
GuideForAudioOption = Annotated[
    Path | None,
    typer.Option(
        "--guide", metavar="SOUND", help="Dream towards what is heard in a sound.", show_default=False
    ),
]
AudioObjectiveOption = Annotated[
    ObjectiveMeasure,
    typer.Option("--sound-objective", help="How layers and channels of the sound network are climbed."),
]
InventOption = Annotated[
    float,
    typer.Option(
        metavar="A", help="0..1: new noise and pulses, shaped by the dream, where a gain has nothing to lift."
    ),
]
InventForAudioOption = Annotated[
    float | None,
    typer.Option(
        "--invent",
        metavar="A",
        help="0..1: new noise and pulses, shaped by the dream, where a gain has nothing to lift.",
        show_default="0; 1 from silence",
    ),
]
StereoOption = Annotated[
    Stereo, typer.Option("--stereo", help="One gain for all channels, or each channel dreams for itself.")
]
PhaseOption = Annotated[
    Phase,
    typer.Option("--phase", help="Keep the phase of the source, or fit it to the dream by Griffin-Lim."),
]
AudioDrivesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--drive-sound",
        metavar="SETTING=FEATURE[:LO-HI]",
        help="The same for the sound's dream alone; --drive is then the picture's.",
        show_default=False,
    ),
]
DriveForAudioOption = Annotated[
    list[str] | None,
    typer.Option(
        "--drive",
        metavar="SETTING=FEATURE[:LO-HI]",
        help=f"Let {', '.join(DEFAULT_FACTORS).replace('_', '-')} follow the sound's {', '.join(AUDIO_FEATURES)}, times LO to "
        "HI; repeat to add.",
        show_default=False,
    ),
]
PlotOption = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="PICTURE",
        help="Draw source, dream and what changed between them into this file.",
        show_default=False,
    ),
]
PlotStepsOption = Annotated[
    bool, typer.Option("--plot-steps", help="Draw how the dream grows, a picture a step, in OUT.steps.")
]
EachChannelOption = Annotated[
    str | None,
    typer.Option(
        "--each-channel",
        metavar="LAYER[:0-15]",
        help="Write a dream for each channel of a layer, and an index picture.",
        show_default=False,
    ),
]
PlayOption = Annotated[bool, typer.Option("--play", help="Play the result when it is done.")]
AudioStartOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="KIND",
        help="Dream on noise, silence, sine:HZ or sweep:HZ-HZ instead of a recording.",
        show_default=False,
    ),
]
SecondsOption = Annotated[
    float | None,
    typer.Option(metavar="S", help="Length of what --from makes.", show_default=f"{TEST_SIGNAL_SECONDS:g}"),
]
ClipsOption = Annotated[
    int | None,
    typer.Option(
        "--ouroboros",
        metavar="N",
        help="Dream N clips, each of the one before, crossfaded over 1 s (or a quarter of a clip); each also "
        "alone, OUT.01.wav ... With --layer iterate clip k climbs the k-th layer from the deep end.",
        show_default=False,
    ),
]
TransformOption = Annotated[
    str | None,
    typer.Option(
        "--transform",
        metavar="HOW",
        help="Between clips: stretch=0.95 (of the length, same pitch), shift=HZ, pitch=SEMITONES or none.",
        show_default="none",
    ),
]
GuardOption = Annotated[
    bool,
    typer.Option(
        " /--no-guard",
        help="Let clips collapse into one tone or a screech; else an equaliser holds their spectrum.",
    ),
]
SoundTrackOption = Annotated[
    str | None,
    typer.Option(
        "--sound-track",
        metavar="N|LANGUAGE",
        help="Dream this sound track, counted from 1 as players do; a film keeps the others.",
        show_default="1",
    ),
]
