"""One video rendered by its plan: picture, sound, join, verify."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from mmdream.analysis.modulate import with_modulated_schedule
from mmdream.audio.chunks import DreamHooks, FillChunks
from mmdream.audio.grains.cues import PictureCues
from mmdream.audio.mastering import AudioReport
from mmdream.core.errors import Interrupted
from mmdream.core.events import EventSink, RemainingTime
from mmdream.core.threads import lower_priority, run_in_threads
from mmdream.image.batch import meeting
from mmdream.media.mux import mux_video
from mmdream.media.tracks import OutputAudioTrack
from mmdream.media.verify import Verification, verify_video
from mmdream.media.video_writer import VideoWriter, join_parts
from mmdream.networks.couplings import choose_motif_network, load_couplings, match_kinds
from mmdream.networks.registry import load_card
from mmdream.render.audio import render_audio_track
from mmdream.render.audio_style import style_audio_track
from mmdream.render.chain import VideoPlan, WrittenPart, open_source, render_ahead, render_seam
from mmdream.render.couplings.shown import Look, make_cues, tell_shown
from mmdream.render.hints import tell_hints
from mmdream.render.parts import FrameStats, StoredChunks, outdated_states
from mmdream.settings.passes import AudioStyleSettings
from mmdream.settings.report import Report

RenderedSound = tuple[OutputAudioTrack, AudioReport]
"""A finished sound, and its figures."""
PICTURE = "picture.mid"
"""The finished picture in the work folder: all frames, as `VideoWriter` writes them."""
CUE_MARGIN = 1.0
"""Seconds before and behind a stretch of sound, in which what the picture shows matters to it, too."""
POLL_SECONDS = 0.05
"""Between two looks whether a part of the picture is finished."""


class Runner(Protocol):
    """Where the parts of a picture and the chunks of a sound are rendered."""

    @property
    def in_order(self) -> bool:
        """Whether frames are finished one after the other."""

    def render_parts(
        self,
        plan: VideoPlan,
        sink: EventSink,
        is_stopped: Callable[[], bool],
        count: Callable[[int], None],
        commit: Callable[[WrittenPart], None],
    ) -> None:
        """Render what is missing of a picture, in any order; each part is committed once.

        `count` is told how many frames more are done. Raises what `render_chain` does.
        """

    def render_chunks(self, plan: VideoPlan, is_stopped: Callable[[], bool]) -> FillChunks | None:
        """What renders the chunks of a sound's dream into the store; None: they are made one by one, here."""


@dataclass(frozen=True)
class LocalRunner:
    """Renders in this process: chain after chain, or several at once with their gradients in one batch."""

    chains_at_once: int = 1

    @property
    def in_order(self) -> bool:
        """See `Runner.in_order`."""
        return self.chains_at_once == 1

    def render_parts(
        self,
        plan: VideoPlan,
        sink: EventSink,
        is_stopped: Callable[[], bool],
        count: Callable[[int], None],
        commit: Callable[[WrittenPart], None],
    ) -> None:
        """See `Runner.render_parts`."""
        if plan.missing_seams:
            with closing(open_source(plan, is_stopped)) as source:
                for seam in plan.missing_seams:
                    with plan.store.record("seam", seam.number) as draft:
                        draft.path.write_bytes(render_seam(plan, seam, source))
        chains, lock, stop = iter(plan.missing), threading.Lock(), threading.Event()

        def count_frame() -> None:
            with lock:
                count(1)

        def work() -> None:
            with closing(open_source(plan, lambda: is_stopped() or stop.is_set())) as source:
                while not stop.is_set():
                    with lock:
                        chain = next(chains, None)
                    if chain is None:
                        return
                    seat = nullcontext() if met is None else met.seat()
                    with seat, closing(render_ahead(plan, chain, source, sink, count_frame)) as parts:
                        for written in parts:
                            with lock:
                                commit(written)

        with nullcontext() if self.in_order else meeting() as met:
            run_in_threads([work] * min(self.chains_at_once, len(plan.missing)), stop)

    def render_chunks(self, plan: VideoPlan, is_stopped: Callable[[], bool]) -> FillChunks | None:
        """See `Runner.render_chunks`."""
        return None


