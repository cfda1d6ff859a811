"""What a generator's pictures are worth: whether a judge sees their class, how they vary, if they are copies.

    python scripts/measure_generator.py NAME --data FOLDER [--judge squeezenet] [--weights FILE]
        [--out FOLDER] [--tiny FOLDER] [--count 64] [--dream 0] [--size 640x360]

Of each class `--count` samples are made, uncurated: the first that the seed gives. Told are, for each class
and for all of them, beside the same for real pictures:

- hits: how often the judge ranks the class first, and among the first five, of Tiny ImageNet's 200; the real
  ones are validation pictures of the same classes, of the archive, or of `--tiny`, a tiny-imagenet-200 with
  50 of a class;
- variety: the median distance between the features of two samples of a class, over that of two real ones;
- neighbours: neighbours.png has 16 samples or more, each with the three training pictures whose features are
  nearest; told is the median distance to the first, beside that of a validation picture to its own.

samples.png has all samples, a class after the other. With `--dream N`, N samples of each class are dreamed up
to `--size` and judged before and after, enlarged alike, and drawn beside each other in dreamed.png.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from judge_dreams import SIDE, Judge, card_judge, read_validation_pictures

from mmdream.core.events import EventSink
from mmdream.datasets.folder import read_dataset
from mmdream.generators.examples import RealExamples
from mmdream.generators.figures import build_judge
from mmdream.generators.pictures import load_pictures
from mmdream.generators.task import CriticNetwork
from mmdream.media.image import read_image, write_image
from mmdream.networks.generator import Generator, draw_latent, load_generator
from mmdream.networks.generator_card import find_generator
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.networks.weights import locate_weights
from mmdream.render.image import render_image
from mmdream.render.start import GeneratedPicture, drop_unseen_targets, read_start_image
from mmdream.settings.recipe import Recipe
from mmdream.settings.targets import Targets, Term

ROOT = Path(__file__).parents[1]
BATCH, COLUMNS = 32, 16
SHOWN, NEAREST = 16, 3
Features = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Measure, draw, and print one JSON object."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("name")
    options.add_argument("--data", type=Path, required=True, help="what it learned from")
    options.add_argument("--judge", default="squeezenet")
    options.add_argument("--weights", help="of the judge")
    options.add_argument("--out", type=Path, default=Path("generator"))
    options.add_argument("--tiny", type=Path, metavar="FOLDER")
    options.add_argument("--count", type=int, default=64)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--dream", type=int, default=0, metavar="N")
    options.add_argument("--size", default="640x360")
    chosen = options.parse_args()
    shared = Path(os.environ.get("MMDREAM_DATA", ROOT.parent / "shared" / "data"))
    chosen.out.mkdir(parents=True, exist_ok=True)
    generator = load_generator(find_generator(chosen.name, "picture"))
    names = generator.card.classes
    real = load_pictures(read_dataset(chosen.data), generator.card.side, lambda done, total: None)
    about = load_card(chosen.judge)
    wnids = (shared / "wnids.txt").read_text().split()
    judge = card_judge(load_network(about, chosen.weights), wnids)
    features = build_judge(CriticNetwork(about, locate_weights(about, chosen.weights)), lambda: None)
    wanted = {name: wnids.index(find_wnid(name)) for name in names}
    kept = read_kept_pictures(shared, chosen.tiny, wnids, wanted)
    samples = {name: make_samples(generator, place, chosen) for place, name in enumerate(names)}
    rows = [
        sample for each in samples.values() for sample in np.split(each, range(COLUMNS, len(each), COLUMNS))
    ]
    write_image(chosen.out / "samples.png", np.concatenate([np.concatenate(list(row), 1) for row in rows]))
    figures = {
        name: {
            "hits": rate_hits(judge, list(samples[name]), wanted[name]),
            "hits_of_real_ones": rate_hits(judge, kept[name], wanted[name]),
            "variety": measure_variety(features, samples[name], real, place),
        }
        for place, name in enumerate(names)
    }
    total: dict[str, object] = {
        key: np.round(np.mean([each[key] for each in figures.values()], axis=0), 3).tolist()
        for key in ("hits", "hits_of_real_ones", "variety")
    }
    total |= draw_neighbours(features, samples, kept, real, chosen.out / "neighbours.png")
    if chosen.dream:
        total["dreamed"] = dream_samples(generator, judge, wanted, chosen)
    print(json.dumps({"classes": figures, "all": total}, indent=1))


def find_wnid(name: str) -> str:
    """The WordNet id of one of Tiny ImageNet's classes."""
    card = load_card("dreamnet")
    return card.class_names()[card.class_index(name)][0]


def read_kept_pictures(
    shared: Path, tiny: Path | None, wnids: list[str], wanted: dict[str, int]
) -> dict[str, list[np.ndarray]]:
    """Validation pictures of each class, float32 [SIDE, SIDE, 3]."""
    if tiny is None:
        shown, places = read_validation_pictures(shared, wnids)
        return {
            name: [rgb for rgb, place in zip(shown, places, strict=True) if place == own]
            for name, own in wanted.items()
        }
    lines = [line.split("\t") for line in (tiny / "val" / "val_annotations.txt").read_text().splitlines()]
    return {
        name: [
            enlarge(read_image(tiny / "val" / "images" / line[0])) for line in lines if line[1] == wnids[own]
        ]
        for name, own in wanted.items()
    }


