"""One chain of parts rendered: a function of the video's plan and of files, and the threads within it."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mmdream.analysis.modulate import ModulatedSchedules
from mmdream.analysis.shots import Scan
from mmdream.core.errors import Interrupted, UserError, disk_full_error
from mmdream.core.events import EventSink, FrameRendered
from mmdream.core.threads import lower_priority, prefetch
from mmdream.image.octaves import GradientFunction
from mmdream.media.probe import AudioTrack, MediaFile, VideoTrack
from mmdream.media.video_reader import Frame
from mmdream.media.video_writer import VideoWriter, count_frames
from mmdream.networks.network import Network
from mmdream.render.audio import InputTrack, make_added_sound
from mmdream.render.couplings.shown import Look, choose_looks, look_at_picture
from mmdream.render.frames import BIDIRECTIONAL_FRAMES, DetailLayer, DreamedFrame, FramePipeline
from mmdream.render.parts import Chain, DraftFile, FrameStats, Part, PartStore
from mmdream.render.passes.renderer import Watch
from mmdream.render.seams import Seam, SeamStates, begin_loop, find_seam, mix_states, pack_seam, unpack_seam
from mmdream.render.source import FileFrameSource, FrameContext, OfflineScan
from mmdream.render.temporal import TemporalStates, pack_states, unpack_states
from mmdream.settings.recipe import Recipe, Selection

CHANGED_SOURCE = "the source has fewer frames than when it was scanned; is it changing?"


class Stopwatch:
    """Seconds spent in each kind of work; each kind is measured in one thread only."""

    def __init__(self) -> None:
        """Begin with none."""
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def time(self, kind: str) -> Iterator[None]:
        """Add the time of a block to its kind."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[kind] += time.perf_counter() - start

    def watch(self, is_stopped: Callable[[], bool]) -> Watch:
        """A `Watch` that adds the time of steps to "network", and ends the work when it is to stop."""

        def watch(take_step: GradientFunction) -> GradientFunction:
            def watched(*image: Any) -> np.ndarray:
                if is_stopped():
                    raise Interrupted
                with self.time("network"):
                    return take_step(*image)

            return watched

        return watch


Measured = tuple[Frame, FrameContext]
Ascended = tuple[Frame, FrameContext, list[DetailLayer], TemporalStates]
Overlaps = Mapping[Seam, TemporalStates]
"""The states with which the next piece goes into the overlap, by seam."""
NO_OVERLAPS: Overlaps = {}


class VideoJob(Protocol):
    """What is to be made of a video, as far as rendering asks."""

    @property
    def out(self) -> Path:
        """The result; its suffix chooses the container."""

    @property
    def order(self) -> Selection:
        """Which part of the source, and what is kept."""

    @property
    def recipe(self) -> Recipe:
        """How to dream."""


@dataclass(frozen=True)
class VideoPlan:
    """A video that was scanned and cut into parts, and the networks that will dream it."""

    film: MediaFile
    job: VideoJob
    scan: Scan
    schedules: ModulatedSchedules
    track: AudioTrack | None
    """The sound that is dreamed."""
    pipeline: FramePipeline | None
    """None: the picture is kept."""
    audio_network: Network | None
    stopwatch: Stopwatch
    store: PartStore
    hashes: Mapping[int, str]
    """`hash_frame` of frames that reading begins at, by their numbers."""
    seams: tuple[Seam, ...]
    """Of takes that are cut into pieces."""
    missing_seams: tuple[Seam, ...]
    """Those whose states the missing parts need."""
    chains: tuple[Chain, ...]
    """All parts."""
    missing: tuple[Chain, ...]
    """Runs of parts that are to be rendered, see `find_missing_runs`."""
    began: float
    """As `time.perf_counter` gave it."""
    motif_network: Network | None = None
    """What looks at the finished picture for the sound; None: the sound does not go by it."""

    @property
    def video(self) -> VideoTrack:
        """The source's picture."""
        assert self.film.video is not None
        return self.film.video

    @property
    def shot_starts(self) -> set[int]:
        """The first frame of each shot, and the end: nothing is carried across them."""
        return {len(self.scan.pts), *(shot.first for shot in self.scan.shots)}

    @property
    def chain_starts(self) -> set[int]:
        """The first frame of each chain, and the end: a part's last states are not kept before them."""
        return self.shot_starts | {seam.stop for seam in self.seams}

    def open_sound(self, folder: Path) -> InputTrack:
        """What the sound is dreamed from; of a silent film it is made, in a folder."""
        assert self.track is not None
        span = self.job.order.start, self.job.order.end
        if not self.job.order.add_sound:
            return InputTrack(self.film, self.track, span)
        return make_added_sound(
            self.film, self.track, self.scan, span, self.job.recipe.seed, folder / "bed.wav"
        )

    def load_seam(self, seam: Seam) -> SeamStates:
        """The states of a seam that is done."""
        return unpack_seam(self.store.path("seam", seam.number).read_bytes())

    @property
    def frames_done(self) -> int:
        """How many need not be rendered."""
        return len(self.scan.pts) - sum(part.frames for run in self.missing for part in run)


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """A part whose files are written and not committed."""

    part: Part
    drafts: tuple[DraftFile, ...]
    """In the order in which they are to be committed."""


