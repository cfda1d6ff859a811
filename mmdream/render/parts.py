"""The figures of a film's picture, gathered part by part so that they outlive the run."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import islice, pairwise
from typing import Any

from mmdream.analysis.shots import Scan, Shot
from mmdream.core.errors import UserError, disk_full_error
from mmdream.core.events import EventSink
from mmdream.core.report import SettingsChange
from mmdream.jobs.journal import Journal, JournalEntry
from mmdream.jobs.store import picture_part_file, state_file
from mmdream.media.probe import VideoTrack
from mmdream.media.video_reader import frame_hash
from mmdream.media.video_writer import VideoWriter, count_frames
from mmdream.render.frames import DreamedFrame
from mmdream.render.temporal import TemporalStates, pack_states, unpack_states


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


MAX_PART_FRAMES = 48
"""Frames of a part. The first 24 of a shot then always lie in its first part."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of frames."""

    number: int
    first: int
    stop: int
    """Frame numbers, half open."""

    @property
    def frames(self) -> int:
        """How many."""
        return self.stop - self.first


def plan_parts(shots: Sequence[Shot]) -> tuple[Part, ...]:
    """Cut a film into parts.

    A long shot is cut into stretches of nearly equal length. Short shots that follow one another share
    a part, or a strobe would make thousands of files.

    Args:
        shots: they follow one another without gap.

    Returns:
        Parts of 1 to `MAX_PART_FRAMES` frames that cover all shots; those that do not begin with a shot hold
        frames of that one shot only.
    """
    found: list[tuple[int, int]] = []
    open_to_more = False
    for shot in shots:
        length = shot.stop - shot.first
        pieces = -(-length // MAX_PART_FRAMES)
        if pieces == 1 and open_to_more and shot.stop - found[-1][0] <= MAX_PART_FRAMES:
            found[-1] = found[-1][0], shot.stop
            continue
        edges = [shot.first + length * k // pieces for k in range(pieces + 1)]
        found.extend(pairwise(edges))
        open_to_more = pieces == 1
    return tuple(Part(number, first, stop) for number, (first, stop) in enumerate(found))


pass
pass

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


def notify_frames(
    dreams: Generator[DreamedFrame, None, None], listener: EventSink, first: int, total: int
) -> Generator[DreamedFrame, None, None]:
    """Pass dreams on, and show them to a listener on the way.

    Args:
        dreams: from frame `first` on; closed at the end.
        listener: shown each frame.
        first: number of the first frame.
        total: frames of the film.
    """
    with closing(dreams):
        for index, dreamed in enumerate(dreams, first):
            seconds = float(dreamed.frame.seconds)
            listener.frame(dreamed.frame.rgb, dreamed.rgb, seconds, dreamed.moment, index, total)
            yield dreamed
