"""Every setting of a dream that does not vary in time; what does is the Schedule."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from mmdream.core.errors import UserError
from mmdream.media.probe import AudioTrack, MediaFile, VideoTrack
from mmdream.settings.modulation import Drive
from mmdream.settings.passes import Pass
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Targets

WeightsSource = str | Path | None
"""A weights file, "random", or None for the card's own weights."""


@dataclass(frozen=True, slots=True)
class AscentOptions:
    """How a picture climbs; checked where it is made.

    Raises:
        UserError: a value out of range.
    """

    optimizer: Literal["normalized", "adam"] = "normalized"
    """Along the gradient, or along what Adam makes of it; see `ascent.ascend`."""
    wander: float = 0.0
    """0..1: how far the picture turns and grows at random before each gradient, so that motifs hold upright
    and at any size."""
    flatten: float = 0.0
    """0..1: weight of less total variation beside the gradient."""
    natural: bool = False
    """Bring gradients to the spectrum of natural pictures, as dreams from noise need it, instead of blurring
    them."""

    def __post_init__(self) -> None:
        if self.optimizer not in ("normalized", "adam"):
            raise UserError(f"optimizer is {self.optimizer!r}; choose normalized or adam")
        for name in ("wander", "flatten"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name):g}; choose between 0 and 1")


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """How a sound is dreamed, besides what is climbed; checked where it is made.

    Raises:
        UserError: a value out of range.
    """

    invent: float = 0.0
    """0..1: amplitude of new noise and pulses, shaped by the dream, where a gain has nothing to lift."""
    stereo: Literal["linked", "wide"] = "linked"
    """One gain for all channels, or each channel dreams for itself."""
    phase: Literal["source", "griffin-lim"] = "source"
    """Keep the source's phase, or fit it to what was dreamed."""

    def __post_init__(self) -> None:
        if not 0 <= self.invent <= 1:
            raise UserError(f"invent is {self.invent:g}; choose between 0 and 1")
        if self.stereo not in ("linked", "wide"):
            raise UserError(f"stereo is {self.stereo!r}; choose linked or wide")
        if self.phase not in ("source", "griffin-lim"):
            raise UserError(f"phase is {self.phase!r}; choose source or griffin-lim")


