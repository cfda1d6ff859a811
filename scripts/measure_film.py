"""Measure a dream film against its source, frame by frame; JSON on stdout.

    python scripts/measure_film.py SOURCE DREAM [--against INDEPENDENT] [--net dreamnet] [--depth 0.9]

The films have equal sizes and frame counts (`--start`, `--end` cut the source as the dream was cut). What is
measured, "detail" being dream minus source, all values in the range 0..1:

R           share of the detail that fails to move with the film: RMS of what the detail `lag` frames ago,
            moved along the *source's* flow, does not explain, over the RMS of the detail, both on pixels that
            the source keeps in view, pooled over all pairs that lie within one shot and show at least 10 % of
            their pixels twice (0: carried perfectly; about 1.4: every frame for itself).
e_stab      root of the mean over the same pairs of the dream's squared error against its own moved frame
            `lag` frames ago; hidden pixels count as 0 in the mean over all height * width * 3 elements
            (ReCoNet's convention). `source` is the same of the source: no dream flickers less than none.
strength    mean |detail|; `moving`: where the source moved by more than 1 px since the frame before.
sharpness   RMS of the high-pass (x minus its Gaussian blur of sigma 1.5 px) of detail, dream and source.
saturation  mean length of (Cb, Cr), BT.601.
luma_slope  least-squares slope of the detail's mean luma over time, per second (overcooking brightens).
cuts        at each hard cut of the source: strength of the frame before and after, R of the pair before and
            after, and `ghost`, the correlation of the details on both sides (0: nothing shines through).
deviation   standard deviation over time of each pixel's detail, mean over pixels and shots (static films).
objective   of every fourth frame, in float32; `gain` over the source's.

Flow is DIS, both ways, measured directly between frames t - lag and t at the size of the comparison, with the
masks of Ruder et al. (2016): apart from the half-size flow that a film is dreamed with. Frames are streamed:
only the last ten are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from film_figures import LAGS, Figures, Rows, measure_dreams, read_aligned

from mmdream.analysis.shots import scan_frames
from mmdream.core.errors import UserError
from mmdream.image.gradient import evaluate_objective
from mmdream.image.objective import objective_at_depth
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card

MIN_VISIBLE = 0.1


def safe_ratio(above: float, below: float) -> float | None:
    """A quotient, or None where it has no meaning."""
    return above / below if below > 1e-12 else None


def summarise(rows: Rows, pairs: dict[int, Rows]) -> dict[str, object]:
    """The figures of a stretch of film."""

    def mean(key: str) -> float | None:
        values = [row[key] for row in rows if key in row]
        return float(np.mean(values)) if values else None

    def total(key: str) -> float:
        return sum(row.get(key, 0.0) for row in rows)

    result: dict[str, object] = {
        "strength": mean("strength"),
        "strength_moving": safe_ratio(total("moving_sum"), total("moving_count")),
        "moving_share": mean("moving_share"),
        "sharpness": {of: mean(f"sharpness_{of}") for of in ("detail", "dream", "source")},
        "saturation": {of: mean(f"saturation_{of}") for of in ("dream", "source")},
        "objective": mean("objective"),
        "objective_gain": safe_ratio(total("objective"), total("objective_source")),
    }
    for lag, all_found in pairs.items():
        if not all_found:
            continue
        found = [row for row in all_found if row["visible"] >= MIN_VISIBLE]
        square = {key: sum(row[key] ** 2 for row in found) for key in ("error", "detail", "dream", "source")}
        left = safe_ratio(square["error"], square["detail"])
        result[f"R_{lag}"] = None if left is None else left**0.5
        result[f"e_stab_{lag}"] = {of: (square[of] / max(1, len(found))) ** 0.5 for of in ("dream", "source")}
        result[f"visible_{lag}"] = float(np.mean([row["visible"] for row in all_found]))
    return result


def report_dream(figures: Figures) -> dict[str, object]:
    """All figures of one dream, whole, in tenths and at cuts."""
    rows, count = figures.frames, len(figures.frames)
    edges = [round(k * count / 10) for k in range(11)]
    tenths = [
        summarise(
            rows[first:stop],
            {lag: [p for p in pairs if first <= p["number"] < stop] for lag, pairs in figures.pairs.items()},
        )
        for first, stop in pairwise(edges)
        if stop > first
    ]
    at = np.array([row["seconds"] for row in rows])
    luma = np.array([row["luma"] for row in rows])
    lasted = sum(n for n, _ in figures.deviations)
    near = {int(row["number"]): safe_ratio(row["error"], row["detail"]) for row in figures.pairs[1]}
    cuts = [
        {
            "frame": cut,
            "strength": [rows[cut - 1]["strength"], rows[cut]["strength"]],
            "R": [near.get(cut - 1), near.get(cut + 1)],
            "ghost": ghost,
        }
        for cut, ghost in figures.ghosts
    ]
    return {
        "frames": count,
        **summarise(rows, figures.pairs),
        "luma_slope": float(np.polyfit(at - at[0], luma, 1)[0]) if count > 1 else None,
        "deviation": sum(n * value for n, value in figures.deviations) / max(1.0, lasted),
        "cuts": cuts,
        "tenths": tenths,
    }


RATIOS = ("strength", "strength_moving", "objective", "objective_gain", *(f"R_{lag}" for lag in LAGS))


def compare_dreams(one: dict, other: dict) -> dict[str, object]:
    """Figures of one dream over another's."""
    result = {k: safe_ratio(one[k], other[k]) for k in RATIOS if one.get(k) is not None and other.get(k)}
    for of in ("detail", "dream"):
        result[f"sharpness_{of}"] = safe_ratio(one["sharpness"][of], other["sharpness"][of])
    result["saturation"] = safe_ratio(one["saturation"]["dream"], other["saturation"]["dream"])
    return result


def main() -> int:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("dream", type=Path)
    parser.add_argument("--against", type=Path, help="the same dream with --coherence 0; adds ratios to it")
    parser.add_argument("--start", type=Fraction, help="second of the source at which the dream begins")
    parser.add_argument("--end", type=Fraction)
    parser.add_argument("--width", type=int, help="compare frames shrunk to this width, px")
    parser.add_argument("--every", type=int, default=4, help="pairs at lags 5 and 10: one in so many (4)")
    parser.add_argument("--net", default="dreamnet")
    parser.add_argument("--weights")
    parser.add_argument("--depth", type=float, default=0.9)
    args = parser.parse_args()
    judge = load_network(load_card(args.net), args.weights, "float32")
    try:
        film = probe(args.source)
        dreams = [probe(path) for path in (args.dream, args.against) if path]
        firsts = [shot.first for shot in scan_frames(read_frames(film, args.start, args.end)).shots]
        assert film.video is not None
        found = measure_dreams(
            read_aligned(
                read_frames(film, args.start, args.end), [read_frames(dream) for dream in dreams], args.width
            ),
            firsts,
            lambda rgb: evaluate_objective(judge, objective_at_depth(judge.card, args.depth), rgb),
            len(dreams),
            min(1.0, (args.width or film.video.width) / film.video.width),
            max(1, args.every),
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    result = report_dream(found[0])
    if args.against:
        result["against"] = alone = report_dream(found[1])
        result["ratio"] = compare_dreams(result, alone)
        result["ratio"]["tenths"] = [
            compare_dreams(a, b) for a, b in zip(result["tenths"], alone["tenths"], strict=True)
        ]
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
