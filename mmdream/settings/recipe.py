"""How a film is dreamed, what of it, and what is made besides: every setting that does not vary in time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from mmdream.core.errors import UserError
from mmdream.settings.definition import (
    AUDIO,
    CLIMB,
    DREAM,
    FILM,
    FLOW,
    IMAGE,
    NETWORKS,
    RESULT,
    SOUND,
    SOURCE,
    TextForm,
    checked,
    setting,
)
from mmdream.settings.modulation import AUDIO_FEATURES, DEFAULT_FACTORS, IMAGE_FEATURES, Drive, parse_drive
from mmdream.settings.passes import Pass, WeightsSource
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Targets


@checked
@dataclass(frozen=True, slots=True)
class AscentOptions:
    """How a picture climbs.

    Raises:
        UserError: a value out of range.
    """

    optimizer: Annotated[
        Literal["normalized", "adam"], setting("Steps along the gradient, or along Adam's mean of it.", CLIMB)
    ] = "normalized"
    wander: Annotated[
        float,
        setting("0..1: turn and scale at random between steps; rounder, calmer motifs.", CLIMB, "W", 0, 1),
    ] = 0.0
    flatten: Annotated[
        float, setting("0..1: hold total variation down; less fine detail.", CLIMB, "F", 0, 1)
    ] = 0.0
    natural: bool = False
    """Bring gradients to the spectrum of natural pictures, as dreams from noise need it, instead of blurring
    them."""


@checked
@dataclass(frozen=True, slots=True)
class AudioOptions:
    """How a sound is dreamed, besides what is climbed.

    Raises:
        UserError: a value out of range.
    """

    invent: Annotated[
        float,
        setting(
            "0..1: new noise and pulses, shaped by the dream, where a gain has nothing to lift.",
            SOUND,
            "A",
            0,
            1,
        ),
    ] = 0.0
    stereo: Annotated[
        Literal["linked", "wide"],
        setting("One gain for all channels, or each channel dreams for itself.", SOUND),
    ] = "linked"
    phase: Annotated[
        Literal["source", "griffin-lim"],
        setting("Keep the phase of the source, or fit it to the dream by Griffin-Lim.", SOUND),
    ] = "source"


DEFAULT_AUDIO_OPTIONS = AudioOptions()
"""A gain alone, one for all channels, on the source's phase."""

_DRIVE = TextForm(
    "drive",
    "SETTING=FEATURE[:LO-HI]",
    f"Let {', '.join(DEFAULT_FACTORS).replace('_', '-')} or motif follow the sound's "
    f"{', '.join(AUDIO_FEATURES)} or the picture's {', '.join(IMAGE_FEATURES)}, times LO to HI; "
    "repeat to add.",
    parse_drive,
)
_DRIVE_SOUND = TextForm(
    "drive-sound",
    _DRIVE.metavar,
    "The same for the sound's dream alone; --drive is then the picture's.",
    parse_drive,
)


@checked
@dataclass(frozen=True, slots=True)
class Recipe:
    """How to dream.

    Raises:
        UserError: a value out of range.
    """

    schedule: Annotated[Schedule, setting()] = field(default_factory=Schedule)
    drives: Annotated[tuple[Drive, ...], setting("", DREAM, media=FILM, forms=(_DRIVE,))] = ()
    """What of the schedule follows the film: in both media, or in the picture alone if the sound has its
    own."""
    sound_drives: Annotated[tuple[Drive, ...], setting("", SOUND, media=AUDIO, forms=(_DRIVE_SOUND,))] = ()
    """What of it follows the film where the sound is dreamed."""
    net: Annotated[
        str,
        setting(
            "Picture network, listed by `mmdream nets`, or one of your own.",
            NETWORKS,
            "NAME|FILE.keras",
            media=IMAGE,
        ),
    ] = "dreamnet"
    sound_net: Annotated[
        str,
        setting(
            "Sound network, listed by `mmdream nets`, or one of your own.",
            NETWORKS,
            "NAME|FILE.keras",
            media=AUDIO,
        ),
    ] = "melnet"
    weights: Annotated[
        WeightsSource,
        setting("Weights of the network, instead of its own.", NETWORKS, "FILE|random", media=IMAGE),
    ] = None
    sound_weights: Annotated[
        WeightsSource, setting("Weights of the sound network.", NETWORKS, "FILE|random", media=AUDIO)
    ] = None
    wishes: Annotated[Targets, setting(media=IMAGE)] = field(default_factory=Targets)
    """What the picture climbs in place of, or besides, the schedule's depth."""
    sound_wishes: Annotated[Targets, setting(name="sound-", media=AUDIO)] = field(default_factory=Targets)
    """What the sound climbs in place of, or besides, the schedule's depth; the guide is a sound."""
    manner: Annotated[AscentOptions, setting(media=IMAGE)] = field(default_factory=AscentOptions)
    """How the picture climbs."""
    sound_manner: Annotated[AudioOptions, setting(media=AUDIO)] = field(default_factory=AudioOptions)
    """How the sound is dreamed."""
    passes: tuple[Pass, ...] = ()
    """What is done to a film's picture, in this order; none: one dream. The sound follows the schedule."""
    coherence: Annotated[
        float,
        setting(
            "Share of the dream that moves on with the film; 0: every frame for itself.",
            FLOW,
            "K",
            0,
            1,
            media=FILM,
        ),
    ] = 0.97
    """Share of the last frame's dream that a frame starts from, where its motion is trusted."""
    breathe: Annotated[
        float,
        setting(
            "0..1: how much the dream may evolve where the film stands still.", FLOW, "B", 0, 1, media=FILM
        ),
    ] = 1.0
    bidirectional: Annotated[
        bool,
        setting("Dream each shot's first frames backwards too: nothing grows in at a cut.", FLOW, media=FILM),
    ] = False
    color: Annotated[
        Literal["full", "source"],
        setting("Dream in colour, or keep the colours of the source.", CLIMB, media=IMAGE),
    ] = "full"
    seed: Annotated[int, setting("Another number, another dream.", CLIMB, "N")] = 0
    size: Annotated[
        str | None,
        setting(
            "Working resolution of the dream; the result keeps the source's size.",
            CLIMB,
            "WxH|480p",
            media=IMAGE,
        ),
    ] = None
    """Working resolution of the picture, "640x360" or "360p"; None: the film's own."""
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        setting("Number format of the picture network.", NETWORKS, media=IMAGE),
    ] = "auto"

    def __post_init__(self) -> None:
        self._check_motifs()
        for pass_ in self.passes:
            self.for_pass(pass_)  # Is checked where it is made.
        if self.size is not None:
            resolve_size(self.size, 1920, 1080)

    @property
    def effective_passes(self) -> tuple[Pass, ...]:
        """The passes over a film's picture, one at least."""
        return self.passes or (Pass(),)

    def for_pass(self, pass_: Pass) -> Recipe:
        """What one pass goes by: its own settings, and the recipe's where it has none."""
        return replace(
            self,
            passes=(),
            schedule=pass_.schedule(self.schedule),
            wishes=pass_.wishes or (Targets() if pass_.style else self.wishes),
            net=pass_.net or self.net,
            weights=pass_.weights if pass_.net or pass_.weights else self.weights,
            drives=() if pass_.style else self.drives,
            sound_drives=() if pass_.style else self.sound_drives,
        )

    def _check_motifs(self) -> None:
        """Motifs that are driven must be there, and be the picture's."""
        if any(drive.setting == "motif" for drive in self.sound_drives):
            raise UserError("a sound has no motifs to be driven; choose octaves, steps, depth or strength")
        driving = [drive for drive in self.drives if drive.setting == "motif"]
        if len(driving) > 1:
            raise UserError(f"drive {driving[1]}: motifs follow one feature; {driving[0]} is given already")
        if driving and len(self.schedule.motif_curve.names) < 2:
            raise UserError(f"drive {driving[0]}: give two motifs or more to fade between, --motif eye,tower")