def render_video(
    plan: VideoPlan,
    work: Path,
    sink: EventSink,
    stop: threading.Event,
    runner: Runner,
    stems: Path | None = None,
) -> Report:
    """Render what is missing of picture and sound beside each other, join them and verify the result.

    The result is written into the folder `work`, under its name, which the report does not tell; the parts
    of a dreamed sound into a new folder `stems`, if any, see `mmdream.render.stems`. A full disk
    is a `UserError`; `Interrupted` is raised when `stop` is set.
    """
    pictures: list[FrameStats] = []
    sounds: list[RenderedSound] = []
    work_items: list[Callable[[], None]] = []
    if plan.pipeline is not None:
        work_items.append(lambda: pictures.append(render_picture(plan, work, sink, stop.is_set, runner)))
    if plan.audio_network is not None:
        work_items.append(lambda: sounds.append(render_sound(plan, work, sink, stop.is_set, runner, stems)))
    with plan.stopwatch.time("wall"):
        run_in_threads(work_items, stop)
    stats, sound = next(iter(pictures), None), next(iter(sounds), None)
    with plan.stopwatch.time("join"):
        verified = join_and_verify(plan, work, sound, sink)
        if stop.is_set():
            raise Interrupted
    report = build_report(plan, stats, verified)
    report = report if sound is None else sound[1].extend_report(report)
    return tell_couplings(plan, plan.schedules.extend_report(report, plan.job.recipe))


def render_picture(
    plan: VideoPlan, work: Path, sink: EventSink, is_stopped: Callable[[], bool], runner: Runner
) -> FrameStats:
    """Render the missing parts of a picture, and join all into ``work/picture.mid``."""
    total, before, began = len(plan.scan.pts), plan.frames_done, time.monotonic()
    done = before
    sink.progress("picture", done, total)

    def count(frames: int) -> None:
        nonlocal done
        done += frames
        sink.progress("picture", done, total)
        if not runner.in_order:  # Else the sink tells it, by what is expected of each frame.
            sink.emit(RemainingTime((total - done) * (time.monotonic() - began) / (done - before)))

    runner.render_parts(plan, sink, is_stopped, count, partial(commit_part, plan))
    stats, finished = FrameStats(), plan.store.finished("picture")
    numbers = [part.number for chain in plan.chains for part in chain]
    for number in numbers:
        stats.merge(FrameStats.from_dict(finished[number].sums["meter"]))
    paths, suffix = [plan.store.path("picture", number) for number in numbers], plan.job.out.suffix.lower()
    time_base = plan.scan.time_base
    with plan.stopwatch.time("parts"), VideoWriter(work / PICTURE, plan.video, suffix, time_base) as writer:
        join_parts(paths, writer, plan.scan.pts, is_stopped)
    return stats


def commit_part(plan: VideoPlan, written: WrittenPart) -> None:
    """Let a part's files count, and take away the states that nobody needs any more."""
    for draft in written.drafts:
        draft.commit()
    for number in outdated_states(plan.chains, written.part):
        plan.store.remove("carry", number)


def render_sound(
    plan: VideoPlan,
    work: Path,
    sink: EventSink,
    is_stopped: Callable[[], bool],
    runner: Runner,
    stems: Path | None,
) -> RenderedSound:
    """Dream or style the sound into ``work/sound.wav``, a dream's parts into a new folder `stems`."""
    assert plan.track is not None
    assert plan.audio_network is not None
    lower_priority()
    selection, chunks = plan.job.order, StoredChunks(plan.store)
    recipe = with_modulated_schedule(plan.job.recipe, plan.schedules.audio)
    audio = plan.open_sound(work)
    report: AudioReport
    with plan.stopwatch.time("sound"):
        if (style := selection.sound_style) is not None:
            span, report = style_audio_track(
                audio, [(style, 1.0)], AudioStyleSettings(seed=recipe.seed), plan.audio_network, sink, work,
                is_stopped, chunks,
            )  # fmt: skip
        else:
            cues = partial(wait_for_cues, plan, is_stopped)
            hooks = DreamHooks(
                should_stop=is_stopped,
                fill=runner.render_chunks(plan, is_stopped),
                cues=None if plan.motif_network is None else cues,
            )
            span, report = render_audio_track(
                audio, plan.audio_network, recipe, sink, work, hooks, chunks, stems
            )
    (work / "source.wav").unlink()  # Room on the disk for the join.
    return OutputAudioTrack(plan.track, work / "sound.wav", span), report


