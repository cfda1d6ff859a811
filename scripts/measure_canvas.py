"""Compare first canvases of a dream: noise, a generator's picture as it comes, and a latent that climbs.

    python scripts/measure_canvas.py NAME [--weights JUDGE=FILE ...]
        [--count 4] [--size 256x256] [--out FOLDER]

Of each of the generator's classes `--count` pictures are dreamed in each way, by the usual recipe:

noise       pixels alone: ``mmdream image --from noise --target CLASS``;
generator   pixels on a picture: ``--from generator:NAME``;
latent      pixels on a latent that has climbed: ``--from generator:NAME --canvas latent``.

Told is how often each judge ranks the class first, and among the first five, of Tiny ImageNet's 200, before
and after the pixels are dreamed. canvas.png has the first of each class, a row a class: before and after, way
by way.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from judge_dreams import card_judge
from measure_generator import ROOT, crop_middle, find_wnid, rate_hits

from mmdream.core.events import EventSink
from mmdream.media.image import write_image
from mmdream.networks.generator_card import find_generator
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.render.image import render_image
from mmdream.render.start import GeneratedPicture, StartImage, read_start_image
from mmdream.settings.recipe import AscentOptions, Recipe
from mmdream.settings.targets import Targets, Term

SHOWN_SIDE = 96
WAYS = ("noise", "generator", "latent")


def main() -> None:
    """Dream, judge, draw, and print one JSON object."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("name")
    options.add_argument("--weights", nargs="*", default=[], metavar="JUDGE=FILE")
    options.add_argument("--judges", nargs="+", default=["squeezenet", "googlenet"])
    options.add_argument("--count", type=int, default=4)
    options.add_argument("--size", default="256x256")
    options.add_argument("--out", type=Path, default=Path("canvas"))
    chosen = options.parse_args()
    shared = Path(os.environ.get("MMDREAM_DATA", ROOT.parent / "shared" / "data"))
    chosen.out.mkdir(parents=True, exist_ok=True)
    wnids = (shared / "wnids.txt").read_text().split()
    given = dict(pair.split("=", 1) for pair in chosen.weights)
    judges = {
        name: card_judge(load_network(load_card(name), given.get(name)), wnids) for name in chosen.judges
    }
    card = find_generator(chosen.name, "picture")
    found: dict[str, dict[str, list[list[float]]]] = {way: {} for way in WAYS}
    rows = []
    for name in card.classes:
        wanted, row = wnids.index(find_wnid(name)), []
        for way in WAYS:
            pairs = []
            for seed in range(chosen.count):
                recipe = Recipe(size=chosen.size, seed=seed, wishes=Targets((Term("target", name),)))
                start: StartImage = None
                if way == "noise":
                    recipe = replace(recipe, manner=AscentOptions(natural=True))
                else:
                    start = GeneratedPicture(card, ((name, 1.0),), 0, climbed=way == "latent")
                before = read_start_image(start, recipe)
                pairs.append(
                    [crop_middle(rgb) for rgb in (before, render_image(before, recipe, EventSink())[0])]
                )
            for judge, tell in judges.items():
                for place, when in enumerate(("before", "after")):
                    hits = rate_hits(tell, [pair[place] for pair in pairs], wanted)
                    found[way].setdefault(f"{judge} {when}", []).append(hits)
            row += [cv2.resize(rgb, (SHOWN_SIDE,) * 2, interpolation=cv2.INTER_AREA) for rgb in pairs[0]]
        rows.append(np.concatenate(row, 1))
        write_image(chosen.out / "canvas.png", np.concatenate(rows))
    told = {
        way: {key: np.mean(hits, 0).round(3).tolist() for key, hits in each.items()}
        for way, each in found.items()
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
