"""Processor seconds and wall time of this checkout beside those of an earlier commit, run in alternation.

    python scripts/compare_speed.py BEFORE_PYTHON [NOW_PYTHON] [--turns 7] [--most 31] [--width 0.06]
                                    [--only help film ...] [--data ../shared/data] [--json FILE]

BEFORE_PYTHON is the interpreter of an environment in which the earlier commit is installed; NOW_PYTHON
(else this one) runs this checkout. Both are spoken to through the command line alone. A turn runs every
command once on each side, the earlier first in odd turns and second in even ones, so that a machine that
grows warm or busy is unfair to neither. The ratio of a turn is now / before. Turns go on until the 95 %
interval of the median ratio, of processor seconds and of wall time, by 2,000 bootstrap draws, is no wider
than --width for each command, or --most is reached; then the width is told.

Commands: `film` and `googlenet` are bench_film.py's dreams (640x360, the picture alone), `sound` is
bench_sound.py's (stereo, as a file), `second` is a whole film of one second, picture and sound, `help` is
`mmdream video --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("MMDREAM_DATA", ROOT.parent / "shared" / "data"))
OWN = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
"""Variables that choose no checkout."""
DRAWS = 2000
HELP_CALLS = 5
"""`--help` ends so soon that one call would measure the clock."""


def build_commands(film: Path, sound: Path, googlenet: Path) -> dict[str, list[str]]:
    """Words of each command but the result's name."""
    return {
        "help": ["video", "--help"],
        "second": ["video", str(film), "--end", "1"],
        "film": ["video", str(film), "--keep-sound", "--size", "640x360"],
        "googlenet": [
            *("video", str(film), "--keep-sound", "--size", "640x360", "--end", "0.8"),
            *("--net", "googlenet", "--weights", str(googlenet)),
        ],
        "sound": ["audio", str(sound)],
    }


def run(python: str, path: str | None, words: Sequence[str], folder: Path) -> tuple[float, float]:
    """Processor seconds and wall time of one command."""
    env = OWN if path is None else {**OWN, "PYTHONPATH": path}
    output = (
        []
        if words[-1] == "--help"
        else ["-o", str(folder / f"out{'.wav' if words[0] == 'audio' else '.mp4'}")]
    )
    repeats = HELP_CALLS if words[-1] == "--help" else 1
    began, spent = time.perf_counter(), 0.0
    for _ in range(repeats):
        overwrite = ["--overwrite"] if output else []
        process = subprocess.Popen(
            [python, "-m", "mmdream", *words, *output, *overwrite],
            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "env": env, "cwd": folder},
        )
        complaint = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{' '.join(words)}: status {status}: {complaint.decode(errors='replace')[-500:]}")
        spent += usage.ru_utime + usage.ru_stime
    return spent / repeats, (time.perf_counter() - began) / repeats


def median_interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Median of the ratios, and the ends of its 95 % interval."""
    values = np.asarray(ratios)
    draws = np.random.default_rng(0).choice(values, (DRAWS, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return float(np.median(values)), float(low), float(high)


def main() -> None:
    """Compare, a line a turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before")
    parser.add_argument("now", nargs="?", default=sys.executable)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--most", type=int, default=31)
    parser.add_argument("--width", type=float, default=0.06)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    # Not resolved: an environment's interpreter is a link, and known by its own place.
    before, now = (str(Path(name).absolute()) for name in (given.before, given.now))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film, sound = folder / "film.mp4", folder / "sound.wav"
        make_inputs(before, film, sound)
        googlenet = given.data / "weights" / "googlenet_fp16.npz"
        words = build_commands(film, sound, googlenet)
        words = {name: words[name] for name in given.only or words}
        figures: dict[str, list[tuple[float, ...]]] = {name: [] for name in words}
        unfinished = set(words)
        for turn in range(given.most):
            for each in [name for name in words if name in unfinished]:
                sides = [(before, None), (now, str(ROOT))]
                order = sides if turn % 2 == 0 else sides[::-1]
                taken = {side: run(*side, words[each], folder) for side in order}
                figures[each].append((*taken[sides[0]], *taken[sides[1]]))
                print_turn(each, figures[each])
                ratios = turn_ratios(figures[each])
                widths = [high - low for _, low, high in map(median_interval, ratios)]
                if turn + 1 >= given.turns and max(widths) <= given.width:
                    unfinished.discard(each)
            if not unfinished:
                break
    print("\ncommand     turns  processor ratio          wall ratio")
    for name, rows in figures.items():
        shown = "  ".join(
            "{:.3f} [{:.3f}, {:.3f}]".format(*median_interval(each)) for each in turn_ratios(rows)
        )
        print(f"{name:10}  {len(rows):5}  {shown}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))


def turn_ratios(rows: Sequence[tuple[float, ...]]) -> tuple[list[float], list[float]]:
    """Ratios of processor seconds and of wall time, a turn each."""
    return [row[2] / row[0] for row in rows], [row[3] / row[1] for row in rows]


def print_turn(name: str, rows: Sequence[tuple[float, ...]]) -> None:
    """The newest turn in a line."""
    spent, wall, spent_now, wall_now = rows[-1]
    print(
        f"{name:10} turn {len(rows):2}: processor {spent:.2f} -> {spent_now:.2f} s, wall {wall:.2f} -> "
        f"{wall_now:.2f} s",
        flush=True,
    )


def make_inputs(python: str, film: Path, sound: Path) -> None:
    """The sample film, and its sound of ten seconds and more."""
    # Not in this checkout: Python would take the package from where it stands.
    run = partial(subprocess.run, check=True, capture_output=True, cwd=film.parent, env=OWN)
    run([python, "-m", "mmdream", "sample", str(film)])
    code = (
        "import sys, numpy, soundfile, av\n"
        "frames = [f.to_ndarray() for f in av.open(sys.argv[1]).decode(audio=0)]\n"
        "rate = av.open(sys.argv[1]).streams.audio[0].rate\n"
        "soundfile.write(sys.argv[2], numpy.concatenate(frames, axis=1).T, rate)\n"
    )
    run([python, "-c", code, str(film), str(sound)])


if __name__ == "__main__":
    main()
