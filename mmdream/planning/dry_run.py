"""What a dream would take, told without dreaming it: a scan of the film and a trial of its first frames."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
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
from mmdream.core.events import EventSink
from mmdream.core.memory import keep_freed_memory, peak_memory_mib
from mmdream.core.threads import run_in_threads
from mmdream.media import video_reader
from mmdream.media.probe import AudioTrack, MediaFile
from mmdream.media.tracks import resolve_tracks
from mmdream.networks.network import Network
from mmdream.planning.announce import estimate_disk_bytes
from mmdream.planning.eta import estimate_frame_seconds
from mmdream.render.chain import Stopwatch, VideoJob, render_frames
from mmdream.render.frames import FramePipeline
from mmdream.render.models import load_guide_sound
from mmdream.render.video import load_networks, scan_video
from mmdream.settings.recipe import Recipe
from mmdream.settings.report import format_duration

TRIAL_FRAMES = 3
"""Frames of the trial: one in full, and some that are carried."""
TRIAL_SOUND_SECONDS = 4.0
"""Seconds of noise that stand in for the sound, where it has so many."""
QUEUED_FRAMES, ENCODER_FRAMES = 10, 24
"""Frames that wait between threads as float32, and frames of the encoder's memory at 1.5 bytes a pixel."""
MIB = 2**20


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

    @property
    def expected_seconds(self) -> float:
        """Of the whole run; the sound takes its share of the same processor."""
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
            "driven": self.driven,
            "time": (f"about {format_duration(self.expected_seconds)}",),
            "memory": ("unknown" if self.memory_mib is None else f"about {self.memory_mib:.0f} MiB",),
            "disk": (f"up to {self.disk_mib:.0f} MiB while it works",),
        }
        return [
            f"{name if not number else '':>8}  {text}"
            for name, texts in rows.items()
            for number, text in enumerate(texts)
        ]


def estimate_run(film: MediaFile, job: VideoJob, out: Path, sink: EventSink) -> Estimate:
    """Find out what a run would take.

    Args:
        film: the source.
        job: what would be made of it.
        out: the result, as the user names it.
        sink: warned of what the film has.

    Raises:
        UserError: what the run itself would raise before its work.
    """
    began = time.perf_counter()
    keep_freed_memory()
    video, track = resolve_tracks(film, job.order)
    scan, _ = scan_video(film, job.order, sink, lambda: False)
    schedules = modulate_schedules(film, job.recipe, scan, lambda: False, track)
    seconds = float((scan.pts[-1] - scan.pts[0]) * scan.time_base + 1 / (video.rate or 25))
    pipeline, audio_network = load_networks(film, job, schedules, track, Stopwatch(), sink, lambda: False)
    first, frame, picture, sound = 0.0, 0.0, 0.0, 0.0
    if pipeline is not None:
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
    size = (0, 0) if pipeline is None else pipeline.size
    others = [other for other in film.audio_tracks if other != track]
    disk = estimate_disk_bytes(
        None if pipeline is None else video, size, out.suffix.lower(), len(scan.pts), track, seconds, others
    )
    return Estimate(
        source=str(film.path),
        output=str(out),
        seconds=seconds,
        frames=len(scan.pts),
        shots=len(scan.shots),
        flashes=sum(len(shot.flashes) for shot in scan.shots),
        size=(video.width, video.height),
        working_size=size[::-1],
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
    settings = AudioDreamSettings.from_recipe(recipe, load_guide_sound(recipe))
    for _ in range(2):  # The first time traces.
        began = time.perf_counter()
        dream_source(source, lambda _samples: None, network, settings)
        took = time.perf_counter() - began
    return took * seconds / length
