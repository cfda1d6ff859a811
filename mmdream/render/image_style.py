"""A picture in the style of paintings: files in, a file out."""

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
from mmdream.core.files import (
    check_output_file,
    check_output_folder,
    move_folder_into_place,
    output_workspace,
)
from mmdream.core.memory import keep_freed_memory
from mmdream.image import octaves
from mmdream.image.octaves import OctavePass, resize
from mmdream.image.spectrum import make_noise_image
from mmdream.media import image
from mmdream.media.mask import check_mask, open_mask
from mmdream.media.probe import MediaFile
from mmdream.render.models import load_image_network
from mmdream.settings.passes import Mask, Pass, Style, style_shares
from mmdream.settings.recipe import Recipe, resolve_size

END_TOLERANCE = 0.05
"""Seconds that a pass may end behind the film's end: a duration is seldom told to the frame."""

MIN_SIDE = 16
"""px of each side of a picture that has a style or takes one on: four cells of a first layer of stride 4."""


@dataclass(frozen=True, slots=True)
class ImageStyleReport:
    """One finished picture."""

    styles: dict[str, float]
    """Each painting's share, their sum 1."""
    style: tuple[float, float]
    """How far content and result are from the style, see `picture.style.Painting.distances`."""
    content: float
    """How far the result is from the content, over the content's variance."""
    size: tuple[int, int]
    """Width and height that were worked at, px."""
    net: str
    precision: str
    wall_seconds: float
    output: str | None = None

    @property
    def style_left(self) -> float:
        """Share of the distance to the style that is left; not a number where there was none."""
        before, after = self.style
        return after / before if before > 0 else math.nan

    def as_json(self) -> dict[str, Any]:
        """Plain values only; what is not a finite number becomes None."""
        figures = {
            "style_content": self.style[0],
            "style_result": self.style[1],
            "style_left": self.style_left,
            "content_distance": self.content,
        }
        return {
            "output": self.output,
            "styles": self.styles,
            **{name: value if math.isfinite(value) else None for name, value in figures.items()},
            "size": list(self.size),
            "net": self.net,
            "precision": self.precision,
            "wall_seconds": self.wall_seconds,
        }

    def lines(self) -> list[str]:
        """The report for people, a fact a line."""
        before, after = self.style
        left = f" ({100 * self.style_left:.1f} %)" if math.isfinite(self.style_left) else ""
        return [
            *([] if self.output is None else [self.output]),
            f"  distance to the style {before:.3f} -> {after:.3f}{left}",
            f"  distance to the content {self.content:.3f} of its variance",
            f"  worked at {self.size[0]}x{self.size[1]} with {self.net} in {self.precision}",
            f"  {self.wall_seconds:.1f} s of work",
        ]


def style_image(
    rgb: np.ndarray,
    style_images: Sequence[np.ndarray],
    recipe: Recipe,
    style: Style,
    listener: EventSink,
    *,
    from_noise: bool = False,
    mask: np.ndarray | None = None,
    on_step: Callable[[np.ndarray], None] | None = None,
) -> tuple[np.ndarray, ImageStyleReport]:
    """Paint a picture in a style.

    Args:
        rgb: float32 [H, W, 3], 0..1: the content.
        style_images: the paintings of `style`, float32 [h, w, 3], 0..1.
        recipe: of its settings, those of the picture that are no wishes; its schedule is asked at second 0.
        style: the style.
        listener: told each step.
        from_noise: begin with soft noise in place of the content.
        mask: float32 [H, W], 0..1, how much of each place is painted; None: all.
        on_step: called after each step with the painting so far, float32 [h, w, 3].

    Returns:
        The painting, float32 [H, W, 3], 0..1, and what it amounted to.

    Raises:
        UserError: the recipe names what is not there.
    """
    began = time.perf_counter()
    keep_freed_memory()
    network = load_image_network(recipe, listener)
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.image.style_ascent import StyleTarget, stylize_octaves

    moment = recipe.schedule.at(0.0)
    width, height = resolve_size(recipe.size, rgb.shape[1], rgb.shape[0])
    small = resize(rgb, (height, width))
    inside = np.ones((height, width, 1), np.float32)
    if mask is not None:
        inside = np.clip(resize(mask[..., None], (height, width)), 0, 1)
    visits = octaves.plan_full_passes(octaves.octave_sizes(height, width, moment), moment.steps)
    weights = [weight for _, weight in style.models]
    easel = StyleTarget(network, style, tuple(zip(style_images, weights, strict=True)))
    settle = octaves.make_detail_limiter(small, recipe.color)
    begun = np.zeros_like(small)
    if from_noise:
        begun = settle(inside * (make_noise_image(height, width, recipe.seed) - small))
    gain = stylize_octaves(
        small,
        begun,
        visits,
        easel,
        seed=recipe.seed,
        time=Fraction(0),
        color=recipe.color,
        mask=None if mask is None else inside[..., 0],
        on_step=_count_steps(visits, listener, on_step),
    )
    detail = resize(settle(begun + gain), rgb.shape[:2])
    if mask is not None:
        # What is black in a mask stays as it is, to the bit; enlarged steps reach over its edges.
        detail = detail * (mask[..., None] > 0)
    painting = np.clip(rgb + np.float32(moment.strength) * detail, 0, 1)
    judge = easel.loss_at((height, width))
    before, _ = judge.distances(np.concatenate((small, small, inside), axis=2))
    seen = resize(painting, (height, width))
    after, away = judge.distances(np.concatenate((seen, small, inside), axis=2))
    return painting, ImageStyleReport(
        styles=style_shares(style.models),
        style=(before, after),
        content=away,
        size=(width, height),
        net=network.card.name,
        precision=network.precision,
        wall_seconds=time.perf_counter() - began,
    )


