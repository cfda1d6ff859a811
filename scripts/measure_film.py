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
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from mmdream.errors import UserError
from mmdream.film.frames import Frame, read
from mmdream.film.shots import scan
from mmdream.film.source import probe
from mmdream.networks.card import card
from mmdream.networks.network import load
from mmdream.picture.slope import score

LAGS = (1, 5, 10)
SCORED_EVERY = 4
LEAST_VISIBLE = 0.1

Rows = list[dict[str, float]]


@dataclass
class Figures:
    """What one dream gave, a row a frame and a row a pair; a missing key was not measured there."""

    frames: Rows = field(default_factory=list)
    pairs: dict[int, Rows] = field(default_factory=lambda: {lag: [] for lag in LAGS})
    ghosts: list[tuple[int, float]] = field(default_factory=list)
    deviations: list[tuple[float, float]] = field(default_factory=list)
    """Frames of a shot, mean deviation."""


class Spread:
    """Standard deviation of each pixel over the frames of a shot (Welford), in flat memory."""

    def __init__(self) -> None:
        self.count, self.mean, self.square = 0, np.float32(0), np.float32(0)

    def add(self, detail: np.ndarray) -> None:
        self.count += 1
        apart = detail - self.mean
        self.mean = self.mean + apart / np.float32(self.count)
        self.square = self.square + apart * (detail - self.mean)

    def result(self) -> tuple[float, float]:
        return float(self.count), float(np.sqrt(self.square / max(1, self.count)).mean())


