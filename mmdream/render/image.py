"""One picture dreamed."""

from __future__ import annotations

import itertools
import time
from array import array
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

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
from mmdream.core.report import Report, SettingsChange, objective_ratio
from mmdream.image import octaves
from mmdream.image.spectrum import make_noise_image
from mmdream.media import image
from mmdream.media.video_reader import Frame
from mmdream.render.image_style import check_pass_files
from mmdream.render.models import locate_image_network
from mmdream.render.temporal import measure_strength
from mmdream.settings.recipe import Recipe, resolve_size

if TYPE_CHECKING:  # They bring TensorFlow in.
    from mmdream.render.context import FrameContext
    from mmdream.render.frames import FramePipeline


def render_image(
    rgb: np.ndarray,
    recipe: Recipe,
    sink: EventSink,
    on_step: Callable[[np.ndarray], None] | None = None,
) -> tuple[np.ndarray, Report]:
    """Dream a picture, pass after pass, as a film's frame at second 0.

    Args:
        rgb: float32 [H, W, 3], 0..1.
        recipe: its schedule is asked at second 0, and passes that begin later are left out.
        sink: told each octave that is done.
        on_step: called after each step with the picture so far, float32 [h, w, 3].

    Returns:
        The dream, float32 [H, W, 3], 0..1, and what it amounted to by its first pass.

    Raises:
        UserError: the recipe is to follow a film, or names what is not there.
    """
    if recipe.drives or recipe.sound_drives:
        raise UserError("a picture stands still, so there is nothing to follow; dream it without drives")
    began, recipe = time.perf_counter(), _drop_later_passes(recipe, sink)
    for each in recipe.effective_passes:
        check_pass_files(each, rgb.shape[1], rgb.shape[0])
        locate_image_network(recipe.for_pass(each))
    keep_freed_memory()
    # After all that can be checked is checked: this brings TensorFlow in.
    from mmdream.render.frames import FramePipeline
    from mmdream.render.models import load_passes

    passes = load_passes(recipe, (rgb.shape[1], rgb.shape[0]), sink)
    width, height = resolve_size(recipe.size, rgb.shape[1], rgb.shape[0])
    pipeline = FramePipeline(recipe, passes, (height, width), scored_every=1)
    frame, context = _measure_still(rgb, pipeline)
    settings = [bound.renderer.schedule.at(0.0) for bound in passes]
    total = sum(len(octaves.octave_sizes(height, width, each)) for each in settings)
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
    ratio, styled = objective_ratio(*scores), recipe.effective_passes[0].style is not None
    return dream, Report(
        objective_gain={} if styled else {"picture": ratio},
        style_left=ratio if styled else None,
        strength={"picture": measure_strength(octaves.resize(dream, (height, width)) - context.small)},
        precision={"picture": passes[0].renderer.network.precision},
        wall_seconds=time.perf_counter() - began,
        schedule={"picture": (SettingsChange(0.0, settings[0]),)},
    )


def _measure_still(rgb: np.ndarray, pipeline: FramePipeline) -> tuple[Frame, FrameContext]:
    """An image as a video's only frame, at second 0, in full light and without borders."""
    from mmdream.render.stream import make_measurer

    height, width = rgb.shape[:2]
    scan = Scan((Shot(0, 1, (0, height, 0, width)),), array("q", [0]), array("f", [1.0]), Fraction(1), 0)
    frame = Frame(rgb, 0, Fraction(1), 0, Fraction(0))
    context, _ = make_measurer(pipeline, scan).measure(frame, 0, None)
    return frame, context


def _drop_later_passes(recipe: Recipe, listener: EventSink) -> Recipe:
    """A recipe less the passes that begin later than a picture stands.

    Raises:
        UserError: none is left.
    """
    later = [each for each in recipe.passes if not each.span.opacity(0.0)]
    if not later:
        return recipe
    passes = tuple(each for each in recipe.passes if each not in later)
    if not passes:
        raise UserError(f"a picture is dreamed as it is at second 0, and the {later[0]} begins later")
    for each in later:
        listener.say(f"the {each} begins later, and is left out")
    return replace(recipe, passes=passes)


def render_image_file(
    source: Path | None,
    output: Path | None,
    recipe: Recipe,
    overwrite: bool,
    listener: EventSink,
    save_steps: bool = False,
) -> Report:
    """Dream a picture file, or noise, into a picture file; see `render_image`.

    Args:
        source: a picture; None: noise of the recipe's size.
        output: the result; None: beside the source.
        recipe: how to dream.
        overwrite: whether the result may replace a file.
        listener: told each octave that is done.
        save_steps: keep the picture after each step too, in a folder named as the result and ``.steps``.

    Raises:
        UserError: not a picture, a mask that does not fit it, or the result cannot go where it should.
    """
    out = check_output_file(source, output, ".dream.png", image.IMAGE_SUFFIXES, overwrite)
    rgb = read_start_image(source, recipe)
    steps = check_output_folder(out, "steps", overwrite) if save_steps else None
    with output_workspace(out, overwrite) as work:
        kept = work / "steps"
        shown = None if steps is None else image.write_numbered_images(kept)
        dream, report = render_image(rgb, recipe, listener, shown)
        image.write_image(work / out.name, dream)
        if steps is not None:
            move_folder_into_place(kept, steps)
    return report.with_output(out)


def read_start_image(source: Path | None, recipe: Recipe) -> np.ndarray:
    """The picture to dream on, float32 [H, W, 3].

    Raises:
        UserError: not a picture, or no size for noise.
    """
    if source is not None:
        return image.read_image(source)
    if recipe.size is None or "x" not in recipe.size.lower():
        raise UserError("noise has no size of its own; give --size WIDTHxHEIGHT")
    width, height = resolve_size(recipe.size, 0, 0)
    return make_noise_image(height, width, recipe.seed)
