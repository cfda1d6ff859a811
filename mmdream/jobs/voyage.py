"""The film of a picture that is dreamed on and on, with a sound that is, if one is wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.core.memory import keep_freed_memory
from mmdream.core.report import Report, SettingsChange, objective_ratio
from mmdream.core.threads import prefetch
from mmdream.film.carry import measure_strength
from mmdream.image.octaves import resize
from mmdream.jobs.clips import FeedbackSettings
from mmdream.jobs.loaded import load_audio_network, load_image_network
from mmdream.jobs.ouroboros import JoinedClips, render_feedback_track
from mmdream.jobs.still import read_start_image
from mmdream.jobs.zoom import ZoomSettings, dream_zoom_frames
from mmdream.media import mux, verify
from mmdream.media.audio_files import DecodedSpan
from mmdream.media.color import ColorSpace, default_matrix
from mmdream.media.formats import VIDEO_SUFFIXES, video_format
from mmdream.media.probe import UPRIGHT, VideoTrack, probe
from mmdream.media.tracks import OutputAudioTrack
from mmdream.media.video_writer import VideoWriter
from mmdream.networks.network import Network
from mmdream.settings.recipe import Recipe, resolve_size


@dataclass(frozen=True, slots=True)
class ZoomAudio:
    """The sound that is dreamed beside a picture."""

    source: Path | None
    """A file with sound; None: noise."""
    turns: FeedbackSettings
    """What comes between its clips; there are as many as it takes."""


def render_zoom_video(
    source: Path | None,
    output: Path | None,
    recipe: Recipe,
    zoom: ZoomSettings,
    overwrite: bool,
    listener: EventSink,
    audio: ZoomAudio | None = None,
) -> Report:
    """Dream a picture, or noise, into a film.

    Args:
        source: a picture; None: noise of the recipe's size.
        output: the result; None: beside the source.
        recipe: how to dream; its size, if there is one, is the film's: the picture is cut to its shape.
        zoom: how long, how fast and whereto.
        overwrite: whether the result may replace a file.
        listener: told about progress, in frames and in seconds.
        audio: the sound that is dreamed beside it; None: none.

    Raises:
        UserError: not a picture, or a sound that cannot be dreamed, or the result cannot go where it should.
    """
    began = time.perf_counter()
    keep_freed_memory()
    out = check_output_file(source, output, ".dream.mp4", VIDEO_SUFFIXES, overwrite)
    start = _crop_to_size(read_start_image(source, recipe), recipe.size)
    network = load_image_network(recipe, listener)
    hearing = None if audio is None else load_audio_network(recipe, listener)
    stop = threading.Event()
    with output_workspace(out, overwrite) as work, ThreadPoolExecutor(1, "sound") as beside:
        middle = work / f"picture{video_format(out).middle}"
        try:
            sound: Future[JoinedClips] | None = None
            if audio is not None and hearing is not None:
                seconds = Fraction(zoom.frames) / zoom.rate
                sound = beside.submit(
                    render_feedback_track, audio.source, audio.turns, seconds, hearing, recipe, listener, work,
                    stop.is_set,
                )  # fmt: skip
            frames = dream_zoom_frames(start, network, recipe, zoom)
            last = _write_frames(frames, start, middle, out.suffix.lower(), zoom, listener, sound)
            joined = None if sound is None else sound.result()
        finally:
            stop.set()
        proven = _mux_and_verify(middle, work / out.name, zoom, joined, listener)
    return _make_report(start, last, network, recipe, proven, joined, began).named(out)


def _write_frames(
    frames: Generator[np.ndarray, None, None],
    start: np.ndarray,
    path: Path,
    suffix: str,
    voyage: ZoomSettings,
    listener: EventSink,
    sound: Future[JoinedClips] | None,
) -> np.ndarray:
    """Write the frames while the next ones are dreamed; returns the last one."""
    height, width = start.shape[:2]
    matrix = default_matrix(height)
    picture = VideoTrack(
        index=0, codec="", width=width, height=height, orientation=UPRIGHT, time_base=1 / voyage.rate, first=0,
        rate=voyage.rate, duration=Fraction(voyage.frames) / voyage.rate, sar=Fraction(1),
        color=ColorSpace(matrix, False, matrix, matrix), bits=8, alpha=False,
    )  # fmt: skip
    rgb = start
    with (
        VideoWriter(path, picture, suffix, 1 / voyage.rate) as writer,
        closing(prefetch(frames, in_front=True)) as done,
    ):
        for number, rgb in enumerate(done):
            writer.write(rgb, number)
            listener.progress("picture", number + 1, voyage.frames)
            if sound is not None and sound.done():
                sound.result()  # Its failure ends the picture.
    return rgb


def _mux_and_verify(
    middle: Path, out: Path, voyage: ZoomSettings, joined: JoinedClips | None, listener: EventSink
) -> verify.Verification:
    """Lay the sound beside the picture, and read the film back."""
    film, dream = probe(middle), None
    if joined is not None:
        # The film whose sound this is would have it as its only track.
        sound = replace(probe(joined.file).audio_tracks[0], language=None, title=None)
        film = replace(film, audio_tracks=(sound,))
        dream = OutputAudioTrack(sound, joined.file, DecodedSpan(Fraction(0), joined.report.n_samples))
    tracks = mux.mux_video(
        film, middle, dream, out, start=None, end=None, keep_picture=False, work=out.parent,
        on_warning=listener.warn,
    )  # fmt: skip
    stamps = [float(number / voyage.rate) for number in range(voyage.frames)]
    return verify.verify_video(film, out, stamps, tracks, on_warning=listener.warn)


def _make_report(
    start: np.ndarray,
    last: np.ndarray,
    network: Network,
    recipe: Recipe,
    proven: verify.Verification,
    joined: JoinedClips | None,
    began: float,
) -> Report:
    from mmdream.image.gradient import build_objective, evaluate_objective

    moment = recipe.schedule.at(0.0)
    wanted = build_objective(network.card, moment, recipe.wishes)
    report = Report(
        frames=proven.frames,
        seconds=proven.seconds,
        drift_ms=proven.drift_ms,
        objective_gain={
            "picture": objective_ratio(
                evaluate_objective(network, wanted, start), evaluate_objective(network, wanted, last)
            )
        },
        strength={"picture": measure_strength(last - start)},
        precision={"picture": network.precision},
        wall_seconds=time.perf_counter() - began,
        schedule={"picture": (SettingsChange(0.0, moment),)},
    )
    return report if joined is None else joined.report.extend_report(report)


def _crop_to_size(rgb: np.ndarray, size: str | None) -> np.ndarray:
    """A picture at the film's size, its sides cut off where the film has another shape."""
    width, height = resolve_size(size, rgb.shape[1], rgb.shape[0])
    factor = max(width / rgb.shape[1], height / rgb.shape[0])
    rows, columns = min(rgb.shape[0], round(height / factor)), min(rgb.shape[1], round(width / factor))
    top, left = (rgb.shape[0] - rows) // 2, (rgb.shape[1] - columns) // 2
    return np.ascontiguousarray(resize(rgb[top : top + rows, left : left + columns], (height, width)))