def visible_flow(previous: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Backward flow [H, W, 2] in px and where it holds, bool [H, W], for uint8 grey frames."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back, forth = dis.calc(current, previous, None), dis.calc(previous, current, None)
    x, y = places(back)
    returned = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    square = squared(back)
    agree = squared(returned + back) < 0.01 * (square + squared(returned)) + 0.5
    slopes = sum(squared(cv2.Sobel(back, cv2.CV_32F, dx, 1 - dx, ksize=1, scale=0.5)) for dx in (0, 1))
    height, width = current.shape
    within = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    return back, agree & (slopes <= 0.01 * square + 0.002) & within


def squared(vectors: np.ndarray) -> np.ndarray:
    """Squared length, [H, W]."""
    return vectors[..., 0] ** 2 + vectors[..., 1] ** 2


def places(back: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel came from, x and y, float32 [H, W]."""
    height, width = back.shape[:2]
    return (
        np.arange(width, dtype=np.float32)[None] + back[..., 0],
        np.arange(height, dtype=np.float32)[:, None] + back[..., 1],
    )


def moved(rgb: np.ndarray, at: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """A frame fetched along a flow, cubic."""
    return cv2.remap(rgb, *at, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def grey(rgb: np.ndarray) -> np.ndarray:
    """uint8 luma."""
    return np.rint(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) * 255).astype(np.uint8)


def rms(values: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values), dtype=np.float64)))


def high_pass(rgb: np.ndarray) -> float:
    """RMS of what a Gaussian blur of sigma 1.5 px takes away."""
    return rms(rgb - cv2.GaussianBlur(rgb, (0, 0), 1.5))


def chroma(rgb: np.ndarray) -> float:
    """Mean length of (Cb, Cr)."""
    ycc = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    return float(np.hypot(ycc[..., 1] - 0.5, ycc[..., 2] - 0.5).mean())


def together(source: Iterator[Frame], dreams: list[Iterator[Frame]], width: int | None) -> Iterator:
    """Source frame, its picture, and the dreams' pictures, shrunk to `width` px where that is smaller.

    Raises:
        UserError: the films differ in size or frame count.
    """

    def picture(frame: Frame) -> np.ndarray:
        height, wide = frame.rgb.shape[:2]
        if width is None or width >= wide:
            return frame.rgb
        size = (width, max(1, round(height * width / wide)))
        return cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)

    number = 0
    while True:
        row = [next(film, None) for film in (source, *dreams)]
        if all(frame is None for frame in row):
            return
        if any(frame is None for frame in row):
            raise UserError(f"the films differ in length: one ends at frame {number}; use --start and --end")
        if len({frame.rgb.shape for frame in row}) > 1:
            raise UserError(f"the films differ in size: {[frame.rgb.shape[1::-1] for frame in row]}")
        yield row[0], picture(row[0]), [picture(frame) for frame in row[1:]]
        number += 1


def measure(
    films: Iterator,
    firsts: list[int],
    objective: Callable[[np.ndarray], float],
    count: int,
    wide: float,
    every: int,
) -> list[Figures]:
    """All rows of all dreams; flow and the source's own figures are measured once for all of them.

    Args:
        films: what `together` gives.
        firsts: the first frame of each shot.
        objective: of a picture.
        count: number of dreams.
        wide: width of the comparison over the film's: 1 px of the film in px here.
        every: one pair in so many is measured at lags above 1.
    """
    found = [Figures() for _ in range(count)]
    spreads = [Spread() for _ in range(count)]
    past: deque[tuple[np.ndarray, np.ndarray, list[np.ndarray]]] = deque(maxlen=max(LAGS))
    for number, (frame, rgb, dreams) in enumerate(films):
        seconds = float(frame.seconds)
        details = [dream - rgb for dream in dreams]
        shot = firsts[bisect_right(firsts, number) - 1]
        if shot == number and number:
            for figures, spread, detail, before in zip(found, spreads, details, past[-1][2], strict=True):
                figures.ghosts.append((number, float(np.corrcoef(before.ravel(), detail.ravel())[0, 1])))
                figures.deviations.append(spread.result())
            spreads = [Spread() for _ in range(count)]
            past.clear()
        light, still = grey(rgb), {"saturation_source": chroma(rgb), "sharpness_source": high_pass(rgb)}
        base = objective(rgb) if number % SCORED_EVERY == 0 else None
        moving: np.ndarray | None = None
        for lag in LAGS:
            if len(past) < lag or (lag > 1 and number % every):
                continue
            then_light, then_rgb, then_details = past[-lag]
            back, seen = visible_flow(then_light, light)
            if lag == 1:
                moving = squared(back) > wide**2
            visible = float(seen.mean())
            at, weight = places(back), seen[..., None]
            own = (rgb - moved(then_rgb, at)) * weight
            for figures, detail, then in zip(found, details, then_details, strict=True):
                left = (detail - moved(then, at)) * weight
                # The dream is source plus detail, and warping is linear: no third picture to warp.
                row = {"error": rms(left), "detail": rms(detail * weight), "dream": rms(left + own)}
                figures.pairs[lag].append({**row, "number": number, "visible": visible, "source": rms(own)})
        for figures, spread, detail, dream in zip(found, spreads, details, dreams, strict=True):
            size = np.abs(detail)
            row = still | {
                "seconds": seconds,
                "strength": float(size.mean()),
                "sharpness_detail": high_pass(detail),
                "sharpness_dream": high_pass(dream),
                "saturation_dream": chroma(dream),
                "luma": float(detail.mean(axis=(0, 1)) @ (0.299, 0.587, 0.114)),
            }
            if moving is not None:
                row |= {"moving_sum": float(size[moving].sum()) / 3, "moving_count": float(moving.sum())}
                row["moving_share"] = float(moving.mean())
            if base is not None:
                row |= {"objective": objective(dream), "objective_source": base}
            figures.frames.append(row)
            spread.add(detail)
        past.append((light, rgb, details))
    for figures, spread in zip(found, spreads, strict=True):
        figures.deviations.append(spread.result())
    return found


def ratio(above: float, below: float) -> float | None:
    """A quotient, or None where it has no meaning."""
    return above / below if below > 1e-12 else None


def summary(rows: Rows, pairs: dict[int, Rows]) -> dict[str, object]:
    """The figures of a stretch of film."""

    def mean(key: str) -> float | None:
        values = [row[key] for row in rows if key in row]
        return float(np.mean(values)) if values else None

    def total(key: str) -> float:
        return sum(row.get(key, 0.0) for row in rows)

    result: dict[str, object] = {
        "strength": mean("strength"),
        "strength_moving": ratio(total("moving_sum"), total("moving_count")),
        "moving_share": mean("moving_share"),
        "sharpness": {of: mean(f"sharpness_{of}") for of in ("detail", "dream", "source")},
        "saturation": {of: mean(f"saturation_{of}") for of in ("dream", "source")},
        "objective": mean("objective"),
        "objective_gain": ratio(total("objective"), total("objective_source")),
    }
    for lag, all_found in pairs.items():
        if not all_found:
            continue
        found = [row for row in all_found if row["visible"] >= LEAST_VISIBLE]
        square = {key: sum(row[key] ** 2 for row in found) for key in ("error", "detail", "dream", "source")}
        left = ratio(square["error"], square["detail"])
        result[f"R_{lag}"] = None if left is None else left**0.5
        result[f"e_stab_{lag}"] = {of: (square[of] / max(1, len(found))) ** 0.5 for of in ("dream", "source")}
        result[f"visible_{lag}"] = float(np.mean([row["visible"] for row in all_found]))
    return result


def report(figures: Figures) -> dict[str, object]:
    """All figures of one dream, whole, in tenths and at cuts."""
    rows, count = figures.frames, len(figures.frames)
    edges = [round(k * count / 10) for k in range(11)]
    tenths = [
        summary(
            rows[first:stop],
            {lag: [p for p in pairs if first <= p["number"] < stop] for lag, pairs in figures.pairs.items()},
        )
        for first, stop in pairwise(edges)
        if stop > first
    ]
    at = np.array([row["seconds"] for row in rows])
    luma = np.array([row["luma"] for row in rows])
    lasted = sum(n for n, _ in figures.deviations)
    near = {int(row["number"]): ratio(row["error"], row["detail"]) for row in figures.pairs[1]}
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
        **summary(rows, figures.pairs),
        "luma_slope": float(np.polyfit(at - at[0], luma, 1)[0]) if count > 1 else None,
        "deviation": sum(n * value for n, value in figures.deviations) / max(1.0, lasted),
        "cuts": cuts,
        "tenths": tenths,
    }


RATIOS = ("strength", "strength_moving", "objective", "objective_gain", *(f"R_{lag}" for lag in LAGS))


def ratios(one: dict, other: dict) -> dict[str, object]:
    """Figures of one dream over another's."""
    result = {k: ratio(one[k], other[k]) for k in RATIOS if one.get(k) is not None and other.get(k)}
    for of in ("detail", "dream"):
        result[f"sharpness_{of}"] = ratio(one["sharpness"][of], other["sharpness"][of])
    result["saturation"] = ratio(one["saturation"]["dream"], other["saturation"]["dream"])
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
    judge = load(card(args.net), args.weights, "float32")
    try:
        film = probe(args.source)
        dreams = [probe(path) for path in (args.dream, args.against) if path]
        firsts = [shot.first for shot in scan(read(film, args.start, args.end)).shots]
        assert film.picture is not None
        found = measure(
            together(read(film, args.start, args.end), [read(dream) for dream in dreams], args.width),
            firsts,
            lambda rgb: score(judge, args.depth, rgb),
            len(dreams),
            min(1.0, (args.width or film.picture.width) / film.picture.width),
            max(1, args.every),
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    result = report(found[0])
    if args.against:
        result["against"] = alone = report(found[1])
        result["ratio"] = ratios(result, alone)
        result["ratio"]["tenths"] = [
            ratios(a, b) for a, b in zip(result["tenths"], alone["tenths"], strict=True)
        ]
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
