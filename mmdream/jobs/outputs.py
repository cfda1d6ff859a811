"""What a job makes has names: checked before the work, given when it is whole, never in place of another."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import msgspec

from mmdream.core.errors import UserError
from mmdream.core.files import check_output_file, move_into_place, write_atomically
from mmdream.jobs import store as folders
from mmdream.jobs.journal import Journal, JournalEntry, read_events
from mmdream.jobs.spec import Job
from mmdream.media.formats import VIDEO_SUFFIXES
from mmdream.media.image import IMAGE_SUFFIXES
from mmdream.media.probe import MediaFile, probe
from mmdream.render.stems import check_stems_folder, clear_stems, stems_folder
from mmdream.settings.report import Report
from mmdream.views.contact_sheet import write_contact_sheet
from mmdream.views.film_figure import check_film_figure, write_film_figure
from mmdream.views.preview import comparison_path, write_comparison

STEMS = "stems"
"""Kind and folder of the parts of a film's sound."""


def check_extras(film: MediaFile, job: Job, folder: Path, journal: Journal | None = None) -> None:
    """Refuse, before the work, extra outputs that cannot be written.

    A preview may exist where the job's folder does; what the journal has given a name already is no other's.
    """
    preview, sheet, plot = job.extras.preview, job.extras.sheet, job.extras.plot
    if preview is not None and job.order.keep_picture:
        raise UserError("--preview shows the picture while it is dreamed; drop it or --keep-picture")
    pictures = {"--preview": preview, "--sheet": sheet, "--plot": plot}
    for (first, path), (second, other) in combinations(pictures.items(), 2):
        if path is not None and other is not None and path.absolute() == other.absolute():
            raise UserError(f"{path}: {first} and {second} cannot be one file; name two")
    if plot is not None:
        check_film_figure(film, job.order, job.recipe)

    def check(path: Path | None, kind: str, option: str, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> None:
        line = None if journal is None else journal.finished(kind).get(0)
        replaced = job.overwrite or (kind == "preview" and folder.is_dir())
        if path is not None and not (line is not None and line.matches(path)):
            check_output_file(job.source, path, "", suffixes, replaced, option)

    if job.extras.stems and not (journal is not None and journal.finished(STEMS)):
        check_stems_folder(job.out, job.overwrite)
    check(preview, "preview", "--preview")
    check(sheet, "sheet", "--sheet")
    check(plot, "plot", "--plot")
    check(comparison_path(job.out) if job.extras.compare else None, "compare", "-o", VIDEO_SUFFIXES)
    check(record_path(job.out) if job.extras.record else None, "record", "-o", (".json",))


def find_result(job: Job, folder: Path) -> JournalEntry | None:
    """The journal's line of a film that is finished: it has its name, or still lies in the job's folder."""
    line = Journal(folder).finished("result").get(0)
    return line if line is not None and (line.matches(job.out) or line.matches(folder / line.file)) else None


def is_delivered(out: Path, folder: Path) -> bool:
    """Whether a film has its name, and the job in a folder is not yet done with what is made besides."""
    line = Journal(folder).finished("result").get(0) if folders.is_job_folder(folder) else None
    return line is not None and line.matches(out)


def deliver_outputs(film: MediaFile, job: Job, folder: Path, done: JournalEntry, how: str) -> Report:
    """Give a finished film its name, and make the extra outputs; a UserError if a name is taken by now."""
    _publish_output(done, folder, job.out, job, how)
    report, journal = msgspec.convert(done.sums["report"], Report), Journal(folder)
    start, end = job.order.start, job.order.end

    def make(kind: str, path: Path, write: Callable[[Path], None]) -> None:
        line = journal.finished(kind).get(0)
        if line is None or not (line.matches(path) or line.matches(folder / line.file)):
            with folders.make_work_folder(folder) as work:
                write(work / path.name)
                with journal.record(kind, 0, f"{kind}{path.suffix.lower()}") as draft:
                    os.replace(work / path.name, draft.path)
            line = journal.finished(kind)[0]
        _publish_output(line, folder, path, job, how)

    if job.extras.stems:
        _deliver_stems(job, folder, journal, how)
    if job.extras.sheet is not None:
        sheet = partial(write_contact_sheet, film, probe(job.out), start=start, report=report)
        make("sheet", job.extras.sheet, partial(sheet, title=(film.path.name, job.recipe.net)))
    if job.extras.plot is not None:
        plot = partial(write_film_figure, film, probe(job.out), order=job.order, recipe=job.recipe)
        make("plot", job.extras.plot, partial(plot, report=report))
    if job.extras.compare:
        write = partial(write_comparison, film, probe(job.out), start=start, end=end)
        make("compare", comparison_path(job.out), write)
    if job.extras.record:
        values = {"job": json.loads(job.to_json()), "report": report.as_json(), "events": read_events(folder)}
        make("record", record_path(job.out), lambda path: write_atomically(path, json.dumps(values).encode()))
    return report


def _deliver_stems(job: Job, folder: Path, journal: Journal, how: str) -> None:
    """Give the parts of a film's sound their names."""
    parts, lines = stems_folder(job.out), journal.finished(STEMS).values()
    if not lines:
        raise UserError(f"{job.out}: was dreamed without --stems; leave that out, or begin anew: --overwrite")
    parts.mkdir(exist_ok=True)
    if job.overwrite:
        clear_stems(parts, kept=[parts / Path(line.file).name for line in lines])
    for line in lines:
        _publish_output(line, folder, parts / Path(line.file).name, job, how)


def record_path(out: Path) -> Path:
    """The name of a result's record: ``film.dream.mp4`` has ``film.dream.record.json``."""
    return out.with_name(f"{out.stem}.record.json")


def _publish_output(line: JournalEntry, folder: Path, path: Path, job: Job, how: str) -> None:
    """Move a finished file out of the job's folder to its name, if nothing else has that by now."""
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
