"""How a sound is given the style of others."""

from __future__ import annotations

from dataclasses import dataclass

from mmdream.core.errors import UserError


@dataclass(frozen=True, slots=True)
class AudioStyleSettings:
    """How a sound is styled; checked where it is made.

    Raises:
        UserError: a value out of range.
    """

    content_weight: float = 1.0
    """0: the style alone is wanted; about 30 keeps the content's pitch too; more keeps more."""
    keep_rhythm: bool = False
    """Give each hop the energy that the content has there."""
    steps: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.content_weight <= 1000:
            raise UserError(f"content weight is {self.content_weight:g}; choose between 0 and 1000")
        if not 0 <= self.steps <= 10_000:
            raise UserError(f"steps is {self.steps}; choose between 0 and 10000")
