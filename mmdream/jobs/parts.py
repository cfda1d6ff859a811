"""The picture of a job: its parts painted, journalled, and joined."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from mmdream.analysis.shots import Scan
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.film.carry import TemporalStates, pack_states, unpack_states
from mmdream.jobs.folder import picture_part_file, state_file
from mmdream.jobs.journal import Journal, JournalEntry
from mmdream.jobs.meter import FrameStats
from mmdream.jobs.picture import DreamedFrame
from mmdream.jobs.plan import Part
from mmdream.media.open import disk_full_error
from mmdream.media.probe import VideoTrack
from mmdream.media.video_reader import frame_hash
from mmdream.media.video_writer import VideoWriter, count_frames

KEPT_STATES = 3
"""The last carries that are kept: one may be damaged, and they are large."""


@dataclass(frozen=True)
class ResumePoint:
    """How far the picture is."""

    parts: int = 0
    """Parts that are done, from the first on."""
    meter: FrameStats = field(default_factory=FrameStats)
    """Sums over their frames."""
    carries: TemporalStates = ()
    """What their last frame hands on; none where the next part begins a shot."""
    last: str | None = None
    """`mark` of the source's last frame in them."""


def find_resume_point(plan: Sequence[Part], found: Scan, journal: Journal) -> ResumePoint:
    """The longest beginning of a film from which it can go on.

    Args:
        plan: all parts.
        found: the scan that they were planned by.
        journal: only lines whose files are as they should be.
    """
    painted, carries = journal.done("picture"), journal.done("carry")
    begins = {shot.first for shot in found.shots}
    done = 0
    while done < len(plan) and done in painted and painted[done].count == plan[done].frames:
        done += 1
    # A part inside a shot cannot begin without what the frame before it left.
    while 0 < done < len(plan) and plan[done].first not in begins and done - 1 not in carries:
        done -= 1
    meter = FrameStats()
    for number in range(done):
        meter.join(FrameStats.from_json(painted[number].sums["meter"]))
    handed: TemporalStates = ()
    if 0 < done < len(plan) and plan[done].first not in begins:
        handed = unpack_states((journal.folder / carries[done - 1].file).read_bytes())
    return ResumePoint(done, meter, handed, painted[done - 1].sums["last"] if done else None)


def write_parts(
    dreams: Generator[DreamedFrame, None, None],
    plan: Sequence[Part],
    stand: ResumePoint,
    picture: VideoTrack,
    suffix: str,
    found: Scan,
    journal: Journal,
    listener: EventSink,
    seconds: dict[str, float],
) -> FrameStats:
    """Encode the dreams that are still missing, part by part.

    Args:
        dreams: from the first missing part's first frame on; closed at the end.
        plan: all parts.
        stand: how far the picture is.
        picture: of the source.
        suffix: of the result.
        found: the scan.
        journal: each part is entered when it is on the disk.
        listener: told each frame.
        seconds: the time spent on encoding is added to it.

    Returns:
        The sums over all frames of the film.

    Raises:
        UserError: the source ends earlier than when it was scanned, or the disk is full.
    """
    total = stand.meter
    with closing(dreams):
        for part in plan[stand.parts :]:
            meter = FrameStats()
            with journal.entry("picture", part.number, picture_part_file(part.number)) as draft:
                last = None
                with VideoWriter(draft.path, picture, suffix, found.time_base, part=True) as writer:
                    for dreamed in islice(dreams, part.frames):
                        began = time.perf_counter()
                        writer.write(dreamed.rgb, dreamed.frame.pts)
                        seconds["encode"] += time.perf_counter() - began
                        meter.add(dreamed)
                        last = dreamed
                        listener.progress("picture", total.frames + meter.frames, len(found.pts))
                if last is None or meter.frames < part.frames:
                    raise UserError("the source has fewer frames than when it was scanned; is it changing?")
                if count_frames(draft.path) != part.frames:
                    raise disk_full_error(draft.path)  # What did not fit is not always told.
                with journal.entry("carry", part.number, state_file(part.number)) as handed:
                    handed.path.write_bytes(pack_states(last.carries))
                draft.count = part.frames
                draft.sums = {"meter": meter.as_json(), "last": frame_hash(last.frame)}
            total.join(meter)
            _remove_state(journal, part.number - KEPT_STATES)
    return total


def _remove_state(journal: Journal, number: int) -> None:
    old: JournalEntry | None = journal.done("carry").get(number)
    if old is not None:
        (journal.folder / old.file).unlink(missing_ok=True)
