"""The finished video: its tracks joined, read back and summed up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.analysis.shots import Scan
from mmdream.audio.dream import AudioDreamReport
from mmdream.audio.style import AudioStyleReport
from mmdream.core.events import EventSink
from mmdream.media import mux, verify
from mmdream.media.probe import MediaFile
from mmdream.media.tracks import OutputAudioTrack
from mmdream.render.parts import FrameStats
from mmdream.settings.recipe import Selection
from mmdream.settings.report import Report, objective_ratio


@dataclass(frozen=True)
class RenderedPicture:
    """A dreamed picture."""

    file: Path
    """All frames, as `VideoWriter` writes them."""
    stats: FrameStats
    precision: str
    styled: bool
    """Whether it was scored by a style, and not by a dream."""


@dataclass(frozen=True)
class RenderedSound:
    """A dreamed or styled sound."""

    track: OutputAudioTrack
    report: AudioDreamReport | AudioStyleReport


def join_and_verify(
    film: MediaFile,
    out: Path,
    selection: Selection,
    scan: Scan,
    picture: RenderedPicture | None,
    sound: RenderedSound | None,
    sink: EventSink,
) -> verify.Verification:
    """Join the tracks of the result, and read it back.

    Args:
        film: the source.
        out: the result, in a folder that files on the way may lie in, too.
        selection: which part of the source, and what is kept.
        scan: its frames.
        picture: the dreamed picture; None: it is kept.
        sound: the dreamed sound; None: it is kept, or there is none.
        sink: told what could not be kept as it is.

    Raises:
        UserError: the disk is full.
    """
    zero = selection.start or Fraction(0)  # This second of the source is second 0 of the result.
    times = np.asarray(scan.pts) * float(scan.time_base) - float(film.start + zero)
    tracks = mux.mux_video(
        film,
        picture.file if picture else None,
        sound.track if sound else None,
        out,
        start=selection.start,
        end=selection.end,
        on_warning=sink.warn,
    )
    return verify.verify_video(
        film,
        out,
        times if picture else None,
        tracks,
        start=selection.start,
        end=selection.end,
        on_warning=sink.warn,
    )


def build_report(
    picture: RenderedPicture | None,
    sound: RenderedSound | None,
    verified: verify.Verification,
    seconds: Mapping[str, float],
    began: float,
) -> Report:
    """What was done, without the name of the result.

    Args:
        picture: as it was dreamed; None: it was kept.
        sound: likewise.
        verified: what the result was found to be.
        seconds: spent in each kind of work.
        began: as `time.perf_counter` gave it.
    """
    report = Report(
        frames=verified.frames,
        seconds=verified.seconds,
        drift_ms=verified.drift_ms,
        wall_seconds=time.perf_counter() - began,
        timing=dict(seconds),
    )
    if picture is not None:
        stats = picture.stats
        ratio = objective_ratio(stats.source, stats.dream)
        report = replace(
            report,
            repeated=stats.repeated,
            objective_gain={} if picture.styled else {"picture": ratio},
            style_left=ratio if picture.styled else None,
            strength={"picture": stats.strength / max(stats.frames, 1)},
            precision={"picture": picture.precision},
            schedule={"picture": tuple(stats.used)},
        )
    return report if sound is None else sound.report.extend_report(report)
