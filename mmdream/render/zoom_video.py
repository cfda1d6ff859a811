"""The film of a picture that is dreamed on and on, with a sound that is, if one is wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mmdream.analysis.optical_flow import half_size
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.core.memory import keep_freed_memory
from mmdream.core.report import Report, SettingsChange, objective_ratio
from mmdream.core.threads import prefetch
from mmdream.image import octaves
from mmdream.image.motion import (
    CameraMotion,
    PyramidLimits,
    balance_pyramid,
    measure_pyramid_limits,
    unwarp_change,
    warp_affine,
)
from mmdream.image.objective import build_objective, read_guide, step_size
from mmdream.image.octaves import resize
from mmdream.media import mux, verify
from mmdream.media.audio_files import DecodedSpan
from mmdream.media.color import ColorSpace, default_matrix
from mmdream.media.formats import VIDEO_SUFFIXES, video_format
from mmdream.media.probe import UPRIGHT, VideoTrack, probe
from mmdream.media.tracks import OutputAudioTrack
from mmdream.media.video_writer import VideoWriter
from mmdream.networks.network import Network
from mmdream.render.feedback_audio import FeedbackSettings, JoinedClips, render_feedback_track
from mmdream.render.image import read_start_image
from mmdream.render.models import load_audio_network, load_image_network
from mmdream.render.temporal import measure_strength
from mmdream.settings.recipe import Recipe, resolve_size
from mmdream.settings.schedule import FrameSettings
from mmdream.settings.targets import GuideImage


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
        middle = work / f"picture{video_format(out).intermediate_suffix}"
        try:
            sound: Future[JoinedClips] | None = None
            if audio is not None and hearing is not None:
                seconds = Fraction(zoom.frames) / zoom.rate
                sound = beside.submit(
                    render_feedback_track, audio.source, audio.turns, seconds, hearing, recipe, listener,
                    work, stop.is_set,
                )  # fmt: skip
            frames = dream_zoom_frames(start, network, recipe, zoom)
            last = _write_frames(frames, start, middle, out.suffix.lower(), zoom, listener, sound)
            joined = None if sound is None else sound.result()
        finally:
            stop.set()
        proven = _mux_and_verify(middle, work / out.name, zoom, joined, listener)
    return _make_report(start, last, network, recipe, proven, joined, began).with_output(out)


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
        index=0, codec="", width=width, height=height, orientation=UPRIGHT, time_base=1 / voyage.rate,
        first_pts=0, rate=voyage.rate, duration=Fraction(voyage.frames) / voyage.rate, sar=Fraction(1),
        color=ColorSpace(matrix, False, matrix, matrix), bit_depth=8, alpha=False,
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
    tracks = mux.mux_video(film, middle, dream, out, on_warning=listener.warn)
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
    from mmdream.image.gradient import evaluate_objective
    from mmdream.image.objective import build_objective

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


MAX_SECONDS = 3600.0
"""Seconds."""
FRAME_RATE_RANGE = 1.0, 120.0
"""Frames a second, least and most."""
DEFAULT_FRAME_RATE = 25
"""Frames a second at which a frame takes steps of the usual length, times"""
STEP_SCALE = 1.0
"""this: a dream renews itself within about a second. At other rates steps are as much longer or shorter."""
MAX_CORNER_DISTANCE = 16.0
"""px that the frame's corners may have moved away from the canvas before the canvas is moved after them. It
is moved by Lanczos then; moved at every frame, a picture would blur, or creep by steps of 1/32 px."""
BALANCE_RATE = 4.0
"""Part of what is too strong or too weak in a picture that is made good in a second."""


@dataclass(frozen=True, slots=True)
class ZoomSettings:
    """A film that is made of one picture; checked where it is made.

    Raises:
        UserError: a value out of range.
    """

    seconds: float
    motion: CameraMotion = field(default_factory=CameraMotion)
    rate: Fraction = Fraction(DEFAULT_FRAME_RATE)
    """Frames a second."""

    def __post_init__(self) -> None:
        if not FRAME_RATE_RANGE[0] <= self.rate <= FRAME_RATE_RANGE[1]:
            raise UserError(
                f"--fps is {float(self.rate):g}; choose between {FRAME_RATE_RANGE[0]:g} and "
                f"{FRAME_RATE_RANGE[1]:g}"
            )
        if not 1 / self.rate <= self.seconds <= MAX_SECONDS:
            raise UserError(
                f"--ouroboros is {self.seconds:g} seconds; choose between one frame and {MAX_SECONDS:g}"
            )

    @property
    def frames(self) -> int:
        """How many."""
        return max(1, round(self.seconds * self.rate))


def dream_zoom_frames(
    start: np.ndarray, network: Network, recipe: Recipe, voyage: ZoomSettings
) -> Generator[np.ndarray, None, None]:
    """Dream a picture on and on.

    The canvas stays where it is while the view of it moves; what a frame gains is laid back on the canvas,
    and only when the view has gone far is the canvas moved after it. So nothing is resampled 25 times a
    second, and the motion is exact.

    Args:
        start: float32 [H, W, 3], 0..1. The first frame is its dream, of as few steps as that of any other:
            the dream grows within the first second.
        network: a picture network.
        recipe: how to dream; its schedule is asked at each frame's time.
        voyage: how long, how fast and whereto.

    Yields:
        Frames, float32 [H, W, 3], 0..1.
    """
    rate, motion = voyage.rate, voyage.motion
    size = start.shape[0], start.shape[1]
    canvas, anchored = start, 0.0
    guide = read_guide(recipe.wishes)
    kept = _measure_start(start, network, recipe, guide)
    pace = np.full(half_size(size), STEP_SCALE * DEFAULT_FRAME_RATE / float(rate), np.float32)
    for number in range(voyage.frames):
        at = number / rate
        moment, since = recipe.schedule.at(float(at)), float(at) - anchored
        if motion.max_displacement(since, size) > MAX_CORNER_DISTANCE:
            canvas = np.clip(warp_affine(canvas, motion.affine_after(since, size), cv2.INTER_LANCZOS4), 0, 1)
            anchored, since = float(at), 0.0
        way = motion.affine_after(since, size)
        view = np.clip(warp_affine(canvas, way), 0, 1)
        if moment.strength and moment.steps:
            steps = min(moment.steps, max(1, round(moment.steps * network.card.carried)))
            visits = octaves.plan_carried_passes(
                octaves.octave_sizes(*size, moment), steps, number, network.card.smoothing
            )
            gain = _dream_view(view, visits, network, recipe, moment, at, guide, pace)
            canvas = canvas + np.float32(moment.strength) * unwarp_change(gain, way, size)
            canvas = balance_pyramid(canvas, kept, BALANCE_RATE / float(rate))
            view = np.clip(warp_affine(canvas, way), 0, 1)
        yield view


def _measure_start(
    start: np.ndarray, network: Network, recipe: Recipe, guide: GuideImage | None
) -> PyramidLimits:
    """How strong detail may be: as in the picture, and in its dream in full."""
    moment = recipe.schedule.at(0.0)
    visits = octaves.plan_full_passes(
        octaves.octave_sizes(start.shape[0], start.shape[1], moment), moment.steps
    )
    gain = _dream_view(start, visits, network, recipe, moment, Fraction(0), guide)
    return measure_pyramid_limits([start, start + octaves.make_detail_limiter(start, recipe.color)(gain)])


def _dream_view(
    view: np.ndarray,
    visits: list[octaves.OctavePass],
    network: Network,
    recipe: Recipe,
    moment: FrameSettings,
    at: Fraction,
    guide: GuideImage | None,
    pace: np.ndarray | None = None,
) -> np.ndarray:
    """What a picture's dream adds to it, float32 of the size of `pace`, or of the picture."""
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.image.gradient import build_gradient

    wanted = build_objective(network.card, moment, recipe.wishes, guide)
    return octaves.dream_octaves(
        view,
        np.zeros_like(view),
        visits,
        build_gradient(network, wanted),
        step_size(network.card, wanted),
        seed=recipe.seed,
        time=at,
        step_scale=pace,
        color=recipe.color,
        options=recipe.manner,
    )
