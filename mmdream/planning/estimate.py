"""What a video will take, in time, memory and disk: announced before it is rendered, or told by a dry run.

A dry run dreams nothing: it scans the film, and tries its first frames and a few seconds of noise.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from mmdream.analysis.modulate import modulate_schedules, with_modulated_schedule
from mmdream.analysis.shots import Scan, Shot
from mmdream.audio.chunks import AudioDreamSettings
from mmdream.audio.dream import dream_source
from mmdream.audio.source import ArraySource
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink, Planned
from mmdream.core.memory import keep_freed_memory, peak_memory_mib
from mmdream.core.threads import run_in_threads
from mmdream.media import video_reader
from mmdream.media.formats import VIDEO_FORMATS
from mmdream.media.probe import AudioTrack, MediaFile
from mmdream.media.tracks import describe_track, resolve_tracks
from mmdream.networks.network import Network
from mmdream.planning.eta import estimate_frame_seconds, report_time_left
from mmdream.planning.shared import SharedEstimate
from mmdream.render.atoms import load_atoms
from mmdream.render.chain import Stopwatch, VideoJob, VideoPlan, render_frames
from mmdream.render.frames import FramePipeline
from mmdream.render.hints import measure_film_hints, tell_hints
from mmdream.render.models import load_guide_sound
from mmdream.render.parts import KEPT_STATES
from mmdream.render.prepare import load_networks, scan_video
from mmdream.settings.definition import describe_changes, to_dict
from mmdream.settings.recipe import Recipe, film_size
from mmdream.settings.report import HintedMotifs, describe_hints, format_duration

LONG_WORK_SECONDS = 20.0
"""Seconds of expected work from which on a cheaper choice is offered."""
BYTES_PER_PIXEL = {"libx264": 0.35, "ffv1": 2.4, "libvpx-vp9": 0.25}
"""Of a dreamed frame, measured on the sample film and on noise added to it; 10 bits take a quarter more."""
STATE_BYTES_PER_PIXEL = 17
"""Three floats, and at half size four more and a grey picture."""
VIDEO_COPIES = 4
"""Parts, the file they are joined into, that with its sound, and the result."""
SOUND_COPIES = 3
"""Float files of the sound: as decoded, as dreamed, and levelled."""
REFUSAL_FACTOR = 2.0
"""Films differ: the work is refused where even half of what is expected does not fit."""
TRIAL_FRAMES = 3
"""Frames of the trial: one in full, and some that are carried."""
TRIAL_SOUND_SECONDS = 4.0
"""Seconds of noise that stand in for the sound, where it has so many."""
QUEUED_FRAMES, ENCODER_FRAMES = 10, 24
"""Frames that wait between threads as float32, and frames of the encoder's memory at 1.5 bytes a pixel."""
MIB = 2**20


def announce_plan(plan: VideoPlan, seconds: np.ndarray, folder: Path, sink: EventSink) -> EventSink:
    """Say what rendering a video will take; a `UserError` if it clearly will not fit on the disk.

    `seconds` are those of each frame, see `estimate_frame_seconds`.

    Returns:
        A sink that also tells, after each frame, the time that is left if one follows the other.
    """
    film, scan, order, pipeline = plan.film, plan.scan, plan.job.order, plan.pipeline
    if pipeline is not None:
        missing = np.zeros(len(seconds), bool)
        for run in plan.missing:
            missing[run[0].first : run[-1].stop] = True
        left, networks = float(seconds[missing].sum()), tuple(pipeline.networks)
        planned = Planned(len(seconds), plan.frames_done, pipeline.size[::-1], networks, left)
        sink.emit(planned)
        sink.say(_describe_work(planned))
        asked, own = plan.job.recipe.size, (plan.video.width, plan.video.height)
        if film_size(asked, *own) != asked:
            sink.say(f"so large a film is dreamed smaller, and keeps its size; in full: --size {min(own)}p")
        in_order = np.concatenate((seconds[~missing], seconds[missing]))
        sink = report_time_left(sink, in_order, plan.audio_network is not None)
    if plan.track is not None and len(film.audio_tracks) > 1:
        sink.say(f"dreams {describe_track(plan.track)} of {len(film.audio_tracks)}; the others are kept")
    last = scan.pts[-1] * scan.time_base - film.start
    end = min((at for at in (order.end, film.duration) if at is not None), default=last)
    length = float(end - (order.start or 0))
    needed = _estimate_disk_bytes(film, pipeline, plan.job.out.suffix, len(scan.pts), plan.track, length)
    done = [place for place in (folder / "picture", folder / "sound") if place.is_dir()]
    needed -= sum(path.stat().st_size for place in done for path in place.iterdir())
    free = shutil.disk_usage(folder).free
    takes, room = _format_bytes(needed), _format_bytes(free)
    if free * REFUSAL_FACTOR < needed:
        raise UserError(
            f"{folder.parent}: {room} are free, and the work takes about {takes}; make room, or work "
            "elsewhere with --job-dir"
        )
    sink.say(f"takes up to {takes} in {folder} while it works; {room} are free")
    return sink


