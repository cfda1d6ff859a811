"""Hold dreams of real sounds to what a dream may be: that more happens in it, and nothing that hurts.

    python scripts/check_sounds.py ../shared/data [--sounds dog rain ...] [--seconds 10] [--set steps=6]
                                   [--json figures.json]

Sounds are a clip of each class of ESC-10, five recordings and the sound of two films, dreamed whole or in
their first seconds. The lines:

    gain      the objective over the source's, as it was climbed, at least 2
    control   of what the dream raises the objective by, at most a third by a random smooth gain of equal
              log-spectral distance
    lsd       log-spectral distance, 3 to 20 dB, floored 80 dB under the source's peak
    loudness  within 0.5 LU of the source, unless the peak limit binds
    peak      true peak at most the larger of -1 dBTP and the source's
    window    any 400 ms at most max(the source's + 3 LU, the source's integrated loudness - 10 LU); what is
              told is the largest excess
    slanted   share of the gain's structure that lies 20-70 degrees off both axes, 1 bin : 1 hop, at most 0.5
    offset    direct current that is added, at most -60 dB of full scale
    edge      the largest of the first, or last, 0.1 ms is at most 6 dB over the larger of the source's and
              half the RMS of the 20 ms there: a dream begins and ends no more abruptly than its source

Prints a table, in it also the gain that the dream's own report tells; status 1 if a line is missed. With
--json figures are kept there as they come, and a sound that is there is not dreamed again. A minute on two
cores.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure_sound import diagonal_share, measure_dream
from sound_dreams import CLIPS, FILES, build_recipe, dream_sound, fit_length, gain_in_bins, load_sound

from mmdream.audio.loudness import MAX_EXCESS_LU, QUIET_MARGIN_LU, LoudnessMeter
from mmdream.audio.source import ArraySource
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.settings.recipe import Recipe

LIMITS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "gain": lambda found: found["gain"] >= 2,
    "control": lambda found: found["control"] <= 1 / 3,
    "lsd": lambda found: 3 <= found["lsd"] <= 20,
    "loudness": lambda found: abs(found["loudness"]) <= 0.5 or found["peak"] > -0.25,
    "peak": lambda found: found["peak"] <= 0.01,
    "window": lambda found: found["window"] <= 0.01,
    "slanted": lambda found: found["slanted"] <= 0.5,
    "offset": lambda found: found["offset"] <= -60,
    "edge": lambda found: found["edge"] <= 6,
}
"""Whether a sound's figures pass, by figure."""
CLICK_SECONDS, EDGE_SECONDS = 1e-4, 0.02
"""A sound that does not begin from nothing clicks in its first samples, if they are not small beside the next
20 ms."""
UNHEARD = 1e-4
"""Of full scale, -80 dB: no smaller jump is a click."""


def loudest_excess(source: ArraySource, dream: ArraySource) -> float:
    """By how many LU any 400 ms are louder than they may be; negative: by none. 0 for shorter sounds."""
    meters = [LoudnessMeter(each.rate, each.channels, each.layout) for each in (source, dream)]
    for meter, each in zip(meters, (source, dream), strict=True):
        meter.feed(each.samples)
    allowed = np.maximum(
        meters[0].momentary_loudness() + MAX_EXCESS_LU, meters[0].loudness() - QUIET_MARGIN_LU
    )
    return float(np.max(meters[1].momentary_loudness() - allowed, initial=-math.inf)) if len(allowed) else 0.0


def offset_db(source: ArraySource, dream: ArraySource) -> float:
    """Direct current that a dream adds to a channel, dB under full scale; -inf for none."""
    was, now = (np.abs(each.samples.mean(axis=1, dtype=np.float64)) for each in (source, dream))
    added = float((now - was).max())
    return 20 * math.log10(added) if added > 0 else -math.inf


def edge_db(source: ArraySource, dream: ArraySource) -> float:
    """How far a dream jumps at its first or last samples beyond what is no click, dB."""
    found, short, long = [], *(round(seconds * source.rate) for seconds in (CLICK_SECONDS, EDGE_SECONDS))
    for way in (1, -1):
        was, now = (each.samples[:, ::way][:, :long] for each in (source, dream))
        jumps = [float(np.abs(each[:, :short]).max()) for each in (was, now)]
        found.append(20 * math.log10(max(jumps[1], UNHEARD) / max(jumps[0], 0.5 * _rms(now), UNHEARD)))
    return max(found)


def _rms(samples: np.ndarray) -> float:
    return max(float(np.sqrt(np.square(samples, dtype=np.float64).mean())), 1e-12)


def check_sound(source: ArraySource, network: Network, how: Recipe) -> dict[str, Any]:
    """All figures of one sound, and which lines it misses."""
    began = time.perf_counter()
    dream = dream_sound(source, network, how)
    took = time.perf_counter() - began
    measured = measure_dream(source, dream.sound, network)
    mix = np.abs(network.card.mix(how.schedule.at(0).depth))
    gain, smooth = (
        float(np.average(measured[name], weights=mix))
        for name in ("objective_gain", "objective_gain_control")
    )
    was, now = measured["loudness"]
    before, after = measured["true_peak"]
    found = {
        "gain": gain,
        "told": dream.report.objective_gain,
        "control": (smooth - 1) / max(gain - 1, 1e-9),
        "lsd": measured["log_spectral_distance"],
        "loudness": now - was,
        "peak": after - max(-1.0, before),
        "window": loudest_excess(source, dream.sound),
        "slanted": diagonal_share(gain_in_bins(dream.gain, source.rate)),
        "offset": offset_db(source, dream.sound),
        "edge": edge_db(source, dream.sound),
        "seconds": source.n_samples / source.rate,
        "took": took,
    }
    return found | {"missed": [name for name, passes in LIMITS.items() if not passes(found)]}


def main() -> None:
    """Check each sound and print its row."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("data", type=Path, help="folder of esc10.tar, sounds and films")
    parser.add_argument("--sounds", nargs="+", default=[*CLIPS, *FILES])
    parser.add_argument("--seconds", type=float, help="of each sound; default: all")
    parser.add_argument("--net", default="melnet")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the dream")
    parser.add_argument("--json", type=Path, help="where the figures are kept")
    args = parser.parse_args()
    network, how = load_network(load_card(args.net)), build_recipe([], args.set)
    figures = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
    columns = [*LIMITS, "told", "seconds", "took"]
    print(f"{'':11}" + "".join(f"{name:>9}" for name in columns) + "  missed")
    for name in args.sounds:
        if name not in figures:
            source = load_sound(args.data, name)
            length = min(args.seconds or math.inf, source.n_samples / source.rate)
            figures[name] = check_sound(fit_length(source, length), network, how)
            if args.json:
                args.json.write_text(json.dumps(figures, indent=1) + "\n")
        row = "".join(f"{figures[name][column]:9.2f}" for column in columns)
        print(f"{name:11}{row}  {' '.join(figures[name]['missed'])}", flush=True)
    sys.exit(any(figures[name]["missed"] for name in args.sounds))


if __name__ == "__main__":
    main()
