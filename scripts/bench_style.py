"""Time style transfer against the recipe of the peers, to equal style loss, in one run.

    python scripts/bench_style.py CONTENT PAINTING --weights FILE [--net squeezenet] [--judge NET[=FILE]]
          [--frames FILM]

The peers' recipe (Gatys et al. 2015 as neural-style-tf and others have it): Gram matrices of the style
layers, squared error of the content layer, with the weights that both have in ours, Adam 0.02, 500 steps from
the content, one scale, float32. Ours: the default settings. Both are judged by three distances from the
style, each over the content's own:

    layers  Gram matrices of the network's layers: what the peers climb down, and we do not
    judge   Gram matrices of the layers of a network that did not paint: nobody climbs it down
    own     what we climb down: W2 of the layers, and the pixels' statistics

and the peers are timed up to the step at which they have come as far as ours did (`reached`), or to their
500th. Seconds of processors are told too, which say more than those that pass where others work on the same
machine; ours is painted before and after the peers', and the mean taken. `cos`: of the content layer's
features with the content's. Then VGG-19 with random weights: 20 steps of the peers' and 9 an octave of ours
are timed and scaled.
--frames: 8.4 seconds of a film as the film command styles them, behind their first three frames, beside
frames alone, in seconds a frame. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from measure_style import (
    build_style_target,
    content_features,
    cosine_similarity,
    paint,
    remaining_gram,
    remaining_style,
)

from mmdream import Recipe, dream_video
from mmdream.image import style
from mmdream.image.octaves import resize
from mmdream.media import image
from mmdream.networks.framework import tf
from mmdream.networks.network import Network, choose_precision, load_network
from mmdream.networks.registry import load_card
from mmdream.settings.passes import STYLE_SCHEDULE, Pass, Style

STEPS, TIMED_STEPS, EVERY = 500, 20, 20
RATE = 0.02

Seconds = np.ndarray
"""Float64 [2]: those that pass, and those of processors."""

OnStep = Callable[[np.ndarray, Seconds], None]
"""Takes a picture and the seconds that it took."""


def read_clocks() -> Seconds:
    """The clocks."""
    return np.array([time.perf_counter(), time.process_time()])


def run_peers_recipe(
    network: Network,
    content: np.ndarray,
    model: np.ndarray,
    steps: int,
    on_step: OnStep = lambda x, took: None,
) -> Seconds:
    """The peers' recipe: seconds of so many steps. Every `EVERY` steps the picture is shown."""
    names, own = network.card.style_layers, network.card.content_layer
    layers = network.layer_features((*names, own))

    def gram_matrices(outputs: list[tf.Tensor]) -> list[tf.Tensor]:
        cells = [tf.reshape(a, (-1, a.shape[3])) for a in outputs]
        return [tf.matmul(a, a, transpose_a=True) / tf.cast(tf.shape(a)[0], tf.float32) for a in cells]

    style_grams = [tf.constant(gram) for gram in gram_matrices(layers(tf.constant(model[None]))[:-1])]
    content_output = layers(tf.constant(content[None]))[-1]
    spread = style.measure_content_variance(network, content)
    x, adam = tf.Variable(content[None]), keras.optimizers.Adam(RATE)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            *outputs, there = layers(x)
            pairs = zip(gram_matrices(outputs), style_grams, strict=True)
            loss = tf.add_n([tf.reduce_sum((a - b) ** 2) / tf.reduce_sum(b**2) for a, b in pairs])
            loss = (
                loss / len(style_grams)
                + style.CONTENT_WEIGHT * tf.reduce_mean(tf.square(there - content_output)) / spread
            )
        adam.apply([tape.gradient(loss, x)], [x])
        x.assign(tf.clip_by_value(x, 0.0, 1.0))

    step()
    x.assign(content[None])
    took = np.zeros(2)
    for number in range(1, steps + 1):
        began = read_clocks()
        step()
        took += read_clocks() - began
        if number % EVERY == 0:
            on_step(x.numpy()[0], took.copy())
    return took


