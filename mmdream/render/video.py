"""One video dreamed from end to end: scan, plan, picture, sound, join, verify."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from mmdream.analysis.modulate import ModulatedSchedules, modulate_schedules, with_modulated_schedule
from mmdream.analysis.shots import Scan, scan_frames
from mmdream.audio.dream import AudioDreamReport
from mmdream.audio.style import AudioStyleReport
from mmdream.core.errors import Interrupted, UserError
from mmdream.core.events import EventSink
from mmdream.core.memory import freeze_loaded_objects
from mmdream.core.threads import lower_priority, run_in_threads
from mmdream.media.probe import AudioTrack, MediaFile
from mmdream.media.tracks import OutputAudioTrack, resolve_tracks
from mmdream.media.video_reader import Frame, read_frames
from mmdream.media.video_writer import VideoWriter, join_parts
from mmdream.networks.network import Network
from mmdream.render.audio import InputTrack, render_audio_track
from mmdream.render.audio_style import style_audio_track
from mmdream.render.chain import Parts, Stopwatch, VideoJob, VideoPlan, render_chain
from mmdream.render.finalize import RenderedPicture, RenderedSound, build_report, join_and_verify
from mmdream.render.frames import FramePipeline
from mmdream.render.models import load_audio_network
from mmdream.render.parts import (
    Chain,
    FrameStats,
    PartStore,
    StoredChunks,
    find_missing_runs,
    outdated_states,
    plan_chains,
    plan_parts,
)
from mmdream.render.source import FileFrameSource, hash_frame
from mmdream.settings.passes import AudioStyleSettings
from mmdream.settings.recipe import Selection
from mmdream.settings.report import Report

Runner = Callable[[Callable[[Chain], Parts], Sequence[Chain]], Parts]
"""Maps a function over chains, which may be rendered in any order, anywhere."""


def run_in_order(render: Callable[[Chain], Parts], chains: Sequence[Chain]) -> Parts:
    """The `Runner` that takes one chain after the other, here."""
    for chain in chains:
        yield from render(chain)


def prepare_video(
    film: MediaFile, job: VideoJob, store: PartStore, sink: EventSink, is_stopped: Callable[[], bool]
) -> VideoPlan:
    """Scan a video, measure what its schedules follow, and load its networks; each is done once a job.

    Args:
        film: the source.
        job: what to make of it.
        store: what is finished there is not done again.
        sink: told what the schedules follow, and what was guessed of networks.
        is_stopped: whether to stop.

    Raises:
        UserError: see `resolve_tracks`; no frame in the excerpt.
        Interrupted: `is_stopped` said so.
    """
    began, stopwatch = time.perf_counter(), Stopwatch()
    _, track = resolve_tracks(film, job.order)
    with stopwatch.time("scan"):
        if not store.finished("scan"):
            scan, hashes = scan_video(film, job.order, sink, is_stopped)
            with store.record("scan") as draft:
                draft.path.write_bytes(scan.to_bytes())
                draft.count, draft.sums = len(scan.pts), {"hashes": hashes}
        scan = Scan.from_bytes(store.path("scan", 0).read_bytes())
        schedules = _modulate_once(film, job, store, scan, track, is_stopped)
    for line in schedules.descriptions:
        sink.say(line)
    pipeline, audio_network = load_networks(film, job, schedules, track, stopwatch, sink, is_stopped)
    chains, states = plan_chains(scan.shots), store.finished("carry")
    hashes = store.finished("scan")[0].sums.get("hashes", {})
    complete = {number: entry.count for number, entry in store.finished("picture").items()}
    return VideoPlan(
        film, job, scan, schedules, track, pipeline, audio_network, stopwatch, store,
        hashes={int(number): digest for number, digest in hashes.items()},
        chains=chains,
        missing=tuple(run for chain in chains for run in find_missing_runs(chain, complete, states)),
        began=began,
    )  # fmt: skip


def scan_video(
    film: MediaFile, selection: Selection, sink: EventSink, is_stopped: Callable[[], bool]
) -> tuple[Scan, dict[int, str]]:
    """Read the selected part of a video once.

    Returns:
        Its scan, and `hash_frame` of each part's first frame.

    Raises:
        UserError: there is no frame in it.
        Interrupted: `is_stopped` said so.
    """
    hashes: list[str] = []

    def watched(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if is_stopped():
                raise Interrupted
            hashes.append(hash_frame(frame))
            yield frame

    source = read_frames(film, selection.start, selection.end, strict=selection.strict, on_warning=sink.warn)
    scan = scan_frames(watched(source))
    if not scan.pts:
        raise UserError(f"{film.path}: has no frame between the start and the end that were asked for")
    return scan, {part.first: hashes[part.first] for part in plan_parts(scan.shots)}


def _modulate_once(
    film: MediaFile,
    job: VideoJob,
    store: PartStore,
    scan: Scan,
    track: AudioTrack | None,
    is_stopped: Callable[[], bool],
) -> ModulatedSchedules:
    if not job.recipe.drives and not job.recipe.sound_drives:
        return modulate_schedules(film, job.recipe, scan, is_stopped, track)
    if not store.finished("driven"):
        schedules = modulate_schedules(film, job.recipe, scan, is_stopped, track)
        with store.record("driven") as draft:
            draft.path.write_text(schedules.to_json())
    return ModulatedSchedules.from_json(store.path("driven", 0).read_text())


def load_networks(
    film: MediaFile,
    job: VideoJob,
    schedules: ModulatedSchedules,
    track: AudioTrack | None,
    stopwatch: Stopwatch,
    sink: EventSink,
    is_stopped: Callable[[], bool],
) -> tuple[FramePipeline | None, Network | None]:
    """What dreams the picture, and what dreams the sound; None: it is kept, or there is none."""
    pipeline = audio_network = None
    if not job.order.keep_picture:
        assert film.video is not None
        recipe, size = (
            with_modulated_schedule(job.recipe, schedules.video),
            (film.video.width, film.video.height),
        )
        scored_every = 2 * max(1, round(film.video.rate or 25))
        pipeline = FramePipeline.load(recipe, size, sink, stopwatch.watch(is_stopped), scored_every)
    if track is not None:
        audio_network = load_audio_network(with_modulated_schedule(job.recipe, schedules.audio), sink)
    return pipeline, audio_network


def render_video(
    plan: VideoPlan, work: Path, sink: EventSink, stop: threading.Event, runner: Runner = run_in_order
) -> Report:
    """Render what is missing of picture and sound beside each other, join them and verify the result.

    Args:
        plan: see `prepare_video`.
        work: a folder to work in; the result is written there, under its name.
        sink: told about progress.
        stop: set to stop.
        runner: of the picture's chains.

    Returns:
        What was done, without the name of the result.

    Raises:
        UserError: no room on the disk.
        Interrupted: `stop` was set.
    """
    pictures: list[RenderedPicture] = []
    sounds: list[RenderedSound] = []
    work_items: list[Callable[[], None]] = []
    if plan.pipeline is not None:
        work_items.append(lambda: pictures.append(render_picture(plan, work, sink, stop.is_set, runner)))
    if plan.audio_network is not None:
        work_items.append(lambda: sounds.append(render_sound(plan, work, sink, stop.is_set)))
    with freeze_loaded_objects(), plan.stopwatch.time("wall"):
        run_in_threads(work_items, stop)
    picture, sound = next(iter(pictures), None), next(iter(sounds), None)
    with plan.stopwatch.time("join"):
        verified = join_and_verify(
            plan.film, work / plan.job.out.name, plan.job.order, plan.scan, picture, sound, sink
        )
        if stop.is_set():
            raise Interrupted
    report = build_report(picture, sound, verified, plan.stopwatch.seconds, plan.began)
    return plan.schedules.extend_report(report, plan.job.recipe)


def render_picture(
    plan: VideoPlan, work: Path, sink: EventSink, is_stopped: Callable[[], bool], runner: Runner
) -> RenderedPicture:
    """Render the missing parts of a picture, and join all into ``work/picture.mid``."""
    assert plan.pipeline is not None
    total, done = len(plan.scan.pts), itertools.count(plan.frames_done)
    sink.progress("picture", next(done), total)
    file, suffix = work / "picture.mid", plan.job.out.suffix.lower()
    span = plan.job.order.start, plan.job.order.end
    source = FileFrameSource(plan.film, span, plan.scan.pts, plan.hashes, is_stopped)
    with closing(source):
        render = partial(
            render_chain,
            plan,
            source=source,
            sink=sink,
            on_frame=lambda: sink.progress("picture", next(done), total),
        )
        with closing(runner(render, plan.missing)) as parts:
            for written in parts:
                for draft in written.drafts:
                    draft.commit()
                for number in outdated_states(plan.chains, written.part):
                    plan.store.remove("carry", number)
    stats, finished = FrameStats(), plan.store.finished("picture")
    numbers = [part.number for chain in plan.chains for part in chain]
    for number in numbers:
        stats.merge(FrameStats.from_dict(finished[number].sums["meter"]))
    paths = [plan.store.path("picture", number) for number in numbers]
    with plan.stopwatch.time("parts"), VideoWriter(file, plan.video, suffix, plan.scan.time_base) as writer:
        join_parts(paths, writer, plan.scan.pts, is_stopped)
    styled = plan.job.recipe.effective_passes[0].style is not None
    return RenderedPicture(file, stats, plan.pipeline.passes[0].renderer.network.precision, styled)


def render_sound(
    plan: VideoPlan, work: Path, sink: EventSink, is_stopped: Callable[[], bool]
) -> RenderedSound:
    """Dream or style the sound into ``work/sound.wav``."""
    assert plan.track is not None
    assert plan.audio_network is not None
    lower_priority()
    selection, chunks = plan.job.order, StoredChunks(plan.store)
    recipe = with_modulated_schedule(plan.job.recipe, plan.schedules.audio)
    audio = InputTrack(plan.film, plan.track, (selection.start, selection.end))
    report: AudioDreamReport | AudioStyleReport
    with plan.stopwatch.time("sound"):
        if (style := selection.sound_style) is not None:
            decoded, report = style_audio_track(
                audio, [(style, 1.0)], AudioStyleSettings(seed=recipe.seed), plan.audio_network, sink, work,
                is_stopped, chunks,
            )  # fmt: skip
        else:
            decoded, report = render_audio_track(
                audio, plan.audio_network, recipe, sink, work, is_stopped, chunks
            )
    (work / "source.wav").unlink()  # Room on the disk for the join.
    return RenderedSound(OutputAudioTrack(plan.track, work / "sound.wav", decoded), report)
