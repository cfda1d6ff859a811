"""How a film is dreamed, what of it, and what is made besides: every setting that does not vary in time."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

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
from mmdream.settings.passes import Pass, WeightsSource
from mmdream.settings.schedule import (
    AUDIO_FEATURES,
    DEFAULT_FACTORS,
    IMAGE_FEATURES,
    IMAGE_SETTINGS,
    WALK_FACTORS,
    Drive,
    Schedule,
    parse_drive,
)
from mmdream.settings.targets import Targets


@checked
@dataclass(frozen=True, slots=True)
class AscentOptions:
    """How a picture climbs."""

    optimizer: Literal["normalized", "adam"] = setting(
        "normalized", "Steps along the gradient, or along Adam's mean of it.", CLIMB
    )
    wander: float = setting(
        0.0, "0..1: turn and scale at random between steps; rounder, calmer motifs.", CLIMB, "W", 0, 1
    )
    flatten: float = setting(0.0, "0..1: hold total variation down; less fine detail.", CLIMB, "F", 0, 1)
    natural: bool = False
    """Give gradients the spectrum of natural pictures, as dreams from noise need, in place of a blur."""


GRAIN_SETS = ("shipped", "own", "none")
GENERATOR_PREFIX = "generator:"
"""Of the name of a generator, where other things may stand, too."""
"""Sets of grains that have a name; any other is a folder."""


@checked
@dataclass(frozen=True, slots=True)
class AudioOptions:
    """How a sound is dreamed, besides what is climbed."""

    invent: float = setting(
        0.0,
        "0..1: new noise and pulses, shaped by the dream, where a gain has nothing to lift.",
        SOUND,
        "A",
        0,
        1,
    )
    stereo: Literal["linked", "wide"] = setting(
        "linked", "One gain for all channels, or each channel dreams for itself.", SOUND
    )
    phase: Literal["source", "griffin-lim"] = setting(
        "source", "Keep the phase of the source, or fit it to the dream by Griffin-Lim.", SOUND
    )
    grain_set: str = setting(
        "shipped",
        "What grains are: recordings that mmdream brings, events of the sound itself, those in a folder, or "
        "what a generator makes.",
        SOUND,
        "shipped|own|FOLDER|generator:NAME|none",
    )


DEFAULT_AUDIO_OPTIONS = AudioOptions()

_DRIVE = TextForm(
    "drive",
    "SETTING=FEATURE[:LO-HI]",
    f"Let {', '.join(DEFAULT_FACTORS).replace('_', '-')} or motif follow the sound's "
    f"{', '.join(AUDIO_FEATURES)} or the picture's {', '.join(IMAGE_FEATURES)}, times LO to HI; "
    "repeat to add.",
    parse_drive,
)
_OF_SOUND = "The same for the sound's dream alone; --drive is then the picture's."
_DRIVE_SOUND = TextForm("drive-sound", _DRIVE.metavar, _OF_SOUND, parse_drive)


@checked
@dataclass(frozen=True, slots=True)
class Recipe:
    """How to dream."""

    schedule: Schedule = setting(Schedule)
    drives: tuple[Drive, ...] = setting((), group=DREAM, media=FILM, forms=(_DRIVE,))
    """What of the schedule follows the film: in the sound too, unless that has drives of its own."""
    sound_drives: tuple[Drive, ...] = setting((), group=SOUND, media=AUDIO, forms=(_DRIVE_SOUND,))
    net: str = setting(
        "dreamnet",
        "Picture network, listed by `mmdream nets`, or one of your own.",
        NETWORKS,
        "NAME|FILE.keras",
        media=IMAGE,
    )
    sound_net: str = setting(
        "melnet",
        "Sound network, listed by `mmdream nets`, or one of your own.",
        NETWORKS,
        "NAME|FILE.keras",
        media=AUDIO,
    )
    weights: WeightsSource = setting(
        None, "Weights of the network, instead of its own.", NETWORKS, "FILE|random", media=IMAGE
    )
    sound_weights: WeightsSource = setting(
        None, "Weights of the sound network.", NETWORKS, "FILE|random", media=AUDIO
    )
    wishes: Targets = setting(Targets, media=IMAGE)
    """What the picture climbs in place of, or besides, the schedule's depth."""
    sound_wishes: Targets = setting(Targets, name="sound-", media=AUDIO)
    """The same for the sound; the guide is a sound."""
    manner: AscentOptions = setting(AscentOptions, media=IMAGE)
    sound_manner: AudioOptions = setting(AudioOptions, media=AUDIO)
    couplings: Path | None = setting(
        None, "A table of your own of which motifs belong to which sounds.", DREAM, "FILE.toml", media=FILM
    )
    """Besides the one that ships, for `heard_to_seen` and `seen_to_heard`."""
    passes: tuple[Pass, ...] = ()
    """What is done to a film's picture, in this order; none: one dream. The sound follows the schedule."""
    coherence: float = setting(
        0.97,
        "Share of the dream that moves on with the film; 0: every frame for itself.",
        FLOW,
        "K",
        0,
        1,
        media=FILM,
    )
    """Share of the last frame's dream that a frame starts from, where its motion is trusted."""
    breathe: float = setting(
        1.0, "0..1: how much the dream may evolve where the film stands still.", FLOW, "B", 0, 1, media=FILM
    )
    bidirectional: bool = setting(
        False, "Dream each shot's first frames backwards too: nothing grows in at a cut.", FLOW, media=FILM
    )
    seams: float | None = setting(
        None,
        "Cut takes that are longer into pieces of so many seconds, for --workers; another film comes of it.",
        FLOW,
        "SECONDS",
        3,
        media=FILM,
        unit="s",
    )
    loop: bool = setting(
        False, "The film's last frame leads to its first: let the dream's too.", FLOW, media=FILM
    )
    engine: Literal["ascent", "feedforward"] = setting(
        "ascent",
        "Climb step by step, or let a dreamer, a network that was taught to, do it in one pass: quicker.",
        CLIMB,
        media=IMAGE,
    )
    color: Literal["full", "source"] = setting(
        "full", "Dream in colour, or keep the colours of the source.", CLIMB, media=IMAGE
    )
    seed: int = setting(0, "Another number, another dream.", CLIMB, "N")
    size: str | None = setting(
        None,
        "Working resolution of the dream; the result keeps the source's size.",
        CLIMB,
        "WxH|480p",
        media=IMAGE,
        default_text="its own; of films over 720p 480p",
    )
    """None: the film's or picture's own, but see `film_size`."""
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Number format of the picture network.", NETWORKS, media=IMAGE
    )

    def __post_init__(self) -> None:
        self._check_drives()
        self._check_engine()
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

    def _check_engine(self) -> None:
        """What no dreamer can do."""
        if self.engine == "ascent":
            return
        manner, usual = self.manner, AscentOptions()
        changed = [
            each.name
            for each in fields(AscentOptions)
            if getattr(manner, each.name) != getattr(usual, each.name)
        ]
        wishes = [str(term) for term in self.wishes.terms]
        wishes += ["a guide"] if self.wishes.guide is not None else []
        wishes += [f"objective {self.wishes.measure}"] if self.wishes.measure != "energy" else []
        styles = [f"the {pass_}" for pass_ in self.passes if pass_.style is not None]
        if refused := [*wishes, *styles, *changed]:
            raise UserError(f"--engine feedforward: no dreamer was taught {refused[0]}; take --engine ascent")

    def _check_drives(self) -> None:
        """What is driven must be there: motifs, and what the picture alone has."""
        for drive in (*self.drives, *self.sound_drives):
            if drive.setting in WALK_FACTORS:
                raise UserError(f"drive {drive}: only a walk has a {drive.setting}; see --drive-walk")
        for drive in self.sound_drives:
            if drive.setting in IMAGE_SETTINGS:
                raise UserError(
                    f"drive {drive}: a sound has no {drive.setting}; choose octaves, steps, depth or strength"
                )
        driving = [drive for drive in self.drives if drive.setting == "motif"]
        if len(driving) > 1:
            raise UserError(f"drive {driving[1]}: motifs follow one feature; {driving[0]} is given already")
        if driving and len(self.schedule.motif_curve.names) < 2:
            raise UserError(f"drive {driving[0]}: give two motifs or more to fade between, --motif eye,tower")


