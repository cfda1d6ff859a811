"""Draw one sheet of a network's motifs, each dreamed into the same photograph.

    python scripts/show_motifs.py PHOTO motifs.png [--net dreamnet] [--weights FILE] [--motifs dog,eye,...]
                                  [--unnamed] [--strength 1.5]

Without `--motifs` all of the card's are drawn. `--unnamed` writes numbers in place of names, for somebody who
is to tell what there is; the names are printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from mmdream.core.events import EventSink
from mmdream.image import octaves
from mmdream.media import image
from mmdream.networks.registry import load_card
from mmdream.render.image import render_image
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import parse_motifs
from mmdream.views.canvas import draw_text

COLUMNS, WIDTH, CAPTION = 6, 320, 22


def main() -> None:
    """Dream and draw."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("photo", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--net", default="dreamnet")
    options.add_argument("--weights")
    options.add_argument("--motifs")
    options.add_argument("--unnamed", action="store_true")
    options.add_argument("--strength", type=float, default=1.0)
    options.add_argument("--steps", type=int, default=16)
    chosen = options.parse_args()
    names = parse_motifs(chosen.motifs) if chosen.motifs else tuple(load_card(chosen.net).motifs)
    photo = image.read_image(chosen.photo)
    photo = octaves.resize(photo, (round(photo.shape[0] * WIDTH / photo.shape[1]), WIDTH))
    tiles = []
    for number, name in enumerate(names, 1):
        schedule = Schedule(motif=name, steps=chosen.steps, strength=chosen.strength, octaves=3)
        recipe = Recipe(schedule=schedule, net=chosen.net, weights=chosen.weights)
        dream, _ = render_image(photo, recipe, EventSink())
        tile = np.full((photo.shape[0] + CAPTION, WIDTH + 4, 3), 24, np.uint8)
        tile[: photo.shape[0], :WIDTH] = np.rint(255 * dream)
        draw_text(tile, str(number) if chosen.unnamed else name, (6, tile.shape[0] - 6), 15, 230)
        tiles.append(tile)
        print(number, name, flush=True)
    tiles += [np.full_like(tiles[0], 24)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[k : k + COLUMNS]) for k in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(chosen.out), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
