"""Show that depth matters: each network's dreams at three depths, against its dreams from two seeds.

    python scripts/compare_depths.py [NETWORK ...] [--weights googlenet=FILE] [--depths 0 0.5 1]
        [--picture FILE] [--sound FILE] [--side 240] [--seconds 4] [--json]

All networks of the zoo, or those that are named, by name or as a Keras file. A network that does not ship its
weights has random ones unless a file is given: what its ladder does to a dream shows without training, too.

Pictures: mean |difference| of two dreams, of 255. Sounds: log-spectral distance in dB (measure_sound.py).
"depths" is the mean over the three pairs of depths at one seed, "least" the smallest of them, "seeds" the
mean over the depths of the difference between two seeds. A network passes where depths / seeds is 1.5.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile
from measure_sound import log_spectral_distance, spectrogram_db

from mmdream.audio.chunks import AudioDreamSettings
from mmdream.audio.dream import dream_source
from mmdream.audio.source import ArraySource
from mmdream.core.errors import UserError
from mmdream.image import octaves
from mmdream.image.gradient import build_gradient
from mmdream.image.objective import build_objective, step_size
from mmdream.media import image
from mmdream.networks.card import ModelFileWeights, ShippedWeights
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import list_networks, load_card
from mmdream.networks.weights import RANDOM
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Targets

DATA = Path(os.environ.get("MMDREAM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
MIN_RATIO = 1.5
"""How much more depths are to differ than seeds."""

Dream = Callable[[float, int], np.ndarray]


def build_picture_dream(network: Network, rgb: np.ndarray) -> Dream:
    """(depth, seed) -> dream of a picture, float32 [H, W, 3], 0..255."""

    def dream(depth: float, seed: int) -> np.ndarray:
        moment = Schedule(depth=depth).at(0)
        objective = build_objective(network.card, moment, Targets())
        visits = octaves.plan_full_passes(octaves.octave_sizes(*rgb.shape[:2], moment), moment.steps)
        gain = octaves.dream_octaves(
            rgb,
            np.zeros_like(rgb),
            visits,
            build_gradient(network, objective),
            step_size(network.card, objective),
            seed=seed,
            time=Fraction(0),
        )
        return 255 * (rgb + octaves.make_detail_limiter(rgb, "full")(gain))

    return dream


def build_sound_dream(network: Network, sound: np.ndarray, rate: int) -> Dream:
    """(depth, seed) -> spectrogram of the dream of a sound, dB [frame, bin]."""

    def dream(depth: float, seed: int) -> np.ndarray:
        blocks: list[np.ndarray] = []
        dream_source(
            ArraySource(sound, rate), blocks.append, network, AudioDreamSettings(Schedule(depth=depth), seed)
        )
        return spectrogram_db(np.concatenate(blocks, axis=1))

    return dream


def compare(
    dream: Dream, depths: tuple[float, ...], distance: Callable[[np.ndarray, np.ndarray], float]
) -> dict[str, float]:
    """How far depths are apart, and seeds."""
    dreams = {(depth, seed): dream(depth, seed) for depth in depths for seed in (0, 1)}
    pairs = [distance(dreams[a, 0], dreams[b, 0]) for a, b in combinations(depths, 2)]
    seeds = [distance(dreams[depth, 0], dreams[depth, 1]) for depth in depths]
    return {
        "depths": float(np.mean(pairs)),
        "least": float(np.min(pairs)),
        "seeds": float(np.mean(seeds)),
        "ratio": float(np.mean(pairs) / np.mean(seeds)),
    }


def choose_weights(name: str, given: dict[str, str]) -> str | None:
    """A file that was given, the network's own if it ships them, or random ones."""
    own = isinstance(load_card(name).weights, (ShippedWeights, ModelFileWeights))
    return given.get(name, None if own else RANDOM)


def main() -> int:
    """Print a row for each network; exit status 1 where one does not pass."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--depths", nargs=3, type=float, default=(0.0, 0.5, 1.0))
    parser.add_argument("--picture", type=Path, default=DATA / "photos" / "china.jpg")
    parser.add_argument("--sound", type=Path, default=DATA / "sounds" / "strings.ogg")
    parser.add_argument("--side", type=int, default=240, help="longest side of the picture, px")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    given = dict(pair.split("=", 1) for pair in chosen.weights)
    whole = image.read_image(chosen.picture)
    factor = chosen.side / max(whole.shape[:2])
    rgb = octaves.resize(whole, (round(whole.shape[0] * factor), round(whole.shape[1] * factor)))
    samples, rate = soundfile.read(chosen.sound, dtype="float32", always_2d=True)
    sound = np.ascontiguousarray(samples[: round(chosen.seconds * rate)].T)

    rows, failed = [], False
    if not chosen.json:
        print(f"{'network':24} {'weights':8} {'depths':>7} {'least':>7} {'seeds':>7} {'ratio':>6} {'s':>5}")
    for name in chosen.networks or list_networks():
        began = time.perf_counter()
        weights = choose_weights(name, given)
        network = load_network(load_card(name), weights)
        if network.card.medium == "picture":
            found = compare(
                build_picture_dream(network, rgb),
                tuple(chosen.depths),
                lambda a, b: float(np.abs(a - b).mean()),
            )
        else:
            found = compare(
                build_sound_dream(network, sound, rate), tuple(chosen.depths), log_spectral_distance
            )
        origin = "random" if weights == RANDOM else "own" if weights is None else "given"
        took = time.perf_counter() - began
        failed |= found["ratio"] < MIN_RATIO
        rows.append({"network": name, "weights": origin, **found, "seconds": took})
        if not chosen.json:
            figures = " ".join(f"{found[key]:7.2f}" for key in ("depths", "least", "seeds"))
            print(f"{name:24} {origin:8} {figures} {found['ratio']:6.2f} {took:5.0f}", flush=True)
    if chosen.json:
        print(json.dumps(rows, indent=1))
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"compare_depths: {error}")
