"""Measure how many kinds of things a dream film shows, and how they change; JSON on stdout.

    python scripts/measure_repertoire.py SOURCE DREAM [DREAM ...] [--start S] [--end S] [--frames 30]

Frames are scaled to 360 rows. Square windows of 120 and 180 px, half a window apart, are enlarged to 224 px
and named by GoogLeNet with its real weights, and by SqueezeNet beside it; a window is *sure* where the first
class has .3 or more. Left out are windows that are surely a dog in the source, and those whose sure class is
the source's own there. A film is cut in sixths, of each up to `--frames` evenly spaced frames. Told are

sure       share of all windows that are sure and not left out.
dogs       share of the sure ones that are dogs: ImageNet's classes 151 to 268, counted from 0.
most       share of the commonest class, and its name.
classes    effective number of classes: exp of the entropy of the sure windows' first classes.
change     of places (cells of 120 px, followed along the source's flow within a shot) that are sure both
           times, the share that is the same after .2 s and after 4 s; all dogs are one class there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mmdream.analysis.shots import scan_frames
from mmdream.core.errors import UserError
from mmdream.media.probe import MediaFile, probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.framework import tf
from mmdream.networks.network import choose_precision, load_network
from mmdream.networks.registry import load_card

ROWS = 360
WINDOWS = (120, 180)
SIDE = 224
SURE = 0.3
DOGS = range(151, 269)
NOT_SURE = -1
PARTS = 6
CELL = 120
LAGS = (0.2, 4.0)
"""Seconds."""
STARTS_EVERY = 5
"""Frames from one beginning of followed cells to the next."""
BATCH = 64
WEIGHTS = {"googlenet": "googlenet_fp16.npz", "squeezenet": "squeezenet_v1_1.npz"}
Judge = Callable[[np.ndarray], np.ndarray]
"""Windows, float32 [n, SIDE, SIDE, 3], 0..1 -> the sure class of each or `NOT_SURE`, int [n]."""
Frames = list[np.ndarray]
"""uint8 [ROWS, w, 3] RGB."""


@dataclass
class Seen:
    """What a judge saw in one film."""

    windows: list[np.ndarray] = field(default_factory=list)
    """Of each frame that is looked at, the sure class of each window."""
    followed: dict[float, list[tuple[int, int]]] = field(default_factory=lambda: {lag: [] for lag in LAGS})
    """Sure classes of the same place at both times."""


def main() -> int:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("dreams", type=Path, nargs="+", metavar="dream")
    parser.add_argument("--start", type=Fraction, help="second of the source at which the dreams begin")
    parser.add_argument("--end", type=Fraction)
    parser.add_argument("--frames", type=int, default=30, help="of each sixth (30)")
    parser.add_argument("--judges", nargs="+", choices=list(WEIGHTS), default=list(WEIGHTS))
    data = Path(os.environ.get("MMDREAM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data)
    args = parser.parse_args()
    try:
        film = probe(args.source)
        shots = scan_frames(read_frames(film, args.start, args.end)).shots
        source = read_small(film, args.start, args.end)
        dreams = [read_small(probe(path), None, None) for path in args.dreams]
        if any(len(dream) != len(source) for dream in dreams):
            raise UserError("the films differ in length; use --start and --end")
        judges = [load_judge(name, args.data / "weights") for name in args.judges]
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    assert film.video is not None
    rate = float(film.video.rate)
    paths = follow_cells(source, [shot.first for shot in shots], max(round(LAGS[-1] * rate), 1))
    sixths = choose_frames(len(source), args.frames)
    result: dict[str, dict[str, object]] = {str(path): {} for path in args.dreams}
    for name, judge in zip(args.judges, judges, strict=True):
        own = look(judge, source, sixths, {}, rate)
        for path, dream in zip(args.dreams, dreams, strict=True):
            seen = look(judge, dream, sixths, paths if name == args.judges[0] else {}, rate)
            result[str(path)][name] = report(seen, own, [len(sixth) for sixth in sixths])
    print(json.dumps(result, indent=1))
    return 0


def read_small(film: MediaFile, start: Fraction | None, end: Fraction | None) -> Frames:
    """All frames at `ROWS` rows."""
    found = []
    for frame in read_frames(film, start, end):
        height, width = frame.rgb.shape[:2]
        size = (round(width * ROWS / height), ROWS)
        method = cv2.INTER_AREA if height > ROWS else cv2.INTER_CUBIC
        small = frame.rgb if height == ROWS else cv2.resize(frame.rgb, size, interpolation=method)
        found.append(np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8))
    return found


def load_judge(name: str, folder: Path) -> Judge:
    """A network with its real weights; UserError: they are missing."""
    card = load_card(name)
    network = load_network(card, str(folder / WEIGHTS[name]), choose_precision("auto", card))
    logits = network.class_logits()

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32)])
    def shares(windows: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.cast(logits(windows), tf.float32))

    def judge(windows: np.ndarray) -> np.ndarray:
        found = np.concatenate(
            [shares(tf.constant(windows[k : k + BATCH])).numpy() for k in range(0, len(windows), BATCH)]
        )
        return np.where(found.max(axis=1) >= SURE, found.argmax(axis=1), NOT_SURE)

    return judge


def choose_frames(count: int, most: int) -> list[list[int]]:
    """The numbers of the frames that are looked at, a list a sixth; the sixths of a short film are short."""
    bounds = [round(part * count / PARTS) for part in range(PARTS + 1)]
    return [
        sorted({int(at) for at in np.linspace(first, stop - 1, min(most, stop - first)).round()})
        for first, stop in itertools.pairwise(bounds)
    ]


def cut_windows(image: np.ndarray) -> np.ndarray:
    """All windows of a frame."""
    height, width = image.shape[:2]
    return np.stack(
        [
            cut_window(image, top, left, side)
            for side in WINDOWS
            for top in range(0, height - side + 1, side // 2)
            for left in range(0, width - side + 1, side // 2)
        ]
    )


def cut_window(image: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    """One window, as a judge takes it."""
    window = cv2.resize(
        image[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
    )
    return window.astype(np.float32) / 255


def follow_cells(frames: Frames, firsts: list[int], longest: int) -> dict[tuple[int, int], np.ndarray]:
    """Where cells lie in later frames: (frame they begin in, frame) -> top left corners, px [n, 2]."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    height, width = grey[0].shape
    corners = [(x, y) for y in range(0, height - CELL + 1, CELL) for x in range(0, width - CELL + 1, CELL)]
    found: dict[tuple[int, int], np.ndarray] = {}
    for number in range(len(frames)):
        first = firsts[bisect_right(firsts, number) - 1]
        if number > first:
            flow = cv2.blur(dis.calc(grey[number - 1], grey[number], None), (31, 31))
            for begun in range(max(first, number - longest), number):
                if (begun, number - 1) not in found:
                    continue
                before = found[begun, number - 1]
                middle = np.clip(np.rint(before + CELL / 2), 0, (width - 1, height - 1))
                with np.errstate(invalid="ignore"):
                    x, y = (np.nan_to_num(middle).astype(int)).T
                now = before + flow[y, x]
                outside = (now < -CELL / 8).any(1) | (now > np.array([width, height]) - CELL * 7 / 8).any(1)
                found[begun, number] = np.where(outside[:, None], np.nan, now)
        if number % STARTS_EVERY == 0:
            found[number, number] = np.array(corners, np.float32)
    return found


