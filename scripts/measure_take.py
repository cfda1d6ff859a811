"""Whether a take's schedule file makes of a film, dreamed at full quality, what was played live.

    python scripts/measure_take.py SOURCE FOLDER [--size 640x360] [--rate 15]

SOURCE, a film of some 30 s, is played live, its settings turned on the way, see `TURNS`; the recording,
live.mp4, and its schedule stay in FOLDER, where `mmdream video` then dreams dream.mp4 by that schedule.
JSON on stdout: the cuts of both, the rank correlation over seconds of their strength, which is the mean
difference from the source, and of what the turned motifs' channels rise over the source; and the same of the
dream with the recording turned round by `SHIFT` seconds and more. curves.png draws them over each other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from measure_live import read_at
from scipy.stats import spearmanr

from mmdream.analysis.shots import scan_frames
from mmdream.core.events import EventSink
from mmdream.image.gradient import evaluate_objective
from mmdream.live.play import play_live, take_path
from mmdream.live.session import LiveSession
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.network import load_network
from mmdream.networks.registry import find_motif, load_card
from mmdream.settings.live import LiveSettings
from mmdream.settings.recipe import Recipe
from mmdream.settings.targets import Objective

TURNS: tuple[tuple[float, dict[str, Any]], ...] = (
    (4.0, {"motif": "dog"}),
    (9.0, {"strength": 0.3}),
    (13.0, {"strength": 1.4, "motif": "eye"}),
    (18.0, {"motif": "tower,dog"}),
    (22.0, {"strength": 0.6}),
    (26.0, {"strength": 1.0, "motif": "dog"}),
)
"""At these seconds of the source, what is turned."""
MOTIFS = "dog", "eye", "tower"
PER_SECOND = 2
SHIFT = 5
"""Seconds."""


class Player:
    """Who watches a session and turns its settings."""

    def __init__(self) -> None:
        self.session: LiveSession | None = None
        self.left = list(TURNS)
        self.turned: list[Future[None]] = []
        self._hand = ThreadPoolExecutor(1)

    def show_picture(self, seconds: float, jpeg: bytes) -> None:
        """See `Viewer`."""
        assert self.session is not None
        while self.left and seconds >= self.left[0][0]:
            self.turned.append(self._hand.submit(self.session.change_settings, self.left.pop(0)[1]))

    def play_sound(self, block: object) -> None:
        """See `Viewer`."""

    def show_state(self, state: dict[str, Any]) -> None:
        """See `Viewer`."""

    def use(self, session: LiveSession) -> None:
        """Called with the session when it is ready."""
        self.session = session


def measure_film(source: Path, film: Path, began: float, moments: list[float]) -> dict[str, np.ndarray]:
    """Strength and each motif's rise at moments of the source, [moment]; `began` is the film's own 0."""
    network = load_network(load_card("dreamnet", "picture"))
    asked = {name: Objective((find_motif(network.card, name),), (1.0,)) for name in MOTIFS}
    rows: dict[str, list[float]] = {name: [] for name in ("strength", *MOTIFS)}
    pairs = zip(read_at(source, moments), read_at(film, [at - began for at in moments]), strict=True)
    for before, after in pairs:
        rows["strength"].append(float(np.abs(after - before).mean()))
        for name, objective in asked.items():
            rise = evaluate_objective(network, objective, after) - evaluate_objective(
                network, objective, before
            )
            rows[name].append(rise)
    return {name: np.array(values).reshape(-1, PER_SECOND).mean(axis=1) for name, values in rows.items()}


def draw(found: dict[str, dict[str, np.ndarray]], cuts: dict[str, list[float]], path: Path) -> None:
    """Curves over each other, each over its own mean."""
    import matplotlib.pyplot as plt  # Only here: nothing else draws.

    figure, rows = plt.subplots(1 + len(MOTIFS), 1, figsize=(10, 8), sharex=True)
    for axes, name in zip(rows, ("strength", *MOTIFS), strict=True):
        for (film, curves), style in zip(found.items(), ("-", "--"), strict=True):
            values = curves[name]
            axes.plot(np.arange(len(values)) + 0.5, values / np.abs(values).mean(), style, label=film)
            for cut in cuts[film]:
                axes.axvline(cut, linestyle=style, color="0.7", linewidth=0.8)
        for at, turned in TURNS:
            if ("strength" in turned) if name == "strength" else name in turned.get("motif", ""):
                axes.axvline(at, color="C3", linewidth=0.8)
        axes.set_title(name, loc="left")
    rows[0].legend()
    rows[-1].set_xlabel("seconds; grey: cuts, red: turned")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main() -> int:
    """Play, dream, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--rate", type=float, default=15)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    live, dream, player = options.folder / "live.mp4", options.folder / "dream.mp4", Player()
    recipe = Recipe(size=options.size)
    report = play_live(
        str(options.source), recipe, LiveSettings(rate=options.rate, take=True), live, True,
        EventSink(), player, player.use, threading.Event(),
    )  # fmt: skip
    for turned in player.turned:
        turned.result()  # What could not be turned is told.
    words = "--schedule", str(take_path(live)), "--size", options.size, "--keep-sound", "--overwrite"
    command = [sys.executable, "-m", "mmdream", "video", str(options.source), *words, "-o", str(dream)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    length = int(report.seconds) - 1
    moments = [report.began + (k + 0.5) / PER_SECOND for k in range(length * PER_SECOND)]
    found = {
        "live": measure_film(options.source, live, report.began, moments),
        "dream": measure_film(options.source, dream, 0.0, moments),
    }
    scan = scan_frames(read_frames(probe(options.source)))
    cuts = {
        "live": [float(cut) for cut in report.cuts[1:]],
        "dream": [float(scan.pts[shot.first] * scan.time_base) for shot in scan.shots[1:]],
    }
    draw(found, cuts, options.folder / "curves.png")
    result: dict[str, object] = {"turned": len(player.turned), "cuts": cuts}
    for name in ("strength", *MOTIFS):
        played, dreamed = found["live"][name], found["dream"][name]
        shifts = [0, *range(SHIFT, length - SHIFT + 1)]
        row = [float(spearmanr(np.roll(played, by), dreamed).statistic) for by in shifts]
        result[name] = {
            "together": round(row[0], 3),
            "shifted": round(float(np.mean(row[1:])), 3),
            "live_over_dream": round(float(played.mean() / dreamed.mean()), 3),
        }
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
