"""A walk through a generator's pictures to a song: where it leads, how quickly, what follows the music."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mmdream.core.errors import UserError
from mmdream.settings.definition import WALK, TextForm, checked, setting
from mmdream.settings.ouroboros import DEFAULT_FRAME_RATE, to_frame_rate
from mmdream.settings.recipe import resolve_size
from mmdream.settings.schedule import AUDIO_FEATURES, WALK_FACTORS, Drive, parse_drive

DRIVE_FORM = TextForm(
    "drive-walk",
    "SETTING=FEATURE[:LO-HI]",
    f"Let {' or '.join(WALK_FACTORS)} follow the song's {', '.join(AUDIO_FEATURES)}, times LO to HI; repeat "
    "to add. Else speed follows onset and loudness, and turn follows pitch.",
    parse_drive,
)
DEFAULT_DRIVES = tuple(map(parse_drive, ("speed=onset", "speed=loudness:0.5-1.5", "turn=pitch")))
ClassKeys = tuple[tuple[float, tuple[str, ...]], ...]
LatentKeys = tuple[tuple[float, int], ...]


@checked
@dataclass(frozen=True, slots=True)
class WalkSettings:
    """How a generator's pictures follow one another.

    The way leads from latent to latent, straight from one to the next; each has a class, one after the other.
    """

    generator: str = setting("", "Whose pictures are walked through.", WALK, "NAME")
    classes: str | None = setting(
        None,
        "Walk through these, one after the other.",
        WALK,
        "CLASS,CLASS",
        default_text="all that it makes",
    )
    speed: float = setting(0.3, "Latents that are passed in a second.", WALK, "V", 0, 5)
    turn: float = setting(
        0.25, "0..1: how far the way leans aside, 1 a right angle; by default where the song is high.", WALK,
        "T", 0, 1,
    )  # fmt: skip
    drives: tuple[Drive, ...] = setting(DEFAULT_DRIVES, group=WALK, forms=(DRIVE_FORM,))
    loop: bool = setting(False, "Let the last frame lead to the first.", WALK)
    size: str = setting("640x360", "Of the film.", WALK, "WxH")
    fps: float = setting(DEFAULT_FRAME_RATE, "Frames a second.", WALK, "F", 1, 120)
    dream_sound: bool = setting(False, "Dream the song too, in place of keeping it.", WALK)
    class_keys: ClassKeys = ()
    """((seconds, names), ...) in place of `classes`: cross-faded from each key to the next."""
    latent_keys: LatentKeys = ()
    """((seconds, number), ...): latents that are reached at a time, in place of those that come by speed."""

    def __post_init__(self) -> None:
        if "x" not in self.size.lower():
            raise UserError(f"size is {self.size!r}; a walk has none of its own: write WIDTHxHEIGHT")
        resolve_size(self.size, 0, 0)
        for drive in self.drives:
            if drive.setting not in WALK_FACTORS:
                raise UserError(f"drive {drive}: a walk has {' and '.join(WALK_FACTORS)}; see --drive")
            if drive.feature not in AUDIO_FEATURES:
                choices = ", ".join(AUDIO_FEATURES)
                raise UserError(f"drive {drive}: a song has no {drive.feature}; choose {choices}")
        if self.classes is not None and self.class_keys:
            raise UserError("the schedule has keys of classes already; drop them or --classes")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that were asked for, in their order; none: all."""
        return tuple(filter(None, map(str.strip, (self.classes or "").split(","))))

    @property
    def rate(self) -> Fraction:
        """See `to_frame_rate`."""
        return to_frame_rate(self.fps)

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height, px."""
        return resolve_size(self.size, 0, 0)
