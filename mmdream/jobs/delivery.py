"""A finished film and what is made besides it get their names; the live preview."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, move_into_place, write_atomically
from mmdream.core.report import Report
from mmdream.jobs.journal import Journal, JournalEntry, read_events
from mmdream.jobs.spec import Job
from mmdream.jobs.store import is_job_folder, make_work_folder, result_file
from mmdream.media.formats import VIDEO_SUFFIXES
from mmdream.media.image import IMAGE_SUFFIXES
from mmdream.media.probe import MediaFile, probe
from mmdream.views.contact_sheet import select_numeric_curves, write_contact_sheet
from mmdream.views.preview import Preview, comparison_path, write_comparison


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

    def check(path: Path | None, kind: str, option: str, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> None:
        line = None if journal is None else journal.finished(kind).get(0)
        replaced = job.overwrite or (kind == "preview" and folder.is_dir())
        if path is not None and not (line is not None and line.matches(path)):
            check_output_file(job.source, path, "", suffixes, replaced, option)

    check(preview, "preview", "--preview")
    check(sheet, "sheet", "--sheet")
    check(comparison_path(job.out) if job.extras.compare else None, "compare", "-o", VIDEO_SUFFIXES)
    check(record_path(job.out) if job.extras.record else None, "record", "-o", (".json",))


def attach_preview(sink: EventSink, film: MediaFile, job: Job) -> EventSink:
    """A sink that keeps the preview file too, if there is to be one."""
    if job.extras.preview is None or film.video is None:
        return sink
    return EventSink(sink.emit, frame=Preview(job.extras.preview, job.recipe.net, film.video.sar))


def find_result(job: Job, folder: Path) -> JournalEntry | None:
    """The journal's line of a film that is finished: it has its name, or still lies in the job's folder."""
    line = Journal(folder).finished("result").get(0)
    return line if line is not None and (line.matches(job.out) or line.holds(folder)) else None


def is_delivered(out: Path, folder: Path) -> bool:
    """Whether a film has its name, and the job in a folder is not yet done with what is made besides."""
    line = Journal(folder).finished("result").get(0) if is_job_folder(folder) else None
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
        line = journal.finished(kind).get(0)
        if line is None or not (line.matches(path) or line.holds(folder)):
            with make_work_folder(folder) as work:
                write(work / path.name)
                with journal.record(kind, 0, result_file(kind, path)) as draft:
                    os.replace(work / path.name, draft.path)
            line = journal.finished(kind)[0]
        _publish_output(line, folder, path, job, how)

    def write_sheet(path: Path) -> None:
        title = film.path.name, job.recipe.net
        curves = select_numeric_curves(report.driven)
        write_contact_sheet(film, probe(job.out), path, start=start, title=title, curves=curves)

    if job.extras.sheet is not None:
        make("sheet", job.extras.sheet, write_sheet)
    if job.extras.compare:
        make(
            "compare",
            comparison_path(job.out),
            lambda path: write_comparison(film, probe(job.out), path, start, end),
        )
    if job.extras.record:
        values = {"job": json.loads(job.to_json()), "report": report.as_json(), "events": read_events(folder)}
        make("record", record_path(job.out), lambda path: write_atomically(path, json.dumps(values).encode()))
    return report


def record_path(out: Path) -> Path:
    """The name of a result's record: ``film.dream.mp4`` has ``film.dream.record.json``."""
    return out.with_name(f"{out.stem}.record.json")


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