def compare_with_peers(
    network: Network, float32_network: Network, judge: Network, content: np.ndarray, model: np.ndarray
) -> dict[str, object]:
    """Ours and the peers', to the same distances from the style."""
    target, judge_target = build_style_target(network, model), build_style_target(judge, model)
    distances = {
        "layers": lambda x: remaining_gram(target, content, x),
        "judge": lambda x: remaining_gram(judge_target, content, x),
        "own": lambda x: remaining_style(target, content, x),
    }
    paint(target, content, 1)  # Traces.
    began = read_clocks()
    ours = paint(target, content)
    took = read_clocks() - began
    goals = {name: distance(ours) for name, distance in distances.items()}
    reached: dict[str, Seconds] = {}
    ends: dict[str, float] = {}

    def record_distances(x: np.ndarray, seconds: Seconds) -> None:
        for name, distance in distances.items():
            ends[name] = distance(x)
            if ends[name] <= goals[name]:
                reached.setdefault(name, seconds)
        ends["cos"] = cosine_similarity(here, content_features(network, x))

    here = content_features(network, content)
    peers_seconds = run_peers_recipe(
        float32_network, content, fit_to_content(model, content), STEPS, record_distances
    )
    began = read_clocks()
    paint(target, content)
    took = (took + read_clocks() - began) / 2
    return {
        "ours_seconds": took[0],
        "peers_seconds": peers_seconds[0],
        "ours_cos": cosine_similarity(here, content_features(network, ours)),
        "peers_cos": ends["cos"],
        **{
            name: {
                "ours_left": goals[name],
                "peers_left": ends[name],
                "reached": name in reached,
                "times": reached.get(name, peers_seconds)[0] / took[0],
                "times_by_processors": reached.get(name, peers_seconds)[1] / took[1],
            }
            for name in distances
        },
    }


def fit_to_content(model: np.ndarray, content: np.ndarray) -> np.ndarray:
    """A painting as large as a content."""
    scale = max(content.shape) / max(model.shape)
    return np.clip(resize(model, (round(model.shape[0] * scale), round(model.shape[1] * scale))), 0, 1)


def estimate_vgg19(content: np.ndarray, model: np.ndarray) -> dict[str, float]:
    """VGG-19, by some steps of each."""
    network = load_network(load_card("vgg19"), "random", choose_precision("auto", load_card("vgg19")))
    float32_network = load_network(load_card("vgg19"), "random", "float32")
    target = build_style_target(network, model)
    paint(target, content, 1)
    took = []
    for steps in (1, TIMED_STEPS // 2):
        began = read_clocks()
        paint(target, content, steps)
        took.append((steps, read_clocks() - began))
    a_step = (took[1][1] - took[0][1]) / (took[1][0] - took[0][0])
    ours = STYLE_SCHEDULE.at(0).steps * a_step
    theirs = (
        STEPS
        / TIMED_STEPS
        * run_peers_recipe(float32_network, content, fit_to_content(model, content), TIMED_STEPS)
    )
    return {
        "ours_seconds": ours[0],
        "peers_seconds": theirs[0],
        "times": theirs[0] / ours[0],
        "times_by_processors": theirs[1] / ours[1],
    }


def time_film_frames(film: Path, painting: Path, net: str, weights: str | None) -> dict[str, float]:
    """Seconds of a carried frame, and of one alone: of two lengths each, so that starts cancel."""
    recipe = Recipe(net=net, weights=weights, size="360p", passes=(Pass(Style(((painting, 1.0),))),))
    seconds_each = {}
    for name, coherence, ends in (("alone", 0.0, (0.12, 0.24)), ("carried", recipe.coherence, (0.12, 8.4))):
        seconds, counts = [], []
        with tempfile.TemporaryDirectory() as folder:
            for end in ends:
                done = dream_video(
                    film, Path(folder) / f"{end}.mkv", replace(recipe, coherence=coherence),
                    keep_sound=True, end=end,
                )  # fmt: skip
                seconds.append(done.timing["wall"])
                counts.append(done.frames or 0)
        seconds_each[name] = (seconds[1] - seconds[0]) / (counts[1] - counts[0])
    return {**seconds_each, "times": seconds_each["alone"] / seconds_each["carried"]}


def main() -> int:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("content", type=Path)
    parser.add_argument("painting", type=Path)
    parser.add_argument("--net", default="squeezenet")
    parser.add_argument("--weights")
    parser.add_argument("--judge", default="dreamnet")
    parser.add_argument("--frames", type=Path)
    parser.add_argument("--no-vgg", action="store_true")
    args = parser.parse_args()
    content = resize(image.read_image(args.content), (360, 640))
    model = image.read_image(args.painting)
    network = load_network(load_card(args.net), args.weights, choose_precision("auto", load_card(args.net)))
    result: dict[str, object] = {"load": os.getloadavg()[0], "precision": network.precision}
    name, _, own = args.judge.partition("=")
    judge = load_network(load_card(name), own or None, choose_precision("auto", load_card(name)))
    float32_network = load_network(load_card(args.net), args.weights, "float32")
    result[args.net] = compare_with_peers(network, float32_network, judge, content, model)
    print(json.dumps(result), file=sys.stderr)
    if not args.no_vgg:
        result["vgg19"] = estimate_vgg19(content, model)
    if args.frames:
        result["film"] = time_film_frames(args.frames, args.painting, args.net, args.weights)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
