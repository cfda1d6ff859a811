"""Dream many pictures and films in one process: peak memory, traces, seconds each.

    python scripts/check_many.py [--pictures 100] [--films 20] [--size 96x64] [--seconds 2] [--net dreamnet]

Pictures are noise and all different; films are that of `mmdream sample`, one dreamed again and again with its
sound. Prints JSON: for each kind the peak resident memory in MiB after the early ones, by which all
that is kept is there, and after the last, with their ratio; how many networks were built; how often functions
of the package were traced in all, and after the first dream; and the median of the seconds of a dream
from the tenth on (films: from the third).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import statistics
import tempfile
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmdream import Recipe, dream_image, dream_video
from mmdream.core.memory import peak_memory_mib
from mmdream.networks.framework import tf
from mmdream.networks.network import Network
from mmdream.sample.film import make_sample
from mmdream.settings.schedule import Schedule

TRACED = type(tf.function(lambda x: x))


class BuildCounter:
    """What was built and traced so far, of all that is alive when it is asked."""

    def __init__(self) -> None:
        self.functions: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self.networks: weakref.WeakSet[Network] = weakref.WeakSet()
        self.traces, self.built = 0, 0

    def update(self) -> None:
        """Count what has come since the last time."""
        for each in gc.get_objects():
            if isinstance(each, Network) and each not in self.networks:
                self.networks.add(each)
                self.built += 1
            elif isinstance(each, TRACED) and each.python_function.__module__.startswith("mmdream."):
                count = each.experimental_get_tracing_count()
                self.traces += count - self.functions.get(each, 0)
                self.functions[each] = count


def measure_repeats(work: Callable[[int], object], count: int, early: int, settled: int) -> dict[str, Any]:
    """Do some work again and again.

    Args:
        work: takes its number.
        count: times.
        early: number after which memory should stay.
        settled: number from which on times count.
    """
    counter, seconds, peaks, first = BuildCounter(), [], [], 0
    for number in range(count):
        began = time.perf_counter()
        work(number)
        seconds.append(time.perf_counter() - began)
        peaks.append(peak_memory_mib() or 0.0)
        counter.update()
        first = first or counter.traces
    at = min(early, count) - 1
    return {
        "count": count,
        "early": at + 1,
        "peak_mib_early": round(peaks[at], 1),
        "peak_mib": round(peaks[-1], 1),
        "peak_ratio": round(peaks[-1] / peaks[at], 4),
        "networks": counter.built,
        "traces": counter.traces,
        "traces_after_the_first": counter.traces - first,
        "seconds_of_the_first": round(seconds[0], 3),
        "seconds_each": round(statistics.median(seconds[min(settled, count) - 1 :]), 3),
        "peaks_mib": [round(each, 1) for each in peaks],
    }


def measure_pictures(count: int, size: tuple[int, int], how: Recipe) -> dict[str, Any]:
    """Dream pictures of a size, (width, height)."""

    def dream_one(number: int) -> None:
        noise = np.random.default_rng(number).random((size[1], size[0], 3))
        dream_image(noise.astype(np.float32), how)

    return measure_repeats(dream_one, count, 20, 10)


def measure_films(count: int, size: tuple[int, int], seconds: float, how: Recipe) -> dict[str, Any]:
    """Dream films of a size, (width, height), and a length."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "film.mp4"
        make_sample(source, seconds, size=size)

        def dream_one(number: int) -> None:
            out = source.with_name(f"{number}.mp4")
            dream_video(source, out, how)
            out.unlink()

        return measure_repeats(dream_one, count, 5, 3)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--films", type=int, default=20)
    parser.add_argument("--size", default="96x64")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--net", default="dreamnet")
    parser.add_argument("--octaves", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    how = Recipe(net=args.net, schedule=Schedule(octaves=args.octaves, steps=args.steps))
    figures: dict[str, Any] = {"net": args.net, "size": args.size}
    # Standard output is the JSON's.
    with contextlib.redirect_stdout(None):
        if args.pictures:
            figures["pictures"] = measure_pictures(args.pictures, (width, height), how)
        if args.films:
            figures["films"] = measure_films(args.films, (width, height), args.seconds, how)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
