"""The figures of a film's picture, gathered part by part so that they outlive the run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mmdream.core.report import SettingsChange

if TYPE_CHECKING:
    from mmdream.jobs.picture import DreamedFrame


@dataclass
class FrameStats:
    """Sums over the frames of a part, or of all."""

    frames: int = 0
    repeated: int = 0
    strength: float = 0.0
    source: float = 0.0
    dream: float = 0.0
    used: list[SettingsChange] = field(default_factory=list)

    def add(self, dreamed: DreamedFrame) -> None:
        """Count one frame."""
        self.frames += 1
        self.repeated += dreamed.frame.repeated
        self.strength += dreamed.strength
        if dreamed.scores is not None:
            self.source += dreamed.scores[0]
            self.dream += dreamed.scores[1]
        self._use(SettingsChange(float(dreamed.frame.seconds), dreamed.moment))

    def join(self, later: FrameStats) -> None:
        """Count the part that follows.

        Sums are taken part by part in an unbroken run too: other orders round otherwise.
        """
        self.frames += later.frames
        self.repeated += later.repeated
        self.strength += later.strength
        self.source += later.source
        self.dream += later.dream
        for used in later.used:
            self._use(used)

    def _use(self, used: SettingsChange) -> None:
        if not self.used or self.used[-1].moment != used.moment:
            self.used.append(used)

    def as_json(self) -> dict[str, Any]:
        """Plain values, without loss."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> FrameStats:
        """What `as_json` gave."""
        return FrameStats(**{**values, "used": list(map(SettingsChange.from_dict, values["used"]))})
