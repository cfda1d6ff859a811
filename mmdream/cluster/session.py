"""A film's work at a worker: parts and chunks rendered from a plan that the coordinator sent.

Everything here runs in the worker's process, where the engine calls the functions one at a time.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save

from mmdream.cluster.messages import (
    ChunksResult,
    Introduction,
    PartResult,
    PlanBundle,
    SeamResult,
    hash_bytes,
)
from mmdream.cluster.tasks import ChainLost
from mmdream.core.errors import UserError, reporting_full_disk
from mmdream.core.events import Event, EventSink, FrameRendered
from mmdream.core.memory import keep_freed_memory
from mmdream.core.processors import limit_threads
from mmdream.jobs.journal import Journal
from mmdream.jobs.spec import Job, describe_environment, describe_job, format_differences

if TYPE_CHECKING:
    from mmdream.audio.chunk_dream import ChunkPlan
    from mmdream.audio.chunks import ChunkContext
    from mmdream.render.chain import Parts, VideoPlan
    from mmdream.render.source import FileFrameSource

MAX_SESSIONS = 2
"""Films that a worker holds at once, each with its frames and networks."""


@dataclass
class _Sound:
    """What a sound's chunks share at a worker."""

    context: ChunkContext
    plans: list[ChunkPlan]


@dataclass
class Session:
    """A film at this worker."""

    digest: str
    folder: Path
    """Of its own; it goes with the session."""
    plan: VideoPlan
    stop: threading.Event
    sink: EventSink
    """Fills the next two."""
    warnings: list[str]
    newest: list[FrameRendered]
    """The last frame, where somebody wants to see it."""
    source: FileFrameSource
    sound: _Sound | None = None
    parts: Parts | None = None
    """The open chain."""
    next_part: int = -1
    """The number of the part that it gives next."""
    reported: dict[str, float] = field(default_factory=dict)
    """Seconds of each stage that the coordinator knows of."""
    files: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """End what is open, and delete its files."""
        self.stop.set()
        self.close_chain()
        self.source.close()
        self.files.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close_chain(self) -> None:
        """Leave the open chain where it is."""
        if self.parts is not None:
            self.parts.close()
        self.parts, self.next_part = None, -1

    def take_timing(self) -> dict[str, float]:
        """Seconds of each stage since this was last asked."""
        seconds = dict(self.plan.stopwatch.seconds)
        since = {kind: spent - self.reported.get(kind, 0.0) for kind, spent in seconds.items()}
        self.reported = seconds
        return since


_sessions: OrderedDict[str, Session] = OrderedDict()
_bundles: OrderedDict[str, PlanBundle] = OrderedDict()


def introduce(bundle: PlanBundle, threads: int | None) -> Introduction:
    """Take a film's plan, and say whether this worker can work on it and what its arithmetic depends on.

    `threads` are those that a task is to take, where it is not for this worker to choose.
    """
    limit_threads(threads)
    try:
        job = Job.from_json(bundle.job)
    except ValueError:
        from mmdream import __version__

        return Introduction({}, f"it has another mmdream ({__version__})")
    _bundles[bundle.digest] = bundle
    while len(_bundles) > MAX_SESSIONS:
        _close_session(_bundles.popitem(last=False)[0])
    return Introduction(describe_environment(job.recipe), _find_problem(job))


def _find_problem(job: Job) -> str | None:
    """What this machine lacks of a job's files, or has otherwise."""
    from mmdream.media.probe import probe
    from mmdream.media.tracks import resolve_tracks

    try:
        film = probe(job.source)
        _, track = resolve_tracks(film, job.order)
        here = describe_job(
            job.source, job.out, job.order, job.recipe, track is not None, job.overwrite, job.extras
        )
    except UserError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename}: cannot be read there ({error.strerror})"
    return format_differences(job.settings, here.settings) or None


def load_framework(threads: int) -> None:
    """Load what rendering in so many threads needs, before there is something to render."""
    limit_threads(threads)
    import mmdream.render.prepare  # noqa: F401
    from mmdream.networks import framework  # noqa: F401


def stop_session(digest: str) -> None:
    """Let the work on a film end at its next step; called from the worker's event loop."""
    if digest in _sessions:
        _sessions[digest].stop.set()


def _close_session(digest: str) -> None:
    if digest in _sessions:
        _sessions.pop(digest).close()


def _close_all() -> None:
    # Threads that read films must end before Python takes their modules apart.
    for digest in list(_sessions):
        _close_session(digest)


