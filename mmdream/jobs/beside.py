"""What is made beside a dream film to watch it: a live preview, a contact sheet, a comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmdream.errors import UserError
from mmdream.film.source import Film, probe
from mmdream.jobs.compare import beside_name, compare
from mmdream.jobs.order import Order
from mmdream.jobs.output import destination
from mmdream.jobs.sheet import contact_sheet
from mmdream.picture import files
from mmdream.recipe import Recipe

MOMENTS = 12
"""Pictures on a contact sheet."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Names of the files that are wanted; None: not wanted."""

    preview: Path | None = None
    sheet: Path | None = None
    compare: Path | None = None


def wanted_beside(
    source: Path,
    out: Path,
    preview: Path | None,
    sheet: Path | None,
    compared: bool,
    keep_picture: bool,
    overwrite: bool,
) -> Beside:
    """Check the names before the work.

    Args:
        source: the input.
        out: the result.
        preview: of the live picture.
        sheet: of the contact sheet.
        compared: whether the comparison is wanted.
        keep_picture: the picture is not dreamed.
        overwrite: whether existing files may be replaced.

    Raises:
        UserError: a name that cannot be written, two files of one name, or nothing to show.
    """
    if preview is not None and keep_picture:
        raise UserError("--preview shows the picture while it is dreamed; drop it or --keep-picture")
    found = Beside(
        _checked(source, preview, files.SUFFIXES, overwrite, "--preview"),
        _checked(source, sheet, files.SUFFIXES, overwrite, "--sheet"),
        _checked(source, beside_name(out) if compared else None, (out.suffix.lower(),), overwrite, "-o"),
    )
    if preview is not None and sheet is not None and preview.absolute() == sheet.absolute():
        raise UserError(f"{preview}: --preview and --sheet cannot be one file; name two")
    return found


def _checked(
    source: Path, path: Path | None, suffixes: tuple[str, ...], overwrite: bool, option: str
) -> Path | None:
    return None if path is None else destination(source, path, "", suffixes, overwrite, option)


def finish_beside(
    beside: Beside,
    film: Film,
    out: Path,
    order: Order,
    recipe: Recipe,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Make the contact sheet and the comparison of a finished film, which already has its name.

    Args:
        beside: what is wanted.
        film: the source.
        out: the finished film.
        order: which part of the source that is.
        recipe: its network's name stands on the sheet.
        stopped: asked once a frame.

    Raises:
        Interrupted: `stopped` said yes.
        UserError: no room on the disk.
    """
    if beside.sheet is not None:
        contact_sheet(film, probe(out), beside.sheet, MOMENTS, order.start, (film.path.name, recipe.net))
    if beside.compare is not None:
        compare(film, probe(out), beside.compare, order.start, order.end, stopped)
