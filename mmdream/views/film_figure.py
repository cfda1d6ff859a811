"""The figure of a dreamed film: its sound before and after, and what is heard, seen and sounds over time."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from mmdream.audio.source import AudioSource, FileSource
from mmdream.core.errors import UserError
from mmdream.media.audio_files import extract_audio
from mmdream.media.image import write_image
from mmdream.media.probe import MediaFile
from mmdream.media.tracks import resolve_tracks
from mmdream.settings.recipe import Recipe, Selection
from mmdream.settings.report import Report
from mmdream.settings.schedule import SCHEDULE_LIMITS, Curve
from mmdream.views.axes import (
    CURVES_INCHES,
    SPECTROGRAM_INCHES,
    add_legend,
    draw_curves,
    draw_lanes,
    draw_loudness,
    draw_spectrogram,
    lanes_inches,
    level_colors,
    measure_levels,
)
from mmdream.views.canvas import new_figure, rasterize_figure
from mmdream.views.lanes import plan_lanes

Sounds = Mapping[str, tuple[AudioSource, float]]
"""Of "source" and "dream", as far as there are, with the second of the source at which each begins."""


def check_film_figure(film: MediaFile, order: Selection, recipe: Recipe) -> None:
    """Refuse, before the work, a figure in which nothing would be: of no sound, new or listened to."""
    _, track = resolve_tracks(film, order)
    listens = any(
        not recipe.for_pass(each).schedule.curve("heard_to_seen").is_zero for each in recipe.effective_passes
    )
    if track is None and not (listens and film.audio_tracks and not order.keep_picture):
        why = "keeps its sound" if film.audio_tracks else "has no sound"
        raise UserError(f"{film.path}: {why}, and --plot draws a sound and what answers it; leave --plot out")


def write_film_figure(
    film: MediaFile, dream: MediaFile, path: Path, order: Selection, recipe: Recipe, report: Report
) -> None:
    """Draw a finished film; the suffix chooses the format. Its second 0 is the source's `order.start`."""
    zero, (_, track) = order.start or Fraction(0), resolve_tracks(film, order)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="plot") as folder, ExitStack() as opened:
        sounds: dict[str, tuple[AudioSource, float]] = {}

        def add(key: str, of: MediaFile, number: int, begin: Fraction | None, end: Fraction | None) -> None:
            own, wave = of.audio_tracks[number], Path(folder) / f"{len(sounds)}.wav"
            span = extract_audio(of, own, wave, begin, end)
            if span.n_samples:
                source = FileSource(opened.enter_context(soundfile.SoundFile(wave)), own.layout)
                sounds[key] = source, float(span.start + (0 if of is film else zero))

        place = 0 if track is None or not film.audio_tracks else film.audio_tracks.index(track)
        if film.audio_tracks:
            add("source", film, place, order.start, order.end)
        if track is not None and dream.audio_tracks:
            # A track of which the excerpt has nothing may be missing before it.
            add("dream", dream, min(place, len(dream.audio_tracks) - 1), None, None)
        span = float(zero), float(zero) + (report.seconds or 0.0)
        curves = select_curves(recipe, report)
        write_image(path, draw_film_dream(film.path.name, sounds, report, curves, span))


def select_curves(recipe: Recipe, report: Report) -> dict[str, Curve]:
    """The numbers of a schedule as the dream went by them; those of the sound where they differ."""

    def follow(medium: str) -> dict[str, Curve]:
        driven = {
            name: keys for name, keys in report.driven.get(medium, {}).items() if name in SCHEDULE_LIMITS
        }
        schedule = recipe.schedule.with_settings(**driven)
        return {name: schedule.curve(name) for name in SCHEDULE_LIMITS}

    picture, sound = follow("picture"), follow("sound")
    return picture | {f"{name} of the sound": each for name, each in sound.items() if each != picture[name]}


def draw_film_dream(
    name: str, sounds: Sounds, report: Report, curves: Mapping[str, Curve], span: tuple[float, float]
) -> np.ndarray:
    """Draw sounds, lanes, loudness and schedule between two seconds of the source, uint8 [H, W, 3].

    The lanes stand between the source's sound and the dream's, for they lead from one to the other. What
    there is nothing of is left out; of the schedule, what does not change is told in the last line.
    """
    seconds, lanes = np.linspace(*span, 800), plan_lanes(report, span)
    changing = {key: curve for key, curve in curves.items() if np.ptp(np.asarray(curve.at(seconds))) > 0}
    heights = {f"{key} sound": SPECTROGRAM_INCHES for key in sounds if key == "source"}
    heights |= {"lanes": lanes_inches(lanes)} if lanes.lanes else {}
    heights |= {f"{key} sound": SPECTROGRAM_INCHES for key in sounds if key != "source"}
    heights |= {"loudness": CURVES_INCHES} if sounds else {}
    heights |= {"schedule": CURVES_INCHES} if changing or not heights else {}
    figure = new_figure(sum(heights.values()) + 0.8)
    rows = figure.subplots(len(heights), sharex=True, height_ratios=list(heights.values()), squeeze=False)
    parts = dict(zip(heights, rows[:, 0], strict=True))
    if sounds:
        levels, top = measure_levels([sound for sound, _ in sounds.values()])
        titles = {"source": name, "dream": f"the dream of {name}"}
        for (key, (sound, start)), (level, column) in zip(sounds.items(), levels, strict=True):
            ends, colors = (start, start + len(level) * column), level_colors(top)
            draw_spectrogram(parts[f"{key} sound"], titles[key], level, ends, sound.rate, colors)
        draw_loudness(parts["loudness"], sounds)
        add_legend(parts["loudness"])
    if lanes.lanes:
        draw_lanes(parts["lanes"], lanes)
    if changing:
        draw_curves(parts["schedule"], changing, seconds)
        add_legend(parts["schedule"])
    same = [f"{key} {curve.at(0.0):g}" for key, curve in curves.items() if key not in changing]
    rows[-1, 0].set(xlim=span)
    rows[-1, 0].set_xlabel("seconds\n" + ", ".join(same).replace("_", " "), fontsize="small")
    return rasterize_figure(figure)