def wait_for_cues(plan: VideoPlan, is_stopped: Callable[[], bool], first: float, last: float) -> PictureCues:
    """What the picture shows from one second to another, as soon as the parts of it are finished.

    Raises `Interrupted` when `is_stopped` says so.
    """
    assert plan.motif_network is not None
    assert plan.audio_network is not None
    low, high = first - CUE_MARGIN, last + CUE_MARGIN
    if plan.pipeline is None:
        looks = read_looks(plan)
    else:
        times = np.asarray(plan.scan.pts) * float(plan.scan.time_base) - float(plan.film.start)
        under = [
            part
            for chain in plan.chains
            for part in chain
            if times[part.first] <= high and times[part.stop - 1] >= low
        ]
        while any(part.number not in plan.store.finished("picture") for part in under):
            if is_stopped():
                raise Interrupted
            time.sleep(POLL_SECONDS)
        looks = read_looks(plan, [part.number for part in under])
    inside = [(seconds, motifs) for seconds, motifs in looks if low <= seconds <= high]
    table = load_couplings(plan.job.recipe.couplings)
    return make_cues(inside, plan.motif_network.card, plan.audio_network.card, table)


def read_looks(plan: VideoPlan, parts: Iterable[int] | None = None) -> list[Look]:
    """The looks at parts of the finished picture, by their numbers, or at all of it, in order of time."""
    if plan.pipeline is None:
        looks: list[Look] = json.loads(plan.store.path("shown", 0).read_bytes())
        return looks
    finished = plan.store.finished("picture")
    return [
        look
        for part in (sorted(finished) if parts is None else parts)
        for look in finished[part].sums["shown"]
    ]


def tell_couplings(plan: VideoPlan, report: Report) -> Report:
    """A report with what was heard and shown over time, and which motifs belong to that and to the grains."""
    listener = None if plan.pipeline is None else plan.pipeline.heard
    heard = () if listener is None else listener.tell()
    shown = () if plan.motif_network is None else tell_shown(read_looks(plan))
    if not heard and not shown:
        return report
    sound, table = load_card(plan.job.recipe.sound_net), load_couplings(plan.job.recipe.couplings)
    passes = () if plan.pipeline is None else plan.pipeline.passes
    cards = [bound.renderer.network.card for bound in passes]
    looking = plan.motif_network
    picture = choose_motif_network(cards, sound, table) if looking is None else looking.card
    kinds = dict.fromkeys([each.name for each in heard] + [grain.kind for grain in report.grains])
    return replace(report, heard=heard, shown=shown, couplings=match_kinds(picture, sound, kinds, table))


def join_and_verify(
    plan: VideoPlan, work: Path, sound: RenderedSound | None, sink: EventSink
) -> Verification:
    """Join the tracks of the result, and read it back; picture or sound is the source's if none is new."""
    start, end = plan.job.order.start, plan.job.order.end
    dreamed, out = plan.pipeline is not None, work / plan.job.out.name
    zero = start or Fraction(0)  # This second of the source is second 0 of the result.
    times = np.asarray(plan.scan.pts) * float(plan.scan.time_base) - float(plan.film.start + zero)
    track, credits_ = (None, ()) if sound is None else (sound[0], sound[1].credits)
    tracks = mux_video(
        plan.film, work / PICTURE if dreamed else None, track, out, start=start, end=end, credits_=credits_,
        on_warning=sink.warn,
    )  # fmt: skip
    return verify_video(
        plan.film, out, times if dreamed else None, tracks, start=start, end=end, on_warning=sink.warn
    )


def build_report(plan: VideoPlan, stats: FrameStats | None, verified: Verification) -> Report:
    """What was done to the picture and how long it took, without the name of the result."""
    report = Report(
        frames=verified.frames,
        seconds=verified.seconds,
        drift_ms=verified.drift_ms,
        wall_seconds=time.perf_counter() - plan.began,
        timing=dict(plan.stopwatch.seconds),
    )
    if stats is None or plan.pipeline is None:
        return report
    scores, strength = (stats.source, stats.dream), stats.strength / max(stats.frames, 1)
    report = plan.pipeline.extend_report(report, scores, strength, stats.used)
    return replace(
        report, repeated=stats.repeated, hints=tell_hints(plan.pipeline.hints, plan.scan, plan.film.start)
    )
