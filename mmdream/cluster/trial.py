"""How quickly processes that work beside each other dream a film's frames: tried, not guessed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream.core.memory import peak_memory_mib
from mmdream.core.processors import limit_threads
from mmdream.jobs.spec import Job

if TYPE_CHECKING:
    from distributed import Client

    from mmdream.analysis.shots import Scan

TRIAL_FRAMES = 10
"""Frames that are timed, from the second of a shot on."""
TRIAL_SECONDS = 12.0
"""No new frame is begun after so many."""
STAGES = "decode", "flow", "ascent", "finish", "encode"
"""That work beside each other: the slowest is what a frame takes."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What some frames took in one process among others."""

    frames: range
    """Their numbers."""
    seconds: float
    stages: dict[str, float]
    """Seconds of each of `STAGES`."""
    memory_mib: float
    """That the process had at most."""
    expected: np.ndarray
    """Seconds that each frame of the film would take at such a pace, float64 [frame]."""


def choose_frames(scan: Scan) -> range:
    """The frames that are tried: those at the beginning of the first long shot, which is as bright as any."""
    shot = max(
        scan.shots, key=lambda each: (min(each.stop - each.first, TRIAL_FRAMES + 1), scan.light[each.first])
    )
    return range(shot.first, min(shot.stop, shot.first + TRIAL_FRAMES + 1))


def run_trial(job_text: str, scan_bytes: bytes, threads: int) -> Trial:
    """Dream the frames of `choose_frames` of a job's scan in so many threads; runs in a worker's process."""
    limit_threads(threads)
    import time
    from contextlib import closing

    from mmdream.analysis.shots import Scan, Shot
    from mmdream.core.events import EventSink
    from mmdream.core.memory import keep_freed_memory
    from mmdream.media.probe import probe
    from mmdream.media.video_reader import read_frames
    from mmdream.planning.eta import estimate_frame_seconds
    from mmdream.render.chain import Stopwatch, render_frames
    from mmdream.render.frames import FramePipeline
    from mmdream.settings.recipe import film_size

    keep_freed_memory()
    job, scan = Job.from_json(job_text), Scan.from_bytes(scan_bytes)
    film, frames = probe(Path(job.source)), choose_frames(scan)
    assert film.video is not None
    size = film.video.width, film.video.height
    recipe = replace(job.recipe, size=film_size(job.recipe.size, *size), drives=(), sound_drives=())
    pipeline = FramePipeline.load(recipe, size, EventSink(), scored_every=len(scan.pts) + 1)
    box = next(shot.box for shot in scan.shots if shot.first == frames.start)
    alone = replace(scan, shots=(Shot(frames.start, frames.stop, box),))
    source = read_frames(film, scan.pts[frames.start] * scan.time_base - film.start)
    stopwatch, done, began = Stopwatch(), 0, 0.0
    with closing(render_frames(pipeline, alone, source, frames.start, (), stopwatch)) as dreams:
        # The first is dreamed in full, and is traced.
        for _ in islice(dreams, len(frames)):
            if not done:
                began, first = time.perf_counter(), dict(stopwatch.seconds)
            done += 1
            if time.perf_counter() - began > TRIAL_SECONDS:
                break
    seconds = max(time.perf_counter() - began, 1e-6)
    stages = {name: stopwatch.seconds[name] - first.get(name, 0.0) for name in STAGES}
    tried, expected = frames[1:done], estimate_frame_seconds(pipeline, film, scan)
    expected *= seconds / max(float(expected[tried.start : tried.stop].sum()), 1e-9)
    return Trial(tried, seconds, stages, peak_memory_mib() or 0.0, expected)


def try_workers(client: Client, job: Job, scan: Scan, threads: int) -> Trial:
    """The trial of all workers of a client at once; of the one that was slowest."""
    text, data = job.to_json(), scan.to_bytes()
    futures = [
        client.submit(run_trial, text, data, threads, workers=[address], pure=False)
        for address in client.scheduler_info()["workers"]
    ]
    trials: list[Trial] = client.gather(futures)
    return max(trials, key=lambda trial: float(trial.expected.sum()))
