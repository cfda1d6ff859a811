"""What is said before a video is rendered: frames, time and disk space."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink, Planned
from mmdream.media.formats import VIDEO_FORMATS
from mmdream.media.probe import AudioTrack, VideoTrack
from mmdream.media.tracks import describe_track
from mmdream.planning.eta import estimate_frame_seconds, report_time_left
from mmdream.render.chain import VideoPlan
from mmdream.render.parts import KEPT_STATES

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


def announce_plan(plan: VideoPlan, folder: Path, sink: EventSink) -> EventSink:
    """Say what rendering a video will take.

    Args:
        plan: of the video.
        folder: of its job.
        sink: told so.

    Returns:
        A sink that also tells, after each frame, the time that is left.

    Raises:
        UserError: the work will clearly not fit on the disk.
    """
    said = sink.say
    if plan.pipeline is not None:
        seconds = estimate_frame_seconds(plan.pipeline, plan.film, plan.scan)
        missing = np.zeros(len(seconds), bool)
        for run in plan.missing:
            missing[run[0].first : run[-1].stop] = True
        left, size, networks = float(seconds[missing].sum()), plan.pipeline.size, plan.pipeline.networks
        planned = Planned(len(seconds), plan.frames_done, size[::-1], tuple(networks), left)
        sink.emit(planned)
        said(_describe_work(planned))
        in_order = np.concatenate((seconds[~missing], seconds[missing]))
        sink = report_time_left(sink, in_order, plan.audio_network is not None)
    tracks = plan.film.audio_tracks
    if plan.track is not None and len(tracks) > 1:
        said(f"dreams {describe_track(plan.track)} of {len(tracks)}; the others are kept")
    said(check_disk_space(folder, _estimate_bytes(plan) - count_used_bytes(folder)))
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


def _estimate_bytes(plan: VideoPlan) -> int:
    film, scan, order = plan.film, plan.scan, plan.job.order
    last = scan.pts[-1] * scan.time_base - film.start
    end = min((at for at in (order.end, film.duration) if at is not None), default=last)
    return estimate_disk_bytes(
        None if plan.pipeline is None else film.video,
        (0, 0) if plan.pipeline is None else plan.pipeline.size,
        plan.job.out.suffix.lower(),
        len(scan.pts),
        plan.track,
        end - (order.start or Fraction(0)),
        [track for track in film.audio_tracks if track != plan.track],
    )


def estimate_disk_bytes(
    video: VideoTrack | None,
    size: tuple[int, int],
    suffix: str,
    frames: int,
    track: AudioTrack | None,
    seconds: Fraction | float,
    others: Sequence[AudioTrack] = (),
) -> int:
    """Bytes that a job takes where it takes most, shortly before its end.

    Args:
        video: of the source, if it is dreamed.
        size: height, width of the working resolution, px.
        suffix: of the result.
        frames: to be dreamed.
        track: the source's sound, if it is dreamed.
        seconds: of it.
        others: the source's other sounds; those that the container refuses are decoded on the way.
    """
    total = 0.0
    container = VIDEO_FORMATS[suffix]
    if video is not None:
        per_pixel = BYTES_PER_PIXEL[container.video.name]
        if container.video.rgb and video.bit_depth > 8:
            per_pixel *= 1.25
        total += VIDEO_COPIES * per_pixel * video.width * video.height * frames
        total += KEPT_STATES * STATE_BYTES_PER_PIXEL * size[0] * size[1]
    if track is not None:
        total += SOUND_COPIES * 4 * track.channels * track.rate * float(seconds)
    for other in others:
        if container.copyable_audio is not None and other.codec not in container.copyable_audio:
            total += 4 * other.channels * other.rate * float(seconds)
    return math.ceil(total)


def check_disk_space(folder: Path, needed: int) -> str:
    """The line that tells expected and free space.

    Args:
        folder: where the job works.
        needed: bytes that are still to be written.

    Raises:
        UserError: it will clearly not fit.
    """
    free = shutil.disk_usage(folder).free
    if free * REFUSAL_FACTOR < needed:
        raise UserError(
            f"{folder.parent}: {format_bytes(free)} are free, and the work takes about "
            f"{format_bytes(needed)}; make room, or work elsewhere with --job-dir"
        )
    return f"takes up to {format_bytes(needed)} in {folder} while it works; {format_bytes(free)} are free"


def format_bytes(size: float) -> str:
    """``12 kB``, ``3 MB`` or ``1.5 GB``."""
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 999.5:
            return f"{size:.0f} {unit}"
    return f"{size / 1000:.1f} GB"


def count_used_bytes(folder: Path) -> int:
    """Bytes that the finished parts in a job's folder take."""
    places = (folder / "picture", folder / "sound")
    return sum(path.stat().st_size for place in places if place.is_dir() for path in place.iterdir())
