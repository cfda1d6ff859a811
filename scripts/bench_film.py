"""Seconds a frame of a dream film beside the classic recipe, and where they go.

    python scripts/bench_film.py [FILM] [--frames 240] [--nets dreamnet vgg16] [--precisions bfloat16]
                                 [--weights googlenet=FILE] [--size 640x360]

The classic recipe dreams every frame from scratch: 4 octaves of ratio 1.4, 10 steps at each, float32, up to
VGG-16's block5_conv1 (google/deepdream's octaves, with its successors' favourite network). It is timed on two
frames in the same run, and once more with each network at the depth that is dreamed. Random weights serve
where a network's own are not at hand: they cost the same.

`wall` is the time from the first frame to the last, film work included; decode, flow, finish and encode run
beside the ascent on the same cores, so it is less than their sum. `network` is the gradient alone,
`share` its part of the wall time. GFLOP/s are of one step (forward and input gradient) of vgg16 and of a 3x3
convolution from 256 to 256 channels on the same picture and in the same precision.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream import Recipe, Schedule, dream_video
from mmdream.image import octaves
from mmdream.image.gradient import build_gradient
from mmdream.image.objective import objective_at_depth
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.card import ShippedWeights
from mmdream.networks.framework import tf
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.sample.film import make_sample

CLASSIC = Schedule(octaves=4, octave_scale=1.4, steps=10)
BLOCK5 = 6 / 7
"""Depth of vgg16's rung block5_conv1."""
KINDS = ("decode", "flow", "ascent", "finish", "score", "encode", "network", "wall")
VGG_BLOCKS = ((2, 3, 64), (2, 64, 128), (3, 128, 256), (3, 256, 512), (1, 512, 512))
"""Convolutions, channels in and out of each block up to block5_conv1."""


def time_classic_recipe(frames: list[np.ndarray], net: str, weights: str | None, depth: float) -> float:
    """Seconds a frame of the classic recipe, on float32 frames [H, W, 3]."""
    about = load_card(net)
    network = load_network(about, weights, "float32")
    gradient = build_gradient(network, objective_at_depth(network.card, depth))
    step = float(about.mix(depth) @ [rung.step for rung in about.rungs])
    moment = replace(CLASSIC.at(0), depth=depth)
    visits = octaves.plan_full_passes(octaves.octave_sizes(*frames[0].shape[:2], moment), moment.steps)
    for visit in visits:
        gradient(octaves.resize(frames[0], visit.size))  # The first call at a size is slower.
    began = time.perf_counter()
    for number, frame in enumerate(frames):
        octaves.dream_octaves(
            frame, np.zeros_like(frame), visits, gradient, step, seed=0, time=Fraction(number)
        )
    return (time.perf_counter() - began) / len(frames)


def median_seconds(steps: list[Callable[[], object]], rounds: int = 15) -> list[float]:
    """Median seconds of each step, by turns: a processor that slows down slows them alike."""
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(rounds + 2):
        for step, took in zip(steps, times, strict=True):
            began = time.perf_counter()
            step()
            took.append(time.perf_counter() - began)
    return [float(np.median(took[2:])) for took in times]


def measure_throughput(size: tuple[int, int], precision: str) -> tuple[float, float]:
    """GFLOP/s of a vgg16 step to block5_conv1 and of a plain convolution with its input gradient."""
    height, width = size
    picture = np.random.default_rng(0).random((height, width, 3), np.float32)
    network = load_network(load_card("vgg16"), "random", precision)
    gradient = build_gradient(network, objective_at_depth(network.card, BLOCK5))
    flops = 0
    for block, (count, before, after) in enumerate(VGG_BLOCKS):
        cells = (height >> block) * (width >> block)
        flops += 2 * 9 * cells * (before * after + (count - 1) * after * after)
    kernel = tf.cast(tf.random.normal((3, 3, 256, 256)), precision)
    x = tf.cast(tf.random.normal((1, height, width, 256)), precision)

    @tf.function
    def convolve_and_transpose(x: tf.Tensor) -> tf.Tensor:
        y = tf.nn.conv2d(x, kernel, 1, "SAME")
        return tf.nn.conv2d_transpose(y, kernel, tf.shape(x), 1, "SAME")

    vgg, conv = median_seconds([lambda: gradient(picture), lambda: convolve_and_transpose(x)])
    return 2 * flops / vgg / 1e9, 2 * 2 * 9 * 256 * 256 * height * width / conv / 1e9


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", type=Path, nargs="?", help="default: the sample film, 640x360")
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--size")
    parser.add_argument("--nets", nargs="+", default=["dreamnet", "googlenet", "vgg16"])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--weights", nargs="*", default=[], metavar="NET=FILE")
    parser.add_argument("--throughput", action="store_true", help="GFLOP/s too")
    args = parser.parse_args()
    files = dict(pair.split("=", 1) for pair in args.weights)
    with tempfile.TemporaryDirectory() as folder:
        film = args.film
        if film is None:
            film = Path(folder) / "sample.mp4"
            make_sample(film)
        picture = probe(film).video
        assert picture is not None
        end = args.start + args.frames / float(picture.rate or 25)
        width, height = (int(side) for side in (args.size or f"{picture.width}x{picture.height}").split("x"))
        source = read_frames(probe(film), Fraction(args.start))
        frames = [octaves.resize(next(source).rgb, (height, width)) for _ in range(2)]
        source.close()
        anchor = time_classic_recipe(frames, "vgg16", files.get("vgg16", "random"), BLOCK5)
        print(f"classic recipe, vgg16 to block5_conv1, float32: {anchor:.2f} s a frame of {width}x{height}")
        print(f"{'ms a frame':22}" + "".join(f"{kind:>8}" for kind in (*KINDS, "share", "x vgg16", "x own")))
        for net in args.nets:
            weights = files.get(net, None if isinstance(load_card(net).weights, ShippedWeights) else "random")
            own = time_classic_recipe(frames, net, weights, 0.9) if net != "vgg16" else anchor
            for precision in args.precisions:
                recipe = Recipe(net=net, weights=weights, precision=precision, size=args.size)
                report = dream_video(
                    film, Path(folder) / f"{net}-{precision}.mp4", recipe,
                    start=args.start, end=end, keep_sound=True,
                )  # fmt: skip
                each = {kind: 1000 * report.timing.get(kind, 0) / report.frames for kind in KINDS}
                row = "".join(f"{each[kind]:8.1f}" for kind in KINDS)
                row += f"{each['network'] / each['wall']:8.2f}{1000 * anchor / each['wall']:8.1f}"
                print(f"{net + ' ' + precision:22}{row}{1000 * own / each['wall']:8.1f}", flush=True)
        if args.throughput:
            for precision in args.precisions:
                vgg, conv = measure_throughput((height, width), precision)
                ratio = f"{vgg / conv:.2f}"
                print(f"{precision}: vgg16 step {vgg:.0f} GFLOP/s, plain convolution {conv:.0f}: {ratio}")


if __name__ == "__main__":
    main()
