"""Draw one sheet: the same pictures dreamed by several networks, each at several depths.

    python scripts/compare_nets.py --out nets.jpg [--nets dreamnet googlenet squeezenet vgg16]
        [--depths 0.35 0.65 0.9] [--weights googlenet=FILE] [--weights squeezenet=FILE] [--data FOLDER]

Four photographs and two film frames (from `--data`, or $MMDREAM_DATA, or ../shared/data), 480 px long, under
the default schedule: 4 octaves of ratio 1.4, 10 steps at each. A network that does not ship its weights has
random ones unless a file is given, and is labelled so: what it draws shows its making, not what it learned.

Under each tile: milliseconds of a step on the whole picture (the smaller octaves' steps count by their area;
neither tracing nor a size's first step are timed), and the objective of the dream over that of the source.
What else the machine does counts too: compare times of one idle machine only.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.files import check_output_file, output_workspace
from mmdream.core.memory import keep_freed_memory
from mmdream.image import octaves
from mmdream.image.gradient import build_gradient, evaluate_objective
from mmdream.image.objective import build_objective, step_size
from mmdream.media import image
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.card import NetworkCard, ShippedWeights
from mmdream.networks.framework import has_gpu
from mmdream.networks.network import Network, choose_precision, load_network
from mmdream.networks.registry import load_card
from mmdream.networks.weights import RANDOM, locate_weights
from mmdream.settings.report import objective_ratio
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Targets
from mmdream.views.canvas import (
    DIM_GREY,
    TEXT_GREY,
    blank_canvas,
    draw_text,
    fit_size,
    resize_image,
    text_width,
    to_uint8,
)

DATA = Path(os.environ.get("MMDREAM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
NETS = ("dreamnet", "googlenet", "squeezenet", "vgg16")
DEPTHS = (0.35, 0.65, 0.9)
PHOTOS = ("tuebingen", "cat", "china", "astronaut")
FRAMES = (("chaplin.mp4", 0, 120), ("big_buck_bunny_0_30.webm", 8, 0))
"""Film, second, and number of the frame from there on."""
SIDE = 480
"""Longest side of a dream, px."""
HEIGHT = 216
"""px of every picture on the sheet."""
GAP, MARGIN, TITLE, HEADING, CAPTION = 12, 16, 44, 34, 26
"""px between tiles, round the sheet, and of the lines above the sheet, above a row and under a tile."""


@dataclass(frozen=True)
class Tile:
    """A picture and the words under it."""

    rgb: np.ndarray
    """float32 [H, W, 3], 0..1."""
    words: str


@dataclass(frozen=True)
class Row:
    """The same for every picture."""

    title: str
    detail: str
    """What matters less, beside the title."""
    tiles: Sequence[Tile]


def read_sources(data: Path) -> list[Tile]:
    """The photographs and the film frames, at the size they are dreamed at.

    Raises:
        UserError: one is missing.
    """
    found = []
    for name in PHOTOS:
        rgb = image.read_image(data / "photos" / f"{name}.jpg")
        found.append(Tile(_resize(rgb, Fraction(1)), name))
    for name, second, number in FRAMES:
        film = probe(data / "films" / name)
        assert film.video is not None
        with closing(read_frames(film, Fraction(second))) as frames:
            rgb = next(islice(frames, number, None)).rgb
        at = f"{second} s" if second else f"frame {number}"
        found.append(Tile(_resize(rgb, film.video.sar), f"{Path(name).stem}, {at}"))
    return found


def dream_tile(network: Network, depth: float, rgb: np.ndarray) -> Tile:
    """One dream with its time and its gain; `rgb` is float32 [H, W, 3], 0..1."""
    moment = Schedule(depth=depth).at(0)
    objective = build_objective(network.card, moment, Targets())
    gradient = build_gradient(network, objective)
    visits = octaves.plan_full_passes(octaves.octave_sizes(*rgb.shape[:2], moment), moment.steps)
    for visit in visits:
        gradient(octaves.resize(rgb, visit.size))  # The first call at a size is slower.
    began = time.perf_counter()
    detail = octaves.dream_octaves(
        rgb,
        np.zeros_like(rgb),
        visits,
        gradient,
        step_size(network.card, objective),
        seed=0,
        time=Fraction(0),
    )
    milliseconds = 1000 * (time.perf_counter() - began) / octaves.octave_cost(visits)
    dream = rgb + octaves.make_detail_limiter(rgb, "full")(detail)
    gained = objective_ratio(
        evaluate_objective(network, objective, rgb), evaluate_objective(network, objective, dream)
    )
    return Tile(dream, f"{milliseconds:.0f} ms a step, gain ×{gained:.3g}")


def draw_sheet(title: str, rows: Sequence[Row]) -> np.ndarray:
    """All rows under each other, the sources first; uint8 [H, W, 3]."""
    sizes = [(round(tile.rgb.shape[1] * HEIGHT / tile.rgb.shape[0]), HEIGHT) for tile in rows[0].tiles]
    each = HEADING + HEIGHT + CAPTION
    canvas = blank_canvas(
        TITLE + len(rows) * each + MARGIN,
        2 * MARGIN + sum(width + GAP for width, _ in sizes) - GAP,
    )
    draw_text(canvas, title, (MARGIN, 30), 18, TEXT_GREY)
    for number, row in enumerate(rows):
        top, x = TITLE + number * each, MARGIN
        draw_text(canvas, row.title, (x, top + 23), 16, TEXT_GREY)
        draw_text(canvas, row.detail, (x + text_width(row.title, 16) + 14, top + 23), 13, DIM_GREY)
        for tile, size in zip(row.tiles, sizes, strict=True):
            y = top + HEADING
            canvas[y : y + HEIGHT, x : x + size[0]] = to_uint8(resize_image(tile.rgb, size))
            draw_text(canvas, tile.words, (x, y + HEIGHT + 17), 13, DIM_GREY)
            x += size[0] + GAP
    return canvas


def main() -> int:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="the sheet: .jpg, .png, .webp or .tif")
    parser.add_argument("--nets", nargs="+", default=NETS, metavar="NET")
    parser.add_argument("--depths", nargs="+", type=float, default=DEPTHS, metavar="D")
    parser.add_argument("--weights", action="append", default=[], metavar="NET=FILE", help="repeat to add")
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds photos/ and films/")
    args = parser.parse_args()
    try:
        # Replaces an older sheet: it is drawn again and again.
        out = check_output_file(None, args.out, ".jpg", image.IMAGE_SUFFIXES, True, "--out")
        nets = _choose_weights(args.nets, args.weights)
        for depth in args.depths:
            Schedule(depth=depth)  # Refuses one out of range before anything is dreamed.
        pictures = read_sources(args.data)
        rows = [Row("source", "", pictures)]
        for about, weights in nets:
            rows += _dream_rows(about, weights, args.depths, pictures)
        title = f"The same pictures dreamed by {', '.join(about.name for about, _ in nets)}"
        with output_workspace(out, True) as work:
            image.write_image(work / out.name, draw_sheet(title, rows).astype(np.float32) / 255)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(out)
    return 0


def _dream_rows(
    about: NetworkCard, weights: str | None, depths: Sequence[float], pictures: Sequence[Tile]
) -> list[Row]:
    """A row for each depth of one network."""
    network = load_network(about, weights, choose_precision("auto", about, has_gpu))
    found = []
    for depth in depths:
        began = time.perf_counter()
        tiles = [dream_tile(network, depth, source.rgb) for source in pictures]
        mix = about.mix(depth)
        layers = [
            f"{rung.layer} {share:.0%}" for rung, share in zip(about.rungs, mix, strict=True) if share > 0.005
        ]
        detail = f"{', '.join(layers)}; in {network.precision}"
        untrained = ", random weights" if weights == RANDOM else ""
        found.append(Row(f"{about.name}{untrained}, depth {depth:g}", detail, tiles))
        print(f"{found[-1].title}: {time.perf_counter() - began:.0f} s", flush=True)
    return found


def _choose_weights(names: Sequence[str], given: Sequence[str]) -> list[tuple[NetworkCard, str | None]]:
    """Cards with their weights: the file that is given, those that ship, or random ones.

    Raises:
        UserError: no such network, no such file, or a file for a network that is not drawn.
    """
    pairs = dict(text.partition("=")[::2] for text in given)
    for name, file in pairs.items():
        if name not in names or not file:
            raise UserError(f"--weights {name}={file}: write NET=FILE with one of {', '.join(names)}")
    found = []
    for about in (load_card(name, "picture") for name in names):
        weights = pairs.get(about.name, None if isinstance(about.weights, ShippedWeights) else RANDOM)
        locate_weights(about, weights)
        found.append((about, weights))
    return found


def _resize(rgb: np.ndarray, sar: Fraction) -> np.ndarray:
    """A picture with square pixels, its longest side `SIDE` px."""
    width, height = fit_size(rgb.shape[1], rgb.shape[0], sar, SIDE, SIDE)
    return octaves.resize(rgb, (height, width))


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
