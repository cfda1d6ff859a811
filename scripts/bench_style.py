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
from measure_style import alike, easel, features, gram_left, left, painted

from mmdream import Recipe, dream_video
from mmdream.image import style
from mmdream.image.octaves import resize
from mmdream.media import image
from mmdream.networks.framework import tf
from mmdream.networks.network import Network, choose_precision, load_network
from mmdream.networks.registry import load_card
from mmdream.settings.passes import STYLE_SCHEDULE, Pass, Style

STEPS, TRIED, EVERY = 500, 20, 20
RATE = 0.02

Seconds = np.ndarray
"""Float64 [2]: those that pass, and those of processors."""

Seen = Callable[[np.ndarray, Seconds], None]
"""Takes a picture and the seconds that it took."""


def now() -> Seconds:
    """The clocks."""
    return np.array([time.perf_counter(), time.process_time()])


def peers(
    network: Network, content: np.ndarray, model: np.ndarray, steps: int, seen: Seen = lambda x, took: None
) -> Seconds:
    """The peers' recipe: seconds of so many steps. Every `EVERY` steps the picture is shown."""
    names, own = network.card.style_layers, network.card.content_layer
    layers = network.layer_features((*names, own))

    def grams(found: list[tf.Tensor]) -> list[tf.Tensor]:
        cells = [tf.reshape(a, (-1, a.shape[3])) for a in found]
        return [tf.matmul(a, a, transpose_a=True) / tf.cast(tf.shape(a)[0], tf.float32) for a in cells]

    aims = [tf.constant(gram) for gram in grams(layers(tf.constant(model[None]))[:-1])]
    kept = layers(tf.constant(content[None]))[-1]
    spread = style.measure_content_variance(network, content)
    x, adam = tf.Variable(content[None]), keras.optimizers.Adam(RATE)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            *found, there = layers(x)
            pairs = zip(grams(found), aims, strict=True)
            loss = tf.add_n([tf.reduce_sum((a - b) ** 2) / tf.reduce_sum(b**2) for a, b in pairs])
            loss = loss / len(aims) + style.CONTENT_WEIGHT * tf.reduce_mean(tf.square(there - kept)) / spread
        adam.apply([tape.gradient(loss, x)], [x])
        x.assign(tf.clip_by_value(x, 0.0, 1.0))

    step()
    x.assign(content[None])
    took = np.zeros(2)
    for number in range(1, steps + 1):
        began = now()
        step()
        took += now() - began
        if number % EVERY == 0:
            seen(x.numpy()[0], took.copy())
    return took


def compared(
    network: Network, plain: Network, judge: Network, content: np.ndarray, model: np.ndarray
) -> dict[str, object]:
    """Ours and the peers', to the same distances from the style."""
    on, strange = easel(network, model), easel(judge, model)
    distances = {
        "layers": lambda x: gram_left(on, content, x),
        "judge": lambda x: gram_left(strange, content, x),
        "own": lambda x: left(on, content, x),
    }
    painted(on, content, 1)  # Traces.
    began = now()
    ours = painted(on, content)
    took = now() - began
    goals = {name: far(ours) for name, far in distances.items()}
    reached: dict[str, Seconds] = {}
    ends: dict[str, float] = {}

    def seen(x: np.ndarray, seconds: Seconds) -> None:
        for name, far in distances.items():
            ends[name] = far(x)
            if ends[name] <= goals[name]:
                reached.setdefault(name, seconds)
        ends["cos"] = alike(here, features(network, x))

    here = features(network, content)
    whole = peers(plain, content, shrunk(model, content), STEPS, seen)
    began = now()
    painted(on, content)
    took = (took + now() - began) / 2
    return {
        "ours_seconds": took[0],
        "peers_seconds": whole[0],
        "ours_cos": alike(here, features(network, ours)),
        "peers_cos": ends["cos"],
        **{
            name: {
                "ours_left": goals[name],
                "peers_left": ends[name],
                "reached": name in reached,
                "times": reached.get(name, whole)[0] / took[0],
                "times_by_processors": reached.get(name, whole)[1] / took[1],
            }
            for name in distances
        },
    }


def shrunk(model: np.ndarray, content: np.ndarray) -> np.ndarray:
    """A painting as large as a content."""
    scale = max(content.shape) / max(model.shape)
    return np.clip(resize(model, (round(model.shape[0] * scale), round(model.shape[1] * scale))), 0, 1)


def scaled(content: np.ndarray, model: np.ndarray) -> dict[str, float]:
    """VGG-19, by some steps of each."""
    network = load_network(load_card("vgg19"), "random", choose_precision("auto", load_card("vgg19")))
    plain = load_network(load_card("vgg19"), "random", "float32")
    on = easel(network, model)
    painted(on, content, 1)
    took = []
    for steps in (1, TRIED // 2):
        began = now()
        painted(on, content, steps)
        took.append((steps, now() - began))
    a_step = (took[1][1] - took[0][1]) / (took[1][0] - took[0][0])
    ours = STYLE_SCHEDULE.at(0).steps * a_step
    theirs = STEPS / TRIED * peers(plain, content, shrunk(model, content), TRIED)
    return {
        "ours_seconds": ours[0],
        "peers_seconds": theirs[0],
        "times": theirs[0] / ours[0],
        "times_by_processors": theirs[1] / ours[1],
    }


def frames(film: Path, painting: Path, net: str, weights: str | None) -> dict[str, float]:
    """Seconds of a carried frame, and of one alone: of two lengths each, so that starts cancel."""
    recipe = Recipe(net=net, weights=weights, size="360p", passes=(Pass(Style(((painting, 1.0),))),))
    found = {}
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
        found[name] = (seconds[1] - seconds[0]) / (counts[1] - counts[0])
    return {**found, "times": found["alone"] / found["carried"]}


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
    plain = load_network(load_card(args.net), args.weights, "float32")
    result[args.net] = compared(network, plain, judge, content, model)
    print(json.dumps(result), file=sys.stderr)
    if not args.no_vgg:
        result["vgg19"] = scaled(content, model)
    if args.frames:
        result["film"] = frames(args.frames, args.painting, args.net, args.weights)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