def _open_session(digest: str) -> Session:
    """The session of a plan that this worker was given."""
    session = _sessions.get(digest)
    if session is not None and not session.stop.is_set():
        return session
    _close_session(digest)
    if digest not in _bundles:
        raise UserError("works on other films by now")
    from distributed import get_worker

    from mmdream.media.probe import probe
    from mmdream.render.chain import open_source
    from mmdream.render.prepare import prepare_video

    keep_freed_memory()
    folder = Path(tempfile.mkdtemp(prefix="film-", dir=get_worker().local_directory))
    bundle, stop = _bundles[digest], threading.Event()
    job, journal = Job.from_json(bundle.job), Journal(folder)
    for kind, file in bundle.files.items():
        with journal.record(kind) as draft:
            draft.path.write_bytes(file.data)
            draft.count, draft.sums = file.count, file.sums
    warnings, newest = list[str](), list[FrameRendered]()

    def keep_newest(event: Event) -> None:
        if isinstance(event, FrameRendered) and job.extras.preview is not None:
            newest[:] = [event]

    sink = EventSink(keep_newest, warn=warnings.append)
    plan = prepare_video(probe(job.source), job, journal, sink, stop.is_set)
    plan.stopwatch.seconds.clear()
    source = open_source(plan, stop.is_set)
    if not _sessions:
        atexit.register(_close_all)
    session = Session(digest, folder, plan, stop, sink, warnings, newest, source)
    _sessions[digest] = session
    return session


def render_seam_states(digest: str, number: int) -> SeamResult:
    """Dream the frames around a seam."""
    from mmdream.render.chain import render_seam

    session = _open_session(digest)
    session.close_chain()
    states = render_seam(session.plan, session.plan.seams[number], session.source)
    return SeamResult(digest, number, states, hash_bytes(states), session.take_timing())


def render_part(
    digest: str, numbers: tuple[int, ...], fresh: bool, kept: Mapping[tuple[str, int], bytes]
) -> PartResult:
    """Render the first of some parts that follow one another; the next call goes on behind it.

    `fresh`: the chain begins, or goes on behind what is `kept`: states and seams, by kind and number. Else
    this worker must hold it at this part, or `ChainLost` is raised.
    """
    session = _open_session(digest)
    plan, number = session.plan, numbers[0]
    if fresh:
        from mmdream.render.chain import render_ahead

        session.close_chain()
        run = tuple(part for chain in plan.chains for part in chain if part.number in numbers)
        with reporting_full_disk(session.folder / "part"):
            for place, data in kept.items():
                path = plan.store.path(*place)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
        session.parts = render_ahead(plan, run, session.source, session.sink, lambda: None)
        session.next_part = number
    if session.parts is None or session.next_part != number:
        raise ChainLost(f"part {number} is not open here")
    try:
        with reporting_full_disk(session.folder / "part"):
            written = next(session.parts)
    except BaseException:
        session.close_chain()
        raise
    session.next_part = number + 1
    for place in kept:
        plan.store.remove(*place)
    drafts = {plan.store.path(kind, number): kind for kind in ("picture", "carry")}
    found = {kind: path.read_bytes() for path, kind in drafts.items() if path.is_file()}
    for path in drafts:
        path.unlink(missing_ok=True)
    picture, carry, draft = found["picture"], found.get("carry"), written.drafts[-1]
    warnings, newest = tuple(session.warnings), session.newest[-1:]
    session.warnings.clear()
    session.newest.clear()
    return PartResult(
        digest, number, draft.count, picture, draft.sums, carry, hash_bytes(picture, carry),
        session.take_timing(), warnings, next(iter(newest), None),
    )  # fmt: skip


def render_chunks(
    digest: str,
    numbers: tuple[int, ...],
    grains: Mapping[int, np.ndarray] | None,
    shown: Mapping[int, np.ndarray],
) -> ChunksResult:
    """Render some chunks of a film's sound; see `render_chunks_alone`."""
    from mmdream.audio.dream import render_chunks_alone

    session = _open_session(digest)
    with reporting_full_disk(session.folder / "sound"):
        sound, chunks = _open_sound(session), dict[int, bytes]()
    with session.plan.stopwatch.time("sound"):
        made = render_chunks_alone(sound.context, sound.plans, numbers, grains, shown)
        for number, arrays in zip(numbers, made, strict=True):
            chunks[number] = save({name: np.ascontiguousarray(each) for name, each in arrays.items()})
    return ChunksResult(digest, chunks, hash_bytes(*chunks.values()), session.take_timing())


def _open_sound(session: Session) -> _Sound:
    """What the chunks of a film's sound share, made at the first of them."""
    if session.sound is not None:
        return session.sound
    from mmdream.analysis.modulate import with_modulated_schedule
    from mmdream.audio.chunks import DreamHooks
    from mmdream.audio.dream import plan_chunks
    from mmdream.render.audio import open_context

    plan, network = session.plan, session.plan.audio_network
    assert network is not None
    audio = plan.open_sound(session.folder)
    recipe = with_modulated_schedule(plan.job.recipe, plan.schedules.audio)
    hooks = DreamHooks(should_stop=session.stop.is_set)
    context = session.files.enter_context(open_context(audio, network, recipe, session.folder, hooks))
    session.sound = _Sound(context, plan_chunks(context))
    return session.sound
