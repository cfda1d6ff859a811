"""A film of one image that is dreamed again and again while it moves, and of a sound likewise."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mmdream.analysis.optical_flow import half_size
from mmdream.analysis.shots import scan_frames
from mmdream.audio.chunks import DreamHooks
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file, output_workspace
from mmdream.core.memory import keep_freed_memory
from mmdream.core.threads import prefetch
from mmdream.image.motion import (
    affine_after,
    balance_pyramid,
    max_displacement,
    measure_pyramid_limits,
    unwarp_change,
    warp_affine,
)
from mmdream.image.octaves import (
    make_detail_limiter,
    octave_sizes,
    plan_carried_passes,
    plan_full_passes,
    resize,
)
from mmdream.media.audio_files import DecodedSpan
from mmdream.media.formats import VIDEO_SUFFIXES, video_format
from mmdream.media.mux import mux_video
from mmdream.media.probe import probe
from mmdream.media.tracks import OutputAudioTrack, describe_added_track
from mmdream.media.verify import Verification, verify_video
from mmdream.media.video_reader import read_frames
from mmdream.media.video_writer import VideoWriter, describe_new_video
from mmdream.networks.network import Network
from mmdream.render.audio import make_added_sound, open_audio_source, render_audio_track
from mmdream.render.feedback_audio import FeedbackClip, make_noise_signal, render_clips
from mmdream.render.models import load_audio_network, locate_image_network
from mmdream.render.start import GeneratedPicture, StartImage, drop_unseen_targets, read_start_image
from mmdream.render.temporal import measure_strength
from mmdream.settings.ouroboros import DEFAULT_FRAME_RATE, ZoomSettings
from mmdream.settings.recipe import Recipe, Selection, resolve_size
from mmdream.settings.report import Report, SettingsChange, objective_ratio

if TYPE_CHECKING:  # It brings TensorFlow in.
    from mmdream.render.passes.renderer import PassRenderer

MAX_CORNER_DISTANCE = 16.0
"""px that the view's corners may have moved on the canvas before the canvas is moved after them. It is moved
by Lanczos then; moved at every frame, an image would blur, or creep by steps of 1/32 px."""
BALANCE_RATE = 4.0
"""Part of what is too strong or too weak in an image that is corrected in a second."""


def render_zoom_video(
    source: StartImage,
    output: Path | None,
    recipe: Recipe,
    zoom: ZoomSettings,
    overwrite: bool,
    sink: EventSink,
) -> Report:
    """Dream an image, or noise or a generated picture of the recipe's size, into a film.

    The result is `output`, or lies beside the source, named after it. The recipe's size, if there is one, is
    the film's: the image is cut to its shape. What is no image, a sound that cannot be dreamed, or a path
    that cannot be written is a `UserError`.
    """
    began = time.perf_counter()
    keep_freed_memory()
    file_source = source if isinstance(source, Path) else None
    out = check_output_file(file_source, output, ".dream.mp4", VIDEO_SUFFIXES, overwrite)
    if isinstance(source, GeneratedPicture):
        recipe = drop_unseen_targets(recipe, source, sink)
    start = _crop_to_size(read_start_image(source, recipe), recipe.size)
    locate_image_network(recipe)
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.render.passes.load import load_passes

    (bound,) = load_passes(recipe, (start.shape[1], start.shape[0]), sink)
    audio_network = load_audio_network(recipe, sink) if zoom.with_sound else None
    stop = threading.Event()
    with output_workspace(out, overwrite) as work, ThreadPoolExecutor(1, "sound") as pool:
        middle = work / f"picture{video_format(out).intermediate_suffix}"
        try:
            sound: Future[FeedbackClip] | None = None
            hooks = DreamHooks(should_stop=stop.is_set)
            if audio_network is not None and not zoom.sounds_of_picture:
                sound = pool.submit(_render_sound, zoom, audio_network, recipe, sink, work, hooks)
            frames = dream_zoom_frames(start, bound.renderer, recipe, zoom)
            last = _write_frames(frames, start, middle, out.suffix.lower(), zoom, sink, sound)
            joined = None if sound is None else sound.result()
            if audio_network is not None and sound is None:
                looking = bound.renderer.network
                joined = _render_sound_of_picture(middle, looking, audio_network, recipe, sink, work, hooks)
        finally:
            stop.set()
        verified = _mux_and_verify(middle, work / out.name, zoom, joined, sink)
    settings = recipe.schedule.at(0.0)
    report = Report(
        frames=verified.frames,
        seconds=verified.seconds,
        drift_ms=verified.drift_ms,
        objective_gain={"picture": objective_ratio(*bound.renderer.score(settings, start, last))},
        strength={"picture": measure_strength(last - start)},
        precision={"picture": bound.renderer.network.precision},
        wall_seconds=time.perf_counter() - began,
        schedule={"picture": (SettingsChange(0.0, settings),)},
    )
    return (report if joined is None else joined.report.extend_report(report)).with_output(out)


def _crop_to_size(rgb: np.ndarray, size: str | None) -> np.ndarray:
    """An image at the film's size, its sides cut off where the film has another shape."""
    width, height = resolve_size(size, rgb.shape[1], rgb.shape[0])
    factor = max(width / rgb.shape[1], height / rgb.shape[0])
    rows, columns = min(rgb.shape[0], round(height / factor)), min(rgb.shape[1], round(width / factor))
    top, left = (rgb.shape[0] - rows) // 2, (rgb.shape[1] - columns) // 2
    return np.ascontiguousarray(resize(rgb[top : top + rows, left : left + columns], (height, width)))


