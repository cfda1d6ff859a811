"""How something is dreamed again and again: a sound in clips, or a picture that moves, into a film."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.settings.definition import AUDIO, ENDLESS, checked, setting

TRANSFORM_LIMITS = {"stretch": (0.5, 2.0), "shift": (-10_000.0, 10_000.0), "pitch": (-24.0, 24.0)}
"""Least and most of each kind: a factor of the length, Hz, semitones."""
MAX_SHIFT = 2000.0
"""px a second, to the right and down."""
DEFAULT_FRAME_RATE = 25.0
"""Frames a second at which the steps of a frame are as long as the network's: a dream renews itself within
about a second. At other rates they are as much longer or shorter."""
MAX_CLIPS = 100


def to_frame_rate(fps: float) -> Fraction:
    """Frames a second as a short fraction; 23.976, 29.97 and 59.94 are NTSC's."""
    ntsc = Fraction(round(fps) * 1000, 1001)
    is_ntsc = abs(float(ntsc) - fps) < 0.002 and not float(fps).is_integer()
    return ntsc if is_ntsc else Fraction(fps).limit_denominator(1000)


def parse_shift(text: str) -> tuple[float, float]:
    """Read "X,Y", px a second."""
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"shift is {text!r}; write X,Y, pixels a second to the right and down: 2,0") from None
    if not (abs(x) <= MAX_SHIFT and abs(y) <= MAX_SHIFT):
        raise UserError(f"shift is {text!r}; choose numbers between {-MAX_SHIFT:g} and {MAX_SHIFT:g}")
    return x, y


def parse_transform(text: str) -> tuple[str, float]:
    """Kind and amount of "none", "stretch=0.95", "shift=500" or "pitch=-2"."""
    kind, equals, number = text.strip().lower().partition("=")
    if kind == "none" and not equals:
        return kind, 0.0
    try:
        (low, high), amount = TRANSFORM_LIMITS[kind], float(number)
    except (KeyError, ValueError):
        raise UserError(
            f"transform is {text!r}; write none, stretch=0.95, shift=HZ or pitch=SEMITONES"
        ) from None
    if not low <= amount <= high:
        raise UserError(f"{kind} is {amount:g}; choose between {low:g} and {high:g}")
    return kind, amount


@checked
@dataclass(frozen=True, slots=True)
class ClipSettings:
    """How a sound is dreamed in clips, each of the one before it."""

    count: int = setting(
        ...,
        "Dream N clips, each of the one before, crossfaded over 1 s (or a quarter of a clip); each also "
        "alone, OUT.01.wav ... With --layer iterate clip k climbs the k-th layer from the deep end.",
        ENDLESS,
        "N",
        1,
        MAX_CLIPS,
        name="ouroboros",
        media=AUDIO,
    )
    transform: str = setting(
        "none",
        "Between clips: stretch=0.95 (of the length, same pitch), shift=HZ, pitch=SEMITONES or none.",
        ENDLESS,
        "HOW",
    )
    no_guard: bool = setting(
        False,
        "Let clips collapse into one tone or a screech; else an equaliser holds their spectrum.",
        ENDLESS,
        media=AUDIO,
    )
    """And let them fall silent."""
    iterate: bool = False
    """Whether clip k climbs the k-th rung of the ladder, counted from its deep end, and round again."""

    def __post_init__(self) -> None:
        parse_transform(self.transform)

    @property
    def length_factor(self) -> float:
        """Length of a clip over that of the one before it."""
        kind, amount = parse_transform(self.transform)
        return amount if kind == "stretch" else 1.0


@checked
@dataclass(frozen=True, slots=True)
class ZoomSettings:
    """How a film is made of one picture; the motion is steady, and that of each second."""

    seconds: float = setting(
        ...,
        "Make a film so long, each frame the dream of the one before, moved; of --size, or as IN.",
        ENDLESS,
        "SECONDS",
        above=0,
        high=3600,
        unit="s",
        name="ouroboros",
    )
    zoom: float = setting(1.0, "Times so large each second, about the middle.", ENDLESS, "Z", 0.25, 4)
    rotate: float = setting(0.0, "Degrees against the clock a second.", ENDLESS, "DEG", -360, 360)
    shift: str = setting("0,0", "Pixels to the right and down a second.", ENDLESS, "X,Y")
    fps: float = setting(DEFAULT_FRAME_RATE, "Frames a second.", ENDLESS, "F", 1, 120)
    with_sound: bool = setting(False, "Dream a sound, too: out of the picture, or of --sound.", ENDLESS)
    sound: Path | None = setting(None, "A sound that is dreamed again and again beside it.", ENDLESS, "FILE")
    clips: ClipSettings = setting(ClipSettings(1))
    """Of that sound; there are as many as it takes."""

    def __post_init__(self) -> None:
        parse_shift(self.shift)
        if self.seconds < 1 / self.rate:
            raise UserError(f"ouroboros is {self.seconds:g}; choose one frame, 1/fps seconds, or more")

    @property
    def sounds_of_picture(self) -> bool:
        """Whether the sound is dreamed out of the finished picture, and not in clips again and again."""
        return self.with_sound and self.sound is None and self.clips.transform == "none"

    @property
    def rate(self) -> Fraction:
        """See `to_frame_rate`."""
        return to_frame_rate(self.fps)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return max(1, round(self.seconds * self.rate))