@checked
@dataclass(frozen=True, slots=True)
class Selection:
    """What of a film is dreamed."""

    start: Annotated[
        Fraction | None, setting("Begin at this second of the source.", SOURCE, "T", unit="s")
    ] = None
    end: Annotated[
        Fraction | None, setting("End before this second of the source.", SOURCE, "T", unit="s")
    ] = None
    keep_picture: Annotated[bool, setting("Dream the sound only.", SOURCE)] = False
    keep_sound: Annotated[bool, setting("Dream the picture only.", SOURCE)] = False
    strict: Annotated[bool, setting("Stop at a broken frame instead of going on.", SOURCE)] = False
    """And at an early end."""
    sound_track: Annotated[
        int | str | None,
        setting(
            "Dream this sound track, counted from 1 as players do; a film keeps the others.",
            SOURCE,
            "N|LANGUAGE",
            default="1",
            media=AUDIO,
        ),
    ] = None
    sound_style: Annotated[
        Path | None, setting("A sound whose texture the film's sound is to have.", SOURCE, "FILE")
    ] = None
    """In place of a dream."""


@checked
@dataclass(frozen=True, slots=True)
class ExtraOutputs:
    """What is made besides the film; it decides nothing about the film."""

    preview: Annotated[
        Path | None, setting("A file that shows the newest frame while it dreams.", RESULT, "PICTURE")
    ] = None
    sheet: Annotated[Path | None, setting("Twelve moments, source above dream.", RESULT, "PICTURE")] = None
    compare: Annotated[bool, setting("Also make a film of source and dream side by side.", RESULT)] = False
    record: Annotated[bool, setting("Also keep settings, events and figures beside it, as JSON.", RESULT)] = (
        False
    )

    def absolute(self) -> ExtraOutputs:
        """With names that hold in any folder."""
        return replace(
            self, preview=self.preview and self.preview.absolute(), sheet=self.sheet and self.sheet.absolute()
        )


NO_EXTRAS = ExtraOutputs()


def resolve_size(size: str | None, width: int, height: int) -> tuple[int, int]:
    """The resolution a picture is dreamed at.

    Args:
        size: "WxH", "480p" (the shorter side) or None for the picture's own.
        width: of the picture, px.
        height: of the picture, px.

    Returns:
        Width, height in px. "480p" keeps the picture's aspect and never enlarges it.

    Raises:
        UserError: neither form, or a side outside 16..16384 px.
    """
    if size is None:
        return width, height
    text = size.strip().lower()
    try:
        if text.endswith("p"):
            factor = min(1.0, int(text[:-1]) / min(width, height))
            wanted = max(1, round(width * factor)), max(1, round(height * factor))
            asked = int(text[:-1]), int(text[:-1])
        else:
            first, second = text.split("x")
            wanted = asked = int(first), int(second)
    except ValueError:
        raise UserError(f"size is {size!r}; write WIDTHxHEIGHT or for example 480p") from None
    if not all(16 <= side <= 16384 for side in asked):
        raise UserError(f"size is {size!r}; choose sides between 16 and 16384 pixels")
    return wanted
