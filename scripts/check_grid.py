"""Show that no seam between the chunks of a sound is heard.

    python scripts/check_grid.py ../shared/data [--sounds strings rain] [--seconds 30] [--set steps=6]

Each sound is looped to the length and dreamed twice, with grids of chunks that lie half a chunk apart, and
in three more such pairs, with grids between those: what is a seam in one pair is none in another, so that a
loud place counts for both. Told is the log-spectral distance of the two dreams of a pair near seams of
either, over that elsewhere (line: 1.1), and the seam energy: the mean square of the steps that the gain
takes from hop to hop within `NEAR` hops of a seam, over that of its neighbours, twice as wide on either side
(line: 1.5). The beginning and the end of the sound are left out. Status 1 if a line is missed. Two minutes
on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from measure_sound import FLOOR_DB, spectrogram_db
from sound_dreams import FIRST, Dream, build_recipe, dream_sound, fit_length, load_sound

from mmdream.audio.chunks import CHUNK_HOPS
from mmdream.audio.source import ArraySource
from mmdream.audio.spectra import make_stft
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.settings.recipe import Recipe

NEAR = 16
"""Hops to either side of a seam, 0.19 s."""
PAIRS = (0.0, 0.5), (0.125, 0.625), (0.25, 0.75), (0.375, 0.875)
"""Where the grids of two dreams begin, in chunks."""
RIM = 96
"""Hops at either end that are left out, 1.1 s."""
MAX_DISTANCE_RATIO, MAX_SEAM_ENERGY = 1.1, 1.5
"""The lines."""


def seam_hops(hops: int, start: int) -> np.ndarray:
    """Seams of the grid in a sound that begins at a hop of the absolute clock, in hops from its beginning."""
    found = np.arange(start // CHUNK_HOPS, (start + hops) // CHUNK_HOPS + 2) * CHUNK_HOPS - start
    return found[(found > RIM) & (found < hops - RIM)]


def is_near(places: np.ndarray, at: np.ndarray, low: int, high: int) -> np.ndarray:
    """Which places lie between `low` and `high` from any of some hops."""
    away = np.abs(places[:, None] - at).min(axis=1)
    return (away >= low) & (away < high)


def distances_at_seams(
    one: Dream, other: Dream, floor: float, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log-spectral distances of two dreams, dB, of the frames near seams and of those elsewhere."""
    first, second = (np.maximum(spectrogram_db(dream.sound.samples), floor) for dream in (one, other))
    each = np.sqrt(np.square(first - second).mean(axis=1))
    places = np.arange(len(each)) * 512 / make_stft(one.sound.rate).hop
    inside = (places > RIM) & (places < places[-1] - RIM)
    at_seams = is_near(places, at, 0, NEAR)
    return each[inside & at_seams], each[inside & ~at_seams]


def seam_energy(dream: Dream, at: np.ndarray) -> float:
    """Mean square of the gain's steps in time at seams over that of their neighbours."""
    steps = np.square(np.diff(dream.gain, axis=0)).mean(axis=1)
    places = FIRST + 0.5 + np.arange(len(steps))
    return float(
        steps[is_near(places, at, 0, NEAR)].mean() / steps[is_near(places, at, NEAR, 3 * NEAR)].mean()
    )


def check_sound(source: ArraySource, network: Network, how: Recipe) -> dict[str, object]:
    """Both figures of one sound."""
    began = time.perf_counter()
    hops = source.n_samples // make_stft(source.rate).hop
    floor = spectrogram_db(source.samples).max() - FLOOR_DB
    energies, each_pair = [], []
    for pair in PAIRS:
        starts = [round(share * CHUNK_HOPS) for share in pair]
        dreams = [dream_sound(source, network, how, start) for start in starts]
        grids = [seam_hops(hops, start) for start in starts]
        energies += [seam_energy(dream, grid) for dream, grid in zip(dreams, grids, strict=True)]
        each_pair.append(distances_at_seams(*dreams, floor, np.concatenate(grids)))
    at_seams, elsewhere = (float(np.concatenate(found).mean()) for found in zip(*each_pair, strict=True))
    figures = {
        "ratio": at_seams / elsewhere,
        "at_seams_db": at_seams,
        "elsewhere_db": elsewhere,
        "ratio_of_each_pair": [one.mean() / other.mean() for one, other in each_pair],
        "seam_energy": np.mean(energies),
        "seam_energies": energies,
    }
    passes = figures["ratio"] <= MAX_DISTANCE_RATIO and figures["seam_energy"] <= MAX_SEAM_ENERGY
    return figures | {"passes": bool(passes), "seconds": time.perf_counter() - began}


def main() -> None:
    """Check each sound and print a line of figures for it."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("data", type=Path, help="folder of esc10.tar, sounds and films")
    parser.add_argument("--sounds", nargs="+", default=["vibe_ace", "strings", "rain"])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--net", default="melnet")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the dream")
    args = parser.parse_args()
    network, how, passed = load_network(load_card(args.net)), build_recipe([], args.set), True
    for name in args.sounds:
        found = check_sound(fit_length(load_sound(args.data, name), args.seconds), network, how)
        passed &= bool(found["passes"])
        print(json.dumps({"sound": name} | found, default=lambda x: round(float(x), 4)), flush=True)
    sys.exit(not passed)


if __name__ == "__main__":
    main()
