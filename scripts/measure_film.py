"""Measure a dream film against its source: strength, flicker, objective; JSON on stdout.

    python scripts/measure_film.py SOURCE DREAM.mkv [--against INDEPENDENT.mkv] [--net dreamnet] [--depth 0.9]

R is the share of the dream's detail that fails to move with the film: the RMS of what the last frame's
detail, moved along the *source's* flow, does not explain, over the RMS of the detail, on pixels that the
source keeps in view (0: carried perfectly; about 1.4: every frame for itself). Flow is measured here at full
size with the masks of Ruder et al. (2016), apart from the half-size flow the film was dreamed with.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from mmdream.film.frames import read
from mmdream.film.source import probe
from mmdream.networks.card import card
from mmdream.networks.network import load
from mmdream.picture.slope import score


def visible_flow(previous: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Backward flow [H, W, 2] in px and where it holds, bool [H, W], for float32 RGB frames."""
    a, b = (
        np.rint(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) * 255).astype(np.uint8) for rgb in (previous, current)
    )
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back, forth = dis.calc(b, a, None), dis.calc(a, b, None)
    x, y = places(back)
    returned = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    square = (back**2).sum(-1)
    agree = ((returned + back) ** 2).sum(-1) < 0.01 * (square + (returned**2).sum(-1)) + 0.5
    slopes = sum((g**2).sum(-1) for g in np.gradient(back, axis=(0, 1)))
    height, width = b.shape
    within = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    return back, agree & (slopes <= 0.01 * square + 0.002) & within


def places(back: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel came from, x and y, float32 [H, W]."""
    height, width = back.shape[:2]
    return (
        np.arange(width, dtype=np.float32)[None] + back[..., 0],
        np.arange(height, dtype=np.float32)[:, None] + back[..., 1],
    )


def measure(
    source: Path,
    dream: Path,
    start: Fraction | None,
    end: Fraction | None,
    net: str,
    weights: str | None,
    depth: float,
) -> dict[str, object]:
    """All figures of one dream film, whole and in tenths."""
    judge = load(card(net), weights, "float32")
    frames = zip(read(probe(source), start, end), read(probe(dream)), strict=True)
    strengths, objectives, pairs, visible_share = [], [], [], []
    before: tuple[np.ndarray, np.ndarray] | None = None
    for number, (was, now) in enumerate(frames):
        detail = now.rgb - was.rgb
        strengths.append(float(np.abs(detail).mean()))
        if number % 4 == 0:
            base = score(judge, depth, was.rgb)
            objectives.append((number, score(judge, depth, now.rgb), base))
        if before is not None:
            back, seen = visible_flow(before[0], was.rgb)
            visible_share.append(float(seen.mean()))
            if seen.mean() >= 0.1:
                moved = cv2.remap(before[1], *places(back), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
                pairs.append((float(((detail - moved)[seen] ** 2).sum()), float((detail[seen] ** 2).sum())))
        before = was.rgb, detail
    count = len(strengths)
    edges = [round(k * count / 10) for k in range(11)]
    tenths = []
    for first, stop in pairwise(edges):
        scored = [(d, s) for n, d, s in objectives if first <= n < stop]
        tenths.append(
            {
                "strength": float(np.mean(strengths[first:stop])),
                "objective": float(np.mean([d for d, _ in scored])) if scored else None,
            }
        )
    return {
        "frames": count,
        "R": float(np.sqrt(sum(e for e, _ in pairs) / max(sum(d for _, d in pairs), 1e-12))),
        "visible": float(np.mean(visible_share)) if visible_share else None,
        "strength": float(np.mean(strengths)),
        "objective_gain": sum(d for _, d, _ in objectives) / sum(s for _, _, s in objectives),
        "tenths": tenths,
    }


def main() -> None:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("dream", type=Path)
    parser.add_argument("--against", type=Path, help="the same dream with --coherence 0")
    parser.add_argument("--start", type=Fraction)
    parser.add_argument("--end", type=Fraction)
    parser.add_argument("--net", default="dreamnet")
    parser.add_argument("--weights")
    parser.add_argument("--depth", type=float, default=0.9)
    args = parser.parse_args()
    span = args.start, args.end, args.net, args.weights, args.depth
    result = measure(args.source, args.dream, *span)
    if args.against:
        alone = measure(args.source, args.against, *span)
        result["against"] = alone
        result["R_ratio"] = result["R"] / alone["R"]
        result["tenths_ratio"] = {
            key: [a[key] / b[key] for a, b in zip(result["tenths"], alone["tenths"], strict=True) if b[key]]
            for key in ("strength", "objective")
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
