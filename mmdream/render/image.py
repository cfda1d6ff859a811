"""One image dreamed: the passes of a film, on its only frame."""

from __future__ import annotations

import itertools
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mmdream.analysis.shots import Scan, Shot
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import (
    check_output_file,
    check_output_folder,
    move_folder_into_place,
    output_workspace,
)
from mmdream.core.memory import keep_freed_memory
from mmdream.image.octaves import octave_sizes, resize
from mmdream.media.image import IMAGE_SUFFIXES, read_image, write_image, write_numbered_images
from mmdream.media.mask import check_mask
from mmdream.media.probe import MediaFile
from mmdream.media.video_reader import Frame
from mmdream.render.models import locate_image_network
from mmdream.render.start import GeneratedPicture, StartImage, drop_unseen_targets, read_start_image
from mmdream.render.temporal import measure_strength
from mmdream.settings.passes import Pass
from mmdream.settings.recipe import Recipe
from mmdream.settings.report import Report, SettingsChange

MIN_STYLE_SIDE = 16
"""px of each side of an image that has a style or takes one on: four cells of a first layer of stride 4."""
END_TOLERANCE = 0.05
"""Seconds that a pass may end behind the film's end: a duration is seldom told to the frame."""


def render_image_file(
    source: StartImage,
    output: Path | None,
    recipe: Recipe,
    overwrite: bool,
    sink: EventSink,
    save_steps: bool = False,
) -> Report:
    """Dream an image file, or noise or a generated picture of the recipe's size, into an image file.

    See `render_image`. The result is `output`, or lies beside the source, named after it. With `save_steps`
    the image after each step is kept too, in a folder named as the result and ``.steps``. What is no image, a
    mask that does not fit it, or a path that cannot be written is a `UserError`.
    """
    file_source = source if isinstance(source, Path) else None
    out = check_output_file(file_source, output, ".dream.png", IMAGE_SUFFIXES, overwrite)
    if isinstance(source, GeneratedPicture):
        recipe = drop_unseen_targets(recipe, source, sink)
    rgb = read_start_image(source, recipe)
    with open_image_output(out, overwrite, save_steps) as (file, on_step):
        dream, report = render_image(rgb, recipe, sink, on_step)
        write_image(file, dream)
    return report.with_output(out)


@dataclass(frozen=True)
class SeriesReport:
    """The reports of pictures that were made one after the other."""

    reports: tuple[Report, ...]

    def lines(self) -> list[str]:
        """For people."""
        return [line for report in self.reports for line in report.lines()]

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"pictures": [report.as_json() for report in self.reports]}


def render_image_series(
    source: GeneratedPicture,
    count: int,
    output: Path,
    recipe: Recipe,
    overwrite: bool,
    sink: EventSink,
    save_steps: bool = False,
) -> SeriesReport:
    """Dream so many pictures of a generator into files named as `output`, with -1, -2 and so on.

    See `render_image_file`. No work begins before all names are found to be free.
    """
    files = [output.with_stem(f"{output.stem}-{number + 1}") for number in range(count)]
    for file in files:
        check_output_file(None, file, ".dream.png", IMAGE_SUFFIXES, overwrite)
    reports = [
        render_image_file(replace(source, number=number), file, recipe, overwrite, sink, save_steps)
        for number, file in enumerate(files)
    ]
    return SeriesReport(tuple(reports))


@contextmanager
def open_image_output(
    out: Path, overwrite: bool, save_steps: bool
) -> Iterator[tuple[Path, Callable[[np.ndarray], None] | None]]:
    """A draft that becomes the image file `out`, and a callback that keeps the image after each step."""
    steps = check_output_folder(out, "steps", overwrite) if save_steps else None
    with output_workspace(out, overwrite) as work:
        kept = work / "steps"
        yield work / out.name, None if steps is None else write_numbered_images(kept)
        if steps is not None:
            move_folder_into_place(kept, steps)