def _describe_work(plan: Planned) -> str:
    """Frames, expected minutes and, if it is long, a cheaper choice."""
    seconds, (width, height) = plan.seconds, plan.size
    duration = f"{seconds / 60:.0f} minutes" if seconds > 90 else f"{math.ceil(seconds)} seconds"
    cheaper = ""
    if seconds > LONG_WORK_SECONDS and not plan.done:
        cheaper = f"; cheaper: --size {min(height, width) * 2 // 3}p"
    before = f", {plan.done} of them done before" if plan.done else ""
    networks = " and ".join(plan.networks)
    return f"{plan.frames} frames at {width}x{height} with {networks}{before}: about {duration}{cheaper}"


def _estimate_disk_bytes(
    film: MediaFile,
    pipeline: FramePipeline | None,
    suffix: str,
    frames: int,
    track: AudioTrack | None,
    seconds: float,
) -> int:
    """Bytes that a job takes where it takes most, shortly before its end.

    `pipeline` and `track` are None for what is not dreamed; `seconds` are of all sounds: those that the
    container refuses are decoded on the way.
    """
    total, container = 0.0, VIDEO_FORMATS[suffix.lower()]
    if pipeline is not None and film.video is not None:
        per_pixel = BYTES_PER_PIXEL[container.video.name]
        if container.video.rgb and film.video.bit_depth > 8:
            per_pixel *= 1.25
        total += VIDEO_COPIES * per_pixel * film.video.width * film.video.height * frames
        total += KEPT_STATES * STATE_BYTES_PER_PIXEL * pipeline.size[0] * pipeline.size[1]
    if track is not None:
        total += SOUND_COPIES * 4 * track.channels * track.rate * seconds
    for other in film.audio_tracks:
        copyable = container.copyable_audio
        if other != track and copyable is not None and other.codec not in copyable:
            total += 4 * other.channels * other.rate * seconds
    return math.ceil(total)


