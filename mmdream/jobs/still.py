"""One picture dreamed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.errors import UserError
from mmdream.film.carry import strength
from mmdream.jobs.loaded import eyes
from mmdream.jobs.masks import open_mask
from mmdream.jobs.memory import keep_freed_memory
from mmdream.jobs.output import destination, folder_beside, lay_folder, workshop
from mmdream.listen import Listener
from mmdream.passes import Mask
from mmdream.picture import files, octaves
from mmdream.picture.spectrum import noise
from mmdream.recipe import Recipe, working_size
from mmdream.report import Report, Used, gain


def dream_picture(
    rgb: np.ndarray,
    recipe: Recipe,
    listener: Listener,
    shown: Callable[[np.ndarray], None] | None = None,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, Report]:
    """Dream a picture.

    Args:
        rgb: float32 [H, W, 3], 0..1.
        recipe: its schedule is asked at second 0.
        listener: told each octave that is done.
        shown: called after each step with the dream so far, float32 [h, w, 3].
        mask: float32 [H, W], 0..1, how much of the dream is laid on each pixel; None: all of it.

    Returns:
        The dream, float32 [H, W, 3], 0..1, and what it amounted to.

    Raises:
        UserError: the recipe is to follow a film, or names what is not there.
    """
    if recipe.drives or recipe.sound_drives:
        raise UserError("a picture stands still, so there is nothing to follow; dream it without drives")
    began = time.perf_counter()
    keep_freed_memory()
    network = eyes(recipe, listener)
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.picture.slope import score, slope
    from mmdream.picture.wanted import objective, step

    moment = recipe.schedule.at(0.0)
    wanted = objective(network.card, moment, recipe.wishes)
    width, height = working_size(recipe.size, rgb.shape[1], rgb.shape[0])
    small = octaves.resized(rgb, (height, width))
    visits = octaves.in_full(octaves.sizes(height, width, moment), moment.steps)
    if mask is not None and shown is not None:
        shown = _masked(shown, small, octaves.resized(mask[..., None], (height, width)))
    detail, settle = np.zeros_like(small), octaves.allowed(small, recipe.color)
    for number, visit in enumerate(visits, 1):
        detail = detail + octaves.dream(
            small,
            detail,
            [visit],
            slope(network, wanted),
            step(network.card, wanted),
            seed=recipe.seed,
            place=Fraction(0),
            color=recipe.color,
            manner=recipe.manner,
            shown=shown,
        )
        listener.progress("still", number, len(visits))
    detail = settle(detail)
    laid = np.float32(moment.strength) * octaves.resized(detail, rgb.shape[:2])
    dream = np.clip(rgb + (laid if mask is None else laid * mask[..., None]), 0, 1)
    seen = octaves.resized(dream, (height, width))
    base = score(network, wanted, small)
    return dream, Report(
        objective_gain={"picture": gain(base, score(network, wanted, seen))},
        strength={"picture": strength(seen - small)},
        precision={"picture": network.precision},
        wall_seconds=time.perf_counter() - began,
        schedule={"picture": (Used(0.0, moment),)},
    )


def dream_picture_file(
    source: Path | None,
    output: Path | None,
    recipe: Recipe,
    overwrite: bool,
    listener: Listener,
    save_steps: bool = False,
    mask: Mask | None = None,
) -> Report:
    """Dream a picture file, or noise, into a picture file; see `dream_picture`.

    Args:
        source: a picture; None: noise of the recipe's size.
        output: the result; None: beside the source.
        recipe: how to dream.
        overwrite: whether the result may replace a file.
        listener: told each octave that is done.
        save_steps: keep the picture after each step too, in a folder named as the result and ``.steps``.
        mask: where to dream, a picture, or a film as it is at second 0; None: everywhere.

    Raises:
        UserError: not a picture, a mask that does not fit it, or the result cannot go where it should.
    """
    out = destination(source, output, ".dream.png", files.SUFFIXES, overwrite)
    rgb = started_from(source, recipe)
    where = None if mask is None else open_mask(mask, rgb.shape[1], rgb.shape[0]).at(Fraction(0))
    steps = folder_beside(out, "steps", overwrite) if save_steps else None
    with workshop(out, overwrite) as work:
        kept = work / "steps"
        shown = None if steps is None else keeping(kept)
        dream, report = dream_picture(rgb, recipe, listener, shown, where)
        files.write(work / out.name, dream)
        if steps is not None:
            lay_folder(kept, steps)
    return report.named(out)


def started_from(source: Path | None, recipe: Recipe) -> np.ndarray:
    """The picture to dream on, float32 [H, W, 3].

    Raises:
        UserError: not a picture, or no size for noise.
    """
    if source is not None:
        return files.read(source)
    if recipe.size is None or "x" not in recipe.size.lower():
        raise UserError("noise has no size of its own; give --size WIDTHxHEIGHT")
    width, height = working_size(recipe.size, 0, 0)
    return noise(height, width, recipe.seed)


def _masked(
    shown: Callable[[np.ndarray], None], small: np.ndarray, mask: np.ndarray
) -> Callable[[np.ndarray], None]:
    """Show what a mask leaves of each picture that comes."""
    return lambda rgb: shown(small + mask * (rgb - small))


def keeping(folder: Path) -> Callable[[np.ndarray], None]:
    """Write each picture that comes, numbered."""
    folder.mkdir()
    numbers = itertools.count(1)
    return lambda rgb: files.write(folder / f"{next(numbers):04}.png", rgb)
