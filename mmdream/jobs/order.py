"""What is wanted of a film besides its recipe, held against what the film has."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mmdream.errors import UserError
from mmdream.film.source import Film, Picture, Sound


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of a film, besides its recipe."""

    start: Fraction | None = None
    end: Fraction | None = None
    """Seconds of the source; None: its own start and end."""
    keep_picture: bool = False
    keep_sound: bool = False
    strict: bool = False
    """Stop at a broken frame or an early end instead of going on."""


def wanted(film: Film, order: Order) -> tuple[Picture, Sound | None]:
    """The film's picture, and its first sound track if that is to be dreamed.

    Raises:
        UserError: the film has no picture, nothing is left to dream, or the excerpt lies outside it.
    """
    if film.picture is None:
        raise UserError(f"{film.path}: has no picture; use `mmdream audio` for its sound")
    track = None if order.keep_sound or not film.sounds else film.sounds[0]
    if order.keep_picture and track is None:
        raise UserError(f"{film.path}: nothing is left to dream; drop --keep-picture or --keep-sound")
    start, end = order.start or Fraction(0), order.end
    if start < 0 or (end is not None and end <= start):
        raise UserError(f"start is {float(start):g} and end {float(end or 0):g}; choose 0 <= start < end")
    if film.duration is not None and start >= film.duration:
        raise UserError(f"start is {float(start):g}, but the film lasts {float(film.duration):.2f} seconds")
    return film.picture, track