@checked
@dataclass(frozen=True, slots=True)
class Selection:
    """What of a film is dreamed."""

    start: Fraction | None = setting(None, "Begin at this second of the source.", SOURCE, "T", unit="s")
    end: Fraction | None = setting(None, "End before this second of the source.", SOURCE, "T", unit="s")
    keep_picture: bool = setting(False, "Dream the sound only.", SOURCE)
    keep_sound: bool = setting(False, "Dream the picture only.", SOURCE)
    add_sound: bool = setting(False, "Dream a sound for a silent film, out of its picture.", SOURCE)
    strict: bool = setting(False, "Stop at a broken frame instead of going on.", SOURCE)
    """And at an early end."""
    sound_track: int | str | None = setting(
        None,
        "Dream this sound track, counted from 1 as players do; a film keeps the others.",
        SOURCE,
        "N|LANGUAGE",
        default_text="1",
        media=AUDIO,
    )
    sound_style: Path | None = setting(
        None, "A sound whose texture the film's sound is to have.", SOURCE, "FILE"
    )
    """In place of a dream."""


STEMS_HELP = "Also keep the sound's source, its dream without grains and each kind of grains, in OUT.stems."


@checked
@dataclass(frozen=True, slots=True)
class ExtraOutputs:
    """What is made besides the film; it decides nothing about the film."""

    preview: Path | None = setting(
        None, "A file that shows the newest frame while it dreams.", RESULT, "PICTURE"
    )
    sheet: Path | None = setting(
        None, "Twelve moments, source above dream, and what is heard, seen and sounds.", RESULT, "PICTURE"
    )
    plot: Path | None = setting(
        None,
        "Draw its sound, and what is heard, seen and sounds over time, into a picture.",
        RESULT,
        "PICTURE",
    )
    compare: bool = setting(False, "Also make a film of source and dream side by side.", RESULT)
    record: bool = setting(False, "Also keep settings, events and figures beside it, as JSON.", RESULT)
    stems: bool = setting(False, STEMS_HELP, RESULT)

    def absolute(self) -> ExtraOutputs:
        """With names that hold in any folder."""
        preview, sheet, plot = (path and path.absolute() for path in (self.preview, self.sheet, self.plot))
        return replace(self, preview=preview, sheet=sheet, plot=plot)


NO_EXTRAS = ExtraOutputs()
LARGEST_OWN_SIDE, LARGE_FILM_SIZE = 720, "480p"
"""px of the shorter side up to which films are dreamed at their own size; what larger ones are dreamed at: a
step takes as long as there are pixels, and edges are brought to the film's size anyway."""


def film_size(size: str | None, width: int, height: int) -> str | None:
    """The size, as `resolve_size` takes it, that a film of some width and height is dreamed at.

    One that was asked for is kept; else large films are dreamed at `LARGE_FILM_SIZE`.
    """
    return LARGE_FILM_SIZE if size is None and min(width, height) > LARGEST_OWN_SIDE else size


def resolve_size(size: str | None, width: int, height: int) -> tuple[int, int]:
    """Width and height, px, that a picture of some width and height is dreamed at.

    Args:
        size: "WxH"; "480p": the shorter side, keeping the aspect, never enlarged; None: the picture's own.
        width: of the picture.
        height: of the picture.
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