Parts = Generator[WrittenPart, None, None]


def open_source(plan: VideoPlan, is_stopped: Callable[[], bool]) -> FileFrameSource:
    """What reads the frames of a video's chains; to be closed."""
    span = plan.job.order.start, plan.job.order.end
    return FileFrameSource(plan.film, span, plan.scan.pts, plan.hashes, is_stopped)


def render_ahead(
    plan: VideoPlan, chain: Chain, source: FileFrameSource, sink: EventSink, on_frame: Callable[[], None]
) -> Parts:
    """As `render_chain`, a part ahead of the reader, in a thread of its own.

    The reader's thread keeps its priority, which the threads of the next chain's ascent inherit.
    """
    return prefetch(render_chain(plan, chain, source, sink, on_frame), room=1, in_front=True)


def render_chain(
    plan: VideoPlan, chain: Chain, source: FileFrameSource, sink: EventSink, on_frame: Callable[[], None]
) -> Parts:
    """Render parts that follow one another, the first behind a kept state or at the beginning of a shot.

    Their files are not committed. The sink is shown each frame, and `on_frame` called when it is encoded. The
    thread keeps a lowered priority. A source that ends earlier than when it was scanned, or a full disk, is a
    `UserError`.
    """
    assert plan.pipeline is not None
    first, stop = chain[0].first, chain[-1].stop
    states: TemporalStates = ()
    behind = next((seam for seam in plan.seams if seam.following == first), None)
    if behind is not None:
        _, states = plan.load_seam(behind)
        states = begin_loop(states) if behind.is_loop else states
    elif first not in plan.shot_starts:
        states = unpack_states(plan.store.path("carry", chain[0].number - 1).read_bytes())
    overlaps = {seam: plan.load_seam(seam)[0] for seam in plan.seams if first <= seam.first < stop}
    frames = source.frames(first, stop)
    dreams = render_frames(plan.pipeline, plan.scan, frames, first, states, plan.stopwatch, overlaps)
    with closing(dreams):
        for part in chain:
            yield _write_part(plan, part, dreams, sink, on_frame)


def render_seam(plan: VideoPlan, seam: Seam, source: FileFrameSource) -> bytes:
    """Dream the frames around a seam as its next piece does; its states, see `pack_seam`.

    A source that ends earlier than when it was scanned is a `UserError`.
    """
    assert plan.pipeline is not None
    pipeline, states, kept = plan.pipeline, plan.pipeline.initial_states, []
    frames = source.frames(seam.warm, seam.stop)
    measured = prefetch(
        _measure_frames(pipeline.measurer(plan.scan), frames, seam.warm, states, plan.stopwatch)
    )
    with closing(_ascend_frames(pipeline, measured, states, plan.stopwatch, {})) as ascended:
        for _, context, _, states in ascended:
            if context.index + 1 in (seam.first, seam.stop):
                kept.append(states)
    if len(kept) < 2:
        raise UserError(CHANGED_SOURCE)
    return pack_seam((kept[0], kept[1]))