def dream_zoom_frames(
    start: np.ndarray, renderer: PassRenderer, recipe: Recipe, zoom: ZoomSettings
) -> Generator[np.ndarray, None, None]:
    """Dream an image, float32 [H, W, 3], 0..1, again and again, and yield such frames.

    The canvas stays where it is while the view of it moves; what is added to a view is warped back onto the
    canvas, and only when the view has gone far is the canvas moved after it. So nothing is resampled at every
    frame, and the motion is exact. The first frame takes as few steps as any other: the dream grows within
    the first second.
    """
    from mmdream.render.frames import count_carried_steps
    from mmdream.render.passes.renderer import AscentRequest

    rate = zoom.rate
    size = start.shape[0], start.shape[1]
    canvas, canvas_seconds, first = start, 0.0, recipe.schedule.at(0.0)
    full = plan_full_passes(octave_sizes(*size, first), first.steps)
    detail = renderer.ascend(AscentRequest(start, np.zeros_like(start), full, first, Fraction(0)))
    # Detail may be as strong as in the image, and as in its dream in full.
    limits = measure_pyramid_limits([start, start + make_detail_limiter(start, recipe.color)(detail)])
    step_scale = np.full(half_size(size), DEFAULT_FRAME_RATE / float(rate), np.float32)
    for number in range(zoom.frames):
        seconds = number / rate
        settings, since = recipe.schedule.at(float(seconds)), float(seconds) - canvas_seconds
        affine = affine_after(zoom, since, size)
        if max_displacement(affine, size) > MAX_CORNER_DISTANCE:
            canvas = np.clip(warp_affine(canvas, affine, cv2.INTER_LANCZOS4), 0, 1)
            canvas_seconds, affine = float(seconds), affine_after(zoom, 0.0, size)
        view = np.clip(warp_affine(canvas, affine), 0, 1)
        if settings.strength and settings.steps:
            steps = count_carried_steps(settings, renderer.carried.share, settling=False)
            sizes, smoothing = octave_sizes(*size, settings), renderer.carried.smoothing
            octaves = plan_carried_passes(sizes, steps, number, smoothing)
            asked = AscentRequest(view, np.zeros_like(view), octaves, settings, seconds, step_scale)
            gain = renderer.ascend(asked)
            canvas = canvas + np.float32(settings.strength) * unwarp_change(gain, affine, size)
            canvas = balance_pyramid(canvas, limits, BALANCE_RATE / float(rate))
            view = np.clip(warp_affine(canvas, affine), 0, 1)
        yield view


def _render_sound(
    zoom: ZoomSettings,
    network: Network,
    recipe: Recipe,
    sink: EventSink,
    work: Path,
    hooks: DreamHooks,
) -> FeedbackClip:
    """Dream a sound that is as long as the film."""
    seconds = Fraction(zoom.frames) / zoom.rate
    source = make_noise_signal(seconds) if zoom.sound is None else zoom.sound
    with open_audio_source(source, recipe.seed) as sound:
        _, joined = render_clips(sound, zoom.clips, network, recipe, sink, work, hooks, seconds)
    return joined


def _render_sound_of_picture(
    picture: Path,
    picture_network: Network,
    network: Network,
    recipe: Recipe,
    sink: EventSink,
    work: Path,
    hooks: DreamHooks,
) -> FeedbackClip:
    """Dream a sound for the finished picture, as for any silent film."""
    from mmdream.render.couplings.shown import (  # TensorFlow, too.
        load_motif_network,
        look_at_source,
        make_cues,
    )

    film = probe(picture)
    assert film.video is not None
    scan = scan_frames(read_frames(film))
    looking = load_motif_network([picture_network], network.card, None)
    looks = json.loads(look_at_source(film, scan, Selection(), looking, hooks.should_stop, is_dream=True))
    cues = make_cues(looks, looking.card, network.card)
    track = describe_added_track(film.video)
    audio = make_added_sound(film, track, scan, (None, None), recipe.seed, work / "bed.wav")
    hooks = replace(hooks, cues=lambda first, last: cues)
    _, report = render_audio_track(audio, network, recipe, sink, work, hooks)
    return FeedbackClip(work / "sound.wav", report)


def _write_frames(
    frames: Generator[np.ndarray, None, None],
    start: np.ndarray,
    path: Path,
    suffix: str,
    zoom: ZoomSettings,
    sink: EventSink,
    sound: Future[FeedbackClip] | None,
) -> np.ndarray:
    """Write the frames while the next ones are dreamed; returns the last one."""
    height, width = start.shape[:2]
    video = describe_new_video(width, height, zoom.rate, zoom.frames)
    rgb = start
    with (
        VideoWriter(path, video, suffix, 1 / zoom.rate) as writer,
        closing(prefetch(frames, in_front=True)) as dreamed,
    ):
        for number, rgb in enumerate(dreamed):
            writer.write(rgb, number)
            sink.progress("picture", number + 1, zoom.frames)
            if sound is not None and sound.done():
                sound.result()  # Its failure ends the picture.
    return rgb


def _mux_and_verify(
    middle: Path, out: Path, zoom: ZoomSettings, joined: FeedbackClip | None, sink: EventSink
) -> Verification:
    """Join picture and sound, and read the film back."""
    film, dream = probe(middle), None
    if joined is not None:
        # The film whose sound this is would have it as its only track.
        track = replace(probe(joined.path).audio_tracks[0], language=None, title=None)
        film = replace(film, audio_tracks=(track,))
        dream = OutputAudioTrack(track, joined.path, DecodedSpan(Fraction(0), joined.report.n_samples))
    tracks = mux_video(film, middle, dream, out, on_warning=sink.warn)
    times = [float(number / zoom.rate) for number in range(zoom.frames)]
    return verify_video(film, out, times, tracks, on_warning=sink.warn)
