"""Style transfer of pictures in figures: how near the style, how much of the content, by whose eyes.

    python scripts/measure_style.py CONTENT PAINTING... [--nets dreamnet squeezenet googlenet]
           [--out sheet.png] [--others PHOTO...] [--weights NAME=FILE ...] [--height 360] [--json F]

Each net paints the content in each style with the default settings. Told, a line each:

    style   distance from the style that is left, over the content's own, by the network that painted
    gram    the same of the Gram matrices of its layers (Gatys et al. 2015)
    judge   style, by a network that did not paint: the next of the nets
    kept    (cos - unrelated) / (1 - unrelated): cos is the cosine of the content layer's features of result
            and content, unrelated the mean of it over the other photographs
    seconds of the painting

--out: all results on one sheet, a row a net. Status 1 if style > 0.1, judge > 0.5 or kept < 0.5 anywhere.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.ascent.style_statistics import STYLE_DISTANCES
from mmdream.image import octaves
from mmdream.image.octaves import resize
from mmdream.image.style import PIXEL_FEATURE_SETS, measure_masked_moments
from mmdream.image.style_ascent import StyleTarget, stylize_octaves
from mmdream.media import image
from mmdream.networks.framework import tf
from mmdream.networks.network import Network, choose_precision, load_network
from mmdream.networks.registry import load_card
from mmdream.settings.passes import STYLE_SCHEDULE, Style

LIMITS = {"style": 0.1, "judge": 0.5, "kept": 0.5}


def read_picture(path: Path, height: int) -> np.ndarray:
    """A file's picture at a height."""
    rgb = image.read_image(path)
    return np.ascontiguousarray(resize(rgb, (height, round(rgb.shape[1] * height / rgb.shape[0]))))


def build_style_target(network: Network, model: np.ndarray) -> StyleTarget:
    """One painting with the default settings."""
    return StyleTarget(network, Style(((Path("style"), 1.0),)), ((model, 1.0),))


def append_content(rgb: np.ndarray, content: np.ndarray) -> np.ndarray:
    """What `Painting` takes, float32 [H, W, 7]."""
    return np.concatenate((rgb, content, np.ones((*rgb.shape[:2], 1), np.float32)), axis=2)


def paint(target: StyleTarget, content: np.ndarray, steps: int | None = None) -> np.ndarray:
    """The content in the style, as `mmdream style` paints it."""
    moment = STYLE_SCHEDULE.with_settings(steps=steps).at(0.0)
    visits = octaves.plan_full_passes(
        octaves.octave_sizes(content.shape[0], content.shape[1], moment), moment.steps
    )
    gain = stylize_octaves(content, np.zeros_like(content), visits, target, seed=0, time=Fraction(0))
    return content + octaves.make_detail_limiter(content, "full")(gain)


def content_features(network: Network, rgb: np.ndarray) -> np.ndarray:
    """Of the content layer, float32 [value]."""
    features = network.layer_features((network.card.content_layer,))(tf.constant(rgb[None]))[0]
    return np.asarray(tf.cast(features, tf.float32)).ravel()


def cosine_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine."""
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def remaining_style(target: StyleTarget, content: np.ndarray, result: np.ndarray) -> float:
    """Distance from the style over the content's own."""
    return target.distance(result, content) / target.distance(content, content)


def remaining_gram(target: StyleTarget, content: np.ndarray, result: np.ndarray) -> float:
    """The same of the Gram matrices of the layers alone."""
    style_moments = target.loss_at((content.shape[0], content.shape[1])).targets
    mean = [
        np.mean(
            [
                float(STYLE_DISTANCES["gram"](a, b))
                for a, b in zip(
                    measure_masked_moments(target.network, append_content(rgb, content))[PIXEL_FEATURE_SETS:],
                    style_moments[PIXEL_FEATURE_SETS:],
                    strict=True,
                )
            ]
        )
        for rgb in (result, content)
    ]
    return float(mean[0] / mean[1])


def main() -> int:
    """Read the command line, paint, and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("content", type=Path)
    parser.add_argument("paintings", type=Path, nargs="+")
    parser.add_argument("--nets", nargs="+", default=["dreamnet", "squeezenet", "googlenet"])
    parser.add_argument("--weights", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--others", type=Path, nargs="*", default=[])
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    own = dict(text.split("=", 1) for text in args.weights)
    nets = [
        load_network(load_card(name), own.get(name), choose_precision("auto", load_card(name)))
        for name in args.nets
    ]
    content = read_picture(args.content, args.height)
    others = [resize(read_picture(path, args.height), content.shape[:2]) for path in args.others]
    rows, sheet = [], []
    for place, network in enumerate(nets):
        judge, row = nets[(place + 1) % len(nets)], []
        here = content_features(network, content)
        unrelated = float(
            np.mean([cosine_similarity(here, content_features(network, other)) for other in others] or [0.0])
        )
        for path in args.paintings:
            model = image.read_image(path)
            target = build_style_target(network, model)
            began = time.perf_counter()
            result = paint(target, content)
            took = time.perf_counter() - began
            figures = {
                "net": network.card.name,
                "painting": path.stem,
                "style": remaining_style(target, content, result),
                "gram": remaining_gram(target, content, result),
                "judge": remaining_style(build_style_target(judge, model), content, result),
                "kept": (cosine_similarity(here, content_features(network, result)) - unrelated)
                / (1 - unrelated),
                "seconds": took,
            }
            print(
                json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}),
                flush=True,
            )
            rows.append(figures)
            row.append(result)
        sheet.append(np.hstack(row))
    if args.out:
        image.write_image(args.out, np.vstack(sheet))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))
    met = [
        r["style"] <= LIMITS["style"] and r["judge"] <= LIMITS["judge"] and r["kept"] >= LIMITS["kept"]
        for r in rows
    ]
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