def _write_part(
    plan: VideoPlan,
    part: Part,
    dreams: Generator[tuple[DreamedFrame, TemporalStates], None, None],
    sink: EventSink,
    on_frame: Callable[[], None],
) -> WrittenPart:
    """Encode the next frames into a part's file, and write the states that the last one leaves beside it.

    The thread's priority is lowered: what is done beside the ascent is done here.
    """
    stats, states, looks = FrameStats(), TemporalStates(), list[Look]()
    looked_at = frozenset[int]() if plan.motif_network is None else choose_looks(plan.scan, plan.film.start)
    suffix, total = plan.job.out.suffix.lower(), len(plan.scan.pts)
    with plan.store.write("picture", part.number) as draft:
        with VideoWriter(draft.path, plan.video, suffix, plan.scan.time_base, part=True) as writer:
            for dreamed, states in itertools.islice(dreams, part.frames):  # noqa: B007
                # Not before the ascent's thread has begun, which would inherit it.
                lower_priority()
                index, frame = part.first + stats.frames, dreamed.frame
                seconds, settings = float(frame.seconds), dreamed.settings
                sink.emit(FrameRendered(frame.rgb, dreamed.rgb, seconds, settings, index, total))
                with plan.stopwatch.time("encode"):
                    writer.write(dreamed.rgb, frame.pts)
                if plan.motif_network is not None and index in looked_at:
                    with plan.stopwatch.time("look"):
                        looks.append(look_at_picture(plan.motif_network, seconds, dreamed.rgb))
                stats.add(dreamed)
                on_frame()
        if stats.frames < part.frames:
            raise UserError(CHANGED_SOURCE)
        if count_frames(draft.path) != part.frames:
            raise disk_full_error(draft.path)  # What did not fit is not always told.
        draft.count, draft.sums = part.frames, {"meter": stats.to_dict()}
        if plan.motif_network is not None:
            draft.sums["shown"] = looks
    if part.stop in plan.chain_starts:
        return WrittenPart(part, (draft,))
    with plan.store.write("carry", part.number) as state_draft:
        state_draft.path.write_bytes(pack_states(states))
    return WrittenPart(part, (state_draft, draft))


def render_frames(
    pipeline: FramePipeline,
    scan: Scan,
    frames: Generator[Frame, None, None],
    first: int,
    states: TemporalStates,
    stopwatch: Stopwatch,
    overlaps: Overlaps = NO_OVERLAPS,
) -> Generator[tuple[DreamedFrame, TemporalStates], None, None]:
    """Dream frames as `FramePipeline.step` does, three stages beside each other; with the states after each.

    Args:
        pipeline: dreams them.
        scan: of the video.
        frames: from frame `first` on; closed at the end.
        first: number of the first frame.
        states: of the frame before it; empty where a shot begins.
        stopwatch: the seconds of each stage are added to it.
        overlaps: the seams among the frames.
    """
    states = states or pipeline.initial_states
    measured = prefetch(_measure_frames(pipeline.measurer(scan), frames, first, states, stopwatch))
    with closing(
        prefetch(_ascend_frames(pipeline, measured, states, stopwatch, overlaps), in_front=True)
    ) as ascended:
        for frame, context, layers, states in ascended:
            with stopwatch.time("finish"):
                rgb, strength = pipeline.compose(frame, context, layers)
            with stopwatch.time("score"):
                scores = pipeline.score(context, rgb)
            yield DreamedFrame(frame, rgb, context.passes[0].settings, strength, scores), states


def _measure_frames(
    measurer: OfflineScan,
    frames: Generator[Frame, None, None],
    first: int,
    states: TemporalStates,
    stopwatch: Stopwatch,
) -> Generator[Measured, None, None]:
    previous = next((state.grey for state in states if state is not None), None)
    with closing(frames):
        for index in itertools.count(first):
            with stopwatch.time("decode"):
                frame = next(frames, None)
            if frame is None:
                return
            with stopwatch.time("flow"):
                context, previous = measurer.measure(frame, index, previous)
            yield frame, context


def _ascend_frames(
    pipeline: FramePipeline,
    measured: Generator[Measured, None, None],
    states: TemporalStates,
    stopwatch: Stopwatch,
    overlaps: Overlaps,
) -> Generator[Ascended, None, None]:
    others: TemporalStates = ()
    with closing(measured):
        for first in measured:
            group, context = [first], first[1]
            if pipeline.recipe.bidirectional and context.index == context.shot.first:
                # A shot's first frames are dreamed forwards and backwards.
                length = min(BIDIRECTIONAL_FRAMES, context.shot.stop - context.index)
                group += itertools.islice(measured, length - 1)
            seam = find_seam(tuple(overlaps), context.index)
            with stopwatch.time("ascent"):
                states, layers = pipeline.ascend(states, [context for _, context in group])
                if seam is not None:
                    others = overlaps[seam] if context.index == seam.first else others
                    others, _ = pipeline.ascend(others, [context])
                    states = mix_states(states, others, 1 / (seam.stop - context.index))
                    layers = [_layers_of(states, context, layers[0])]
            for (frame, context), added in zip(group, layers, strict=True):
                yield frame, context, added, states


def _layers_of(states: TemporalStates, context: FrameContext, layers: list[DetailLayer]) -> list[DetailLayer]:
    """The layers of a frame whose states were mixed; a flash keeps its own, which are not carried."""
    if context.shot.is_flash(context.index):
        return layers
    shown = zip(states, context.passes, strict=True)
    return [DetailLayer(state.detail, own) for state, own in shown if state is not None and own.share]