def enlarge(rgb: np.ndarray) -> np.ndarray:
    """float32 [SIDE, SIDE, 3], as the judge of dreams is shown real pictures."""
    return cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def make_samples(generator: Generator, place: int, chosen: argparse.Namespace) -> np.ndarray:
    """The first pictures of a class that a seed gives, as `mmdream image --from generator:NAME` does."""
    latents = np.stack([draw_latent(chosen.seed, "picture", number) for number in range(chosen.count)])
    shares = np.eye(len(generator.card.classes), dtype=np.float32)[[place] * chosen.count]
    return generator.make_pictures(latents, shares)


def rate_hits(judge: Judge, shown: list[np.ndarray], wanted: int) -> list[float]:
    """Share of pictures whose class is ranked first, and among the first five."""
    enlarged = [enlarge(rgb) for rgb in shown]
    logits = np.concatenate(
        [judge(np.stack(enlarged[k : k + BATCH])) for k in range(0, len(enlarged), BATCH)]
    )
    ranks = (logits > logits[:, [wanted]]).sum(1)
    return [round(float(np.mean(ranks < best)), 3) for best in (1, 5)]


def measure_variety(features: Features, samples: np.ndarray, real: RealExamples, place: int) -> float:
    """Median distance between two samples over that between two real pictures, as many of each."""
    own = np.flatnonzero(real.labels == place)[: len(samples)]
    made, others = (median_distance(features(each)) for each in (samples, real.select(own)))
    return round(made / others, 3)


def median_distance(found: np.ndarray) -> float:
    """Between two of features [n, c]."""
    distances = np.linalg.norm(found[:, None] - found[None], axis=-1)
    return float(np.median(distances[np.triu_indices(len(found), 1)]))


def draw_neighbours(
    features: Features,
    samples: dict[str, np.ndarray],
    kept: dict[str, list[np.ndarray]],
    real: RealExamples,
    path: Path,
) -> dict[str, float]:
    """Draw samples beside their nearest training pictures; tell how near those are, and to real pictures."""
    side, shown, nearest, own_nearest = real.values.shape[1], [], [], []
    each = -(-SHOWN // len(samples))
    for place, name in enumerate(samples):
        places = np.flatnonzero(real.labels == place)
        training = features(real.select(places))
        for sample, found in zip(samples[name][:each], features(samples[name][:each]), strict=True):
            distances = np.linalg.norm(training - found, axis=1)
            order = np.argsort(distances)[:NEAREST]
            nearest.append(distances[order[0]])
            shown.append(
                np.concatenate([sample, np.ones((side, 4, 3), np.float32), *real.select(places[order])], 1)
            )
        for found in features(np.stack([cv2.resize(rgb, (side, side)) for rgb in kept[name][:each]])):
            own_nearest.append(np.linalg.norm(training - found, axis=1).min())
    halves = [np.concatenate(shown[k::2]) for k in range(2)]
    write_image(path, np.concatenate(halves, 1))
    return {
        "distance_to_nearest": round(float(np.median(nearest)), 2),
        "least_distance_to_nearest": round(float(np.min(nearest)), 2),
        "the_same_of_validation_pictures": round(float(np.median(own_nearest)), 2),
        "their_least": round(float(np.min(own_nearest)), 2),
    }


def dream_samples(
    generator: Generator, judge: Judge, wanted: dict[str, int], chosen: argparse.Namespace
) -> dict[str, object]:
    """Dream samples up to a size: the judge's hits in the picture's square before and after."""
    before, after, rows = [], [], []
    for name, own in wanted.items():
        pairs = []
        for number in range(chosen.dream):
            recipe = Recipe(size=chosen.size, seed=chosen.seed, wishes=Targets((Term("target", name),)))
            source = GeneratedPicture(generator.card, ((name, 1.0),), number)
            recipe = drop_unseen_targets(recipe, source, EventSink())
            start = read_start_image(source, recipe)
            pairs.append((start, render_image(start, recipe, EventSink())[0]))
        for found, place in ((before, 0), (after, 1)):
            found.append(rate_hits(judge, [crop_middle(pair[place]) for pair in pairs], own))
        rows.append(np.concatenate([cv2.resize(rgb, None, fx=0.5, fy=0.5) for rgb in pairs[0]], 1))
    write_image(chosen.out / "dreamed.png", np.concatenate(rows))
    return {
        "hits_before": np.mean(before, 0).round(3).tolist(),
        "hits_after": np.mean(after, 0).round(3).tolist(),
    }


def crop_middle(rgb: np.ndarray) -> np.ndarray:
    """The largest square in the middle, SIDE px."""
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    return cv2.resize(rgb[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