def look(
    judge: Judge,
    frames: Frames,
    sixths: list[list[int]],
    paths: dict[tuple[int, int], np.ndarray],
    rate: float,
) -> Seen:
    """Name the windows of the chosen frames, and the followed cells at both times."""
    seen = Seen([judge(cut_windows(frames[number])) for sixth in sixths for number in sixth])
    begun = [first for first, now in paths if first == now]
    for lag in LAGS:
        later = round(lag * rate)
        for first in begun:
            if (first, first + later) not in paths:
                continue
            then, now = paths[first, first], paths[first, first + later]
            kept = ~np.isnan(now).any(1)
            if kept.any():
                pairs = [
                    name_cells(judge, frames[first], then[kept]),
                    name_cells(judge, frames[first + later], now[kept]),
                ]
                seen.followed[lag] += [tuple(pair) for pair in np.transpose(pairs).tolist()]
    return seen


def name_cells(judge: Judge, frame: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The sure class of cells at top left corners (x, y), moved into the frame if they leave it."""
    height, width = frame.shape[:2]
    inside = np.clip(np.rint(corners), 0, (width - CELL, height - CELL)).astype(int)
    return judge(np.stack([cut_window(frame, y, x, CELL) for x, y in inside]))


def report(seen: Seen, own: Seen, counts: list[int]) -> dict[str, object]:
    """The figures of a film, and of its sixths."""
    bounds = np.cumsum([0, *counts])
    result = tell(seen.windows, own.windows)
    result["sixths"] = [
        tell(seen.windows[first:stop], own.windows[first:stop]) for first, stop in itertools.pairwise(bounds)
    ]
    result["change"] = {f"{lag:g} s": tell_change(pairs) for lag, pairs in seen.followed.items() if pairs}
    return result


def tell(windows: list[np.ndarray], own: list[np.ndarray]) -> dict[str, object]:
    """The figures of some frames."""
    found, source = np.concatenate(windows), np.concatenate(own)
    is_dog = (source >= DOGS.start) & (source < DOGS.stop)
    counted = found[(found != NOT_SURE) & ~is_dog & (found != source)]
    result: dict[str, object] = {"windows": len(found), "sure": round(len(counted) / len(found), 4)}
    if not len(counted):
        return result
    classes, numbers = np.unique(counted, return_counts=True)
    shares = numbers / numbers.sum()
    names = load_card("googlenet").primary_names()
    dogs = float(shares[(classes >= DOGS.start) & (classes < DOGS.stop)].sum())
    common = [(names[classes[k]], round(float(shares[k]), 3)) for k in np.argsort(-shares)[:5]]
    return result | {
        "dogs": round(dogs, 3),
        "most": round(float(shares.max()), 3),
        "classes": round(float(np.exp(-(shares * np.log(shares)).sum())), 1),
        "common": common,
    }


def tell_change(pairs: list[tuple[int, int]]) -> dict[str, float]:
    """Share of places that show the same, of those that are sure both times."""
    both = [
        tuple(DOGS.start if each in DOGS else each for each in pair) for pair in pairs if NOT_SURE not in pair
    ]
    return {"places": len(both), "same": round(float(np.mean([a == b for a, b in both])), 3) if both else 0.0}


if __name__ == "__main__":
    sys.exit(main())