DEFAULT_AUDIO_OPTIONS = AudioOptions()
"""A gain alone, one for all channels, on the source's phase."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to dream; checked where it is made.

    Raises:
        UserError: a value out of range.
    """

    schedule: Schedule = field(default_factory=Schedule)
    drives: tuple[Drive, ...] = ()
    """What of the schedule follows the film: in both media, or in the picture alone if the sound has its
    own."""
    sound_drives: tuple[Drive, ...] = ()
    """What of it follows the film where the sound is dreamed."""
    net: str = "dreamnet"
    """Card of the picture network, or a Keras file of the user's own."""
    sound_net: str = "melnet"
    """Card of the sound network, or a Keras file."""
    weights: WeightsSource = None
    sound_weights: WeightsSource = None
    wishes: Targets = field(default_factory=Targets)
    """What the picture climbs in place of, or besides, the schedule's depth."""
    sound_wishes: Targets = field(default_factory=Targets)
    """What the sound climbs in place of, or besides, the schedule's depth; the guide is a sound."""
    manner: AscentOptions = field(default_factory=AscentOptions)
    """How the picture climbs."""
    sound_manner: AudioOptions = field(default_factory=AudioOptions)
    """How the sound is dreamed."""
    passes: tuple[Pass, ...] = ()
    """What is done to a film's picture, in this order; none: one dream. The sound follows the schedule."""
    coherence: float = 0.97
    """Share of the last frame's dream that a film frame starts from, where its motion is trusted;
    0 dreams every frame for itself, in full."""
    breathe: float = 1.0
    """How much the dream may evolve where the film stands still, 0..1; 0: not at all."""
    bidirectional: bool = False
    """Whether the first frames of each shot are dreamed again, backwards."""
    color: Literal["full", "source"] = "full"
    """Dream in colour, or keep the source's chroma."""
    seed: int = 0
    size: str | None = None
    """Working resolution of the picture, "640x360" or "360p"; None: the film's own."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.coherence <= 1:
            raise UserError(f"coherence is {self.coherence:g}; choose between 0 and 1")
        if not 0 <= self.breathe <= 1:
            raise UserError(f"breathe is {self.breathe:g}; choose between 0 and 1")
        self._check_motifs()
        for stroke in self.passes:
            self.of(stroke)  # Is checked where it is made.
        if self.color not in ("full", "source"):
            raise UserError(f"color is {self.color!r}; choose full or source")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise UserError(f"precision is {self.precision!r}; choose auto, float32 or bfloat16")
        if self.size is not None:
            resolve_size(self.size, 1920, 1080)

    @property
    def strokes(self) -> tuple[Pass, ...]:
        """The passes over a film's picture, one at least."""
        return self.passes or (Pass(),)

    def of(self, stroke: Pass) -> Recipe:
        """What one pass goes by: its own settings, and the recipe's where it has none."""
        return replace(
            self,
            passes=(),
            schedule=stroke.schedule(self.schedule),
            wishes=stroke.wishes or (Targets() if stroke.style else self.wishes),
            net=stroke.net or self.net,
            weights=stroke.weights if stroke.net or stroke.weights else self.weights,
            drives=() if stroke.style else self.drives,
            sound_drives=() if stroke.style else self.sound_drives,
        )

    def _check_motifs(self) -> None:
        """Motifs that are driven must be there, and be the picture's."""
        if any(each.setting == "motif" for each in self.sound_drives):
            raise UserError("a sound has no motifs to be driven; choose octaves, steps, depth or strength")
        driving = [each for each in self.drives if each.setting == "motif"]
        if len(driving) > 1:
            raise UserError(f"drive {driving[1]}: motifs follow one feature; {driving[0]} is given already")
        if driving and len(self.schedule.fade.names) < 2:
            raise UserError(f"drive {driving[0]}: give two motifs or more to fade between, --motif eye,tower")


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


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted of a film, besides its recipe."""

    start: Fraction | None = None
    end: Fraction | None = None
    """Seconds of the source; None: its own start and end."""
    keep_picture: bool = False
    keep_sound: bool = False
    strict: bool = False
    """Stop at a broken frame or an early end instead of going on."""
    sound_track: int | None = None
    """Number of the sound track to dream, from 1; None: the first."""
    sound_style: Path | None = None
    """A sound whose texture the track is given, in place of a dream."""


def find_sound_track(film: MediaFile, wish: int | str | None) -> AudioTrack:
    """The sound track that is asked for.

    Args:
        film: a film or a sound.
        wish: its number, from 1 as players count, or its language as the film tells it; None: the first.

    Raises:
        UserError: there is no such track.
    """
    if not film.audio_tracks:
        raise UserError(
            f"{film.path}: has no sound" + (" that can be decoded" if film.undecodable_audio else "")
        )
    if wish is None:
        return film.audio_tracks[0]
    asked = str(wish).strip().casefold()
    for sound in film.audio_tracks:
        if asked in (str(sound.number), sound.language and sound.language.casefold()):
            return sound
    there = ", ".join(_format_track(sound) for sound in film.audio_tracks)
    if asked in map(str, film.undecodable_audio):
        raise UserError(f"{film.path}: its sound track {asked} cannot be decoded; there is {there}")
    raise UserError(f"{film.path}: has no sound track {asked!r}; there is {there}")


def _format_track(sound: AudioTrack) -> str:
    words = (sound.language, sound.title and repr(sound.title), sound.layout)
    return f"{sound.number} ({', '.join(word for word in words if word)})"


def resolve_tracks(film: MediaFile, order: Selection) -> tuple[VideoTrack, AudioTrack | None]:
    """The film's picture, and the sound track that is to be dreamed, if one is.

    Raises:
        UserError: the film has no picture, nothing is left to dream, or the excerpt lies outside it.
    """
    if film.video is None:
        raise UserError(f"{film.path}: has no picture; use `mmdream audio` for its sound")
    if order.keep_sound and order.sound_track is not None:
        raise UserError("--sound-track chooses what is dreamed; drop it or --keep-sound")
    none = order.keep_sound or (not film.audio_tracks and order.sound_track is None)
    track = None if none else find_sound_track(film, order.sound_track)
    if order.sound_style is not None and track is None:
        raise UserError(f"{film.path}: has no sound to style; drop --sound-style")
    if order.keep_picture and track is None:
        raise UserError(f"{film.path}: nothing is left to dream; drop --keep-picture or --keep-sound")
    start, end = order.start or Fraction(0), order.end
    if start < 0 or (end is not None and end <= start):
        raise UserError(f"start is {float(start):g} and end {float(end or 0):g}; choose 0 <= start < end")
    if film.duration is not None and start >= film.duration:
        raise UserError(f"start is {float(start):g}, but the film lasts {float(film.duration):.2f} seconds")
    return film.video, track
