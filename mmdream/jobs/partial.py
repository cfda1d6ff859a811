"""A film as far as its job has come: the picture's finished parts, with the source's sound.

    python -m mmdream.jobs.partial JOB OUT.mp4

writes it, and says its seconds; nothing is encoded again.
"""

from __future__ import annotations

import sys
import tempfile
from fractions import Fraction
from itertools import takewhile
from pathlib import Path

from mmdream.analysis.shots import Scan
from mmdream.core.errors import UserError
from mmdream.jobs.journal import Journal
from mmdream.jobs.store import read_job
from mmdream.media.mux import mux_video
from mmdream.media.probe import probe
from mmdream.media.video_writer import VideoWriter, join_parts
from mmdream.render.parts import plan_parts
from mmdream.render.seams import plan_seams


def write_partial_film(folder: Path, out: Path) -> Fraction:
    """Write the film of a job up to its first missing part; its seconds; `UserError`: there is none."""
    job, journal = read_job(folder), Journal(folder)
    finished = journal.finished("picture")
    if job is None:
        raise UserError(f"{folder}: is no job's folder")
    if not journal.finished("scan") or not finished:
        raise UserError(f"{job.out.name}: nothing of its picture is finished yet")
    film, scan = probe(job.source), Scan.from_bytes(journal.path("scan").read_bytes())
    seams = plan_seams(scan, job.recipe.seams, job.recipe.loop)
    parts = [*takewhile(lambda part: part.number in finished, plan_parts(scan.shots, seams))]
    if not parts:
        raise UserError(f"{job.out.name}: its beginning is not finished yet")
    assert film.video is not None
    stop = parts[-1].stop
    pts, after = scan.pts[:stop], [*scan.pts[stop : stop + 1], 2 * scan.pts[stop - 1] - scan.pts[stop - 2]][0]
    end = after * scan.time_base - film.start
    with tempfile.TemporaryDirectory(prefix="mmdream", dir=out.parent) as work:
        picture = Path(work) / "picture.mid"
        with VideoWriter(picture, film.video, job.out.suffix.lower(), scan.time_base) as writer:
            paths = [journal.path("picture", part.number) for part in parts]
            join_parts(paths, writer, pts, lambda: False)
        draft = Path(work) / out.name
        mux_video(film, picture, None, draft, start=job.order.start, end=end, on_warning=lambda _line: None)
        draft.replace(out)
    return end - (job.order.start or 0)


def main() -> None:
    """Write the film that is named."""
    try:
        seconds = write_partial_film(Path(sys.argv[1]), Path(sys.argv[2]))
    except UserError as error:
        sys.exit(str(error))
    sys.stdout.write(f"{float(seconds):.3f}\n")


if __name__ == "__main__":
    main()
