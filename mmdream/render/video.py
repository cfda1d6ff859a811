"""One film dreamed from end to end: looked at, dreamed in picture and sound at once, joined, verified."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.analysis.modulate import ModulatedSchedules, modulate_schedules, with_modulated_schedule
from mmdream.analysis.shots import Scan, scan_frames
from mmdream.audio.dream import AudioDreamReport
from mmdream.audio.style import AudioStyleReport as StyledReport
from mmdream.core.errors import Interrupted, UserError
from mmdream.core.events import EventSink
from mmdream.core.memory import freeze_loaded_objects, keep_freed_memory
from mmdream.core.report import Stopwatch
from mmdream.core.threads import lower_priority, run_in_threads
from mmdream.jobs.journal import Journal, JournalEntry
from mmdream.jobs.spec import Job
from mmdream.jobs.store import (
    MODULATION_FILE,
    SCAN_FILE,
    JournalChunkStore,
    make_work_folder,
    picture_part_file,
    remove_unlisted,
    result_file,
)
from mmdream.media import video_reader
from mmdream.media.probe import AudioTrack, MediaFile
from mmdream.media.tracks import OutputAudioTrack, describe_track, resolve_tracks
from mmdream.media.video_reader import read_from
from mmdream.media.video_writer import join_parts
from mmdream.planning import disk
from mmdream.planning.eta import PassCost, estimate_frame_work, report_time_left
from mmdream.render.audio import AudioInput, render_audio_track
from mmdream.render.audio_style import style_audio_track
from mmdream.render.finalize import RenderedPicture, RenderedSound, build_report, join_and_verify
from mmdream.render.frames import FramePipeline
from mmdream.render.models import build_frame_pipeline, load_audio_network
from mmdream.render.parts import ResumePoint, find_resume_point, notify_frames, plan_parts, write_parts
from mmdream.settings.passes import AudioStyleSettings
from mmdream.settings.recipe import Selection

LONG_WORK_SECONDS = 20.0
"""Seconds of expected work from which on a cheaper choice is offered."""


def render_video(
    film: MediaFile, job: Job, folder: Path, listener: EventSink, stop: threading.Event
) -> JournalEntry:
    """Dream a film, or what is left of it, and join, read back and journal the result.

    Args:
        film: the source.
        job: what to make of it.
        folder: of the job, which holds it, and nobody else works in it. What is finished there is not
            done again.
        listener: told about plan and progress.
        stop: says when to stop.

    Returns:
        The journal's line of the finished film, with its report, which does not name it.

    Raises:
        UserError: see `wanted`; no frame in the excerpt, no room on the disk.
        Interrupted: the user wants to stop.
    """
    began = time.perf_counter()
    keep_freed_memory()
    picture, track = resolve_tracks(film, job.order)
    clock, journal = Stopwatch(), _open_journal(folder)
    with clock.time("scan"):
        found = _scan_once(film, job, journal, listener, stop.is_set)
        over_time = _modulate_once(film, job, journal, found, track, stop.is_set)
    for line in over_time.told:
        listener.say(line)
    seeing, hears = (with_modulated_schedule(job.recipe, each) for each in (over_time.video, over_time.sound))
    plan = plan_parts(found.shots)
    stand = find_resume_point(plan, found, journal)
    painter = (
        None
        if job.order.keep_picture
        else build_frame_pipeline(picture, seeing, clock, stop.is_set, listener)
    )
    hearing = None if track is None else load_audio_network(hears, listener)
    if painter is not None:
        ahead = estimate_frame_seconds(painter, film, found)
        _announce_work(painter, len(found.pts), stand, float(ahead[stand.meter.frames :].sum()), listener)
        listener = report_time_left(listener, ahead, hearing is not None)
    if track is not None and len(film.audio_tracks) > 1:
        listener.say(f"dreams {describe_track(track)} of {len(film.audio_tracks)}; the others are kept")
    _announce_space(film, job, folder, found, painter, track, listener)

    seen: list[RenderedPicture] = []
    heard: list[RenderedSound] = []
    suffix = job.out.suffix.lower()
    with make_work_folder(folder) as work:

        def see() -> None:
            assert painter is not None
            file, meter = work / "picture.mid", stand.meter
            listener.progress("picture", meter.frames, len(found.pts))
            if stand.parts < len(plan):
                first = plan[stand.parts].first
                source = read_from(
                    film, (job.order.start, job.order.end), found.pts, first, stand.last, stop.is_set
                )
                dreams = painter.dreams(source, found, first, stand.carries)
                dreams = notify_frames(dreams, listener, first, len(found.pts))
                meter = write_parts(
                    dreams, plan, stand, picture, suffix, found, journal, listener, clock.seconds
                )
            painted = [folder / picture_part_file(part.number) for part in plan]
            with clock.time("parts"):
                join_parts(painted, file, picture, suffix, found.pts, found.time_base, stop.is_set)
            brush = painter.strokes[0].renderer
            styled = job.recipe.effective_passes[0].style is not None
            seen.append(RenderedPicture(file, meter, brush.network.precision, styled))

        def sing() -> None:
            assert track is not None
            assert hearing is not None
            lower_priority()
            kept = JournalChunkStore(journal)
            audio = AudioInput(film, track, (job.order.start, job.order.end))
            with clock.time("sound"):
                done: AudioDreamReport | StyledReport
                if (style := job.order.sound_style) is not None:
                    laid, done = style_audio_track(
                        audio, [(style, 1.0)], AudioStyleSettings(seed=hears.seed), hearing, listener, work,
                        stop.is_set, kept,
                    )  # fmt: skip
                else:
                    laid, done = render_audio_track(audio, hearing, hears, listener, work, stop.is_set, kept)
            (work / "source.wav").unlink()  # Room on the disk for the join.
            heard.append(RenderedSound(OutputAudioTrack(track, work / "sound.wav", laid), done))

        with freeze_loaded_objects(), clock.time("wall"):
            run_in_threads([see] * (painter is not None) + [sing] * (hearing is not None), stop)
        with clock.time("join"):
            tracks = seen[0] if seen else None, heard[0] if heard else None
            proven = join_and_verify(film, work / job.out.name, job.order, found, *tracks, listener)
            if stop.is_set():
                raise Interrupted
        done = over_time.extend_report(build_report(*tracks, proven, clock, began), job.recipe)
        with journal.entry("result", 0, result_file("result", job.out)) as draft:
            os.replace(work / job.out.name, draft.path)
            draft.sums = {"report": done.to_dict()}
    return journal.done("result")[0]


def _open_journal(folder: Path) -> Journal:
    """The journal of a job, less all that is not on the disk as it says; what it does not name is gone."""
    journal = Journal(folder)
    journal.verify()
    kinds = ("picture", "carry", "sound")
    remove_unlisted(folder, {line.file for kind in kinds for line in journal.done(kind).values()})
    return journal


def _scan_once(
    film: MediaFile, job: Job, journal: Journal, listener: EventSink, stopped: Callable[[], bool]
) -> Scan:
    """What one look at the film tells; it is taken once a job."""
    if done := journal.done("scan"):
        return Scan.from_bytes((journal.folder / done[0].file).read_bytes())
    found = scan_video(film, job.order, listener, stopped)
    with journal.entry("scan", 0, SCAN_FILE) as draft:
        draft.path.write_bytes(found.to_bytes())
        draft.count = len(found.pts)
    return found


def _modulate_once(
    film: MediaFile,
    job: Job,
    journal: Journal,
    found: Scan,
    track: AudioTrack | None,
    stopped: Callable[[], bool],
) -> ModulatedSchedules:
    """The schedules of both media; what follows the film is measured once a job."""
    if not job.recipe.drives and not job.recipe.sound_drives:
        return modulate_schedules(film, job.recipe, found, stopped, track)
    if done := journal.done("driven"):
        return ModulatedSchedules.from_json((journal.folder / done[0].file).read_text())
    over_time = modulate_schedules(film, job.recipe, found, stopped, track)
    with journal.entry("driven", 0, MODULATION_FILE) as draft:
        draft.path.write_text(over_time.to_json())
    return over_time


def scan_video(film: MediaFile, order: Selection, listener: EventSink, stopped: Callable[[], bool]) -> Scan:
    """Scan what is wanted of a film.

    Raises:
        UserError: there is no frame in it.
        Interrupted: `stopped` said so.
    """
    source = video_reader.read_frames(
        film, order.start, order.end, strict=order.strict, on_warning=listener.warn
    )
    found = scan_frames(_stop_between_frames(source, stopped))
    if not found.pts:
        raise UserError(f"{film.path}: has no frame between the start and the end that were asked for")
    return found


def _stop_between_frames(
    source: Generator[video_reader.Frame, None, None], stopped: Callable[[], bool]
) -> Iterator[video_reader.Frame]:
    for frame in source:
        if stopped():
            raise Interrupted
        yield frame


def estimate_frame_seconds(painter: FramePipeline, film: MediaFile, found: Scan) -> np.ndarray:
    """Seconds that each frame of a film is expected to take, float64 [frame], from trials of one step."""
    picture = film.video
    assert picture is not None
    whole = picture.height, picture.width
    demands = [
        PassCost(stroke.renderer.schedule, stroke.renderer.carried, stroke.span, seconds)
        for stroke, seconds in zip(painter.strokes, painter.step_seconds(), strict=True)
    ]
    return estimate_frame_work(found, film.start, painter.recipe, demands, painter.size, whole)


def _announce_work(
    painter: FramePipeline, frames: int, stand: ResumePoint, seconds: float, listener: EventSink
) -> None:
    """Before the run: frames, expected minutes and, if it is long, a cheaper choice."""
    height, width = painter.size
    done = stand.meter.frames
    wait_for = f"{seconds / 60:.0f} minutes" if seconds > 90 else f"{math.ceil(seconds)} seconds"
    cheaper = (
        f"; cheaper: --size {min(height, width) * 2 // 3}p"
        if seconds > LONG_WORK_SECONDS and not done
        else ""
    )
    before = f", {done} of them done before" if done else ""
    networks = " and ".join(painter.networks)
    listener.say(f"{frames} frames at {width}x{height} with {networks}{before}: about {wait_for}{cheaper}")


def _announce_space(
    film: MediaFile,
    job: Job,
    folder: Path,
    found: Scan,
    painter: FramePipeline | None,
    track: AudioTrack | None,
    listener: EventSink,
) -> None:
    start, end = job.order.start or Fraction(0), job.order.end
    last = found.pts[-1] * found.time_base - film.start
    until = min((at for at in (end, film.duration) if at is not None), default=last)
    needed = disk.estimate_disk_bytes(
        film.video if painter is not None else None,
        painter.size if painter is not None else (0, 0),
        job.out.suffix.lower(),
        len(found.pts),
        track,
        until - start,
        [sound for sound in film.audio_tracks if sound != track],
    )
    listener.say(disk.check_disk_space(folder, needed - disk.count_used_bytes(folder)))