def render_image(
    rgb: np.ndarray,
    recipe: Recipe,
    sink: EventSink,
    on_step: Callable[[np.ndarray], None] | None = None,
) -> tuple[np.ndarray, Report]:
    """Dream an image, float32 [H, W, 3], 0..1, pass after pass, as a film's frame at second 0.

    Passes that begin later are left out. Each octave that is done is told to `sink`; `on_step` is called
    after each step with the image so far, float32 [h, w, 3]. Returns the dream, like the image, and its
    figures, by its first pass.

    Raises:
        UserError: the recipe follows a film, or names what is not there.
    """
    if recipe.drives or recipe.sound_drives:
        raise UserError("a picture stands still, so there is nothing to follow; dream it without drives")
    began, recipe = time.perf_counter(), _drop_later_passes(recipe, sink)
    for pass_ in recipe.effective_passes:
        check_pass_files(pass_, rgb.shape[1], rgb.shape[0])
        locate_image_network(recipe.for_pass(pass_))
    keep_freed_memory()
    # After all that can be checked is checked: this brings TensorFlow in.
    from mmdream.render.frames import FramePipeline
    from mmdream.render.hints import find_still_hints, tell_hints

    pipeline = FramePipeline.load(recipe, (rgb.shape[1], rgb.shape[0]), sink)
    # The image is a video's only frame, in full light and without borders.
    shot, frame = Shot(0, 1, (0, rgb.shape[0], 0, rgb.shape[1])), Frame(rgb, 0, Fraction(1), 0, Fraction(0))
    scan = Scan((shot,), array("q", [0]), array("f", [1.0]), Fraction(1), 0)
    pipeline = replace(pipeline, hints=find_still_hints(pipeline.passes, rgb, recipe.seed))
    context, _ = pipeline.measurer(scan).measure(frame, 0, None)
    total = sum(len(octave_sizes(*pipeline.size, each.settings)) for each in context.passes)
    done = itertools.count(1)
    _, (layers,) = pipeline.ascend(
        pipeline.initial_states,
        [context],
        on_octave=lambda: sink.progress("still", next(done), total),
        on_step=on_step,
    )
    dream, _ = pipeline.compose(frame, context, layers)
    scores = pipeline.score(context, dream)
    assert scores is not None
    strength = measure_strength(resize(dream, pipeline.size) - context.small)
    used = [SettingsChange(0.0, context.passes[0].settings)]
    report = Report(
        wall_seconds=time.perf_counter() - began, hints=tell_hints(pipeline.hints, scan, Fraction(0))
    )
    return dream, pipeline.extend_report(report, scores, strength, used)


def _drop_later_passes(recipe: Recipe, sink: EventSink) -> Recipe:
    """A recipe less the passes that begin after second 0; `UserError`: none is left."""
    later = [pass_ for pass_ in recipe.passes if not pass_.span.opacity(0.0)]
    passes = tuple(pass_ for pass_ in recipe.passes if pass_ not in later)
    if later and not passes:
        raise UserError(f"a picture is dreamed as it is at second 0, and the {later[0]} begins later")
    for pass_ in later:
        sink.say(f"the {pass_} begins later, and is left out")
    return replace(recipe, passes=passes)


def check_pass(film: MediaFile, pass_: Pass) -> None:
    """Refuse, before any work, a pass outside a film's time, or whose files do not suit it."""
    span, length = pass_.span, film.duration
    if length is not None and (span.start >= length or (span.stop or 0) > float(length) + END_TOLERANCE):
        raise UserError(f"the {pass_} lies outside the film, which lasts {float(length):.2f} seconds")
    assert film.video is not None
    check_pass_files(pass_, film.video.width, film.video.height)


def check_pass_files(pass_: Pass, width: int, height: int) -> None:
    """Refuse a pass whose style or mask cannot be read, or does not fit what has a width and height, px."""
    if pass_.style is not None:
        for path, _ in pass_.style.models:
            read_style_image(path)
    if pass_.mask is not None:
        check_mask(pass_.mask, width, height)


def read_style_image(path: Path) -> np.ndarray:
    """An image, float32 [H, W, 3], 0..1; `UserError`: it is none, or too small for a style."""
    rgb = read_image(path)
    height, width = rgb.shape[:2]
    if min(height, width) < MIN_STYLE_SIDE:
        least = f"a style needs {MIN_STYLE_SIDE} or more on each side"
        raise UserError(f"{path}: is {width}x{height} px; {least}")
    return rgb
