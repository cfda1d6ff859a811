"""The finished film: its tracks joined, read back, and summed up."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.analysis.shots import Scan
from mmdream.audio.dream import AudioDreamReport
from mmdream.audio.style import AudioStyleReport as StyledReport
from mmdream.core.events import EventSink
from mmdream.core.report import Report, Stopwatch, objective_ratio
from mmdream.media import mux, verify
from mmdream.media.probe import MediaFile
from mmdream.media.tracks import OutputAudioTrack
from mmdream.render.parts import FrameStats
from mmdream.settings.recipe import Selection


@dataclass(frozen=True)
class RenderedPicture:
    """A dreamed picture."""

    file: Path
    """All frames, as `Writer` writes them."""
    meter: FrameStats
    precision: str
    styled: bool
    """Whether it was scored by a style, and not by a dream."""


@dataclass(frozen=True)
class RenderedSound:
    """A dreamed or styled sound."""

    track: OutputAudioTrack
    report: AudioDreamReport | StyledReport


def join_and_verify(
    film: MediaFile,
    out: Path,
    order: Selection,
    found: Scan,
    seen: RenderedPicture | None,
    heard: RenderedSound | None,
    listener: EventSink,
) -> verify.Verification:
    """Join the tracks of the result, and read it back.

    Args:
        film: the source.
        out: the result, in a folder that files on the way may lie in, too.
        order: which part of the source, and what is kept.
        found: its frames.
        seen: the dreamed picture; None: it is kept.
        heard: the dreamed sound; None: it is kept, or there is none.
        listener: told what could not be kept as it is.

    Raises:
        UserError: the disk is full.
    """
    zero = order.start or Fraction(0)  # This second of the source is second 0 of the result.
    stamps = np.asarray(found.pts) * float(found.time_base) - float(film.start + zero)
    tracks = mux.mux_video(
        film,
        seen.file if seen else None,
        heard.track if heard else None,
        out,
        start=order.start,
        end=order.end,
        on_warning=listener.warn,
    )
    return verify.verify_video(
        film,
        out,
        stamps if seen else None,
        tracks,
        start=order.start,
        end=order.end,
        on_warning=listener.warn,
    )


def build_report(
    seen: RenderedPicture | None,
    heard: RenderedSound | None,
    proven: verify.Verification,
    clock: Stopwatch,
    began: float,
) -> Report:
    """What was done, without the name of the result; `began` as `time.perf_counter` gave it."""
    done = Report(
        frames=proven.frames,
        seconds=proven.seconds,
        drift_ms=proven.drift_ms,
        wall_seconds=time.perf_counter() - began,
        timing=dict(clock.seconds),
    )
    if seen is not None:
        meter, scored = seen.meter, objective_ratio(seen.meter.source, seen.meter.dream)
        done = replace(
            done,
            repeated=meter.repeated,
            objective_gain={} if seen.styled else {"picture": scored},
            style_left=scored if seen.styled else None,
            strength={"picture": meter.strength / max(meter.frames, 1)},
            precision={"picture": seen.precision},
            schedule={"picture": tuple(meter.used)},
        )
    return done if heard is None else heard.report.extend_report(done)
