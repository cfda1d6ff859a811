"""What is made beside a dream film to watch it: a live preview, a contact sheet, a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmdream.errors import UserError
from mmdream.film.codecs import SUFFIXES
from mmdream.film.source import Film, probe
from mmdream.jobs.compare import beside_name, compare
from mmdream.jobs.folder import folder_of
from mmdream.jobs.job import Job
from mmdream.jobs.output import destination
from mmdream.jobs.sheet import contact_sheet
from mmdream.jobs.strip import numbered
from mmdream.jobs.watch import Preview
from mmdream.listen import Listener
from mmdream.picture import files
from mmdream.report import Report

MOMENTS = 12
"""Pictures on a contact sheet."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Names of the files that are wanted; None: not wanted."""

    preview: Path | None = None
    sheet: Path | None = None
    compare: Path | None = None


def wanted_beside(
    job: Job, out: Path, preview: Path | None, sheet: Path | None, compared: bool, folder: Path | None
) -> Beside:
    """Check the names before the work.

    Args:
        job: what is made of the film.
        out: the result, as the user names it.
        preview: of the live picture.
        sheet: of the contact sheet.
        compared: whether the comparison is wanted.
        folder: of the job; None: beside the result. Where it exists, the preview of the earlier run may too.

    Raises:
        UserError: a name that cannot be written, two files of one name, or nothing to show.
    """
    if preview is not None and job.order.keep_picture:
        raise UserError("--preview shows the picture while it is dreamed; drop it or --keep-picture")
    if preview is not None and sheet is not None and preview.absolute() == sheet.absolute():
        raise UserError(f"{preview}: --preview and --sheet cannot be one file; name two")
    goes_on = (folder or folder_of(out)).is_dir()

    def checked(
        path: Path | None, option: str, suffixes: Sequence[str] = files.SUFFIXES, replaced: bool = False
    ) -> Path | None:
        replaced = replaced or job.overwrite
        return None if path is None else destination(job.source, path, "", suffixes, replaced, option)

    return Beside(
        checked(preview, "--preview", replaced=goes_on),
        checked(sheet, "--sheet"),
        checked(beside_name(out) if compared else None, "-o", SUFFIXES),
    )


def watching(listener: Listener, beside: Beside, film: Film, job: Job) -> Listener:
    """A listener that keeps the preview too, if one is wanted."""
    if beside.preview is None or film.picture is None:
        return listener
    return replace(listener, frame=Preview(beside.preview, job.recipe.net, film.picture.sar))


def finish_beside(beside: Beside, film: Film, out: Path, job: Job, report: Report) -> None:
    """Make the contact sheet and the comparison of a finished film, which already has its name.

    Args:
        beside: what is wanted.
        film: the source.
        out: the finished film.
        job: what was made of it.
        report: what was done.

    Raises:
        UserError: no room on the disk.
    """
    start, end = job.order.start, job.order.end
    if beside.sheet is not None:
        title = film.path.name, job.recipe.net
        contact_sheet(film, probe(out), beside.sheet, MOMENTS, start, title, numbered(report.driven))
    if beside.compare is not None:
        compare(film, probe(out), beside.compare, start, end)
