"""A finished film and what is made besides it, given their names; the live preview."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, move_into_place
from mmdream.core.report import Report
from mmdream.jobs.journal import Journal, JournalEntry
from mmdream.jobs.spec import Job
from mmdream.jobs.store import is_job_folder, make_work_folder, result_file
from mmdream.media import image, mux, video_reader
from mmdream.media.formats import VIDEO_SUFFIXES
from mmdream.media.probe import MAX_SIDE, MediaFile, VideoTrack, probe
from mmdream.media.video_writer import VideoWriter
from mmdream.views.contact_sheet import select_numeric_curves, write_contact_sheet
from mmdream.views.preview import Preview

pass

SHEET_MOMENTS = 12
"""Pictures on a contact sheet."""


def check_extras(job: Job, folder: Path, journal: Journal | None = None) -> None:
    """Check, before the work, that what is made besides a film can be written.

    Args:
        job: what is made of the film.
        folder: of the job. Where it exists, the preview of the earlier run may too.
        journal: of the job; what it has given a name already is no other's file.

    Raises:
        UserError: a name that cannot be written, two files of one name, or nothing to show.
    """
    preview, sheet = job.extras.preview, job.extras.sheet
    if preview is not None and job.order.keep_picture:
        raise UserError("--preview shows the picture while it is dreamed; drop it or --keep-picture")
    if preview is not None and sheet is not None and preview.absolute() == sheet.absolute():
        raise UserError(f"{preview}: --preview and --sheet cannot be one file; name two")

    def check(
        path: Path | None, kind: str, option: str, suffixes: Sequence[str] = image.IMAGE_SUFFIXES
    ) -> None:
        line = None if journal is None else journal.done(kind).get(0)
        replaced = job.overwrite or (kind == "preview" and folder.is_dir())
        if path is not None and not (line is not None and line.matches(path)):
            check_output_file(job.source, path, "", suffixes, replaced, option)

    check(preview, "preview", "--preview")
    check(sheet, "sheet", "--sheet")
    check(comparison_path(job.out) if job.extras.compare else None, "compare", "-o", VIDEO_SUFFIXES)


def attach_preview(listener: EventSink, film: MediaFile, job: Job) -> EventSink:
    """A listener that keeps the preview too, if one is wanted."""
    if job.extras.preview is None or film.video is None:
        return listener
    return replace(listener, frame=Preview(job.extras.preview, job.recipe.net, film.video.sar))


def find_result(job: Job, folder: Path) -> JournalEntry | None:
    """The journal's line of a film that is finished: it has its name, or still lies in the job's folder."""
    line = Journal(folder).done("result").get(0)
    return line if line is not None and (line.matches(job.out) or line.holds(folder)) else None


def is_delivered(out: Path, folder: Path) -> bool:
    """Whether a film has its name, and the job in a folder is not yet done with what is made besides."""
    line = Journal(folder).done("result").get(0) if is_job_folder(folder) else None
    return line is not None and line.matches(out)


def deliver_outputs(film: MediaFile, job: Job, folder: Path, done: JournalEntry, how: str) -> Report:
    """Give a finished film its name, and make what is wanted besides.

    Args:
        film: the source.
        job: what was made of it.
        folder: of the job.
        done: the journal's line of the finished film.
        how: the command that goes on with the job.

    Returns:
        What was done.

    Raises:
        UserError: a name that is taken by now, and may not be replaced; no room on the disk.
    """
    _publish_output(done, folder, job.out, job, how)
    report, journal = Report.from_dict(done.sums["report"]), Journal(folder)
    start, end = job.order.start, job.order.end

    def make(kind: str, path: Path, write: Callable[[Path], None]) -> None:
        line = journal.done(kind).get(0)
        if line is None or not (line.matches(path) or line.holds(folder)):
            with make_work_folder(folder) as work:
                write(work / path.name)
                with journal.entry(kind, 0, result_file(kind, path)) as draft:
                    os.replace(work / path.name, draft.path)
            line = journal.done(kind)[0]
        _publish_output(line, folder, path, job, how)

    def write_sheet(path: Path) -> None:
        title = film.path.name, job.recipe.net
        write_contact_sheet(
            film, probe(job.out), path, SHEET_MOMENTS, start, title, select_numeric_curves(report.driven)
        )

    if job.extras.sheet is not None:
        make("sheet", job.extras.sheet, write_sheet)
    if job.extras.compare:
        make(
            "compare",
            comparison_path(job.out),
            lambda path: write_comparison(film, probe(job.out), path, start, end),
        )
    return report


def _publish_output(line: JournalEntry, folder: Path, path: Path, job: Job, how: str) -> None:
    """Move a finished file out of the job's folder to its name.

    Raises:
        UserError: something else has that name by now, and may not be replaced.
    """
    if line.matches(path):
        return
    try:
        move_into_place(folder / line.file, path, job.overwrite)
    except FileExistsError:
        other = ", or -o OTHER" if line.kind == "result" else ""
        raise UserError(
            f"{path}: has appeared since the work began, and is not replaced; what was made is "
            f"{folder / line.file}; give it its name with: {how} --overwrite{other}"
        ) from None


def write_comparison(
    film: MediaFile, dream: MediaFile, path: Path, start: Fraction | None, end: Fraction | None
) -> None:
    """Write the film.

    Args:
        film: the source.
        dream: the finished dream of it.
        path: of the comparison, in a folder that files on the way may lie in, too; its suffix chooses the
            container.
        start: second of the source at which the dream begins.
        end: second of the source at which it ends.

    Raises:
        UserError: no room on the disk.
    """
    assert dream.video is not None
    size = _half_size(dream.video)
    wide = replace(dream.video, width=2 * size[0], height=size[1], sar=Fraction(1))
    middle = path.with_name("picture.mid")
    writer = VideoWriter(middle, wide, path.suffix.lower(), dream.video.time_base)
    with (
        writer,
        closing(video_reader.read_frames(film, start, end)) as ones,
        closing(video_reader.read_frames(dream)) as others,
    ):
        for one, other in zip(ones, others, strict=True):
            writer.write(np.hstack([_resize(one.rgb, size), _resize(other.rgb, size)]), other.pts)
    # The dream is the source here: all but its picture is kept.
    mux.mux_video(
        replace(dream, video=wide),
        middle,
        None,
        path,
        on_warning=lambda _line: None,
    )


def comparison_path(out: Path) -> Path:
    """The name of a result's comparison: ``film.dream.mp4`` has ``film.dream.compare.mp4``."""
    return out.with_name(f"{out.stem}.compare{out.suffix}")


def _half_size(picture: VideoTrack) -> tuple[int, int]:
    """Width and height of each half: square pixels, an even width, and two that fit into one picture."""
    width = float(picture.width * picture.sar)
    factor = min(1.0, MAX_SIDE / (2 * width))
    return max(2, 2 * round(width * factor / 2)), max(1, round(picture.height * factor))


def _resize(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if rgb.shape[1::-1] == size:
        return rgb
    smaller = size[0] < rgb.shape[1]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
