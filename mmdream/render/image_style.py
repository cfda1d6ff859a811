"""One image rendered in the style of others: files in, a file out."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import check_output_file
from mmdream.core.memory import keep_freed_memory
from mmdream.image.enlarge import enlarge_detail
from mmdream.image.octaves import OctavePass, make_detail_limiter, octave_sizes, plan_full_passes, resize
from mmdream.image.spectrum import make_noise_image
from mmdream.media.image import IMAGE_SUFFIXES, write_image
from mmdream.media.mask import open_mask
from mmdream.render.image import open_image_output, read_style_image
from mmdream.render.models import load_image_network
from mmdream.settings.definition import fields_to_dict
from mmdream.settings.passes import Mask, Style, style_shares
from mmdream.settings.recipe import Recipe, resolve_size


@dataclass(frozen=True, slots=True)
class ImageStyleReport:
    """Figures of one finished image; a figure that cannot be told is not a number."""

    output: str | None
    styles: dict[str, float]
    """Each style image's share, their sum 1."""
    style_content: float
    """How far the content is from the style, see `StyleLoss.distances`."""
    style_result: float
    """How far the result is from the style."""
    style_left: float
    """The result's distance over the content's."""
    content_distance: float
    """How far the result is from the content, over the content's variance."""
    size: tuple[int, int]
    """Width and height that were worked at, px."""
    net: str
    precision: str
    wall_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Plain values; what is not a finite number becomes None."""
        return fields_to_dict(self, finite=True)

    def lines(self) -> list[str]:
        """The report for people, a fact a line."""
        left = f" ({100 * self.style_left:.1f} %)" if math.isfinite(self.style_left) else ""
        return [
            *([] if self.output is None else [self.output]),
            f"  distance to the style {self.style_content:.3f} -> {self.style_result:.3f}{left}",
            f"  distance to the content {self.content_distance:.3f} of its variance",
            f"  worked at {self.size[0]}x{self.size[1]} with {self.net} in {self.precision}",
            f"  {self.wall_seconds:.1f} s of work",
        ]


def style_image_file(
    content: Path,
    output: Path | None,
    recipe: Recipe,
    style: Style,
    overwrite: bool,
    sink: EventSink,
    *,
    from_noise: bool = False,
    mask: Mask | None = None,
    save_steps: bool = False,
) -> ImageStyleReport:
    """Render an image file in the style of others, into an image file; see `style_image`.

    The result is `output`, or lies beside the content, named after it. With `save_steps` the image after each
    step is kept too, in a folder named as the result and ``.steps``. The mask is an image, or a film as it is
    at second 0. No image or too small a one, a mask that does not fit, or a path that cannot be written is a
    `UserError`.
    """
    out = check_output_file(content, output, ".styled.png", IMAGE_SUFFIXES, overwrite)
    rgb, style_images = read_style_image(content), [read_style_image(path) for path, _ in style.models]
    weights = None
    if mask is not None:
        weights = open_mask(mask, rgb.shape[1], rgb.shape[0]).at(Fraction(0))
        if not weights.any():
            raise UserError(f"{mask.path or 'the mask'}: is black all over, so nothing would be painted")
    with open_image_output(out, overwrite, save_steps) as (file, on_step):
        styled, report = style_image(
            rgb, style_images, recipe, style, sink, from_noise=from_noise, mask=weights, on_step=on_step
        )
        write_image(file, styled)
    return replace(report, output=str(out))


def style_image(
    rgb: np.ndarray,
    style_images: Sequence[np.ndarray],
    recipe: Recipe,
    style: Style,
    sink: EventSink,
    *,
    from_noise: bool = False,
    mask: np.ndarray | None = None,
    on_step: Callable[[np.ndarray], None] | None = None,
) -> tuple[np.ndarray, ImageStyleReport]:
    """Render an image, float32 [H, W, 3], 0..1, in a style.

    Args:
        rgb: the content.
        style_images: those of `style`, float32 [h, w, 3], 0..1.
        recipe: how to ascend, as it is at second 0; its targets are not used.
        style: the weights of the style images and what is compared.
        sink: told each step.
        from_noise: start with noise in place of the content.
        mask: float32 [H, W], 0..1, how much of each place is styled; None: all.
        on_step: called after each step with the image so far, float32 [h, w, 3].
    """
    began = time.perf_counter()
    keep_freed_memory()
    network = load_image_network(recipe, sink)
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.image.style_ascent import StyleTarget, stylize_octaves

    settings = recipe.schedule.at(0.0)
    width, height = resolve_size(recipe.size, rgb.shape[1], rgb.shape[0])
    small = resize(rgb, (height, width))
    inside = np.ones((height, width, 1), np.float32)
    if mask is not None:
        inside = np.clip(resize(mask[..., None], (height, width)), 0, 1)
    octaves = plan_full_passes(octave_sizes(height, width, settings), settings.steps)
    weights = [weight for _, weight in style.models]
    target = StyleTarget(network, style, tuple(zip(style_images, weights, strict=True)))
    limit = make_detail_limiter(small, recipe.color)
    start = np.zeros_like(small)
    if from_noise:
        start = limit(inside * (make_noise_image(height, width, recipe.seed) - small))
    gain = stylize_octaves(
        small,
        start,
        octaves,
        target,
        seed=recipe.seed,
        time=Fraction(0),
        color=recipe.color,
        mask=None if mask is None else inside[..., 0],
        on_step=_report_steps(octaves, sink, on_step),
    )
    detail = enlarge_detail(limit(start + gain), rgb.shape[:2])
    if mask is not None:
        # What is black in a mask stays as it is, to the bit; enlarged steps reach over its edges.
        detail = detail * (mask[..., None] > 0)
    result = np.clip(rgb + np.float32(settings.strength) * detail, 0, 1)
    distances, shrunk = target.loss_at((height, width)).distances, resize(result, (height, width))
    before, _ = distances(np.concatenate((small, small, inside), axis=2))
    after, content_distance = distances(np.concatenate((shrunk, small, inside), axis=2))
    return result, ImageStyleReport(
        output=None,
        styles=style_shares(style.models),
        style_content=before,
        style_result=after,
        style_left=after / before if before > 0 else math.nan,
        content_distance=content_distance,
        size=(width, height),
        net=network.card.name,
        precision=network.precision,
        wall_seconds=time.perf_counter() - began,
    )


def _report_steps(
    octaves: Sequence[OctavePass], sink: EventSink, on_step: Callable[[np.ndarray], None] | None
) -> Callable[[np.ndarray], None]:
    """A callback that reports the work done after each step, and hands the image on."""
    areas = [octave.size[0] * octave.size[1] for octave in octaves for _ in range(octave.steps)]
    done = itertools.accumulate(area / areas[-1] for area in areas)
    total = sum(areas) / max(areas, default=1)

    def report(rgb: np.ndarray) -> None:
        sink.progress("painting", next(done), total)
        if on_step is not None:
            on_step(rgb)

    return report