def _format_bytes(size: float) -> str:
    """``12 kB``, ``3 MB`` or ``1.5 GB``."""
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 999.5:
            return f"{size:.0f} {unit}"
    return f"{size / 1000:.1f} GB"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would be."""

    source: str
    output: str
    seconds: float
    """Of the film, or of the excerpt."""
    frames: int
    shots: int
    flashes: int
    size: tuple[int, int]
    """Width, height of the result, px."""
    working_size: tuple[int, int]
    """Width, height that are dreamed."""
    network: str | None
    precision: str | None
    """None: the picture is not dreamed."""
    sound_network: str | None
    """None: the sound is not dreamed."""
    start_seconds: float
    """Before the work: the look at the film, and the networks."""
    first_frame_seconds: float
    """Of a frame in full, as each shot begins with one."""
    frame_seconds: float
    """Of most other frames."""
    picture_seconds: float
    sound_seconds: float
    """Of work; both run beside each other."""
    memory_mib: float | None
    """None where the system does not tell."""
    disk_mib: float
    """At most, while it works."""
    passes: tuple[str, ...] = ()
    """Over the picture in their order, a line each; none: one dream."""
    driven: tuple[str, ...] = ()
    """What follows the film, a line each."""
    hints: tuple[HintedMotifs, ...] = ()
    """Motifs that the film hints at, over time."""
    changed: tuple[str, ...] = ()
    """Settings that differ from their defaults."""
    shared: SharedEstimate | None = None
    """The picture by workers; None: none were asked for."""
    settings: dict[str, Any] = field(default_factory=dict)
    """All settings in force: the fields of `Recipe` and `Selection`, as plain values."""

    @property
    def expected_seconds(self) -> float:
        """Of the whole run; the sound takes its share of the same processor, or of the workers."""
        if self.shared is not None:
            return self.start_seconds + self.shared.seconds + self.sound_seconds / self.shared.workers
        return self.start_seconds + self.picture_seconds + self.sound_seconds

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "expected_seconds": self.expected_seconds}

    def lines(self) -> list[str]:
        """The plan for people."""
        whole, dreamed = (f"{w}x{h}" for w, h in (self.size, self.working_size))
        flashes = f", {self.flashes} flashes" if self.flashes else ""
        shots = f"{self.shots} shot{'' if self.shots == 1 else 's'}{flashes}"
        result = f"{self.output} at {whole}"
        picture = sound = "kept"
        if self.network:
            result += f", dreamed at {dreamed}" if whole != dreamed else ""
            picture = (
                f"{self.network} in {self.precision}: {format_duration(self.frame_seconds)} a frame, "
                f"{format_duration(self.first_frame_seconds)} where a shot begins"
            )
        if self.sound_network:
            sound = f"{self.sound_network}: {format_duration(self.sound_seconds)}"
        rows = {
            "film": (f"{self.source}: {self.seconds:.2f} s, {self.frames} frames, {shots}",),
            "result": (result,),
            "picture": (picture,),
            "passes": self.passes,
            "sound": (sound,),
            "workers": () if self.shared is None else (self.shared.describe(self.frames),),
            "driven": self.driven,
            "hints": tuple(line.strip().removeprefix("hints: ") for line in describe_hints(self.hints)),
            "settings": (", ".join(self.changed),) if self.changed else (),
            "time": (f"about {format_duration(self.expected_seconds)}",),
            "memory": ("unknown" if self.memory_mib is None else f"about {self.memory_mib:.0f} MiB",),
            "disk": (f"up to {self.disk_mib:.0f} MiB while it works",),
        }
        return [
            f"{name if not number else '':>8}  {text}"
            for name, texts in rows.items()
            for number, text in enumerate(texts)
        ]


def estimate_run(
    film: MediaFile,
    job: VideoJob,
    out: Path,
    sink: EventSink,
    scan: Scan | None = None,
    scan_seconds: float = 0.0,
) -> Estimate:
    """Find out what a run would take; `out` is the result as the user names it. Raises what the run would.

    A scan that was made before spares another; it took so many seconds.
    """
    began = time.perf_counter() - scan_seconds
    keep_freed_memory()
    video, track = resolve_tracks(film, job.order)
    if scan is None:
        scan, _ = scan_video(film, job.order, sink, lambda: False, job.recipe)
    schedules = modulate_schedules(film, job.recipe, scan, lambda: False, track)
    seconds = float((scan.pts[-1] - scan.pts[0]) * scan.time_base + 1 / (video.rate or 25))
    pipeline, audio_network = load_networks(film, job, schedules, track, Stopwatch(), sink, lambda: False)
    first, frame, picture, sound = 0.0, 0.0, 0.0, 0.0
    if pipeline is not None:
        hints = measure_film_hints(film, scan, pipeline.passes, job.recipe.seed, lambda: False)
        pipeline = replace(pipeline, hints=hints)
        work = estimate_frame_seconds(pipeline, film, scan)
    start = time.perf_counter() - began
    if pipeline is not None:
        trials: list[tuple[float, float]] = []
        trial = partial(_time_trial_frames, pipeline, film, scan, work)
        # Who takes the frames lowers its priority, and so would the caller's thread, and all it starts later.
        run_in_threads([lambda: trials.append(trial())], Event())
        ((first, pace),) = trials
        frame, picture = pace * float(np.median(work)), pace * float(work.sum())
    if track is not None and audio_network is not None:
        recipe = with_modulated_schedule(job.recipe, schedules.audio)
        sound = _time_trial_sound(recipe, audio_network, track, seconds)
    queued = (QUEUED_FRAMES * 3 * 4 + ENCODER_FRAMES * 3 / 2) * video.width * video.height
    peak = peak_memory_mib()
    disk = _estimate_disk_bytes(film, pipeline, out.suffix, len(scan.pts), track, seconds)
    return Estimate(
        source=str(film.path),
        output=str(out),
        seconds=seconds,
        frames=len(scan.pts),
        shots=len(scan.shots),
        flashes=sum(len(shot.flashes) for shot in scan.shots),
        size=(video.width, video.height),
        working_size=(0, 0) if pipeline is None else pipeline.size[::-1],
        network=None if pipeline is None else ", ".join(pipeline.networks),
        precision=None if pipeline is None else pipeline.passes[0].renderer.network.precision,
        sound_network=None if track is None else job.recipe.sound_net,
        start_seconds=start,
        first_frame_seconds=first,
        frame_seconds=frame,
        picture_seconds=picture,
        sound_seconds=sound,
        memory_mib=None if peak is None else peak + queued / MIB,
        disk_mib=disk / MIB,
        passes=() if pipeline is None else tuple(map(str, job.recipe.passes)),
        driven=schedules.descriptions,
        hints=() if pipeline is None else tell_hints(pipeline.hints, scan, film.start),
        changed=(*describe_changes(job.recipe), *describe_changes(job.order)),
        settings=to_dict(job.recipe) | to_dict(job.order),
    )


def _time_trial_frames(
    pipeline: FramePipeline, film: MediaFile, scan: Scan, work: np.ndarray
) -> tuple[float, float]:
    """Seconds of a frame in full, and how many a second of expected work takes, by a few frames of a shot."""
    # Not one that fades in: nothing is dreamed in the dark.
    shot = max(scan.shots, key=lambda each: (each.stop - each.first >= TRIAL_FRAMES, scan.light[each.first]))
    start = scan.pts[shot.first] * scan.time_base - film.start
    stop = min(shot.stop, shot.first + TRIAL_FRAMES)
    seconds: list[float] = []
    # The first frame is dreamed twice: what its tracing takes is paid once and not by each shot.
    for end in (shot.first + 1, stop):
        alone = replace(scan, shots=(Shot(shot.first, end, shot.box),))
        frames = _take(video_reader.read_frames(film, start), end - shot.first)
        seconds, began = [], time.perf_counter()
        with closing(render_frames(pipeline, alone, frames, shot.first, (), Stopwatch())) as dreams:
            for _ in dreams:
                now = time.perf_counter()
                seconds.append(now - began)
                began = now
    return seconds[0], sum(seconds) / float(work[shot.first : stop].sum())


def _take(
    frames: Generator[video_reader.Frame, None, None], count: int
) -> Generator[video_reader.Frame, None, None]:
    with closing(frames):
        yield from islice(frames, count)


def _time_trial_sound(recipe: Recipe, network: Network, track: AudioTrack, seconds: float) -> float:
    """Seconds that the dream of a sound takes, from a few seconds of noise at its rate."""
    length = min(TRIAL_SOUND_SECONDS, seconds)
    noise = np.random.default_rng(0).normal(0, 0.1, (track.channels, max(1, round(length * track.rate))))
    source = ArraySource(noise.astype(np.float32), track.rate, track.layout)
    settings = AudioDreamSettings.from_recipe(
        recipe, load_guide_sound(recipe), load_atoms(recipe, network, EventSink())
    )
    for _ in range(2):  # The first time traces.
        began = time.perf_counter()
        dream_source(source, lambda _samples: None, network, settings)
        took = time.perf_counter() - began
    return took * seconds / length
