"""Settings that follow a feature of the film: the sound's loudness, the picture's motion and the like.

A driven setting is the schedule's value times a factor between ``low``, where the feature is least, and
``high``, where it is most: ``value(t) * (low + (high - low) * feature(t))``, the feature in 0..1. Motifs fade
from the schedule's first to its last. Several drives of one setting multiply. `mmdream.analysis` measures the
features and makes the curves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mmdream.core.errors import UserError
from mmdream.settings.definition import checked, suggest_name
from mmdream.settings.schedule import SCHEDULE_LIMITS

AUDIO_FEATURES = {
    "loudness": "how loud it seems",
    "onset": "how suddenly something new begins",
    "pitch": "how high its tone is; held where there is none",
    "bass": "how loud it is below 150 Hz",
}
IMAGE_FEATURES = {
    "motion": "how fast what it shows moves",
    "cuts": "a new shot",
    "brightness": "how light it is",
}
DEFAULT_FACTORS = {
    "octaves": (0.5, 1.25),
    "octave_scale": (0.9, 1.1),
    "steps": (0.5, 1.5),
    "depth": (0.3, 1.1),
    "strength": (0.2, 1.4),
}
"""Low and high, where no range is given: about as much dream on the whole as without."""
MAX_FACTOR = 10.0
"""Largest factor; what it makes of a setting is held within the setting's limits in any case."""


@checked
@dataclass(frozen=True, slots=True)
class Drive:
    """One setting that follows one feature.

    Raises:
        UserError: an unknown setting or feature (with the nearest right one), a factor out of range.
    """

    setting: str
    """One of `SCHEDULE_LIMITS`, or "motif"."""
    feature: str
    """One of `AUDIO_FEATURES` or `IMAGE_FEATURES`."""
    low: float | None = None
    """Factor where the feature is least; larger than `high` turns the drive round. None: see
    `DEFAULT_FACTORS`."""
    high: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "setting", self.setting.replace("-", "_"))
        for kind, name, known in (
            ("setting", self.setting, (*SCHEDULE_LIMITS, "motif")),
            ("feature", self.feature, (*AUDIO_FEATURES, *IMAGE_FEATURES)),
        ):
            if name not in known:
                choices = ", ".join(known).replace("_", "-")
                raise UserError(f"drive: no {kind} {name!r}{suggest_name(name, known)}; there are {choices}")
        if (self.low is None) != (self.high is None):
            raise UserError(f"drive {self}: give both ends of the range, or none")
        if self.setting == "motif" and self.low is not None:
            raise UserError(f"drive {self}: motifs fade from the first to the last, without a range")
        for factor in (self.low, self.high):
            if factor is not None and not 0 <= factor <= MAX_FACTOR:
                raise UserError(f"drive {self}: choose factors between 0 and {MAX_FACTOR:g}")

    @property
    def range(self) -> tuple[float, float]:
        """Factors where the feature is least and most; those of a motif have no meaning."""
        if self.low is None or self.high is None:
            return DEFAULT_FACTORS.get(self.setting, (0.0, 1.0))
        return self.low, self.high

    def __str__(self) -> str:
        """As the command line takes it."""
        ends = "" if self.low is None or self.high is None else f":{self.low:g}-{self.high:g}"
        return f"{self.setting.replace('_', '-')}={self.feature}{ends}"


def parse_drive(text: str) -> Drive:
    """A drive from ``strength=loudness`` or ``strength=loudness:0.3-1.5``.

    Raises:
        UserError: another form, or what `Drive` refuses.
    """
    setting, equals, rest = text.partition("=")
    feature, colon, ends = rest.partition(":")
    if not equals or not setting.strip() or not feature.strip():
        how = "SETTING=FEATURE or SETTING=FEATURE:LOW-HIGH"
        raise UserError(f"drive is {text!r}; write {how}, for example strength=loudness")
    low = high = None
    if colon:
        first, _, second = ends.partition("-")
        try:
            low, high = float(first), float(second)
        except ValueError:
            low = high = math.nan
        if not (math.isfinite(low) and math.isfinite(high)):
            raise UserError(f"drive is {text!r}; write its range as LOW-HIGH, for example 0.3-1.5")
    return Drive(setting.strip(), feature.strip(), low, high)
