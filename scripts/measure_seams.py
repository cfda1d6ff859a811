"""Measure what the seams of a long take do to its dream; JSON on stdout.

    python scripts/measure_seams.py SOURCE DREAM SECONDS [--strip OUT.png]

DREAM was made with ``--seams SECONDS``. R, strength and objective are those of `measure_film.py`, of the
frames within a second of a seam's overlap over those of the others: 1 is a seam that cannot be told. A strip
shows frames around the first seam.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from film_figures import measure_dreams, read_aligned

from mmdream.analysis.shots import scan_frames
from mmdream.image.gradient import evaluate_objective
from mmdream.image.objective import objective_at_depth
from mmdream.media.image import write_image
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.render.seams import Seam, plan_seams

STRIP_STEP = 8
"""Frames between two of the strip."""


def is_near(seams: tuple[Seam, ...], number: int, rate: float) -> bool:
    """Whether a frame lies within a second of a seam's overlap."""
    return any(seam.first - rate <= number < seam.stop + rate for seam in seams)


def write_strip(path: Path, dream: Path, seam: Seam) -> None:
    """Frames of the dream around a seam, side by side in two rows."""
    wanted = range(seam.first - 2 * STRIP_STEP, seam.stop + 3 * STRIP_STEP, STRIP_STEP)
    frames = [
        frame.rgb[::2, ::2]
        for number, frame in enumerate(read_frames(probe(dream), None, None))
        if number in wanted
    ]
    half = len(frames) // 2
    write_image(path, np.vstack([np.hstack(frames[:half]), np.hstack(frames[half : 2 * half])]))


def main() -> None:
    """Print the figures near and elsewhere, and their quotients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("dream", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--strip", type=Path)
    given = parser.parse_args()
    scan = scan_frames(read_frames(probe(given.source), None, None))
    seams = plan_seams(scan, given.seconds)
    rate = (len(scan.pts) - 1) / ((scan.pts[-1] - scan.pts[0]) * float(scan.time_base))
    network = load_network(load_card("dreamnet"))
    objective = objective_at_depth(network.card, 0.6)
    films = read_aligned(
        read_frames(probe(given.source), None, None), [read_frames(probe(given.dream), None, None)], None
    )
    (figures,) = measure_dreams(
        films, [shot.first for shot in scan.shots], lambda rgb: evaluate_objective(network, objective, rgb),
        1, 1.0, 4,
    )  # fmt: skip

    def summarise(near: bool) -> dict[str, float]:
        frames = [row for number, row in enumerate(figures.frames) if is_near(seams, number, rate) == near]
        pairs = [row for row in figures.pairs[1] if is_near(seams, int(row["number"]), rate) == near]
        scored = [row for row in frames if "objective" in row]
        return {
            "R": float(np.sqrt(sum(p["error"] ** 2 for p in pairs) / sum(p["detail"] ** 2 for p in pairs))),
            "strength": float(np.mean([row["strength"] for row in frames])),
            "objective": sum(row["objective"] for row in scored)
            / sum(row["objective_source"] for row in scored),
        }

    near, elsewhere = summarise(near=True), summarise(near=False)
    over = {name: near[name] / elsewhere[name] for name in near}
    print(json.dumps({"seams": len(seams), "near": near, "elsewhere": elsewhere, "over": over}, indent=1))
    if given.strip is not None:
        write_strip(given.strip, given.dream, seams[0])


if __name__ == "__main__":
    main()
