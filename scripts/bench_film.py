"""Seconds a frame of a dream film, and where they go.

    python scripts/bench_film.py [FILM] [--frames 48] [--nets dreamnet vgg16] [--precisions float32]

Random weights serve where a network's own are not at hand: they cost the same. Decode, flow and encode run
beside the ascent on the same cores, so the wall time is less than their sum and each takes longer than alone.
`network` is the gradient alone; `rest` is what a frame costs besides network and scoring, wall time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from mmdream import Recipe, dream_video
from mmdream.film.source import probe
from mmdream.networks.card import Shipped, card
from mmdream.sample import make_sample


def main() -> None:
    """Dream a few frames with each network in each precision and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", type=Path, nargs="?", help="default: the sample film, 640x360")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--nets", nargs="+", default=["dreamnet", "googlenet", "vgg16"])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = args.film
        if film is None:
            film = Path(folder) / "sample.mp4"
            make_sample(film)
        picture = probe(film).picture
        assert picture is not None
        end = args.start + args.frames / float(picture.rate or 25)
        kinds = ("decode", "flow", "ascent", "finish", "score", "encode")
        head = "".join(f"{kind:>8}" for kind in (*kinds, "network", "rest"))
        print(f"{'ms a frame':22}{'wall':>8}{head}  {picture.width}x{picture.height}, {args.frames} frames")
        for net in args.nets:
            weights = None if isinstance(card(net).weights, Shipped) else "random"
            for precision in args.precisions:
                recipe = Recipe(net=net, weights=weights, precision=precision)
                report = dream_video(
                    film, Path(folder) / f"{net}-{precision}.mp4", recipe,
                    start=args.start, end=end, keep_sound=True,
                )  # fmt: skip
                each = {
                    kind: 1000 * report.timing.get(kind, 0) / report.frames
                    for kind in (*kinds, "network", "wall")
                }
                rest = each["wall"] - each["network"] - each["score"]
                row = "".join(
                    f"{value:8.1f}" for value in [*(each[kind] for kind in kinds), each["network"], rest]
                )
                print(f"{net + ' ' + precision:22}{each['wall']:8.1f}{row}", flush=True)


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"{time.perf_counter() - started:.0f} s in all")