def style_image_file(
    content: Path,
    output: Path | None,
    recipe: Recipe,
    style: Style,
    overwrite: bool,
    listener: EventSink,
    *,
    from_noise: bool = False,
    mask: Mask | None = None,
    save_steps: bool = False,
) -> ImageStyleReport:
    """Paint a picture file in the style of others, into a picture file; see `style_image`.

    Args:
        content: a picture.
        output: the result; None: beside the content.
        recipe: how to paint.
        style: the style.
        overwrite: whether the result may replace a file.
        listener: told each step.
        from_noise: begin with soft noise in place of the content.
        mask: where to paint, a picture, or a film as it is at second 0; None: everywhere.
        save_steps: keep the picture after each step too, in a folder named as the result and ``.steps``.

    Raises:
        UserError: not a picture, or too small a one; a mask that does not fit it; the result cannot go where
            it should.
    """
    out = check_output_file(content, output, ".styled.png", image.IMAGE_SUFFIXES, overwrite)
    rgb, models = read_style_image(content), [read_style_image(path) for path, _ in style.models]
    share = None if mask is None else _read_mask_weights(mask, rgb)
    steps = check_output_folder(out, "steps", overwrite) if save_steps else None
    with output_workspace(out, overwrite) as work:
        kept = work / "steps"
        painting, done = style_image(
            rgb, models, recipe, style, listener, from_noise=from_noise, mask=share,
            on_step=None if steps is None else image.write_numbered_images(kept),
        )  # fmt: skip
        image.write_image(work / out.name, painting)
        if steps is not None:
            move_folder_into_place(kept, steps)
    return replace(done, output=str(out))


def read_style_image(path: Path) -> np.ndarray:
    """A picture that is large enough for a style.

    Raises:
        UserError: it is not.
    """
    rgb = image.read_image(path)
    height, width = rgb.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise UserError(f"{path}: is {width}x{height} px; a style needs {MIN_SIDE} or more on each side")
    return rgb


def _read_mask_weights(mask: Mask, rgb: np.ndarray) -> np.ndarray:
    """How much of each place of a picture is to be painted, float32 [H, W], 0..1.

    Raises:
        UserError: the mask does not fit the picture, or is black.
    """
    share = open_mask(mask, rgb.shape[1], rgb.shape[0]).at(Fraction(0))
    if not share.any():
        raise UserError(f"{mask.path}: is black all over, so nothing would be painted")
    return share


def _count_steps(
    visits: Sequence[OctavePass], listener: EventSink, shown: Callable[[np.ndarray], None] | None
) -> Callable[[np.ndarray], None]:
    """Tell the work that is done after each step, and hand the painting on."""
    areas = [visit.size[0] * visit.size[1] for visit in visits for _ in range(visit.steps)]
    done = itertools.accumulate(area / areas[-1] for area in areas)
    total = sum(areas) / max(areas, default=1)

    def told(rgb: np.ndarray) -> None:
        listener.progress("painting", next(done), total)
        if shown is not None:
            shown(rgb)

    return told


def check_pass(film: MediaFile, pass_: Pass) -> None:
    """Refuse a pass that cannot be done on a film, before any work.

    Raises:
        UserError: a time outside the film; a painting or a mask that cannot be read.
    """
    span, length = pass_.span, film.duration
    if length is not None and (span.start >= length or (span.stop or 0) > float(length) + END_TOLERANCE):
        raise UserError(f"the {pass_} lies outside the film, which lasts {float(length):.2f} seconds")
    assert film.video is not None
    check_pass_files(pass_, film.video.width, film.video.height)


def check_pass_files(pass_: Pass, width: int, height: int) -> None:
    """Refuse a pass whose paintings or mask cannot be used on a film or a picture of a width and height, px.

    Raises:
        UserError: a painting or a mask that cannot be read, or does not fit.
    """
    if pass_.style is not None:
        for path, _ in pass_.style.models:
            read_style_image(path)
    if pass_.mask is not None:
        check_mask(pass_.mask, width, height)
