"""One picture dreamed."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.film.carry import strength
from mmdream.jobs.loaded import eyes
from mmdream.jobs.memory import keep_freed_memory
from mmdream.jobs.output import destination, workshop
from mmdream.listen import Listener
from mmdream.picture import files, octaves
from mmdream.recipe import Recipe, working_size
from mmdream.report import Report, Used


def dream_picture(rgb: np.ndarray, recipe: Recipe, listener: Listener) -> tuple[np.ndarray, Report]:
    """Dream a picture.

    Args:
        rgb: float32 [H, W, 3], 0..1.
        recipe: its schedule is asked at second 0.
        listener: told each octave that is done.

    Returns:
        The dream, float32 [H, W, 3], 0..1, and what it amounted to.
    """
    began = time.perf_counter()
    keep_freed_memory()
    network = eyes(recipe)
    # After the card and the weights are known to be right: this brings TensorFlow in.
    from mmdream.picture.slope import score, slope

    moment = recipe.schedule.at(0.0)
    width, height = working_size(recipe.size, rgb.shape[1], rgb.shape[0])
    small = octaves.resized(rgb, (height, width))
    visits = octaves.in_full(octaves.sizes(height, width, moment), moment.steps)
    detail, settle = np.zeros_like(small), octaves.allowed(small, recipe.color)
    for number, visit in enumerate(visits, 1):
        detail = detail + octaves.dream(
            small,
            detail,
            [visit],
            slope(network, moment.depth),
            network.card.step(moment.depth),
            seed=recipe.seed,
            place=Fraction(0),
            color=recipe.color,
        )
        listener.progress("picture", number, len(visits))
    detail = settle(detail)
    dream = np.clip(rgb + np.float32(moment.strength) * octaves.resized(detail, rgb.shape[:2]), 0, 1)
    seen = octaves.resized(dream, (height, width))
    base = score(network, moment.depth, small)
    return dream, Report(
        objective_gain={"picture": score(network, moment.depth, seen) / max(base, 1e-12)},
        strength={"picture": strength(seen - small)},
        precision={"picture": network.precision},
        wall_seconds=time.perf_counter() - began,
        schedule={"picture": (Used(0.0, moment),)},
    )


def dream_picture_file(
    source: Path, output: Path | None, recipe: Recipe, overwrite: bool, listener: Listener
) -> Report:
    """Dream a picture file into another; see `dream_picture`.

    Raises:
        UserError: not a picture, or the result cannot go where it should.
    """
    out = destination(source, output, ".dream.png", files.SUFFIXES, overwrite)
    rgb = files.read(source)
    with workshop(out) as work:
        dream, report = dream_picture(rgb, recipe, listener)
        files.write(work / out.name, dream)
    return report.named(out)
